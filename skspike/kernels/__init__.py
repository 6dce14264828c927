"""Pure functions on time-first tensors: a reference in torch, and fused twins beside it."""

from ._lif import lif
from ._memory import empty_cache

__all__ = ["empty_cache", "lif"]
