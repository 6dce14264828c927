from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochScoring

from skspike.estimators._net import SpikingNet
from tests.estimators.common import fitted, quick, samples


def test_skorch_is_held_not_inherited():
    classifier = quick().fit(*samples("table"))
    assert isinstance(classifier.net_, NeuralNet)
    assert not isinstance(classifier, NeuralNet)


def test_the_history_is_short():
    history = quick(max_epochs=3).fit(*samples("table")).history_
    assert history[:, "epoch"] == [1, 2, 3]
    assert all(np.isfinite(history[:, "train_loss"]))
    assert not any("batches" in row for row in history)


def test_train_loss_is_the_mean_over_samples_not_over_batches():
    # one epoch that learns nothing, in batches of 16 and of 8: the mean over all 24 samples
    X, y = samples("table")
    settings = {"max_epochs": 1, "lr": 1e-12, "dropout": 0.0, "zoneout": False}
    split = quick(batch_size=16, **settings).fit(X, y)
    losses = []

    class Losses(Callback):
        def on_batch_end(self, net, loss=None, batch=None, **kwargs):
            losses.append((loss.item(), len(batch[1])))

    split = quick(batch_size=16, callbacks=[Losses()], **settings).fit(X, y)
    assert [n for _, n in losses] == [16, 8]
    expected = sum(loss * n for loss, n in losses) / 24
    assert split.history_[0, "train_loss"] == pytest.approx(expected, rel=1e-6)


def test_losses_are_read_from_the_device_once_an_epoch():
    seen = []

    class Watch(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            row = net.history[-1, "batches", -1]
            seen.append(row["train_loss" if training else "valid_loss"])

        def on_epoch_end(self, net, **kwargs):
            seen.append(net.history[-1, "batches", :3, "train_loss"])

    quick(batch_size=6, early_stopping=True, max_epochs=1, callbacks=[Watch()]).fit(
        *samples("table")
    )
    *by_batch, by_epoch = seen
    assert all(isinstance(loss, torch.Tensor) and not loss.requires_grad for loss in by_batch)
    assert by_epoch == [loss.item() for loss in by_batch[:3]]


def test_gradients_are_shown_to_callbacks_before_the_step():
    class Norms(Callback):
        def initialize(self):
            self.seen_ = []
            return self

        def on_grad_computed(self, net, named_parameters, **kwargs):
            self.seen_.append(sum(float(p.grad.norm()) for _, p in named_parameters))
            for _, p in named_parameters:
                p.grad.zero_()

    X, y = samples("table")
    settings = {"max_epochs": 1, "callbacks": [Norms()], "optimizer": "sgd"}
    classifier = quick(**settings, warm_start=True).fit(X, y)
    before = [p.detach().clone() for p in classifier.model_.parameters()]
    classifier.fit(X, y)
    (norms,) = [c for _, c in classifier.net_.callbacks_ if isinstance(c, Norms)]
    assert norms.seen_[0] > 0
    assert all(map(torch.equal, before, classifier.model_.parameters()))


def test_a_prediction_in_between_does_not_end_the_training_mode():
    modes = []

    class Peek(Callback):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            net.module_.eval()

        def on_grad_computed(self, net, **kwargs):
            modes.extend(module.training for module in net.module_.modules())

    quick(callbacks=[Peek()]).fit(*samples("frames"))
    assert all(modes)


def test_scoring_callbacks_of_skorch_work():
    X, y = samples("table", n=40)
    scoring = EpochScoring("accuracy", name="again", lower_is_better=False)
    classifier = quick(early_stopping=True, validation_fraction=0.25, callbacks=[scoring])
    history = classifier.fit(X, y).history_
    assert history[:, "again"] == pytest.approx(history[:, "valid_acc"])


def test_callbacks_are_copied():
    class Counter(Callback):
        def initialize(self):
            self.epochs_ = 0
            return self

        def on_epoch_end(self, net, **kwargs):
            self.epochs_ += 1

    mine = Counter()
    classifier = quick(max_epochs=3, callbacks=[("counter", mine)]).fit(*samples("table"))
    assert not hasattr(mine, "epochs_")
    assert dict(classifier.net_.callbacks_)["counter"].epochs_ == 3


def test_a_callback_may_end_the_training():
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    classifier = quick(max_epochs=9, callbacks=[Stop]).fit(*samples("table"))
    assert classifier.n_iter_ == 1
    assert classifier.predict(samples("table")[0]).shape == (24,)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_keeps_weights_and_moments_apart_from_the_original(duplicate):
    net = quick(optimizer="adam").fit(*samples("table")).net_
    other = duplicate(net)
    assert isinstance(other, SpikingNet)
    assert other.module is other.module_ is not net.module_
    parameters = list(other.module_.parameters())
    assert other.optimizer_.param_groups[0]["params"][0] is parameters[0]
    for mine, theirs in zip(net.module_.parameters(), parameters, strict=True):
        assert torch.equal(mine, theirs)
        assert torch.equal(
            net.optimizer_.state[mine]["exp_avg"], other.optimizer_.state[theirs]["exp_avg"]
        )


def test_a_pickle_holds_cpu_tensors_and_the_module_once():
    net = quick().fit(*samples("table")).net_
    state = net.__getstate__()
    assert state["module"] is None
    assert state["device"] == "cpu"
    assert net.module is net.module_
    n_bytes = sum(p.nbytes for p in net.module_.state_dict().values())
    assert len(pickle.dumps(net)) < 3 * n_bytes + 100_000  # weights and two moments


# --- The copy that predicts ---


def norms(module: torch.nn.Module) -> int:
    """Count the batch norms."""
    return sum(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in module.modules())


@pytest.mark.parametrize("kind", ["series", "frames"])
def test_the_folded_copy_is_made_once(kind):
    net = fitted(kind)[0].net_
    predictor = net.predictor()
    assert norms(predictor) < norms(net.module_)
    dtype = torch.float64 if kind == "series" else torch.float32
    assert {p.dtype for p in predictor.parameters()} == {dtype}
    assert net.predictor() is predictor


def another_threshold(net):
    net.module_.model.blocks[0].neuron.threshold = 5.0


def other_weights(net):
    with torch.no_grad():
        next(net.module_.parameters()).add_(1)


def loaded_weights(net):
    state = {name: value + 1 for name, value in net.module_.state_dict().items()}
    net.module_.load_state_dict(state)


def another_layer(net):
    net.module_.model.head[-1] = torch.nn.Linear(net.module_.model.head[-1].in_features, 3)


def other_statistics(net):
    net.module_.model.blocks[0].norm.running_mean.fill_(3.0)


@pytest.mark.parametrize(
    "change", [another_threshold, other_weights, loaded_weights, another_layer, other_statistics]
)
def test_what_changes_the_network_changes_the_predictions(change):
    classifier, X = fitted("frames")
    before = classifier.decision_function(X)
    change(classifier.net_)
    after = classifier.decision_function(X)
    assert np.abs(after - before).max() > 1e-3
    module = classifier.net_.module_.eval()
    with torch.inference_mode():
        outputs = module(torch.from_numpy(X)).double().mean(1).numpy()
    np.testing.assert_allclose(after, outputs, atol=1e-5)


def test_training_on_makes_a_new_copy():
    X, y = samples("frames")
    classifier = quick().fit(X, y)
    before = classifier.net_.predictor()
    assert classifier.partial_fit(X, y).net_._predictor is None
    assert classifier.net_.predictor() is not before


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_the_copy_is_neither_pickled_nor_copied(duplicate):
    classifier, X = fitted("frames")
    size = len(pickle.dumps(classifier))
    expected = classifier.predict_proba(X)
    assert len(pickle.dumps(classifier)) == size
    other = duplicate(classifier)
    assert other.net_._predictor is None
    other_weights(other.net_)
    assert np.abs(other.predict_proba(X) - expected).max() > 1e-3
    np.testing.assert_array_equal(classifier.predict_proba(X), expected)


def test_hooks_see_every_layer_and_their_removal_is_noticed():
    classifier, X = fitted("frames")
    before = classifier.predict_proba(X)
    seen = []
    norm = classifier.model_.blocks[0].norm
    handle = norm.register_forward_hook(lambda module, x, y: seen.append(y))
    np.testing.assert_allclose(classifier.predict_proba(X), before, atol=1e-5)
    assert len(seen) == 1
    handle.remove()
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    assert len(seen) == 1


def test_a_network_left_in_training_mode_predicts_all_the_same():
    classifier, X = fitted("frames")
    before = classifier.predict_proba(X)
    classifier.model_.train()
    np.testing.assert_array_equal(classifier.predict_proba(X), before)


def test_predictions_inside_inference_mode():
    classifier, X = fitted("frames")
    stored = pickle.dumps(classifier)
    with torch.inference_mode():
        inside = pickle.loads(stored).predict_proba(X)
    np.testing.assert_array_equal(inside, pickle.loads(stored).predict_proba(X))


def test_a_module_on_another_device_is_copied_to_the_cpu():
    net = quick().fit(*samples("table")).net_
    net.module_.to("meta")  # the one other device that every machine has
    with pytest.raises(NotImplementedError, match="meta"):  # .cpu() was asked for
        net.__getstate__()
