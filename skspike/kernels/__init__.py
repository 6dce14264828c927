"""Pure functions on time-first tensors: a reference in torch, and fused twins beside it."""

from ._adaptive_lif import adaptive_lif
from ._divide_by_threshold import divide_by_threshold
from ._fire_at import fire_at
from ._fixed_point import fixed_point_membrane
from ._gated_linear import gated_linear
from ._gated_scan import gated_scan
from ._lif import lif
from ._linear_scan import linear_scan
from ._memory import empty_cache
from ._norm_lif import norm_lif
from ._scale_conv import scale_conv
from ._scale_mix import scale_mean, scale_mix
from ._sdn import sdn_membrane
from ._ssm_conv import ssm_conv
from ._ssm_kernel import ssm_kernel

__all__ = [
    "adaptive_lif",
    "divide_by_threshold",
    "empty_cache",
    "fire_at",
    "fixed_point_membrane",
    "gated_linear",
    "gated_scan",
    "lif",
    "linear_scan",
    "norm_lif",
    "scale_conv",
    "scale_mean",
    "scale_mix",
    "ssm_conv",
    "ssm_kernel",
    "sdn_membrane",
]
