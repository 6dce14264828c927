"""The contract of every augmentation, as one table of laws over all of them."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from sklearn.base import clone

import skspike.augment
from skspike.augment import (
    NDA,
    Compose,
    CutMix,
    EventDrop,
    EventMix,
    Flip,
    Mixup,
    Noise,
    OneOf,
    PolarityFlip,
    Rotate,
    Shift,
    TimeJitter,
)
from tests.augment.common import EACH, FLOATING, counts, one_hot, seeded

every = pytest.mark.parametrize("augmentation", EACH, ids=repr)


def test_the_table_holds_every_class():
    classes = {v for v in vars(skspike.augment).values() if isinstance(v, type)}
    assert {type(augmentation) for augmentation in EACH} == classes


@every
def test_the_same_seed_gives_the_same_batch_and_another_seed_another(augmentation):
    x, y = counts(16, 4, 2, 9, 8), one_hot(16)
    (a, label), (b, same), (c, _) = (augmentation(x, y, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert torch.equal(label, same)
    assert not torch.equal(a, c)


@every
def test_the_global_generator_is_left_alone(augmentation):
    before = torch.random.get_rng_state()
    augmentation(counts(4, 4, 2, 9, 8), one_hot(4), seeded())
    assert torch.equal(torch.random.get_rng_state(), before)


@every
def test_the_input_is_left_alone(augmentation):
    x, y = counts(8, 4, 2, 9, 8), one_hot(8)
    kept_x, kept_y = x.clone(), y.clone()
    augmentation(x, y, seeded())
    assert torch.equal(x, kept_x)
    assert torch.equal(y, kept_y)


@every
@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.bool, torch.int8, torch.int32, torch.int64, torch.float64]
)
def test_counts_keep_their_dtype_unless_values_are_averaged(augmentation, dtype):
    x, _ = augmentation(counts(6, 4, 2, 9, 8, high=2, dtype=dtype), one_hot(6), seeded())
    averaged = isinstance(augmentation, FLOATING) or "bilinear" in repr(augmentation)
    wide = torch.float64 if dtype.itemsize > 2 else torch.float32
    assert x.dtype == (wide if averaged else dtype)
    assert x.shape == (6, 4, 2, 9, 8)


@every
@pytest.mark.parametrize(
    "shape", [(3, 1, 2, 5, 7), (2, 3, 2, 1, 6), (1, 3, 2, 4, 1), (1, 1, 2, 1, 1)]
)
def test_one_step_narrow_maps_and_single_samples(augmentation, shape):
    x, y = augmentation(counts(*shape), one_hot(shape[0]), seeded())
    assert x.shape == shape
    torch.testing.assert_close(y.sum(dim=1), torch.ones(shape[0]))


@every
def test_an_empty_batch_stays_empty(augmentation):
    x, y = torch.empty(0, 4, 2, 9, 8), torch.empty(0, 3)
    changed, label = augmentation(x, y, seeded())
    assert changed.shape == x.shape
    assert label.shape == y.shape


@every
def test_memory_that_is_not_contiguous_gives_the_same(augmentation):
    x = counts(6, 4, 2, 9, 8)
    strided = x.permute(4, 3, 2, 1, 0).contiguous().permute(4, 3, 2, 1, 0)
    assert not strided.is_contiguous()
    assert torch.equal(
        augmentation(strided, one_hot(6), seeded())[0], augmentation(x, one_hot(6), seeded())[0]
    )


@every
def test_nothing_is_read_from_the_device(augmentation, monkeypatch):
    # tensors of the meta device have no values: whoever asked for one would raise
    monkeypatch.setattr(torch, "binomial", lambda count, prob, generator: count * prob)
    x, y = augmentation(torch.empty(5, 4, 2, 9, 8, device="meta"), one_hot(5).to("meta"), seeded())
    assert (x.device.type, y.device.type) == ("meta", "meta")
    assert x.shape == (5, 4, 2, 9, 8)


@every
def test_samples_are_drawn_apart(augmentation):
    x = counts(1, 4, 2, 9, 8).expand(64, -1, -1, -1, -1)
    if isinstance(augmentation, (Mixup, CutMix, EventMix)):
        x = counts(64, 4, 2, 9, 8)
        y = torch.eye(64)
        own = augmentation(x, y, seeded())[1].diagonal()
        assert len(own.unique()) > 10
    else:
        changed = augmentation(x, one_hot(64), seeded())[0]
        assert len(changed.flatten(1).unique(dim=0)) > 1


@every
@pytest.mark.parametrize(
    "duplicate", [clone, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))]
)
def test_copies_are_equal_and_apart(augmentation, duplicate):
    other = duplicate(augmentation)
    assert other == augmentation
    assert other is not augmentation
    assert repr(other) == repr(augmentation)
    assert eval(repr(other), vars(skspike.augment)) == augmentation


def test_the_repr_shows_what_differs_from_the_defaults():
    assert repr(Flip()) == "Flip()"
    assert repr(Flip(p=1.0)) == "Flip(p=1.0)"
    assert repr(NDA(shift=None)) == "NDA(shift=None)"


def test_different_parameters_or_classes_are_not_equal():
    assert Flip() != Flip(p=0.4)
    assert Flip() != PolarityFlip()


def test_parameters_are_read_and_set_by_name():
    augmentation = Flip(p=0.3)
    assert augmentation.get_params() == {"direction": "horizontal", "p": 0.3}
    assert augmentation.set_params(p=0.4) is augmentation
    assert augmentation == Flip(p=0.4)
    with pytest.raises(ValueError, match=r"of Flip must be one of \['direction', 'p'\]. Got 'q'"):
        augmentation.set_params(q=1)


@pytest.mark.parametrize(
    ("augmentation", "shape", "message"),
    [
        (Flip(), (5,), r"by Flip must have shape \(n_samples, n_channels.*samples of shape \(5,\)"),
        (Rotate(), (4, 5), r"by Rotate must have shape .* Got samples of shape \(4, 5\) instead"),
        (TimeJitter(), (2, 5, 5), r"TimeJitter must have shape \(n_samples, n_steps, n_features\)"),
        (TimeJitter(), (5,), "TimeJitter must have shape"),
        (EventMix(), (2, 5, 5), r"EventMix must have shape \(n_samples, n_steps, n_channels"),
        (CutMix(), (4, 5), "CutMix must have shape"),
        (PolarityFlip(), (4, 1, 5, 5), "must have 2 channels, one per polarity. Got 1 instead"),
        (EventDrop(), (4, 5), r"of EventDrop must not hold 'area' for samples of shape \(4, 5\)"),
        (EventDrop(("time",)), (2, 5, 5), r"must not hold 'time' for samples of shape \(2, 5, 5\)"),
        (Compose(["mixup", ["flip"]]), (5,), "by Flip must have shape"),
        (OneOf(["mixup", "flip"]), (5,), "by Flip must have shape"),
        (Noise(), (2, 3, 4, 5, 6), "by Noise must have shape"),
    ],
)
def test_samples_without_the_axes_are_refused_in_words(augmentation, shape, message):
    with pytest.raises(ValueError, match=message):
        augmentation.check(shape)
    with pytest.raises(ValueError, match=message):
        augmentation(torch.zeros(2, *shape), one_hot(2), seeded())


@pytest.mark.parametrize(
    ("augmentation", "shape"),
    [
        (EventDrop(("random", "time")), (6, 5)),
        (EventDrop(("random",)), (5,)),
        (TimeJitter(max_shift=1), (6, 5)),
        (Noise(), (6, 5)),
        (Noise(), (5,)),
        (Mixup(), (6, 5)),
        (Mixup(), (5,)),
        (Shift(), (2, 6, 5)),
        (NDA(shift=1, cutout=1), (2, 6, 5)),
        (CutMix(), (2, 6, 5)),
    ],
    ids=repr,
)
def test_other_samples_that_have_the_axes(augmentation, shape):
    x = counts(8, *shape, dtype=torch.float32)
    changed, y = augmentation(x, one_hot(8), seeded())
    assert changed.shape == x.shape
    assert not torch.equal(changed, x)
    torch.testing.assert_close(y.sum(dim=1), torch.ones(8))


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (Flip(direction="left"), r"'direction' parameter of Flip must be one of \['horizontal"),
        (Flip(p=1.5), r"'p' parameter of Flip must be a float in the range \[0, 1\]. Got 1.5"),
        (PolarityFlip(p=-1), "'p' parameter of PolarityFlip"),
        (Shift(max_shift=2.5), r"'max_shift' parameter of Shift must be a float in .*\[0, 1\]"),
        (Shift(max_shift=-1), r"'max_shift' parameter of Shift must be an int in .*\[0, inf\]"),
        (Shift(fill="wrap"), "'fill' parameter of Shift"),
        (Rotate(degrees=181), "'degrees' parameter of Rotate"),
        (Rotate(interpolation="cubic"), "'interpolation' parameter of Rotate"),
        (skspike.augment.Shear(degrees=90), r"of Shear must be a float in the range \[0, 90\)"),
        (skspike.augment.Scale(low=0), "'low' parameter of Scale"),
        (skspike.augment.Scale(low=2.0), r"'high' parameter of Scale .*\[2.0, inf\)"),
        (skspike.augment.Cutout(size=1.1), "'size' parameter of Cutout"),
        (EventDrop(modes=()), "'modes' parameter of EventDrop"),
        (EventDrop(modes=("space",)), "'modes' parameter of EventDrop must be one of"),
        (EventDrop(max_area=2), "'max_area' parameter of EventDrop"),
        (TimeJitter(share=2), "'share' parameter of TimeJitter"),
        (TimeJitter(max_shift=-1), "'max_shift' parameter of TimeJitter must be an int"),
        (Noise(add=-1), "'add' parameter of Noise"),
        (Noise(values="floats"), "'values' parameter of Noise"),
        (Mixup(alpha=0), r"'alpha' parameter of Mixup must be a float in the range \(0, 1000"),
        (CutMix(label="share"), "'label' parameter of CutMix"),
        (EventMix(n_gaussians=0), "'n_gaussians' parameter of EventMix"),
        (NDA(shift=-1), "'shift' parameter of NDA"),
        (NDA(shear=90.0), "'shear' parameter of NDA"),
        (NDA(rotate=-1.0), "'rotate' parameter of NDA"),
    ],
    ids=repr,
)
def test_wrong_parameters_are_named(augmentation, message):
    with pytest.raises(ValueError, match=message):
        augmentation.check((4, 2, 9, 8))


@pytest.mark.parametrize("name", ["p", "degrees"])
def test_wrong_types_are_named(name):
    with pytest.raises(TypeError, match=f"'{name}' parameter of Rotate .* Got 'much' instead"):
        Rotate(**{name: "much"}).check((2, 9, 8))
