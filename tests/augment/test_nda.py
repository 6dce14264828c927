from __future__ import annotations

import torch

from skspike.augment import NDA, Compose, Cutout, Flip, OneOf, Rotate, Shear, Shift
from tests.augment.common import counts, one_hot, seeded


def test_the_policy_is_a_flip_and_one_way_more():
    x, y = counts(30, 3, 2, 20, 24), one_hot(30)
    policy = Compose(
        [Flip(p=0.5), OneOf([Shift(max_shift=5), Rotate(30.0), Shear(30.0), Cutout(size=16)])]
    )
    changed, label = NDA()(x, y, seeded())
    assert torch.equal(changed, policy(x, y, seeded())[0])
    assert label is y


def test_ways_are_left_out_by_none():
    x = counts(30, 3, 2, 20, 24)
    only_rolled, _ = NDA(flip=0.0, rotate=None, shear=None, cutout=None)(x, None, seeded())
    assert torch.equal(only_rolled.sum(dim=(3, 4)), x.sum(dim=(3, 4)))
    nothing, _ = NDA(flip=0.0, shift=None, rotate=None, shear=None, cutout=None)(x, None, seeded())
    assert torch.equal(nothing, x)


def test_the_defaults_are_one_magnitude():
    magnitude = 2  # that of the published code for CIFAR10-DVS
    nda = NDA()
    assert (nda.shift, nda.rotate, nda.cutout) == (2 * magnitude + 1, 15 * magnitude, 8 * magnitude)
    assert nda.shear == nda.rotate


def test_what_the_published_code_does():
    # roll, rotate and shear; neither flip nor cutout
    x = torch.ones(200, 1, 1, 48, 48)
    changed, _ = NDA(flip=0.0, cutout=None)(x, None, seeded())
    rolled = (changed == 1).flatten(1).all(dim=1).float().mean()
    assert 0.23 < rolled < 0.45
