"""What every spiking estimator shares: building the net, training it, reading its outputs.

Here scikit-learn's axes, sample first, become the network's, time first; nowhere else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from numbers import Integral, Real
from os import PathLike

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import train_test_split
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback, EarlyStopping, PrintLog

from .._sklearn import HasMethods, Interval, StrOptions, check_sample_weight
from ..nn import fold_norms
from ._batches import Batches
from ._callbacks import EpochBar, LearningRate, ValidAccuracy
from ._device import device_after_loading, resolve_device, seeded
from ._encoded import open_rows
from ._input import check_X, has_steps
from ._log import show_log
from ._losses import LOSSES, PerSampleLoss
from ._net import SpikingNet
from ._precision import PRECISIONS, resolve_precision
from ._rows import content_order, mean_one, repeat_rows

__all__ = ["SURROGATES", "SampleFirst", "SpikingEstimator"]

# of the derivatives that kernels have for a spike, those that estimators offer
SURROGATES = StrOptions({"atan", "sigmoid", "unit_sigmoid", "triangle", "rectangle", "dspike"})

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
    precision : {"float32", "bfloat16"}
        ``"bfloat16"`` lets torch's autocast choose where float32 weights compute in bfloat16.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        n_steps: int | None,
        flatten: bool,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.model, self.n_steps, self.flatten = model, n_steps, flatten
        self.precision = precision

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the model; the outputs have the dtype of the weights, so losses have it too."""
        dtype = next(self.parameters()).dtype
        compact = self.precision == "bfloat16" and dtype == torch.float32
        with torch.autocast(x.device.type, torch.bfloat16, enabled=compact):
            # vectors are standardised first, by all their digits; maps go into a convolution
            x = self._time_first(x, torch.bfloat16 if compact and not self.flatten else dtype)
            outputs = self.model(x)
        return outputs.transpose(0, 1).to(dtype)

    def predictor(self) -> SampleFirst:
        """Return a network for inference: the norms folded, unless hooks watch the layers."""
        module = self
        if self.flatten:
            # Rounding depends on the size of the batch, and a threshold turns 1e-7 into a spike:
            # float64, cheap here, answers a row alone as it does among others.
            module = copy.deepcopy(self).double()
        watched = any(m._forward_hooks or m._forward_pre_hooks for m in self.modules())
        return module if watched else fold_norms(module)

    def _time_first(self, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return `(T, N, ...)`, converted and laid out in one pass over the memory."""
        if self.n_steps is not None:
            x = x.to(dtype).expand(self.n_steps, *x.shape)
        else:
            x = x.transpose(0, 1)
        if x.ndim == 5 and not self.flatten:
            return _channels_last(x, dtype)
        if self.n_steps is None:
            x = x.to(dtype, memory_format=torch.contiguous_format).contiguous()
        return x.flatten(2) if self.flatten else x


def _channels_last(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Copy `(T, N, C, H, W)` to where the channels of a pixel lie side by side."""
    T, N, C, H, W = x.shape
    y = torch.empty((T, N, H, W, C), dtype=dtype, device=x.device).permute(0, 1, 4, 2, 3)
    if C > 4:
        return y.copy_(x)
    for source, target in zip(x.unbind(2), y.unbind(2), strict=True):
        target.copy_(source)  # several times faster: the inner loop runs over pixels
    return y


class SpikingEstimator(BaseEstimator):
    """Base of the estimators: everything but labels.

    A subclass names its parameters in `__init__`, and builds its network in `_make_model`.
    """

    _parameter_constraints: dict = {
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "encoder": [HasMethods(["fit", "transform"]), None],
        "augment": [str, list, tuple, callable, None],
        "memory_limit": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "cache": [str, PathLike, None],
        "n_jobs": [Integral, None],
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
        "precision": [StrOptions(set(PRECISIONS))],
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
        precision = self._choose_precision(device)
        with seeded(self._random_state.randint(2**31 - 1), device):
            module = self._make_module(n_outputs, precision)
        optimizer, options = _OPTIMIZERS[self.optimizer]
        groups = self._parameter_groups()
        options = options | ({"param_groups": groups} if groups else {})
        self.net_ = SpikingNet(
            module,
            self._make_loss(),
            optimizer=optimizer,
            **{f"optimizer__{name}": value for name, value in options.items()},
            optimizer__weight_decay=self.weight_decay,
            lr=self.lr,
            train_split=None,
            device=device,
            verbose=0,
        ).initialize()
        self.precision_ = precision

    def _make_loss(self) -> torch.nn.Module:
        """Return what gives one loss per sample."""
        return PerSampleLoss(self.loss)

    def _parameter_groups(self) -> list[tuple[str, dict]]:
        """Return patterns of names of parameters that are trained in another way, as in skorch."""
        return []

    def _check_X(self, X, *, reset: bool):
        """Return X as rows that the network can read."""
        return check_X(self, X, reset=reset)

    def _check_targets(self, y) -> np.ndarray:
        """Return y as an array of what the estimator learns."""
        raise NotImplementedError

    def _check_data(self, X, y, sample_weight, *, reset: bool):
        """Check what a fit is given; return arrays of equal length, the weights perhaps None."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, "
                "but the target y is None."
            )
        y = y.detach().cpu().numpy() if isinstance(y, torch.Tensor) else y
        X = self._check_X(X, reset=reset)
        y = self._check_targets(y)
        check_consistent_length(X, y, sample_weight)
        if sample_weight is not None:
            sample_weight = check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            if not sample_weight.any():
                raise ValueError("Sample weights must contain at least one non-zero number.")
        return X, y, sample_weight

    def _choose_precision(self, device: torch.device) -> str:
        """Resolve the precision; vectors gain nothing by bfloat16, and get it only by name."""
        if self.precision == "auto" and self._reads_vectors(self.sample_shape_):
            return "float32"
        return resolve_precision(self.precision, device)

    def _make_module(self, n_outputs: int, precision: str) -> SampleFirst:
        """Wrap the model for samples of the shape learned from X."""
        shape = self.sample_shape_
        return SampleFirst(
            self._make_model(shape, n_outputs),
            n_steps=None if has_steps(shape) else self.n_steps_,
            flatten=self._reads_vectors(shape),
            precision=precision,
        ).to(memory_format=torch.channels_last)

    def _train(self, X, y, weight, rows, *, epochs, schedule=None, early_stopping=False) -> None:
        """Train the net on these rows of X, in an order of their content, not of their place."""
        rng = self._random_state
        net = self.net_
        with open_rows(X, net.device) as data:
            ties = [*np.atleast_2d(y.T), *([] if weight is None else [weight])]
            rows = content_order(X, rows, *ties)
            valid = None
            if early_stopping:
                rows, valid_rows = self._split(rows, y, rng)
                valid = self._batches(data, y, weight, valid_rows)
            train = self._batches(data, y, weight, rows, rng=rng)
            net.callbacks = self._make_callbacks(epochs, schedule, early_stopping)
            net.verbose = self.verbose
            net.initialize_callbacks()
            augment = self._make_augmenter(rng)
            with show_log(self.verbose >= 1), seeded(rng.randint(2**31 - 1), net.device):
                net.run_epochs(train, valid, epochs, augment)
        self.history_, self.n_iter_ = net.history, len(net.history)

    def _batches(self, data, y, weight, rows, rng=None) -> Batches:
        """Make batches of rows: whole weights repeat them, all other weights scale their loss."""
        rows, factor = repeat_rows(rows, weight)
        other = self._loss_factor(y[rows])
        if other is not None:
            factor = other if factor is None else factor * other
        return Batches(
            data,
            y[rows],
            rows,
            weight=mean_one(factor),
            rng=rng,
            batch_size=self.batch_size,
            # batch norm needs two values of each channel
            min_size=2 if self.n_steps_ == 1 else 1,
        )

    def _split(self, rows, y, rng) -> tuple[np.ndarray, np.ndarray]:
        """Split rows into training and validation rows."""
        return train_test_split(rows, test_size=self.validation_fraction, random_state=rng)

    def _loss_factor(self, y) -> np.ndarray | None:
        """Return the factor of each shown row's loss, beside its sample weight."""
        return None

    def _make_augmenter(self, rng) -> Callable[[tuple], tuple] | None:
        """Return what changes the batches of the training, None where nothing does."""
        return None

    def _make_callbacks(self, epochs: int, schedule: str | None, early_stopping: bool) -> list:
        """List our callbacks and fresh copies of the user's."""
        callbacks = [self._make_schedule(epochs, schedule)]
        if early_stopping:
            callbacks += self._make_scoring()
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

    def _make_schedule(self, epochs: int, schedule: str | None) -> Callback:
        """Return what sets the learning rate."""
        return LearningRate(self.lr, schedule, epochs)

    def _make_scoring(self) -> list[Callback]:
        """List what says more about the validation than its loss."""
        return [ValidAccuracy()]

    def _outputs(self, X) -> np.ndarray:
        """Return the outputs of the network at every step, `(n_samples, n_steps, n_outputs)`."""
        check_is_fitted(self, "net_")
        X = self._check_X(X, reset=False)
        predict = self.net_.predictor()
        per_sample = self.n_steps_ * self.n_features_in_
        size = max(self.batch_size, _PREDICT_VALUES // per_sample)
        parts = [slice(i, i + size) for i in range(0, len(X), size)]
        with open_rows(X, self.net_.device) as data, torch.inference_mode():
            return torch.cat([predict(x) for x in data.stream(parts)]).double().cpu().numpy()

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        if hasattr(self, "net_"):
            self.net_.move_to(device_after_loading(type(self).__name__, self.device))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
