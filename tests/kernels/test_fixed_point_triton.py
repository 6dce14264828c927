"""Rounds of the fixed point on CUDA, or in Triton's interpreter, against the reference."""

from __future__ import annotations

import pytest
import torch

from skspike.kernels import fixed_point_membrane

pytest.importorskip("triton")

from tests.kernels.triton_device import DEVICE, needs_triton, poisoned  # noqa: F401


@needs_triton
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("grid", [False, True], ids=["random", "grid"])
@pytest.mark.parametrize("shape", [(1,), (9, 7), (20, 2, 300)], ids=str)
def test_the_twin_is_bit_equal(shape, grid, dtype, poisoned):  # noqa: F811
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, generator=generator)
    x = ((2 * x).round() / 2 if grid else x).to(dtype).to(DEVICE)
    for n_rounds in (0, 2, 9):
        for v in (None, x[-1].flip(-1) if x.ndim > 1 else x[0]):
            for given in (x, x.movedim(0, -1).contiguous().movedim(-1, 0)):
                found, expected = (
                    fixed_point_membrane(
                        given, v, decay=0.3, threshold=0.5, n_rounds=n_rounds, backend=backend
                    )
                    for backend in ("triton", "reference")
                )
                assert found.dtype == expected.dtype
                assert torch.equal(found, expected)


@needs_triton
def test_no_neurons():
    x = torch.ones(3, 0, device=DEVICE)
    assert fixed_point_membrane(x, decay=0.5, backend="triton").shape == (3, 0)
