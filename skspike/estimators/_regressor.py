"""Numbers in, numbers out: what every spiking regressor shares."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils import check_array
from skorch.callbacks import Callback

from .._sklearn import fit_context
from ._base import SpikingEstimator
from ._rows import weighted_rows
from ._sequences import weighted_moments

__all__ = ["SpikingRegressor"]


class SquaredError(torch.nn.Module):
    """Squared distance of the mean output to the target, averaged over outputs."""

    def forward(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return one loss per sample."""
        return (outputs.mean(dim=1) - target.to(outputs.dtype)).square().mean(dim=1)


class SpikingRegressor(RegressorMixin, SpikingEstimator):
    """Base of the regressors: a network whose outputs are the targets, standardised."""

    _parameter_constraints: dict = {
        name: value
        for name, value in SpikingEstimator._parameter_constraints.items()
        if name != "loss"
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the network to samples and their targets.

        Parameters
        ----------
        X : array-like, list of ndarray, or EventCollection
            Samples; see the class.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Where all weights are whole numbers up to 100, how many times a sample is shown in an
            epoch: exactly as if it were repeated, or absent for zero. Any other weights scale the
            loss of the sample.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        fresh = not self._is_continuing()
        X, y, weight = self._check_data(X, y, sample_weight, reset=fresh)
        return self._fit(X, y, weight, fresh, self.max_epochs, self.schedule, self.early_stopping)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Show the samples once more, at the full learning rate, starting from the present weights.

        Parameters
        ----------
        X : array-like, list of ndarray, or EventCollection
            Samples, as in :meth:`fit`. The first call fixes the shape of a step, and in which units
            samples and targets are counted.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, as in :meth:`fit`.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        fresh = not hasattr(self, "net_")
        X, y, weight = self._check_data(X, y, sample_weight, reset=fresh)
        return self._fit(X, y, weight, fresh, 1, None, False)

    def predict(self, X):
        """Return the predicted targets.

        Parameters
        ----------
        X : array-like, list of ndarray, or EventCollection
            Samples, as in :meth:`fit`.

        Returns
        -------
        targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of the shape that y had.
        """
        return self._targets(self._outputs(X).mean(axis=1))

    def _fit(self, X, y, weight, fresh, epochs, schedule, early_stopping):
        """Train on checked data."""
        targets = y[:, None] if y.ndim == 1 else y
        if fresh:
            self._is_vector = y.ndim == 1
            self.target_mean_, self.target_scale_ = weighted_moments(targets[:, None], weight)
            self._start(n_outputs=targets.shape[1])
        elif targets.shape[1:] != self.target_mean_.shape or (y.ndim == 1) != self._is_vector:
            raise ValueError(
                f"y of {type(self).__name__} must have as many outputs as in the previous fit, "
                f"{len(self.target_mean_)}. Got shape {y.shape} instead."
            )
        targets = ((targets - self.target_mean_) / self.target_scale_).astype(np.float32)
        self._train(
            X,
            targets,
            weight,
            weighted_rows(len(y), weight),
            epochs=epochs,
            schedule=schedule,
            early_stopping=early_stopping,
        )
        return self

    def _targets(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs of the network, along the last axis, into targets of the shape of y."""
        targets = outputs * self.target_scale_ + self.target_mean_
        return targets[..., 0] if self._is_vector else targets

    def _make_loss(self) -> torch.nn.Module:
        return SquaredError()

    def _make_scoring(self) -> list[Callback]:
        return []

    def _check_targets(self, y) -> np.ndarray:
        return check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
