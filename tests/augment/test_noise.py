from __future__ import annotations

import pytest
import torch

from skspike.augment import Noise
from tests.augment.common import counts, seeded


def test_neither_added_nor_removed_is_nothing():
    x = counts(8, 5, 2, 4, 3)
    assert torch.equal(Noise(add=0.0, remove=0.0)(x, None, seeded())[0], x)


def test_added_events_are_a_poisson_process():
    x = torch.zeros(100, 5, 2, 8, 8, dtype=torch.uint8)
    noise = Noise(add=0.3)(x, None, seeded())[0].double()
    assert noise.mean().item() == pytest.approx(0.3, rel=0.03)
    assert noise.var().item() == pytest.approx(0.3, rel=0.05)


def test_removed_events_are_a_share():
    x = torch.full((100, 5, 2, 8, 8), 20, dtype=torch.uint8)
    kept = Noise(add=0.0, remove=0.25)(x, None, seeded())[0]
    assert (kept <= x).all()
    assert kept.double().mean().item() == pytest.approx(15, rel=0.01)


def test_binary_values_stay_binary():
    x = counts(8, 5, 2, 4, 3, high=2, dtype=torch.float32)
    noisy, _ = Noise(add=2.0, values="binary")(x, None, seeded())
    assert noisy.unique().tolist() == [0.0, 1.0]


def test_signed_values_get_both_signs():
    x = torch.zeros(100, 5, 1, 8, 8, dtype=torch.int8)
    noise = Noise(add=0.4, values="signed")(x, None, seeded())[0].double()
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.var().item() == pytest.approx(0.4, rel=0.05)


def test_what_the_dtype_cannot_hold_is_clipped():
    x = torch.full((4, 2, 3, 3), 250, dtype=torch.uint8)
    noisy, _ = Noise(add=100.0, remove=0.0)(x, None, seeded())
    assert (noisy == 255).all()
