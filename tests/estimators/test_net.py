from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochScoring

from skspike.estimators._net import SpikingNet
from tests.estimators.common import quick, samples


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


def test_a_module_on_another_device_is_copied_to_the_cpu():
    net = quick().fit(*samples("table")).net_
    net.module_.to("meta")  # the one other device that every machine has
    with pytest.raises(NotImplementedError, match="meta"):  # .cpu() was asked for
        net.__getstate__()
