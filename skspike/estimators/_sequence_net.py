"""The network of an estimator of sequences, and predictions while a sequence goes on."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch

from ._sequences import Padded, patch

__all__ = ["SequenceFirst", "SequenceStream"]


class SequenceFirst(torch.nn.Module):
    """A time-first model of sequences seen sample first.

    Reads `(N, T, ...)`, tokens `(N, T)`, `Padded` of either, or `(N, ...)` with `n_steps`; returns
    `(N, T, K)`, where T is 1 if the model reads out once.

    Parameters
    ----------
    model : torch.nn.Module
        Takes `(T, N, ...)` and lengths.
    n_steps : int or None
        Show samples without a time axis as constant current for so many steps.
    tokens : bool
        Whether a step is the number of a token.
    precision : {"float32", "bfloat16"}
        ``"bfloat16"`` lets torch's autocast choose where float32 weights compute in bfloat16.
    """

    def __init__(
        self, model: torch.nn.Module, n_steps: int | None, tokens: bool, precision: str
    ) -> None:
        super().__init__()
        self.model, self.n_steps, self.tokens = model, n_steps, tokens
        self.precision = precision

    def forward(self, x: torch.Tensor | Padded) -> torch.Tensor:
        """Run the model; the outputs have the dtype of the weights."""
        x, lengths = x if isinstance(x, Padded) else (x, None)
        dtype = next(self.parameters()).dtype
        compact = self.precision == "bfloat16" and dtype == torch.float32
        with torch.autocast(x.device.type, torch.bfloat16, enabled=compact):
            outputs = self.model(self.time_first(x, dtype), lengths)
        return outputs.transpose(0, 1).to(dtype)

    def time_first(self, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return `(T, N, C)`, or tokens `(T, N)`."""
        if self.tokens:
            return x.transpose(0, 1)
        if self.n_steps is not None:
            return x.flatten(1).to(dtype).expand(self.n_steps, -1, -1)
        return x.flatten(2).transpose(0, 1).to(dtype).contiguous()

    def predictor(self) -> SequenceFirst:
        """Return a copy in double precision: the answer for a sample is that for it alone."""
        return copy.deepcopy(self).double()


class SequenceStream:
    """Predictions for sequences that are still arriving; made by the method `stream`.

    Each call costs as much for the millionth step as for the first.

    Parameters
    ----------
    net : SequenceFirst
        The network as it predicts.
    prepare : callable
        Returns steps `(n_samples, n_steps, ...)` as the network reads them.
    finish : callable
        Turns its outputs into predictions.
    n_samples : int
        Number of sequences that go on side by side.
    patch_size : int
        Number of steps that the network reads as one.
    """

    def __init__(
        self,
        net: SequenceFirst,
        prepare: Callable,
        finish: Callable[[np.ndarray], np.ndarray],
        n_samples: int,
        patch_size: int,
    ) -> None:
        self._net, self._prepare, self._finish = net, prepare, finish
        self.n_samples, self.patch_size = n_samples, patch_size
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._state, self._rest, self.n_steps = None, None, 0

    def push(self, X):
        """Take the next steps of the sequences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps, n_features)
            The steps; for one sequence (n_steps, n_features) will do. Tokens have no last axis.

        Returns
        -------
        predictions : ndarray of shape (n_samples, n_steps, ...)
            What the estimator predicts for the sequences up to and including each step, without
            the first axis if that was left out. With a `patch_size`, one prediction for each
            `patch_size` steps that are complete; the others wait for those to come.
        """
        X = np.asarray(X)
        n_axes = 2 if self._net.tokens else 3
        single = self.n_samples == 1 and X.ndim == n_axes - 1
        X = X[None] if single else X
        if X.ndim != n_axes or len(X) != self.n_samples:
            raise ValueError(
                f"The steps that a stream takes must have {n_axes} axes, {self.n_samples} samples "
                f"first. Got shape {X.shape} instead."
            )
        x = self._prepare(X)
        x = x if self._rest is None else np.concatenate([self._rest, x], axis=1)
        n_whole = x.shape[1] // self.patch_size * self.patch_size
        self._rest, self.n_steps = x[:, n_whole:], self.n_steps + X.shape[1]
        outputs = self._run(patch(x[:, :n_whole], self.patch_size) if self.patch_size > 1 else x)
        predictions = self._finish(outputs)
        return predictions[0] if single else predictions

    def _run(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs `(N, T, K)` of whole steps."""
        parameter = next(self._net.parameters())
        if x.shape[1] == 0:
            return np.empty((len(x), 0, self._net.model.decoder.out_features))
        with torch.inference_mode():
            steps = torch.from_numpy(np.ascontiguousarray(x)).to(parameter.device)
            steps = self._net.time_first(steps, parameter.dtype)
            outputs, self._state = self._net.model.stream(steps, self._state)
        return outputs.transpose(0, 1).double().cpu().numpy()
