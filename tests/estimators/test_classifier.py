from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from scipy.special import softmax
from skorch.callbacks import Callback

from skspike.estimators._losses import project_to_simplex
from tests.estimators.common import assert_same_weights, quick, samples, weights


@pytest.mark.parametrize(
    "labels", [["no", "yes"], [7, -3], [2.0, 1.0], [True, False], ["a", "b", "c"], [5, 90, 12]]
)
def test_labels_of_any_kind(labels):
    X, y = samples("table", n=48, n_classes=len(labels))
    y = np.array(labels)[y]
    classifier = quick(max_epochs=25, lr=0.01).fit(X, y.tolist())
    np.testing.assert_array_equal(classifier.classes_, np.unique(y))
    assert classifier.predict(X).dtype == classifier.classes_.dtype
    assert classifier.score(X, y) > 0.8


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "tet"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_what_the_methods_return_follows_from_the_outputs(loss, n_classes):
    X, y = samples("series", n_classes=n_classes)
    classifier = quick(loss=loss).fit(X, y)
    outputs = classifier._outputs(X)
    assert outputs.shape == (24, 5, n_classes)
    mean = outputs.mean(axis=1)
    link = project_to_simplex if loss == "mse" else lambda scores: softmax(scores, axis=-1)
    expected = mean[:, 1] - mean[:, 0] if n_classes == 2 else mean
    np.testing.assert_allclose(classifier.decision_function(X), expected, rtol=1e-10)
    np.testing.assert_allclose(classifier.predict_proba(X), link(mean), atol=1e-12)
    np.testing.assert_array_equal(classifier.predict(X), mean.argmax(axis=1))
    np.testing.assert_allclose(
        classifier.predict_proba_over_time(X)[:, 2], link(outputs[:, :3].mean(axis=1)), atol=1e-12
    )


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_the_last_step_is_predict_proba(loss):
    X, y = samples("frames", n_classes=3)
    classifier = quick(loss=loss).fit(X, y)
    over_time = classifier.predict_proba_over_time(X)
    np.testing.assert_array_equal(over_time[:, -1], classifier.predict_proba(X))
    np.testing.assert_allclose(over_time.sum(axis=2), 1)


def test_probabilities_follow_the_loss_that_was_fitted():
    X, y = samples("table")
    classifier = quick(loss="mse").fit(X, y)
    expected = classifier.predict_proba(X)
    np.testing.assert_array_equal(classifier.set_params(loss="tet").predict_proba(X), expected)


# --- Weights ---


@pytest.mark.parametrize("kind", ["table", "frames"])
def test_whole_weights_are_repetitions(kind):
    X, y = samples(kind)
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    repeated = np.repeat(np.arange(len(X)), weight)
    assert_same_weights(
        weights(quick().fit(X, y, sample_weight=weight)),
        weights(quick().fit(X[repeated], y[repeated])),
    )


def test_weights_of_one_are_no_weights():
    X, y = samples("table")
    assert_same_weights(
        weights(quick().fit(X, y, sample_weight=np.ones(len(X)))), weights(quick().fit(X, y))
    )


def test_other_weights_scale_the_loss_whatever_their_unit():
    X, y = samples("table")
    weight = np.random.default_rng(0).random(len(X))
    fitted = weights(quick().fit(X, y, sample_weight=weight))
    for same in (weight * 4, weight / 1024):
        assert_same_weights(weights(quick().fit(X, y, sample_weight=same)), fitted)
    assert any((a != b).any() for a, b in zip(fitted, weights(quick().fit(X, y)), strict=True))


def test_fractions_of_zero_remove_the_sample():
    X, y = samples("table")
    weight = np.random.default_rng(0).random(len(X))
    weight[:5] = 0
    X[:5], other = 99.0, quick().fit(X[5:], y[5:], sample_weight=weight[5:])
    assert_same_weights(weights(quick().fit(X, y, sample_weight=weight)), weights(other))


def test_weights_decide_between_contradicting_labels():
    X, y = samples("table", n=40)
    X[:] = X[:1]
    weight = np.where(y == 1, 0.9, 0.1)
    settings = {"lr": 0.02, "max_epochs": 30, "dropout": 0.0, "batch_size": 8}
    by_sample = quick(**settings).fit(X, y, sample_weight=weight).predict_proba(X[:1])[0, 1]
    by_class = quick(**settings, class_weight={0: 0.1, 1: 0.9}).fit(X, y).predict_proba(X[:1])[0, 1]
    assert by_sample == pytest.approx(0.9, abs=0.08)
    assert by_class == by_sample


def test_balanced_classes_are_inverse_frequencies():
    X, y = samples("table")
    y[:9] = 0
    n, n_one = len(y), y.sum()
    by_hand = {0: n / (2 * (n - n_one)), 1: n / (2 * n_one)}
    assert_same_weights(
        weights(quick(class_weight="balanced").fit(X, y)),
        weights(quick(class_weight=by_hand).fit(X, y)),
    )


def test_class_and_sample_weights_multiply():
    X, y = samples("table")
    weight = np.random.default_rng(0).random(len(X))
    product = weight * np.where(y == 1, 4.0, 0.5)
    one = quick(class_weight={0: 0.5, 1: 4.0}).fit(X, y, sample_weight=weight)
    assert_same_weights(weights(one), weights(quick().fit(X, y, sample_weight=product)))


def test_class_weight_of_string_labels():
    X, y = samples("table")
    names = np.array(["no", "yes"])[y]
    assert_same_weights(
        weights(quick(class_weight={"no": 1, "yes": 3}).fit(X, names)),
        weights(quick(class_weight={0: 1, 1: 3}).fit(X, y)),
    )


@pytest.mark.parametrize("class_weight", [{0: 3.0}, {0: 3.0, 1: 2.0}, "balanced"])
def test_class_weight_where_a_class_is_out_of_sight(class_weight):
    X, y = samples("table")
    classifier = quick(class_weight=class_weight).partial_fit(X, y, classes=[0, 1, 2])
    assert np.isfinite(classifier.partial_fit(X[y == 1], y[y == 1]).history_[-1, "train_loss"])


def test_class_weight_of_an_unknown_label():
    X, y = samples("table")
    with pytest.raises(ValueError, match=r"The classes, \[.*\], are not in class_weight"):
        quick(class_weight={"no": 2.0}).fit(X, y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(24), "at least one non-zero"),
        (np.full(24, -1.0), "Negative values in data passed to `sample_weight`"),
        (np.full(24, np.nan), "Input sample_weight contains NaN"),
        (np.ones(23), "inconsistent numbers of samples"),
        (np.ones((24, 2)), "Sample weights must be 1D"),
    ],
)
def test_weights_that_make_no_sense(weight, message):
    X, y = samples("table")
    with pytest.raises(ValueError, match=message):
        quick().fit(X, y, sample_weight=weight)


# --- Labels that make no sense ---


def test_one_class():
    X, _ = samples("table")
    message = r"SMAClassifier needs samples of at least 2 classes\. Got 1 class instead\."
    with pytest.raises(ValueError, match=message):
        quick().fit(X, np.ones(len(X)))


def test_one_class_left_by_the_weights():
    X, y = samples("table")
    with pytest.raises(ValueError, match=r"at least 2 classes\. Got 1 class"):
        quick().fit(X, y, sample_weight=y)


def test_continuous_target():
    X, _ = samples("table")
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        quick().fit(X, np.linspace(0, 1, len(X)))


def test_missing_and_undefined_target():
    X, y = samples("table")
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        quick().fit(X, None)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        quick().fit(X, np.where(y == 1, np.nan, 0.0))


# --- Early stopping ---


def test_early_stopping_restores_the_best_epoch():
    X, y = samples("table", n=60)
    rng = np.random.default_rng(0)
    y = rng.permutation(y)  # nothing to learn: the loss of held-out samples soon rises
    settings = {
        "early_stopping": True,
        "validation_fraction": 0.3,
        "n_iter_no_change": 3,
        "lr": 0.02,
        "schedule": None,
        "tol": 0.0,
    }
    classifier = quick(max_epochs=50, **settings).fit(X, y)
    losses = classifier.history_[:, "valid_loss"]
    best = int(np.argmin(losses)) + 1
    assert classifier.n_iter_ == len(losses) == best + 3 < 50
    assert all(0 <= accuracy <= 1 for accuracy in classifier.history_[:, "valid_acc"])
    assert_same_weights(weights(classifier), weights(quick(max_epochs=best, **settings).fit(X, y)))


def test_validation_rows_are_stratified_and_never_trained_on():
    X, y = samples("table", n=60, n_classes=3)
    classifier = quick(early_stopping=True, validation_fraction=0.2, n_iter_no_change=99)
    seen = {True: [], False: []}
    batches = type(classifier)._batches

    def spy(self, X, y, weight, rows, rng=None):
        seen[rng is not None].append(rows)
        return batches(self, X, y, weight, rows, rng)

    classifier._batches = spy.__get__(classifier)
    classifier.fit(X, y, sample_weight=np.full(60, 2))
    (valid,), (train,) = seen[False], seen[True]
    np.testing.assert_array_equal(np.sort(np.concatenate([valid, train])), np.arange(60))
    np.testing.assert_array_equal(np.bincount(y[valid]), [4, 4, 4])


def test_early_stopping_weighs_the_validation_rows():
    X, y = samples("table", n=40)
    settings = {"early_stopping": True, "validation_fraction": 0.5, "max_epochs": 1}
    # the same rows, once weighing a thousand times as much where the label is 1
    heavy = np.where(y == 1, 1000.5, 0.5)
    classifier = quick(**settings, lr=1e-12).fit(X, y, sample_weight=heavy)
    recall = classifier.history_[-1, "valid_acc"]
    assert min(abs(recall - share) for share in np.arange(11) / 10) < 0.01


def test_too_few_rows_for_validation():
    X, y = samples("table", n=6, n_classes=3)
    with pytest.raises(ValueError, match="test_size = 1 should be greater or equal to the number"):
        quick(early_stopping=True).fit(X, y)


# --- Going on ---


def test_partial_fit_is_one_pass_at_the_full_rate():
    X, y = samples("table")
    one = quick(max_epochs=1, schedule=None).fit(X, y)
    other = quick().partial_fit(X, y, classes=[0, 1])
    assert_same_weights(weights(one), weights(other))
    assert other.n_iter_ == 1
    assert other.partial_fit(X, y).n_iter_ == 2


def test_partial_fit_shuffles_anew_in_every_call():
    X, y = samples("table")
    orders = []

    class Order(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            orders.append(batch[0].numpy().copy())

    classifier = quick(batch_size=24, callbacks=[Order()])
    for _ in range(2):
        classifier.partial_fit(X, y, classes=[0, 1])
    first, second = orders
    assert (first != second).any()
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(second, axis=0))


def test_a_sequence_of_partial_fits_repeats():
    X, y = samples("table")
    one, other = quick(batch_size=4), quick(batch_size=4)
    for classifier in (one, other):
        for _ in range(3):
            classifier.partial_fit(X, y, classes=[0, 1])
    assert_same_weights(weights(one), weights(other))


def test_partial_fit_learns_from_pieces_with_one_class_each():
    X, y = samples("table", n=64)
    classifier = quick(lr=0.01, dropout=0.0)
    for _ in range(30):
        for label in (0, 1):
            half = y == label
            classifier.partial_fit(X[half][:16], y[half][:16], classes=[0, 1])
        classifier.partial_fit(X, y)
    assert classifier.score(X, y) > 0.9


def test_partial_fit_goes_on_after_fit():
    X, y = samples("table")
    classifier = quick(max_epochs=2).fit(X, y)
    before = weights(classifier)
    classifier.partial_fit(X, y)
    assert classifier.n_iter_ == 3
    assert any((a != b).any() for a, b in zip(before, weights(classifier), strict=True))


def test_partial_fit_errors():
    X, y = samples("table")
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        quick().partial_fit(X, y)
    with pytest.raises(
        ValueError,
        match=re.escape("y of SMAClassifier.partial_fit must hold labels of [0 2]. Got [1]"),
    ):
        quick().partial_fit(X, y, classes=[0, 2])
    with pytest.raises(ValueError, match=r"at least 2 classes\. Got 1 class"):
        quick().partial_fit(X, y * 0, classes=[0])
    classifier = quick().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(
        ValueError,
        match=re.escape("'classes' of SMAClassifier.partial_fit must be those of the earlier"),
    ):
        classifier.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="X has 5 features"):
        classifier.partial_fit(X[:, :5], y)


def test_warm_start_goes_on():
    X, y = samples("table")
    classifier = quick(warm_start=True, max_epochs=2).fit(X, y)
    before = [p.detach().clone() for p in classifier.model_.parameters()]
    classifier.set_params(lr=1e-12).fit(X, y)
    assert classifier.n_iter_ == 4
    for old, new in zip(before, classifier.model_.parameters(), strict=True):
        torch.testing.assert_close(old, new, atol=1e-6, rtol=0)


def test_a_cold_start_forgets():
    X, y = samples("table")
    classifier = quick(max_epochs=2).fit(X, y)
    before = weights(classifier)
    assert_same_weights(weights(classifier.fit(X, y)), before)
    assert classifier.n_iter_ == 2
    assert list(classifier.fit(X, np.array(["a", "b"])[y]).classes_) == ["a", "b"]


def test_warm_start_errors():
    X, y = samples("table")
    classifier = quick(warm_start=True).fit(X, y)
    message = (
        "y of SMAClassifier with warm_start=True must have the classes of the previous fit, "
        "[0 1]. Got [0 1 2] instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        classifier.fit(X, np.arange(24) % 3)
    with pytest.raises(ValueError, match="X has 5 features"):
        classifier.fit(X[:, :5], y)
