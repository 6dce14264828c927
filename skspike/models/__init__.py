"""Whole networks, one file per paper, and a registry of their names."""

from ._registry import create_model, list_models
from ._sma_mlp import SMAMLP
from ._sma_vgg import SMAVGG8

__all__ = ["SMAMLP", "SMAVGG8", "create_model", "list_models"]
