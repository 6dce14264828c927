"""Labels in, labels and probabilities out: what every spiking classifier shares."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from .._sklearn import StrOptions, fit_context
from ..augment import make_augmentation
from ._augmented import Augmenter, check_augmentation
from ._base import SpikingEstimator
from ._losses import PROBABILITIES
from ._rows import weighted_rows

__all__ = ["SpikingClassifier"]


class SpikingClassifier(ClassifierMixin, SpikingEstimator):
    """Base of the classifiers: a network whose outputs are one score per class and step."""

    _parameter_constraints: dict = {
        **SpikingEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the network to labelled samples.

        Parameters
        ----------
        X : EventCollection, list of structured ndarray, or array-like
            Recordings, or an array of one of the shapes
            ``(n_samples, n_steps, n_channels, height, width)`` (frames),
            ``(n_samples, n_channels, height, width)`` (images),
            ``(n_samples, n_steps, n_features)`` (series) and
            ``(n_samples, n_features)`` (tables).
        y : array-like of shape (n_samples,)
            Class labels, numbers or strings.
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
        rows = weighted_rows(len(y), weight)
        classes = np.unique(y[rows])
        self._check_classes(classes, fresh)
        if fresh:
            self.classes_ = classes
            self._start(n_outputs=len(classes))
        self._train(
            X,
            np.searchsorted(self.classes_, y),
            weight,
            rows,
            epochs=self.max_epochs,
            schedule=self.schedule,
            early_stopping=self.early_stopping,
        )
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Show the samples once more, at the full learning rate, starting from the present weights.

        Parameters
        ----------
        X : EventCollection, list of structured ndarray, or array-like
            Samples, as in :meth:`fit`. The first call fixes the shape of a sample and fits the
            encoder of events.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever occur; needed in the first call, unless `fit` came before.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, as in :meth:`fit`.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        fresh = not hasattr(self, "net_")
        if fresh and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        known = np.unique(classes) if fresh else self.classes_
        if classes is not None and not np.array_equal(known, np.unique(classes)):
            raise ValueError(
                f"The 'classes' of {type(self).__name__}.partial_fit must be those of the earlier "
                f"calls, {known}. Got {np.unique(classes)} instead."
            )
        X, y, weight = self._check_data(X, y, sample_weight, reset=fresh)
        unknown = np.setdiff1d(y, known)
        if unknown.size:
            raise ValueError(
                f"y of {type(self).__name__}.partial_fit must hold labels of {known}. "
                f"Got {unknown} instead."
            )
        self._check_classes(known, fresh)
        if fresh:
            self.classes_ = known
            self._start(n_outputs=len(known))
        rows = weighted_rows(len(y), weight)
        self._train(X, np.searchsorted(known, y), weight, rows, epochs=1)
        return self

    def decision_function(self, X):
        """Return the output of the network averaged over steps.

        Parameters
        ----------
        X : EventCollection, list of structured ndarray, or array-like
            Samples, as in :meth:`fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            One score per class; for two classes the score of the second less that of the first.
        """
        scores = self._scores_over_time(X)[:, -1]
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X):
        """Return the class with the highest mean output.

        Parameters
        ----------
        X : EventCollection, list of structured ndarray, or array-like
            Samples, as in :meth:`fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Class labels.
        """
        winners = self._scores_over_time(X)[:, -1].argmax(axis=1)
        return self.classes_[winners]

    def predict_proba(self, X):
        """Return class probabilities.

        The softmax of the mean output for the losses ``"cross_entropy"`` and ``"tet"``. For
        ``"mse"``, whose outputs estimate the probabilities themselves, the nearest point to the
        mean output whose entries are non-negative and sum to one.

        Parameters
        ----------
        X : EventCollection, list of structured ndarray, or array-like
            Samples, as in :meth:`fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        return self._probabilities(self._scores_over_time(X)[:, -1])

    def predict_proba_over_time(self, X):
        """Return the class probabilities after each step.

        Parameters
        ----------
        X : EventCollection, list of structured ndarray, or array-like
            Samples, as in :meth:`fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_steps, n_classes)
            Row ``t`` follows from the outputs of the steps up to and including ``t``; the last row
            equals :meth:`predict_proba`.
        """
        return self._probabilities(self._scores_over_time(X))

    def _scores_over_time(self, X) -> np.ndarray:
        """Return the mean of the outputs so far, at every step."""
        outputs = self._outputs(X)
        n_steps = outputs.shape[1]
        return outputs.cumsum(axis=1) / np.arange(1, n_steps + 1)[:, None]

    def _probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Turn scores into probabilities, along the last axis."""
        return PROBABILITIES[self.net_.criterion_.name](scores)

    def _check_targets(self, y) -> np.ndarray:
        """Return labels, after a look at what would be done to their samples."""
        check_augmentation(self.augment, self.sample_shape_)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        return y

    def _check_classes(self, classes: np.ndarray, fresh: bool) -> None:
        """Raise unless there are two classes or more, the same as before when continuing."""
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes. "
                f"Got {len(classes)} class instead."
            )
        if not fresh and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"y of {type(self).__name__} with warm_start=True must have the classes of the "
                f"previous fit, {self.classes_}. Got {classes} instead."
            )

    def _split(self, rows, y, rng):
        """Split rows into training and validation rows with equal shares of each class."""
        return train_test_split(
            rows, test_size=self.validation_fraction, random_state=rng, stratify=y[rows]
        )

    def _make_augmenter(self, rng):
        """Return what augments the batches of the training, None where nothing does."""
        augmentation = make_augmentation(self.augment)
        if augmentation is None:  # which draws no seed
            return None
        device = self.net_.device
        generator = torch.Generator(device).manual_seed(rng.randint(2**31 - 1))
        return Augmenter(augmentation, len(self.classes_), generator)

    def _loss_factor(self, y):
        """Return the weight of each row's class."""
        if self.class_weight is None:
            return None
        balanced = self.class_weight == "balanced"  # which knows nothing of classes out of sight
        known = np.unique(y) if balanced else np.arange(len(self.classes_))
        weights = compute_class_weight(
            self.class_weight, classes=self.classes_[known], y=self.classes_[y]
        )
        return weights[np.searchsorted(known, y)]
