"""The specification of `scale_conv` against its formula, written out."""

from __future__ import annotations

import torch

from skspike.kernels._scale_conv_reference import scale_conv_reference


def test_formula():
    torch.manual_seed(0)
    x = torch.randn(2, 1, 3, 4, 5, dtype=torch.float64)
    w, b = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    (y,) = scale_conv_reference(x, [w], [b])
    expected = b[:, None, None].expand(2, 1, 2, 4, 5).clone()
    for i in range(4):
        for j in range(5):
            for di in range(-2, 3):
                for dj in range(-2, 3):
                    if 0 <= i + di < 4 and 0 <= j + dj < 5:
                        here = x[..., i + di, j + dj] @ w[:, :, di + 2, dj + 2].T
                        expected[..., i, j] += here
    torch.testing.assert_close(y, expected)


def test_each_weight_gives_a_result_of_its_own():
    x = torch.ones(1, 2, 1, 3, 3)
    weights = [torch.ones(2, 1, 1, 1), torch.ones(1, 1, 3, 3)]
    one, three = scale_conv_reference(x, weights, [None, torch.ones(1)])
    assert one.shape == (1, 2, 2, 3, 3)
    assert three.shape == (1, 2, 1, 3, 3)
    assert (one == 1).all()
    assert three[0, 1, 0].tolist() == [[5, 7, 5], [7, 10, 7], [5, 7, 5]]


def test_weights_are_read_in_the_precision_of_the_maps():
    x = torch.ones(1, 1, 1, 2, 2, dtype=torch.bfloat16)
    (y,) = scale_conv_reference(x, [torch.ones(1, 1, 1, 1)], [torch.ones(1)])
    assert y.dtype == torch.bfloat16
