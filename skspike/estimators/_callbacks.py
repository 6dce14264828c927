"""The few skorch callbacks that every fit runs; each costs microseconds."""

from __future__ import annotations

import math

import tqdm
from skorch.callbacks import Callback

__all__ = ["EpochBar", "LearningRate", "ValidAccuracy", "WarmCosine"]


class LearningRate(Callback):
    """Set the learning rate at the start of each epoch of one call to `fit`.

    ``"cosine"`` falls from `lr` to zero: ``lr / 2 * (1 + cos(pi * epoch / n_epochs))``.
    """

    def __init__(self, lr: float, schedule: str | None, n_epochs: int) -> None:
        self.lr, self.schedule, self.n_epochs = lr, schedule, n_epochs

    def on_train_begin(self, net, X=None, y=None, **kwargs) -> None:
        """Start the schedule."""
        self.epoch_ = 0

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs) -> None:
        """Set the rate of the epoch that starts."""
        for group in net.optimizer_.param_groups:
            group["lr"] = self.lr * self._factor(self.epoch_ / self.n_epochs)
        self.epoch_ += 1

    def _factor(self, done: float) -> float:
        """Return the share of `lr` left when this fraction of the epochs is done."""
        return 0.5 * (1 + math.cos(math.pi * done)) if self.schedule == "cosine" else 1.0


class WarmCosine(Callback):
    """Set the learning rate before every batch of one call to `fit`: up linearly, down as a cosine.

    A group of parameters with a `max_lr` never has a higher rate. ``schedule=None`` stays up.
    """

    def __init__(self, lr: float, schedule: str | None, n_epochs: int, warmup: float) -> None:
        self.lr, self.schedule, self.n_epochs, self.warmup = lr, schedule, n_epochs, warmup

    def on_train_begin(self, net, X=None, y=None, **kwargs) -> None:
        """Start the schedule."""
        self.batch_, self.n_batches_ = 0, self.n_epochs * -(-len(X) // X.batch_size)

    def on_batch_begin(self, net, batch=None, training=False, **kwargs) -> None:
        """Set the rate of the batch that starts."""
        if not training:
            return
        factor = self._factor(self.batch_, self.n_batches_)
        for group in net.optimizer_.param_groups:
            group["lr"] = factor * min(self.lr, group.get("max_lr", math.inf))
        self.batch_ += 1

    def _factor(self, batch: int, n_batches: int) -> float:
        """Return the share of the highest rate for a batch."""
        n_warm = self.warmup * n_batches
        if batch < n_warm:
            return (batch + 1) / (n_warm + 1)
        if self.schedule is None:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (batch - n_warm) / max(n_batches - n_warm, 1)))


class ValidAccuracy(Callback):
    """Record the weighted accuracy on the validation rows, from the pass that gave the loss."""

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs) -> None:
        """Forget the last epoch."""
        self.correct_, self.total_ = 0.0, 0.0  # become tensors: the device is asked once an epoch

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs) -> None:
        """Count the hits of one validation batch."""
        if training:
            return
        x, y = batch
        hits = (y_pred.mean(dim=1).argmax(dim=1) == y).double()
        weight = x["sample_weight"] if isinstance(x, dict) else hits.new_ones(len(hits))
        self.correct_ += hits @ weight.to(hits)
        self.total_ += weight.sum().double()

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs) -> None:
        """Write the share of hits into the history."""
        net.history.record("valid_acc", float(self.correct_) / float(self.total_))


class EpochBar(Callback):
    """A progress bar over the epochs, with the losses beside it."""

    def __init__(self, n_epochs: int, description: str) -> None:
        self.n_epochs, self.description = n_epochs, description

    def on_train_begin(self, net, X=None, y=None, **kwargs) -> None:
        """Open the bar."""
        self.bar_ = tqdm.tqdm(total=self.n_epochs, desc=self.description, unit="epoch")

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs) -> None:
        """Advance the bar."""
        names = ("train_loss", "valid_loss", "valid_acc")
        row = net.history[-1]
        self.bar_.set_postfix({k: f"{row[k]:.4f}" for k in names if k in row}, refresh=False)
        self.bar_.update()

    def on_train_end(self, net, X=None, y=None, **kwargs) -> None:
        """Close the bar; an open one cannot be pickled."""
        self.bar_.close()
        del self.bar_
