from __future__ import annotations

import pytest
import torch

from skspike.augment import Compose, Flip, Mixup, OneOf, PolarityFlip, Shift, make_augmentation
from tests.augment.common import counts, one_hot, seeded


def test_specs_become_one_callable():
    mine = Flip(p=0.2)
    assert make_augmentation(None) is None
    assert make_augmentation("flip") == Flip()
    assert make_augmentation(mine) is mine
    assert make_augmentation(("flip", mine)) == Compose(["flip", mine])


@pytest.mark.parametrize("wrong", [3, {"flip": 0.5}, Flip])
def test_anything_else_is_refused(wrong):
    with pytest.raises(TypeError, match="An augmentation must be None, a name, an object such as"):
        make_augmentation(wrong)


def test_a_callable_of_the_users_own_will_do():
    def brighter(x, y, generator):
        return x + 1, y

    x = counts(3, 2, 4, 4)
    changed, _ = Compose([brighter, [None, brighter]])(x, None, seeded())
    assert torch.equal(changed, x + 2)


def test_steps_follow_each_other_from_one_generator():
    x, y = counts(5, 3, 2, 6, 6), one_hot(5)
    generator = seeded()
    expected = Shift(max_shift=2)(*Mixup()(x, y, generator), generator)
    composed = Compose([Mixup(), Shift(max_shift=2)])(x, y, seeded())
    assert all(map(torch.equal, composed, expected))


def test_no_step_is_no_change():
    x, y = counts(3, 2, 4, 4), one_hot(3)
    assert Compose([])(x, y, seeded()) == (x, y)


def test_each_sample_gets_one_option_all_equally_often():
    x = torch.arange(4.0).reshape(1, 2, 1, 2).expand(6000, 2, 1, 2)
    options = [None, Flip(p=1.0), PolarityFlip(p=1.0)]
    changed, _ = OneOf(options)(x, None, seeded())
    outcomes, number = changed.flatten(1).unique(dim=0, return_counts=True)
    assert outcomes.tolist() == [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1]]
    assert ((number - 2000).abs() < 150).all()


def test_the_labels_follow_the_option():
    x = y = torch.eye(64)
    changed, soft = OneOf([None, Mixup(alpha=5.0)])(x, y, seeded())
    assert torch.equal(changed, soft)
    kept = (soft.max(dim=1).values == 1).float().mean()
    assert 0.3 < kept < 0.7


@pytest.mark.parametrize("make", [Compose, OneOf])
def test_lists_are_asked_for(make):
    with pytest.raises(
        TypeError, match=f"of {make.__name__} must be a list of augmentations. Got 'flip'"
    ):
        make("flip").check((2, 4, 4))


def test_one_option_at_least():
    with pytest.raises(ValueError, match="'options' parameter of OneOf must hold at least one"):
        OneOf([]).check((2, 4, 4))


def test_unknown_names_are_found_by_the_check():
    with pytest.raises(ValueError, match="No augmentation is called 'flop'"):
        Compose(["flop"]).check((2, 4, 4))
