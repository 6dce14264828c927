"""Networks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

_REGISTRY: dict[str, Callable[..., nn.Module]] = {}


def register(name: str) -> Callable:
    """Add a class or function that builds a network to the registry, under `name`."""

    def add(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        _REGISTRY[name] = builder
        return builder

    return add


def create_model(name: str, **options: Any) -> nn.Module:
    """Build a network by name.

    Parameters
    ----------
    name : str
        One of :func:`list_models`.
    **options : dict
        Arguments of the network, such as ``n_classes``, ``n_steps``, ``in_channels`` and ``width``.

    Returns
    -------
    model : torch.nn.Module
        The network, with random weights from torch's global generator.

    Raises
    ------
    ValueError
        If no network has that name.

    Examples
    --------
    >>> from skspike.models import create_model
    >>> model = create_model("sma_vgg8", n_classes=10, n_steps=4, width=8)
    >>> sum(p.numel() for p in model.parameters())
    353624
    """
    if name not in _REGISTRY:
        raise ValueError(f"No model is called {name!r}; there are {', '.join(list_models())}.")
    return _REGISTRY[name](**options)


def list_models() -> list[str]:
    """Return the names that :func:`create_model` knows.

    Returns
    -------
    names : list of str
        In alphabetical order.

    Examples
    --------
    >>> from skspike.models import list_models
    >>> "sma_vgg8" in list_models()
    True
    """
    return sorted(_REGISTRY)
