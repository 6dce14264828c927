"""The skorch net that an estimator holds in `net_`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import PassthroughScoring
from skorch.utils import TeeGenerator

from ._batches import Batches

__all__ = ["SpikingNet"]

_PLAIN = (bool, int, float, str, tuple)  # what the settings of a layer are


class SpikingNet(NeuralNet):
    """A skorch net fed with :class:`Batches`, with weighted losses and pickles free of devices.

    Its module takes and returns tensors sample first: `(n_samples, n_steps, ...)` in,
    `(n_samples, n_steps, n_classes)` out. The criterion returns one loss per sample.

    Nothing in a training step waits for the device: the loss of a batch is a tensor in the history
    until the epoch has ended.
    """

    _predictor = None  # the module that predicts, behind the state that it was made from
    _augment = None  # what changes the batches of the training while it runs

    @property
    def _default_callbacks(self) -> list:
        return [
            ("train_loss", PassthroughScoring("train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring("valid_loss")),
        ]

    def run_epochs(
        self,
        train: Batches,
        valid: Batches | None,
        epochs: int,
        augment: Callable[[tuple], tuple] | None = None,
    ) -> SpikingNet:
        """Run more epochs; a callback may end them early by KeyboardInterrupt, as in skorch.

        `augment` takes and returns a batch: it changes those that the network is trained on.
        """
        self._predictor, self._augment = None, augment
        self.notify("on_train_begin", X=train, y=None)
        try:
            with suppress(KeyboardInterrupt):
                self.fit_loop((train, valid), epochs=epochs)
        finally:
            self._augment = None
        self.notify("on_train_end", X=train, y=None)
        for row in self.history:  # one loss per batch: needed by callbacks only while they run
            row.pop("batches", None)
        self.module_.eval()
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params) -> None:
        """Run one epoch of training or validation, and read its losses from the device at once."""
        if iterator is None:
            return
        first = len(self.history[-1]["batches"])
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            self.history.record_batch(f"{prefix}_loss", step["loss"].detach())
            self.history.record_batch(f"{prefix}_batch_size", len(batch[1]))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        rows = self.history[-1]["batches"][first:]
        losses = torch.stack([row[f"{prefix}_loss"] for row in rows]).tolist()
        for row, loss in zip(rows, losses, strict=True):
            row[f"{prefix}_loss"] = loss
        self.history.record(f"{prefix}_batch_count", len(rows))

    def train_step(self, batch, **fit_params) -> dict:
        """Take one step of the optimizer; none of ours asks for the loss twice."""
        x, y = batch if self._augment is None else self._augment(batch)
        self._enter_mode(training=True)
        self.optimizer_.zero_grad()
        y_pred = self.infer(x)
        loss = self.get_loss(y_pred, y, X=x, training=True)
        loss.backward()
        parameters = TeeGenerator(self.get_all_learnable_params())
        self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        self.optimizer_.step()
        return {"loss": loss, "y_pred": y_pred}

    def validation_step(self, batch, **fit_params) -> dict:
        """Return the loss and the outputs of one batch."""
        x, y = batch
        self._enter_mode(training=False)
        with torch.no_grad():
            y_pred = self.infer(x)
            return {"loss": self.get_loss(y_pred, y, X=x), "y_pred": y_pred}

    def _enter_mode(self, training: bool) -> None:
        """Set training or evaluation mode, where a walk through the modules is not in vain."""
        if self.module_.training != training:
            self._set_training(training)

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

    def predictor(self) -> torch.nn.Module:
        """Return the module as it predicts, made anew when anything in it has changed."""
        state, kept = _state(self.module_.eval()), self._predictor
        if kept is None or kept[0] != state:
            kept = self._predictor = state, self.module_.predictor()
        return kept[1]

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
            "_predictor": None,
            "_augment": None,
        }

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self.module = self.module_
        self._rebuild_optimizer(self.optimizer_)

    def _rebuild_optimizer(self, state: dict) -> None:
        """Make an optimizer of the module's present parameters; it moves its state to them."""
        self.initialize_optimizer()
        self.optimizer_.load_state_dict(state)


def _state(module: torch.nn.Module) -> list:
    """Describe all that the outputs of a module depend on, cheaply: no weight is read."""
    tensors = [*module.parameters(), *module.buffers()]
    versions = [(t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors]
    modules = list(module.modules())
    settings = [[v for v in vars(m).values() if isinstance(v, _PLAIN)] for m in modules]
    hooks = [(*m._forward_hooks, *m._forward_pre_hooks) for m in modules]
    return [list(map(id, modules)), versions, settings, hooks]


def _to_cpu(value):
    """Copy the tensors in nested containers to the CPU."""
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {k: _to_cpu(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_to_cpu(v) for v in value]
    return value
