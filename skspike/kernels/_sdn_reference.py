"""The specification of the folded surrogate dynamic network: three convolutions in plain torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad


def sdn_reference(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Return the network's response to the inputs before each step of ``x`` of shape (T, ...)."""
    taps, bias, mix, mix_bias, out, out_bias = weights
    series = x.to(taps.dtype).reshape(len(x), -1).T[:, None]  # (M, 1, T)
    before = pad(series, (taps.shape[1], -1))  # the present input is not seen
    h = torch.relu(conv1d(before, taps[:, None], bias))
    h = torch.relu(conv1d(h, mix[..., None], mix_bias))
    return conv1d(h, out[None, :, None], out_bias[None])[:, 0].T.reshape(x.shape)


def packed(weights: Sequence[Tensor]) -> Tensor:
    """Return all weights in one row: of each unit its bias, then what its inputs are weighed by."""
    taps, bias, mix, mix_bias, out, out_bias = (w.detach() for w in weights)
    layers = (bias, taps), (mix_bias, mix), (out_bias[None], out[None])
    return torch.cat([torch.cat([b[:, None], w], 1).flatten() for b, w in layers])
