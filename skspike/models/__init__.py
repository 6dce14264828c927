"""Whole networks, one file per paper, and a registry of their names."""

from . import _sma_mlp, _sma_vgg  # noqa: F401  (fill the registry)
from ._registry import create_model, list_models

__all__ = ["create_model", "list_models"]
