"""What every spiking estimator shares: building the net, training it, reading its outputs.

Here scikit-learn's axes, sample first, become the network's, time first; nowhere else.
"""

from __future__ import annotations

import copy
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import EarlyStopping, PrintLog

from .._sklearn import HasMethods, Interval, StrOptions
from ..exceptions import BackendError
from ._batches import Batches
from ._callbacks import EpochBar, LearningRate, ValidAccuracy
from ._device import resolve_device, seeded
from ._input import check_X, has_steps
from ._log import show_log
from ._losses import LOSSES, PerSampleLoss
from ._net import SpikingNet
from ._rows import content_order, mean_one, repeat_rows

__all__ = ["SampleFirst", "SpikingEstimator"]

_OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "nadam": (torch.optim.NAdam, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "fused": True}),
}
# values of X in one batch of predictions: large enough for small rows, small enough for memory
_PREDICT_VALUES = 2**20


class SampleFirst(torch.nn.Module):
    """A time-first model seen sample first: `(N, T, ...)` in any dtype in, `(N, T, K)` out.

    Parameters
    ----------
    model : torch.nn.Module
        Takes `(T, N, ...)`, returns `(T, N, K)`.
    n_steps : int or None
        Show samples without a time axis as constant current for so many steps.
    flatten : bool
        Whether the model reads each step as a vector.
    """

    def __init__(self, model: torch.nn.Module, n_steps: int | None, flatten: bool) -> None:
        super().__init__()
        self.model, self.n_steps, self.flatten = model, n_steps, flatten

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the model; the dtype of `x` becomes that of the weights."""
        dtype = next(self.parameters()).dtype
        if self.n_steps is not None:
            x = x.to(dtype).expand(self.n_steps, *x.shape)
        else:  # conversion and transposition in one pass over the memory
            x = x.transpose(0, 1).to(dtype, memory_format=torch.contiguous_format).contiguous()
        return self.model(x.flatten(2) if self.flatten else x).transpose(0, 1)


class SpikingEstimator(BaseEstimator):
    """Base of the estimators: everything but labels.

    A subclass names its parameters in `__init__`, and builds its network in `_make_model`.
    """

    _parameter_constraints: dict = {
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "encoder": [HasMethods(["fit", "transform"]), None],
        "loss": [StrOptions(set(LOSSES))],
        "optimizer": [StrOptions(set(_OPTIMIZERS))],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "schedule": [StrOptions({"cosine"}), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str],
        "backend": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callbacks": [list, None],
    }

    def _make_model(self, sample_shape: tuple[int, ...], n_outputs: int) -> torch.nn.Module:
        """Build the time-first network for samples of this shape."""
        raise NotImplementedError

    @property
    def model_(self) -> torch.nn.Module:
        """The fitted network; it takes and returns tensors time first."""
        return self.net_.module_.model

    def _is_continuing(self) -> bool:
        """Tell whether `fit` goes on from the present weights."""
        return self.warm_start and hasattr(self, "net_")

    def _start(self, n_outputs: int) -> None:
        """Build a new net with seeded weights."""
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self._random_state = np.random.RandomState(seed)
        device = resolve_device(type(self).__name__, self.device)
        with seeded(self._random_state.randint(2**31 - 1), device):
            module = self._make_module(n_outputs)
        optimizer, options = _OPTIMIZERS[self.optimizer]
        self.net_ = SpikingNet(
            module,
            PerSampleLoss(self.loss),
            optimizer=optimizer,
            **{f"optimizer__{name}": value for name, value in options.items()},
            optimizer__weight_decay=self.weight_decay,
            lr=self.lr,
            train_split=None,
            device=device,
            verbose=0,
        ).initialize()

    def _make_module(self, n_outputs: int) -> SampleFirst:
        """Wrap the model for samples of the shape learned from X."""
        shape = self.sample_shape_
        return SampleFirst(
            self._make_model(shape, n_outputs),
            n_steps=None if has_steps(shape) else self.n_steps_,
            flatten=self._reads_vectors(shape),
        )

    def _train(self, X, y, weight, rows, *, epochs, schedule=None, early_stopping=False) -> None:
        """Train the net on these rows of X, in an order of their content, not of their place."""
        rng = self._random_state
        rows = content_order(X, rows, y, *([] if weight is None else [weight]))
        valid = None
        if early_stopping:
            rows, valid_rows = self._split(rows, y, rng)
            valid = self._batches(X, y, weight, valid_rows)
        train = self._batches(X, y, weight, rows, rng=rng)
        net = self.net_
        net.callbacks = self._make_callbacks(epochs, schedule, early_stopping)
        net.verbose = self.verbose
        net.initialize_callbacks()
        with show_log(self.verbose >= 1), seeded(rng.randint(2**31 - 1), net.device):
            net.run_epochs(train, valid, epochs)
        self.history_, self.n_iter_ = net.history, len(net.history)

    def _batches(self, X, y, weight, rows, rng=None) -> Batches:
        """Make batches of rows: whole weights repeat them, all other weights scale their loss."""
        rows, factor = repeat_rows(rows, weight)
        other = self._loss_factor(y[rows])
        if other is not None:
            factor = other if factor is None else factor * other
        return Batches(
            X,
            y[rows],
            rows=rows,
            weight=mean_one(factor),
            rng=rng,
            batch_size=self.batch_size,
            device=self.net_.device,
            # batch norm needs two values of each channel
            min_size=2 if self.n_steps_ == 1 else 1,
        )

    def _split(self, rows, y, rng) -> tuple[np.ndarray, np.ndarray]:
        """Split rows into training and validation rows."""
        return train_test_split(rows, test_size=self.validation_fraction, random_state=rng)

    def _loss_factor(self, y) -> np.ndarray | None:
        """Return the factor of each shown row's loss, beside its sample weight."""
        return None

    def _make_callbacks(self, epochs: int, schedule: str | None, early_stopping: bool) -> list:
        """List our callbacks and fresh copies of the user's."""
        callbacks = [LearningRate(self.lr, schedule, epochs)]
        if early_stopping:
            callbacks.append(ValidAccuracy())
        callbacks += clone(self.callbacks or [], safe=False)
        if self.verbose:
            name = type(self).__name__
            callbacks.append(EpochBar(epochs, name) if self.verbose == 1 else PrintLog())
        if early_stopping:  # the last one: it ends the training by an exception
            callbacks.append(
                EarlyStopping(
                    patience=self.n_iter_no_change,
                    threshold=self.tol,
                    threshold_mode="abs",
                    load_best=True,
                )
            )
        return callbacks

    def _outputs(self, X) -> np.ndarray:
        """Return the outputs of the network at every step, `(n_samples, n_steps, n_outputs)`."""
        check_is_fitted(self, "net_")
        X = check_X(self, X, reset=False)
        module = self.net_.module_
        if module.flatten:
            # Rounding depends on the size of the batch, and a threshold turns 1e-7 into a spike:
            # float64, cheap here, answers a row alone as it does among others.
            module = copy.deepcopy(module).double()
        per_sample = self.n_steps_ * self.n_features_in_
        size = max(self.batch_size, _PREDICT_VALUES // per_sample)
        batches = Batches(X, batch_size=size, device=self.net_.device)
        with torch.inference_mode():
            return torch.cat([module(x).double().cpu() for x, _ in batches]).numpy()

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        if hasattr(self, "net_"):
            self.net_.move_to(self._device_after_loading())

    def _device_after_loading(self) -> torch.device:
        """Resolve the device anew: a pickle may be loaded on another machine."""
        try:
            return resolve_device(type(self).__name__, self.device)
        except BackendError as error:
            warnings.warn(f"{error} The loaded estimator stays on the CPU.", stacklevel=3)
            return torch.device("cpu")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
