from __future__ import annotations

import logging
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skspike.estimators._callbacks import EpochBar, LearningRate, ValidAccuracy
from tests.estimators.common import quick, samples


def rates(schedule, n_epochs=4, lr=0.2):
    """Return the rates that an optimizer sees, epoch by epoch, in two fits one after the other."""
    net = SimpleNamespace(optimizer_=SimpleNamespace(param_groups=[{}, {}]))
    callback, seen = LearningRate(lr, schedule, n_epochs), []
    for _ in range(2):
        callback.on_train_begin(net)
        for _ in range(n_epochs):
            callback.on_epoch_begin(net)
            assert net.optimizer_.param_groups[0] == net.optimizer_.param_groups[1]
            seen.append(net.optimizer_.param_groups[0]["lr"])
    return seen


def test_constant_rate():
    assert rates(None) == [0.2] * 8


def test_cosine_rate_starts_at_lr_and_falls_in_every_fit():
    r = math.sqrt(0.5)
    expected = [0.2, 0.1 * (1 + r), 0.1, 0.1 * (1 - r)]
    np.testing.assert_allclose(rates("cosine"), expected * 2)


def test_cosine_is_torchs_cosine():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7)
    expected = []
    for _ in range(7):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates("cosine", n_epochs=7)[:7], expected)


@pytest.mark.parametrize("weight", [None, torch.tensor([3.0, 0.5, 0.5])])
def test_valid_accuracy(weight):
    recorded = {}
    net = SimpleNamespace(history=SimpleNamespace(record=recorded.__setitem__))
    callback = ValidAccuracy()
    x, y = torch.zeros(3, 2), torch.tensor([0, 1, 1])
    outputs = torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[0.0, 1.0]] * 2, [[1.0, 0.0]] * 2])
    batch = (x if weight is None else {"x": x, "sample_weight": weight}), y
    callback.on_epoch_begin(net)
    callback.on_batch_end(net, batch=batch, training=True, y_pred=-outputs)
    callback.on_batch_end(net, batch=batch, training=False, y_pred=outputs)
    callback.on_epoch_end(net)
    assert recorded == {"valid_acc": pytest.approx(2 / 3 if weight is None else 3.5 / 4)}


def test_bar_counts_epochs_and_leaves_no_open_bar(capsys):
    X, y = samples("table")
    classifier = quick(max_epochs=3, verbose=1).fit(X, y)
    shown = capsys.readouterr().err
    assert "SMAClassifier" in shown
    assert "3/3" in shown
    assert "train_loss" in shown
    (bar,) = [c for _, c in classifier.net_.callbacks_ if isinstance(c, EpochBar)]
    assert not hasattr(bar, "bar_")
    pickle.dumps(classifier)


@pytest.mark.parametrize("verbose", [0, 1])
def test_what_the_package_logs_while_fitting_is_shown(verbose, capsys):
    class Compile(Callback):
        def on_epoch_begin(self, net, **kwargs):
            logging.getLogger("skspike._compile_numba").info("compiling lif")

    quick(verbose=verbose, callbacks=[Compile()]).fit(*samples("table"))
    assert ("compiling lif\n" in capsys.readouterr().err) is bool(verbose)


def test_a_table_at_verbose_2(capsys):
    X, y = samples("table")
    quick(max_epochs=3, verbose=2).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert "train_loss" in lines[0]
    assert len(lines) == 2 + 3


def test_silence_at_verbose_0(capsys):
    X, y = samples("table")
    quick(early_stopping=True, n_iter_no_change=1, max_epochs=5).fit(X, y)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
