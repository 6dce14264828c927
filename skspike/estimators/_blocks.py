"""Which parameters of an estimator are those of its blocks."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from .._sklearn import Interval, StrOptions
from ._base import SURROGATES

_SHARED = (
    "bidirectional", "dt_min", "dt_max", "norm", "norm_place", "dropout", "mode", "decay",
    "n_rounds", "learnable_threshold", "shared_threshold", "surrogate", "max_spikes",
    "backend",
)  # fmt: skip
_OWN = {"s4d": ("d_state", "trainable_input"), "selective": ("expand", "residual", "gated")}

BLOCK_CONSTRAINTS: dict = {
    "surrogate": [SURROGATES],
    "block": [StrOptions(set(_OWN))],
    "d_state": [Interval(Integral, 2, None, closed="left")],
    "expand": [Interval(Integral, 1, None, closed="left")],
    "residual": ["boolean"],
    "gated": ["boolean"],
    "max_spikes": [Interval(Integral, 1, None, closed="left")],
}


def block_options(estimator: Any) -> dict[str, Any]:
    """Return what an estimator's parameters say of its blocks: which, and their options."""
    params = estimator.get_params(deep=False)
    names = ("block", *_SHARED, *_OWN[estimator.block])
    return {name: params[name] for name in names if name in params}
