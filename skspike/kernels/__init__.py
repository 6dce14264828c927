"""Pure functions on time-first tensors: a reference in torch, and fused twins beside it."""

from ._lif import lif

__all__ = ["lif"]
