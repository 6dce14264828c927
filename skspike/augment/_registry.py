"""Augmentations by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TypeVar

from ._base import Augmentation

__all__ = ["create", "list_augmentations", "register"]

_REGISTRY: dict[str, type[Augmentation]] = {}
_Class = TypeVar("_Class", bound=type[Augmentation])


def register(cls: _Class) -> _Class:
    """Add a class to the registry, under its name in lower case."""
    _REGISTRY[cls.__name__.lower()] = cls
    return cls


def create(name: str) -> Augmentation:
    """Return the augmentation of that name, with its defaults."""
    if name not in _REGISTRY:
        close = get_close_matches(name.lower(), _REGISTRY, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(
            f"No augmentation is called {name!r}{hint}; "
            f"there are {', '.join(list_augmentations())}."
        )
    return _REGISTRY[name]()


def list_augmentations() -> list[str]:
    """Return the names that :func:`make_augmentation` knows.

    Returns
    -------
    names : list of str
        In alphabetical order: the names of the classes in lower case.

    Examples
    --------
    >>> from skspike.augment import list_augmentations
    >>> "nda" in list_augmentations()
    True
    """
    return sorted(_REGISTRY)
