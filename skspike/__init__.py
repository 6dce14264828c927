"""Spiking neural networks for scikit-learn users: events in, labels out.

The package root is lazy: a name is imported when it is first used, so ``import skspike`` costs
no torch, numba or scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._config import config_context, get_config, set_config

if TYPE_CHECKING:
    from . import (
        augment,
        datasets,
        encoders,
        energy,
        estimators,
        exceptions,
        io,
        kernels,
        models,
        nn,
        utils,
    )
    from ._events import EventCollection
    from .encoders import FrameEncoder
    from .estimators import (
        SMAClassifier,
        SpikingSSMClassifier,
        SpikingSSMLanguageModel,
        SpikingSSMRegressor,
    )

__version__ = "0.1.0.dev0"

__all__ = [
    "EventCollection",
    "FrameEncoder",
    "SMAClassifier",
    "SpikingSSMClassifier",
    "SpikingSSMLanguageModel",
    "SpikingSSMRegressor",
    "config_context",
    "get_config",
    "set_config",
    "augment",
    "datasets",
    "encoders",
    "energy",
    "estimators",
    "exceptions",
    "io",
    "kernels",
    "models",
    "nn",
    "utils",
]

_HOMES = {
    "EventCollection": "_events",
    "FrameEncoder": "encoders",
    "SMAClassifier": "estimators",
    "SpikingSSMClassifier": "estimators",
    "SpikingSSMLanguageModel": "estimators",
    "SpikingSSMRegressor": "estimators",
}


def __getattr__(name: str) -> object:
    """Import a public class or sub-package at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_suggest(name)}")
    if name not in _HOMES:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def _suggest(name: str) -> str:
    """Return '. Did you mean ...?' for a near miss, else nothing."""
    from difflib import get_close_matches  # costs more than the rest of this module

    close = get_close_matches(name, __all__, n=1)
    return f". Did you mean {close[0]!r}?" if close else ""


def __dir__() -> list[str]:
    """List the public names, whether or not they have been imported."""
    return sorted({*globals(), *__all__})
