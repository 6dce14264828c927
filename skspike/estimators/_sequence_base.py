"""What estimators of sequences share, whatever they predict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

from .._encoded import EncodedRows
from .._validation import check_number
from ..energy import count_operations
from ..models import SpikingSSM
from ..nn import SpikingSSMNeuron
from ._base import SpikingEstimator
from ._blocks import block_options
from ._callbacks import WarmCosine
from ._encoded import open_rows
from ._input import has_steps
from ._precision import resolve_precision
from ._sequence_input import ANY_LENGTH, check_sequences, patched, standardize
from ._sequence_net import SequenceFirst, SequenceStream
from ._sequences import Padded, Sequences, weighted_moments

__all__ = ["SequenceEstimator"]

# values of one map of the network in one batch of predictions
_PREDICT_VALUES = 2**22
# samples of the training that firing rates are measured on
_MEASURED = 256


class SequenceEstimator(SpikingEstimator):
    """Mixin in front of a base of classifiers or regressors: a `SpikingSSM` that reads X."""

    augment = None  # what augmentations there are, they change frames

    def operation_report(self, X):
        """Count the operations that the network needs for samples.

        Parameters
        ----------
        X : array-like, list of ndarray, or EventCollection
            Samples, as in :meth:`fit`.

        Returns
        -------
        report : dict
            As of :func:`skspike.energy.count_operations`, the mean over samples: the additions
            that spikes cause and the multiplications of all else, for the matrices that mix spikes
            alone, as published, and for the whole network, with their energy.
        """
        check_is_fitted(self, "net_")
        X = self._check_X(X, reset=False)
        rates, _ = self._measure(X, np.arange(len(X)))
        lengths = X.lengths if isinstance(X, Sequences) else [self._n_steps_of(X)]
        return count_operations(self.model_, float(np.mean(lengths)), rates)

    def _check_X(self, X, *, reset: bool):
        X = check_sequences(self, X, reset=reset)
        if reset:
            self.mean_ = self.scale_ = None
            self._is_new = self.standardize and self.n_tokens is None and self._has_features()
        return X if reset else self._read(X)

    def _has_features(self) -> bool:
        """Tell whether samples are series or rows of a table, which have features."""
        return len(self.sample_shape_) == 1 or self.sample_shape_[0] == ANY_LENGTH

    def _check_data(self, X, y, sample_weight, *, reset: bool):
        X, y, weight = super()._check_data(X, y, sample_weight, reset=reset)
        if not reset:
            return X, y, weight
        if self._is_new:
            self.mean_, self.scale_ = weighted_moments(X, weight)
        del self._is_new
        return self._read(X), y, weight

    def _read(self, X):
        """Return checked samples as the network reads them."""
        if isinstance(X, EncodedRows) or not self._has_features():
            return X
        X = X if self.mean_ is None else standardize(X, self.mean_, self.scale_)
        series = self.sample_shape_[0] == ANY_LENGTH and self.n_tokens is None
        return patched(X, self.patch_size) if series else X

    def _make_module(self, n_outputs: int, precision: str) -> SequenceFirst:
        shape = self.sample_shape_
        return SequenceFirst(
            self._make_model(shape, n_outputs),
            n_steps=None if self.n_tokens is not None or has_steps(shape) else self.n_steps_,
            tokens=self.n_tokens is not None,
            precision=precision,
        )

    def _make_model(self, sample_shape, n_outputs: int) -> torch.nn.Module:
        series = sample_shape[0] == ANY_LENGTH
        return SpikingSSM(
            n_outputs,
            in_channels=self.n_features_in_ * (self.patch_size if series else 1),
            vocabulary_size=self.n_tokens,
            n_layers=self.n_layers,
            n_repeats=self.n_repeats,
            width=self.width,
            readout=self.readout,
            final_norm=self.final_norm,
            **block_options(self),
        )

    def _parameter_groups(self) -> list[tuple[str, dict]]:
        if self.block != "s4d":
            return []
        slow = {"max_lr": self.ssm_lr}
        names = ["log_dt", "log_a_real", "a_imag"] + (["b"] if self.trainable_input else [])
        groups = [(f"*.ssm.{name}", slow | {"weight_decay": 0.0}) for name in names]
        return groups + ([("*.ssm.c", slow)] if self.trainable_input else [])

    def _choose_precision(self, device: torch.device) -> str:
        return resolve_precision(self.precision, device)

    def _make_schedule(self, epochs: int, schedule: str | None) -> Callback:
        return WarmCosine(self.lr, schedule, epochs, self.warmup if schedule else 0.0)

    def _train(self, X, y, weight, rows, **options) -> None:
        super()._train(X, y, weight, rows, **options)
        self.firing_rates_, active = self._measure(X, rows[:_MEASURED])
        self.sparsity_ = 1.0 - float(active.mean())

    def _outputs(self, X) -> np.ndarray:
        check_is_fitted(self, "net_")
        return self._apply(self._check_X(X, reset=False), self.net_.predictor())

    def _outputs_over_time(self, X) -> np.ndarray:
        """Return the outputs after each step, `(n_samples, n_steps, n_outputs)`."""
        check_is_fitted(self, "net_")
        self._check_causal()
        X = self._check_X(X, reset=False)
        if isinstance(X, Sequences):
            if len(set(X.lengths)) > 1:
                raise ValueError(
                    f"X of {type(self).__name__} must have equal numbers of steps to be predicted "
                    f"over time. Got {X.lengths.min()} to {X.lengths.max()} instead."
                )
            X = np.stack(list(X))
        net = self.net_.predictor()

        def over_time(x: torch.Tensor) -> torch.Tensor:
            """Return the outputs of all steps, sample first."""
            x = net.time_first(x, next(net.parameters()).dtype)
            return net.model.stream(x)[0].transpose(0, 1)

        return self._apply(X, over_time)

    def _apply(self, X, function: Callable, rows: np.ndarray | None = None) -> np.ndarray:
        """Return what a function of batches returns for all samples, or some, in their order."""
        rows = np.arange(len(X)) if rows is None else rows
        if isinstance(X, Sequences):  # those of a batch have about the same length
            rows = rows[np.argsort(X.lengths[rows], kind="stable")]
        with open_rows(X, self.net_.device) as data, torch.inference_mode():
            parts = self._parts(X, rows)
            batches = data.stream(data.index(part) for part in parts)
            outputs = torch.cat([function(x) for x in batches]).double().cpu().numpy()
        return outputs[np.argsort(rows, kind="stable")]

    def _parts(self, X, rows: np.ndarray) -> list[np.ndarray]:
        """Divide rows into batches that take about the same memory."""
        values = self.width * np.maximum(self._lengths_of(X, rows), 1)
        size = max(1, _PREDICT_VALUES // int(values.max(initial=1)))
        return [rows[i : i + size] for i in range(0, len(rows), size)]

    def _lengths_of(self, X, rows: np.ndarray) -> np.ndarray:
        """Return the number of steps that the network takes for each row."""
        if isinstance(X, Sequences):
            return X.lengths[rows]
        return np.full(len(rows), self._n_steps_of(X))

    def _n_steps_of(self, X) -> int:
        """Return the number of steps of all samples of an array."""
        return X.shape[1] if self.n_steps_ is None else self.n_steps_

    def _measure(self, X, rows: np.ndarray) -> np.ndarray:
        """Return the spikes of a neuron in a step and the share of those that fire.

        Each has a number for each time that a block is passed.
        """
        net = self.net_.predictor()
        neurons = [m for m in net.modules() if isinstance(m, SpikingSSMNeuron)]
        counts, n_steps = np.zeros((2, len(neurons) * self.n_repeats)), 0

        def count(x) -> torch.Tensor:
            """Count the spikes of a batch, in the steps that belong to a sample."""
            nonlocal n_steps
            lengths = x.lengths if isinstance(x, Padded) else None
            spikes: list[torch.Tensor] = []
            hooks = [n.register_forward_hook(lambda *a: spikes.append(a[2])) for n in neurons]
            try:
                outputs = net(x)
            finally:
                for hook in hooks:
                    hook.remove()
            n, n_samples = spikes[0].shape[:2]
            valid = torch.ones(n, n_samples, dtype=torch.bool, device=spikes[0].device)
            if lengths is not None:
                valid = torch.arange(n, device=lengths.device)[:, None] < lengths
            for of_neurons, s in zip(counts.T, spikes, strict=True):
                of_neurons += [float(y.mean(-1)[valid].sum()) for y in (s, (s > 0).to(s.dtype))]
            n_steps += int(valid.sum())
            return outputs

        self._apply(X, count, rows)
        return counts / n_steps

    def _check_causal(self) -> None:
        """Raise where the network cannot answer before the end of a sequence."""
        if self.bidirectional:
            raise ValueError(
                f"The 'bidirectional' parameter of {type(self).__name__} must be False to answer "
                "before the end of a sequence. Got True instead."
            )

    def _stream(self, n_samples: int, finish: Callable) -> SequenceStream:
        """Return what predicts sequences that are still arriving."""
        check_is_fitted(self, "net_")
        self._check_causal()
        check_number(type(self).__name__, "n_samples", n_samples, 1, integer=True)
        if self.sample_shape_[0] != ANY_LENGTH:
            raise ValueError(
                f"{type(self).__name__} must be fitted to series to stream. "
                f"Got samples of shape {self.sample_shape_} instead."
            )
        return SequenceStream(
            self.net_.predictor(), self._prepare, finish, n_samples, self.patch_size
        )

    def _prepare(self, X) -> np.ndarray:
        """Check some steps of series and standardise them."""
        X = check_sequences(self, X, reset=False)
        return X if self.mean_ is None else standardize(X, self.mean_, self.scale_)
