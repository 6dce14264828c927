"""The skorch net that an estimator holds in `net_`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import PassthroughScoring

from ._batches import Batches

__all__ = ["SpikingNet"]


class SpikingNet(NeuralNet):
    """A skorch net fed with :class:`Batches`, with weighted losses and pickles free of devices.

    Its module takes and returns tensors sample first: `(n_samples, n_steps, ...)` in,
    `(n_samples, n_steps, n_classes)` out. The criterion returns one loss per sample.
    """

    @property
    def _default_callbacks(self) -> list:
        return [
            ("train_loss", PassthroughScoring("train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring("valid_loss")),
        ]

    def run_epochs(self, train: Batches, valid: Batches | None, epochs: int) -> SpikingNet:
        """Run more epochs; a callback may end them early by KeyboardInterrupt, as in skorch."""
        self.notify("on_train_begin", X=train, y=None)
        with suppress(KeyboardInterrupt):
            self.fit_loop((train, valid), epochs=epochs)
        self.notify("on_train_end", X=train, y=None)
        for row in self.history:  # one loss per batch: needed by callbacks only while they run
            row.pop("batches", None)
        self.module_.eval()
        return self

    def get_dataset(self, X, y=None):
        """Return the batches as they are."""
        return X

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return the pair of training and validation batches as it is."""
        return X

    def get_iterator(self, dataset, training=False):
        """Return the batches as they are: they iterate themselves."""
        return dataset

    def infer(self, x, **fit_params) -> torch.Tensor:
        """Run the module on a batch, with or without weights beside it."""
        return self.module_(x["x"] if isinstance(x, Mapping) else x)

    def get_loss(self, y_pred, y_true, X=None, training=False) -> torch.Tensor:
        """Return the weighted mean of the losses; weights have mean one over the whole data."""
        loss = self.criterion_(y_pred, y_true)
        if isinstance(X, Mapping):
            loss = loss * X["sample_weight"]
        return loss.mean()

    def predict(self, X) -> np.ndarray:
        """Return class indices; skorch's scoring callbacks call this during training."""
        return self.predict_proba(X).mean(axis=1).argmax(axis=1)

    def move_to(self, device: torch.device) -> None:
        """Move the module and the optimizer's state."""
        state = self.optimizer_.state_dict()
        self.device = device
        self.module_.to(device)
        self._rebuild_optimizer(state)

    def __getstate__(self) -> dict:
        module = self.module_
        if any(p.device.type != "cpu" for p in module.parameters()):
            module = copy.deepcopy(module).cpu()
        optimizer = _to_cpu(self.optimizer_.state_dict())
        return vars(self) | {
            "module": None,  # module_ once more
            "module_": module,
            "optimizer_": optimizer,
            "device": "cpu",
        }

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self.module = self.module_
        self._rebuild_optimizer(self.optimizer_)

    def _rebuild_optimizer(self, state: dict) -> None:
        """Make an optimizer of the module's present parameters; it moves its state to them."""
        self.initialize_optimizer()
        self.optimizer_.load_state_dict(state)


def _to_cpu(value):
    """Copy the tensors in nested containers to the CPU."""
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {k: _to_cpu(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_to_cpu(v) for v in value]
    return value
