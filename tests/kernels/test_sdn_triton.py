"""The surrogate dynamic network on CUDA, or in Triton's interpreter, against the reference."""

from __future__ import annotations

import pytest
import torch

from skspike.kernels import sdn_membrane

pytest.importorskip("triton")

from tests.kernels.test_sdn import TOLERANCE, draw, draw_weights
from tests.kernels.triton_device import DEVICE, needs_triton, poisoned  # noqa: F401


@needs_triton
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1,), (9, 7), (13, 2, 140)], ids=str)
def test_the_twin_agrees(shape, dtype, poisoned):  # noqa: F811
    x, weights = draw(shape, dtype).to(DEVICE), draw_weights()
    for given in (x, x.movedim(0, -1).contiguous().movedim(-1, 0)):
        found, expected = (
            sdn_membrane(given, weights, backend=backend) for backend in ("triton", "reference")
        )
        assert found.dtype == expected.dtype
        tolerance = TOLERANCE.get(dtype, 1e-4)
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@needs_triton
def test_no_neurons():
    x = torch.ones(3, 0, device=DEVICE)
    assert sdn_membrane(x, draw_weights(), backend="triton").shape == (3, 0)
