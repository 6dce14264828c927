from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skspike import FrameEncoder
from skspike.augment import NDA, CutMix, EventMix, Flip, Mixup, Noise, Shift
from skspike.datasets import make_moving_shapes
from skspike.estimators._augmented import Augmenter
from skspike.estimators._losses import LOSSES, PerSampleLoss
from tests.estimators.common import assert_same_weights, quick, samples, weights

AUGMENTS = [
    "flip",
    NDA(shift=1, cutout=2),
    [Shift(max_shift=1), "noise", Mixup(alpha=1.0)],
    EventMix(),
]


def augmenter(augmentation, n_classes: int = 3) -> Augmenter:
    return Augmenter(augmentation, n_classes, torch.Generator().manual_seed(0))


# --- One batch ---


def test_indices_become_soft_labels():
    x, y = torch.zeros(4, 5), torch.tensor([0, 2, 1, 2])
    seen, soft = augmenter(lambda x, y, generator: (x + 1, y))((x, y))
    assert torch.equal(seen, x + 1)
    assert torch.equal(soft, torch.eye(3)[y])


def test_weights_that_nothing_mixes_stay_bit_by_bit():
    weight = torch.rand(500, generator=torch.Generator().manual_seed(0)) * 3
    weight[7] = 0
    y = torch.arange(500) % 3
    batch = {"x": torch.zeros(500, 2), "sample_weight": weight}, y
    x, soft = augmenter(lambda x, y, generator: (x, y))(batch)
    assert torch.equal(x["sample_weight"], weight)
    expected = torch.eye(3)[y]
    expected[7] = 0
    assert torch.equal(soft, expected)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_gradient_of_a_mixture_is_that_of_its_weighted_parts(name):
    share, first, second = 0.3, 2.0, 0.5  # of the first sample, and the weights of both

    def mix(x, y, generator):
        return x, share * y + (1 - share) * y.flip(0)

    outputs = torch.randn(1, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs.requires_grad_()
    loss = PerSampleLoss(name)
    batch = {"x": torch.zeros(2, 1), "sample_weight": torch.tensor([first, second])}
    x, soft = augmenter(mix)((batch, torch.tensor([0, 2])))
    (got,) = torch.autograd.grad(x["sample_weight"][0] * loss(outputs, soft[:1])[0], outputs)
    parts = [
        weight * loss(outputs, torch.tensor([label]))[0]
        for weight, label in ((share * first, 0), ((1 - share) * second, 2))
    ]
    (expected,) = torch.autograd.grad(sum(parts), outputs)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            lambda x, y, generator: (x[:1], y),
            r"return x of the shape .*\(4, 5\). Got shape \(1, 5\)",
        ),
        (lambda x, y, generator: (x, y[:, :2]), r"return y of .*\(4, 3\). Got shape \(4, 2\)"),
    ],
)
def test_another_shape_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        augmenter(wrong)((torch.zeros(4, 5), torch.tensor([0, 1, 2, 0])))


# --- In a fit ---


@pytest.mark.parametrize("augment", AUGMENTS, ids=repr)
def test_the_same_seed_gives_the_same_weights_and_another_other_ones(augment):
    X, y = samples("frames", n_classes=3)
    classifier = quick(augment=augment, max_epochs=1, lr=0.01).fit(X, y)
    assert_same_weights(weights(classifier), weights(clone(classifier).fit(X, y)))
    plain = quick(max_epochs=1, lr=0.01).fit(X, y)
    same = map(np.array_equal, weights(classifier), weights(plain))
    assert not all(same)


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    quick(augment=["noise", "mixup"], max_epochs=1).fit(*samples("frames"))
    assert torch.equal(torch.random.get_rng_state(), before)


class Recorder(Callback):
    """Notes what the network is shown in the training."""

    def on_train_begin(self, net, **kwargs):
        self.shown_ = []
        self.hook_ = net.module_.register_forward_pre_hook(self.note)

    def note(self, module, args):
        self.shown_.append((module.training, args[0].clone()))

    def on_train_end(self, net, **kwargs):
        self.hook_.remove()


def shown(classifier) -> list[tuple[bool, torch.Tensor]]:
    (recorder,) = [c for _, c in classifier.net_.callbacks_ if isinstance(c, Recorder)]
    return recorder.shown_


def test_training_is_augmented_and_validation_and_prediction_are_not():
    X, y = samples("frames", n=40)

    def negative(x, y, generator):
        return -x, y

    classifier = quick(augment=negative, early_stopping=True, callbacks=[Recorder()])
    classifier.fit(X, y)
    batches = shown(classifier)
    assert {training for training, _ in batches} == {True, False}
    assert all((x < 0).all() if training else (x > 0).all() for training, x in batches)
    assert classifier.net_._augment is None
    plain = classifier.predict_proba(X)
    np.testing.assert_array_equal(classifier.set_params(augment=None).predict_proba(X), plain)


def test_partial_fit_augments_with_new_draws_at_every_call():
    X, y = samples("images", n=6)
    classifier = quick(augment=Noise(add=1.0), callbacks=[Recorder()], batch_size=6)
    first, second = (
        shown(classifier.partial_fit(X, y, classes=[0, 1]))[0][1].clone() for _ in range(2)
    )
    assert not torch.equal(first.sort(0).values, second.sort(0).values)


def test_an_error_in_an_augmentation_leaves_none_behind():
    def broken(x, y, generator):
        raise RuntimeError("broken")

    classifier = quick(warm_start=True).fit(*samples("table"))
    with pytest.raises(RuntimeError, match="broken"):
        classifier.set_params(augment=broken).fit(*samples("table"))
    assert classifier.net_._augment is None
    pickle.dumps(classifier.net_)


@pytest.mark.parametrize("augment", [Flip(p=0.0), Mixup(p=0.0)], ids=repr)
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_no_change_with_weights_learns_what_indices_teach(augment, loss):
    X, y = samples("frames", n_classes=3)
    weight = np.linspace(0.2, 1.7, len(y))
    settings = {"loss": loss, "class_weight": {0: 1.0, 1: 0.5, 2: 3.0}, "dropout": 0.0}
    settings |= {"zoneout": False, "max_epochs": 1, "optimizer": "sgd", "batch_size": len(y)}
    one = quick(**settings).fit(X, y, sample_weight=weight)
    other = quick(augment=augment, **settings).fit(X, y, sample_weight=weight)
    # the seed of the augmentation shifts the later draws: one batch is the same but for its order
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)
    assert one.history_[0, "train_loss"] == pytest.approx(other.history_[0, "train_loss"], rel=1e-5)


def test_a_grid_search_over_augmentations():
    X, y = samples("frames")
    grid = {"augment": [None, "flip", NDA(shift=1, cutout=1), Flip()]}
    search = GridSearchCV(quick(max_epochs=1), grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    search = GridSearchCV(quick(max_epochs=1, augment=Flip()), {"augment__p": [0.0, 1.0]}, cv=2)
    assert search.fit(X, y).best_params_["augment__p"] in (0.0, 1.0)


def test_objects_are_copied_shown_and_pickled_with_their_estimator():
    mine = CutMix(alpha=0.5)
    classifier = quick(augment=mine)
    assert clone(classifier).augment == mine
    assert clone(classifier).augment is not mine
    assert "augment=CutMix(alpha=0.5)" in repr(classifier)
    assert "CutMix" in classifier._repr_html_()
    assert pickle.loads(pickle.dumps(classifier)).augment == mine


@pytest.mark.parametrize(
    ("augment", "kind", "message"),
    [
        ("flop", "frames", r"No augmentation is called 'flop' \(did you mean 'flip'\?\)"),
        (["noise", "flop"], "frames", "No augmentation is called 'flop'"),
        ("flip", "table", "X augmented by Flip must have shape"),
        ("timejitter", "images", "X augmented by TimeJitter must have shape"),
        (Flip(p=2.0), "frames", "The 'p' parameter of Flip must be a float"),
        (3, "frames", "The 'augment' parameter of SMAClassifier must be"),
    ],
)
def test_what_cannot_be_augmented_is_refused_before_anything_is_learned(augment, kind, message):
    classifier = quick(augment=augment)
    with pytest.raises(ValueError, match=message):
        classifier.fit(*samples(kind))
    assert not hasattr(classifier, "classes_")


def test_augmented_training_learns():
    X, y = make_moving_shapes(n_samples=120, sensor_size=(16, 16), random_state=0)
    frames = FrameEncoder(n_bins=3, dtype="uint8").fit_transform(X)
    settings = {"max_epochs": 9, "lr": 0.01, "width": 8, "batch_size": 16, "dropout": 0.0}
    augment = ["flip", Shift(max_shift=1), EventMix(p=0.5)]
    classifier = quick(augment=augment, zoneout=False, **settings)
    losses = classifier.fit(frames, y).history_[:, "train_loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert classifier.score(frames, y) > 0.6
