from __future__ import annotations

import copy
import math

import pytest
import torch

from skspike.augment import Rotate, Scale, Shear
from skspike.augment._affine import transform
from tests.augment.common import counts, seeded

INTERPOLATIONS = ("nearest", "bilinear")


def matrix(*entries: float, n: int = 2) -> tuple[torch.Tensor, ...]:
    """Return the entries of one matrix for each of `n` samples."""
    return tuple(torch.full((n,), float(entry)) for entry in entries)


def turned(degrees: float) -> tuple[torch.Tensor, ...]:
    """Return the matrix that reads a map turned back by so many degrees."""
    angle = math.radians(degrees)
    return matrix(math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("nothing", [Rotate(0.0), Shear(0.0), Scale(1.0, 1.0)], ids=repr)
def test_nothing_turned_slanted_or_magnified_is_nothing(nothing, interpolation):
    x = counts(5, 3, 2, 4, 7)
    same, _ = copy.copy(nothing).set_params(interpolation=interpolation)(x, None, seeded())
    torch.testing.assert_close(same, x.to(same.dtype), atol=1e-5, rtol=0)
    if interpolation == "nearest":
        assert torch.equal(same, x)


@pytest.mark.parametrize("make", [Rotate, Shear, Scale])
def test_no_sample_is_changed_with_p_0(make):
    x = counts(5, 3, 2, 4, 7)
    assert torch.equal(make(p=0.0)(x, None, seeded())[0], x)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("side", [6, 7])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_exact(interpolation, side, quarters):
    x = counts(2, 3, side, side, dtype=torch.float64)
    expected = x.rot90(quarters, (-2, -1))
    torch.testing.assert_close(
        transform(x, turned(-90 * quarters), interpolation), expected, atol=1e-5, rtol=0
    )


def test_half_a_turn_of_a_map_that_is_not_square():
    x = counts(2, 3, 4, 7)
    assert torch.equal(transform(x, turned(180), "nearest"), x.flip(-2, -1))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_slant_moves_rows_by_their_distance_from_the_middle(interpolation):
    x = counts(2, 3, 5, 7) + 1
    slanted = transform(x, matrix(1, 1, 0, 1), interpolation)
    for row in range(5):
        by = row - 2  # read so much further right
        expected = torch.zeros_like(x[..., row, :])
        expected[..., max(0, -by) : 7 - max(0, by)] = x[..., row, max(0, by) : 7 - max(0, -by)]
        torch.testing.assert_close(
            slanted[..., row, :], expected.to(slanted.dtype), atol=1e-4, rtol=0
        )


def test_doubling_repeats_pixels():
    x = counts(2, 3, 4, 4)
    twice, _ = Scale(2.0, 2.0)(x, None, seeded())
    middle = x[..., 1:3, 1:3]
    assert torch.equal(twice, middle.repeat_interleave(2, -2).repeat_interleave(2, -1))


def test_bilinear_weighs_by_distance():
    x = torch.zeros(2, 1, 5, 5)
    x[..., 2, 2] = 1.0
    half, _ = Scale(2.0, 2.0, interpolation="bilinear")(x, None, seeded())
    line = torch.tensor([0.0, 0.5, 1.0, 0.5, 0.0])
    torch.testing.assert_close(half[0, 0], torch.outer(line, line))


@pytest.mark.parametrize("degrees", [30.0, 180.0])
def test_angles_are_drawn_evenly(degrees):
    # the direction of a dot at the right edge tells the angle
    x = torch.zeros(400, 1, 101, 101, dtype=torch.uint8)
    x[..., 48:53, 90:95] = 1
    moved = Rotate(degrees)(x, None, seeded())[0][:, 0].float()
    place = torch.arange(101.0) - 50
    total = moved.sum(dim=(1, 2))
    right = (moved.sum(dim=1) @ place) / total
    down = (moved.sum(dim=2) @ place) / total
    angle = torch.rad2deg(torch.atan2(down, right))
    assert angle.abs().max() <= degrees + 1
    assert angle.abs().max() > 0.97 * degrees
    assert abs(angle.mean()) < 0.12 * degrees
    assert angle.std().item() == pytest.approx(degrees / math.sqrt(3), rel=0.1)


def test_a_vertical_slant_is_a_horizontal_one_of_the_transposed_map():
    x = counts(6, 2, 5, 7)
    one, _ = Shear(40, "vertical")(x, None, seeded())
    other, _ = Shear(40)(x.mT.contiguous(), None, seeded())
    assert torch.equal(one, other.mT)


def test_factors_are_drawn_between_low_and_high():
    x = torch.ones(300, 1, 40, 40)
    side = Scale(0.5, 0.75)(x, None, seeded())[0].sum(dim=(1, 2, 3)).sqrt()
    assert 19 <= side.min() <= 21
    assert 29 <= side.max() <= 31
