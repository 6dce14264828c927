"""Pure functions on time-first tensors: a reference in torch, and fused twins beside it."""

from ._adaptive_lif import adaptive_lif
from ._lif import lif
from ._memory import empty_cache
from ._norm_lif import norm_lif
from ._scale_conv import scale_conv
from ._scale_mix import scale_mean, scale_mix

__all__ = [
    "adaptive_lif",
    "empty_cache",
    "lif",
    "norm_lif",
    "scale_conv",
    "scale_mean",
    "scale_mix",
]
