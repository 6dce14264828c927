"""Which convolutions go through spectra, and that both ways together give all results."""

from __future__ import annotations

import pytest
import torch

from skspike.kernels import _scale_conv_numba
from skspike.kernels._scale_conv_numba import backward, choose_spectral, forward
from skspike.kernels._scale_conv_reference import scale_conv_reference


def kernels(c_in, c_out, sizes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = [(c_out, c_in, k, k) for k in sizes]
    return [torch.randn(s, dtype=torch.float64, generator=generator).to(dtype) for s in shapes]


# --- the choice ---


@pytest.mark.parametrize("n_products", [1, 2])
@pytest.mark.parametrize(("channels", "size"), [(128, 17), (256, 8)])
def test_large_kernels_go_through_spectra(channels, size, n_products):
    x = torch.empty(160, size, size, channels)
    chosen = choose_spectral(x, kernels(channels, channels, (1, 3, 5, 7)), n_products)
    assert {2, 3} <= set(chosen)
    assert 0 not in chosen


@pytest.mark.parametrize(
    "shape",
    [(1, 8, 8, 64), (160, 17, 17, 2), (4, 5, 5, 16), (1, 1, 1, 512)],
    ids=["few maps", "few channels", "small", "one number"],
)
def test_small_problems_do_not(shape):
    x = torch.empty(shape)
    assert choose_spectral(x, kernels(shape[-1], 16, (1, 3, 5, 7)), 1) == []


def test_no_kernel_is_chosen_before_a_larger_one():
    for n_maps in (1, 10, 100, 1000):
        x = torch.empty(n_maps, 12, 12, 64)
        sizes = (7, 1, 5, 3)
        chosen = [sizes[i] for i in choose_spectral(x, kernels(64, 64, sizes), 1)]
        assert sorted(chosen) == sorted(sizes)[len(sizes) - len(chosen) :]


def test_fast_convolutions_are_left_alone():
    counts = []
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        x = torch.empty(40, 12, 12, 64, dtype=dtype)
        counts.append(len(choose_spectral(x, kernels(64, 64, (1, 3, 5, 7)), 2)))
    assert counts == sorted(counts)


# --- the results ---


@pytest.mark.parametrize("chosen", [[], [0], [1, 2], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True)], ids=str)
def test_both_ways_together(chosen, needs, monkeypatch):
    monkeypatch.setattr(_scale_conv_numba, "choose_spectral", lambda *_, **__: chosen)
    needs_dx, needs_dw = needs
    torch.manual_seed(0)
    x = torch.randn(2, 3, 3, 6, 5, dtype=torch.float64, requires_grad=True)
    weights = [w.requires_grad_() for w in kernels(3, 4, (5, 1, 3), torch.float64)]
    biases = [torch.randn(4, dtype=torch.float64, requires_grad=True) for _ in weights]
    expected = scale_conv_reference(x, weights, biases)
    dys = [torch.randn_like(y) for y in expected]
    gradients = torch.autograd.grad(expected, [x, *weights, *biases], dys)
    with torch.no_grad():
        for y, value in zip(forward(x, weights, biases), expected, strict=True):
            torch.testing.assert_close(y, value)
            assert y.movedim(2, -1).is_contiguous()
        dx, dws, dbs = backward(x, weights, dys, needs_dx, needs_dw)
    if needs_dx:
        torch.testing.assert_close(dx, gradients[0])
        assert dx.movedim(2, -1).is_contiguous()
    else:
        assert dx.numel() == 0
    found = [*dws, *dbs]
    assert len(found) == (6 if needs_dw else 0)
    for a, b in zip(found, gradients[1:], strict=False):
        torch.testing.assert_close(a, b)
