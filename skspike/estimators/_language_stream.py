"""A text that is read token by token, in constant memory and time per token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._language_training import autocast
from ._tokens import END

__all__ = ["LanguageStream"]


class LanguageStream:
    """What a fitted :class:`SpikingSSMLanguageModel` remembers of a text that it reads.

    Made by :meth:`SpikingSSMLanguageModel.stream`; it begins behind an end of text.
    """

    def __init__(self, language_model) -> None:
        self._owner = language_model
        self._state: list | None = None
        self._read([language_model._vocabulary.numbers[END]])

    def push(self, tokens) -> LanguageStream:
        """Read one more token, or several in a list.

        Parameters
        ----------
        tokens : int, str, or sequence of these
            What comes next; tokens that the model does not know are ``"<unk>"``.

        Returns
        -------
        self : object
            The stream.
        """
        several = isinstance(tokens, Sequence | np.ndarray) and not isinstance(tokens, str)
        numbers = self._owner._vocabulary.encode(tokens if several else [tokens])
        if len(numbers):
            self._read(numbers)
        return self

    def predict_proba(self) -> np.ndarray:
        """Return the probabilities of the next token.

        Returns
        -------
        probabilities : ndarray of shape (n_tokens,)
            In the order of `vocabulary_`.
        """
        return self.log_prob().exp().cpu().numpy()

    def log_prob(self) -> Tensor:
        """Return the logarithms of the probabilities of the next token.

        Returns
        -------
        log_p : Tensor of shape (n_tokens,)
            In float64, normalised in it, in the order of `vocabulary_`.
        """
        device = self._h.device
        with torch.inference_mode(), autocast(device, self._owner.precision_):
            log_p = self._owner.model_.softmax.log_prob(self._h)
        return log_p.double().log_softmax(-1)

    def _read(self, numbers) -> None:
        """Let the network read tokens, by their numbers."""
        model = self._owner.model_.eval()
        x = torch.as_tensor(numbers, device=model.softmax.biases[0].device)[:, None]
        with torch.inference_mode(), autocast(x.device, self._owner.precision_):
            h, self._state = model.stream_features(x, self._state)
        self._h = h[-1, 0]
