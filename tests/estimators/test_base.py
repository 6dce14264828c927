from __future__ import annotations

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skspike import config_context
from skspike.estimators import _base, _device
from skspike.estimators._base import SampleFirst
from skspike.exceptions import BackendError
from tests.estimators.common import assert_same_weights, fitted, quick, samples, weights


class Echo(torch.nn.Module):
    """Return what comes in, and remember its shape."""

    def __init__(self):
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        self.shape, self.dtype, self.contiguous = x.shape, x.dtype, x.is_contiguous()
        return self.one * x.flatten(2)


def test_axes_are_swapped_on_the_way_in_and_on_the_way_out():
    x = torch.arange(2 * 3 * 4, dtype=torch.uint8).reshape(2, 3, 4)
    model = Echo()
    out = SampleFirst(model, n_steps=None, flatten=False)(x)
    assert (model.shape, model.dtype) == ((3, 2, 4), torch.float32)
    assert model.contiguous
    assert torch.equal(out, x.float())


def test_constant_current():
    x = torch.rand(2, 4)
    out = SampleFirst(Echo(), n_steps=3, flatten=False)(x)
    assert torch.equal(out, x[:, None].expand(2, 3, 4))


def test_the_dtype_is_that_of_the_weights():
    model = Echo()
    SampleFirst(model, n_steps=None, flatten=False).double()(torch.zeros(2, 3, 4))
    assert model.dtype == torch.float64


@pytest.mark.parametrize(("flatten", "read"), [(False, torch.bfloat16), (True, torch.float32)])
def test_bfloat16_reads_maps_compactly_and_vectors_by_all_their_digits(flatten, read):
    net = SampleFirst(Echo(), n_steps=None, flatten=flatten, precision="bfloat16")
    assert net(torch.rand(2, 3, 1, 4, 5)).dtype == torch.float32
    assert net.model.dtype == read
    assert net.double()(torch.rand(2, 3, 1, 4, 5)).dtype == torch.float64
    assert net.model.dtype == torch.float64


@pytest.mark.parametrize("kind", ["table", "frames"])
def test_two_fits_give_bit_equal_weights(kind):
    X, y = samples(kind)
    classifier = quick()
    first = weights(classifier.fit(X, y))
    torch.rand(3), np.random.rand(3)  # noqa: NPY002 (whatever else the program draws)
    assert_same_weights(weights(classifier.fit(X, y)), first)
    assert_same_weights(weights(clone(classifier).fit(X, y)), first)
    other = weights(quick(random_state=1).fit(X, y))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_the_order_of_the_rows_does_not_matter():
    X, y = samples("frames")
    order = np.random.default_rng(0).permutation(len(X))
    assert_same_weights(weights(quick().fit(X, y)), weights(quick().fit(X[order], y[order])))


def test_global_generators_are_left_alone():
    X, y = samples("table")
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    classifier = quick(early_stopping=True).fit(X, y)
    classifier.predict(X)
    classifier.partial_fit(X, y)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_random_state_may_be_a_generator_or_none():
    X, y = samples("table")
    one, other = (weights(quick(random_state=np.random.RandomState(3)).fit(X, y)) for _ in "ab")
    assert_same_weights(one, other)
    one, other = (weights(quick(random_state=None).fit(X, y)) for _ in "ab")
    assert (one[-1] != other[-1]).any()


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.deepcopy,
        lambda classifier: pickle.loads(pickle.dumps(classifier)),
        lambda classifier: joblib.load(_dumped(classifier)),
    ],
)
@pytest.mark.parametrize("kind", ["table", "frames"])
def test_copies_answer_and_go_on_alike(duplicate, kind):
    X, y = samples(kind)
    classifier = quick(optimizer="nadam", early_stopping=True, verbose=0).fit(X, y)
    other = duplicate(classifier)
    np.testing.assert_array_equal(classifier.predict_proba(X), other.predict_proba(X))
    assert_same_weights(weights(classifier.partial_fit(X, y)), weights(other.partial_fit(X, y)))


def _dumped(classifier):
    """Dump into memory with joblib."""
    import io

    file = io.BytesIO()
    joblib.dump(classifier, file)
    file.seek(0)
    return file


def test_the_device_is_resolved_anew_after_loading(monkeypatch):
    X, y = samples("table")
    stored = pickle.dumps(quick(device="auto").fit(X, y))
    seen = []

    def resolve(owner, device):
        seen.append((owner, device))
        return torch.device("meta")

    monkeypatch.setattr(_device, "resolve_device", resolve)
    loaded = pickle.loads(stored)
    assert seen == [("SMAClassifier", "auto")]
    assert loaded.net_.device == torch.device("meta")
    assert {p.device.type for p in loaded.model_.parameters()} == {"meta"}
    moments = loaded.net_.optimizer_.state[next(loaded.model_.parameters())]
    assert moments["exp_avg"].device.type == "meta"


@pytest.mark.gpu
def test_fitted_on_cuda_loads_on_the_cpu(monkeypatch):
    X, y = samples("table")  # predicts in float64, so that no spike depends on the device
    classifier = quick(device="auto").fit(X, y)
    assert classifier.net_.device.type == "cuda"
    there = classifier.decision_function(X)
    stored = pickle.dumps(classifier)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(stored)
    assert {p.device.type for p in loaded.model_.parameters()} == {"cpu"}
    np.testing.assert_allclose(loaded.decision_function(X), there, atol=1e-9)


def test_a_pickle_from_a_lost_device_stays_on_the_cpu(monkeypatch):
    X, y = samples("table")
    classifier = quick().fit(X, y)
    stored = pickle.dumps(classifier.set_params(device="cuda:7"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.warns(UserWarning, match="'cuda:7' .* stays on the CPU"):
        loaded = pickle.loads(stored)
    np.testing.assert_array_equal(loaded.predict(X), classifier.predict(X))


def test_a_device_asked_for_by_name_never_falls_back(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(BackendError, match="The device 'cuda' asked for by SMAClassifier"):
        quick(device="cuda").fit(*samples("table"))


def test_unfitted_estimators_pickle():
    assert pickle.loads(pickle.dumps(quick(width=3))).width == 3


@pytest.mark.parametrize("kind", ["table", "series"])
def test_vectors_are_answered_alone_as_among_others(kind):
    X, y = samples(kind, n=50)
    classifier = quick(max_epochs=5).fit(X, y)
    together = classifier.decision_function(X)
    alone = np.concatenate([classifier.decision_function(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(alone, together, rtol=1e-12, atol=1e-13)


def test_frames_are_answered_nearly_alone_as_among_others():
    X, y = samples("frames")
    classifier = quick(max_epochs=1).fit(X, y)
    together = classifier.decision_function(X)
    alone = np.concatenate([classifier.decision_function(X[i : i + 1]) for i in range(len(X))])
    assert np.mean(np.abs(alone - together) < 1e-5) > 0.9


@pytest.mark.parametrize("kind", ["series", "frames"])
def test_folded_norms_predict_what_the_network_does(kind):
    classifier, X = fitted(kind)
    module = classifier.net_.module_.double()  # in which no spike hangs on the rounding
    with torch.inference_mode():
        outputs = module(torch.from_numpy(X)).numpy()
    assert outputs.mean(1).std(axis=0).min() > 0.1
    np.testing.assert_allclose(classifier._outputs(X), outputs, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(classifier.predict(X), outputs.mean(1).argmax(1))


def test_predictions_in_float32_are_those_of_the_unfolded_network():
    classifier, X = fitted("frames")
    with torch.inference_mode():
        unfolded = classifier.net_.module_(torch.from_numpy(X)).mean(1).argmax(1).numpy()
    assert len(np.unique(unfolded)) == 3
    np.testing.assert_array_equal(classifier.predict(X), unfolded)
    np.testing.assert_array_equal(classifier.predict_proba(X).argmax(1), classifier.predict(X))
    np.testing.assert_array_equal(classifier.decision_function(X).argmax(1), classifier.predict(X))


def test_predictions_do_not_depend_on_their_batches(monkeypatch):
    X, y = samples("series", n=50)
    classifier = quick(batch_size=7).fit(X, y)
    expected = classifier.predict_proba(X)
    monkeypatch.setattr(_base, "_PREDICT_VALUES", 1)  # seven by seven
    np.testing.assert_allclose(classifier.predict_proba(X), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["table", "images"])
@pytest.mark.parametrize("n", [9, 8])
def test_one_step_and_a_last_batch_of_one(kind, n):
    X, y = samples(kind, n=n)
    classifier = quick(n_steps=1, batch_size=4).fit(X, y)
    assert all(np.isfinite(w).all() for w in weights(classifier))
    assert np.isfinite(classifier.decision_function(X[:1])).all()


def test_a_batch_of_every_size():
    X, y = samples("frames", n=9)
    for batch_size in (1, 4, 8, 9, 100):
        classifier = quick(batch_size=batch_size, max_epochs=1).fit(X, y)
        assert classifier.predict(X).shape == (9,)


def test_backends_by_configuration_and_by_name():
    X, y = samples("table")
    expected = weights(quick(backend="reference").fit(X, y))
    with config_context(backend="reference"):
        assert_same_weights(weights(quick().fit(X, y)), expected)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "nadam", "sgd"])
def test_every_optimizer_learns(optimizer):
    X, y = samples("table", n=64)
    lr = 0.1 if optimizer == "sgd" else 0.01
    history = quick(optimizer=optimizer, lr=lr, max_epochs=8).fit(X, y).history_
    assert history[-1, "train_loss"] < 0.7 * history[0, "train_loss"]


def test_weight_decay_shrinks():
    X, y = samples("table")

    def size(weight_decay):
        classifier = quick(weight_decay=weight_decay, optimizer="adamw", lr=0.01, max_epochs=10)
        classifier.fit(X, y)
        return sum(float(p.detach().square().sum()) for p in classifier.model_.parameters())

    assert size(1.0) < size(0.0)


def test_a_failed_fit_leaves_it_unfitted(monkeypatch):
    X, y = samples("table")
    classifier = quick(device="cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(BackendError):
        classifier.fit(X, y)
    with pytest.raises(NotFittedError):
        classifier.predict(X)
