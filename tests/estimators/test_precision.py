from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from skspike import FrameEncoder
from skspike.datasets import make_moving_shapes
from skspike.estimators._precision import resolve_precision
from skspike.nn import LIF
from tests.estimators.common import assert_same_weights, quick, samples, weights

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 1)


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_name_is_taken_at_its_word(name, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert resolve_precision(name, CPU) == name


@pytest.mark.parametrize(
    ("has", "chosen"),
    [
        ({}, "float32"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "float32"),
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
    ],
)
def test_auto_takes_what_the_cpu_multiplies(has, chosen, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert resolve_precision("auto", CPU) == chosen


def test_auto_where_torch_does_not_know_the_cpu(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert resolve_precision("auto", CPU) == "float32"


@pytest.mark.parametrize(
    ("capability", "chosen"),
    [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16"), ((10, 3), "bfloat16")],
)
def test_auto_asks_the_cuda_device(capability, chosen, monkeypatch):
    asked = []

    def get_device_capability(device):
        asked.append(device)
        return capability

    monkeypatch.setattr(torch.cuda, "get_device_capability", get_device_capability)
    assert resolve_precision("auto", CUDA) == chosen
    assert asked == [CUDA]


def test_auto_leaves_vectors_in_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    fitted = {kind: quick(precision="auto").fit(*samples(kind)) for kind in ("series", "frames")}
    assert fitted["series"].precision_ == "float32"
    assert fitted["frames"].precision_ == "bfloat16"


@pytest.mark.parametrize("kind", ["series", "images", "frames"])
def test_weights_losses_and_moments_are_float32(kind):
    seen = []

    class Watch(Callback):
        def on_batch_end(self, net, loss=None, y_pred=None, **kwargs):
            seen.extend([loss.dtype, y_pred.dtype])

    classifier = quick(precision="bfloat16", early_stopping=True, callbacks=[Watch()])
    classifier.fit(*samples(kind))
    assert classifier.precision_ == "bfloat16"
    net = classifier.net_
    seen += [p.dtype for p in net.module_.parameters()]
    seen += [m.dtype for state in net.optimizer_.state.values() for m in state.values()]
    assert set(seen) == {torch.float32}


def computed_in(classifier, X) -> list[torch.dtype]:
    """Return the dtypes in which the neurons of a fitted network get their current."""
    seen, handles = [], []
    for module in classifier.model_.modules():
        if isinstance(module, LIF):
            handles.append(module.register_forward_pre_hook(lambda _, x: seen.append(x[0].dtype)))
    classifier.predict(X)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_maps_are_computed_in_the_precision(precision):
    X, y = samples("frames")
    classifier = quick(precision=precision, max_epochs=1).fit(X, y)
    assert computed_in(classifier, X)[0] == getattr(torch, precision)


def test_vectors_are_predicted_in_float64_whatever_they_were_trained_in():
    X, y = samples("series", n=40)
    classifier = quick(precision="bfloat16", max_epochs=1).fit(X, y)
    assert set(computed_in(classifier, X)) == {torch.float64}
    alone = np.concatenate([classifier.decision_function(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(alone, classifier.decision_function(X), rtol=1e-12, atol=1e-13)
    full = quick(precision="float32", max_epochs=1).fit(X, y)
    different = zip(weights(classifier), weights(full), strict=True)
    assert any((a != b).any() for a, b in different)


@pytest.mark.parametrize("kind", ["series", "frames"])
def test_a_fit_in_bfloat16_is_repeated_bit_by_bit_and_copied(kind):
    X, y = samples(kind)
    classifier = quick(precision="bfloat16").fit(X, y)
    assert_same_weights(weights(clone(classifier).fit(X, y)), weights(classifier))
    for duplicate in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        assert duplicate.precision_ == "bfloat16"
        np.testing.assert_array_equal(duplicate.predict_proba(X), classifier.predict_proba(X))
    duplicate.partial_fit(X, y)
    assert_same_weights(weights(classifier.partial_fit(X, y)), weights(duplicate))


def test_a_fit_that_goes_on_keeps_its_precision():
    X, y = samples("frames")
    classifier = quick(precision="bfloat16", warm_start=True, max_epochs=1).fit(X, y)
    before = classifier.decision_function(X)
    classifier.set_params(precision="float32")
    np.testing.assert_array_equal(classifier.decision_function(X), before)
    assert classifier.fit(X, y).precision_ == "bfloat16"
    assert classifier.set_params(warm_start=False).fit(X, y).precision_ == "float32"


def test_bfloat16_learns_what_float32_learns():
    X, y = make_moving_shapes(160, sensor_size=(20, 20), target="direction", random_state=0)
    X = FrameEncoder(n_bins=4).fit_transform(X)
    settings = {"width": 8, "max_epochs": 8, "lr": 0.005, "batch_size": 16}
    fitted = (quick(precision=p, **settings).fit(X[:120], y[:120]) for p in ("float32", "bfloat16"))
    full, half = (classifier.score(X[120:], y[120:]) for classifier in fitted)
    assert full > 0.9
    assert half > full - 0.05
