"""What the package exports, found by walking it: the subject of the tests named test_house_*."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import skspike

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skspike"


def public_modules() -> list[ModuleType]:
    """Return the package root and every public module and sub-package below it."""
    names = [info.name for info in pkgutil.walk_packages(skspike.__path__, "skspike.")]
    public = [name for name in names if "._" not in name]
    return [skspike, *map(importlib.import_module, public)]


def public_objects() -> dict[str, object]:
    """Return the classes and functions in any public `__all__`, each once, under its own home."""
    found: dict[int, tuple[str, object]] = {}
    for module in public_modules():
        for name in module.__all__:
            value = getattr(module, name)
            if not isinstance(value, ModuleType):
                found[id(value)] = (f"{module.__name__}.{name}", value)
    return dict(sorted(found.values(), key=lambda pair: pair[0]))


def public_callables() -> dict[str, object]:
    """Return the public objects, with the public methods and properties that we wrote."""
    found = public_objects()
    for name, value in list(found.items()):
        if inspect.isclass(value):
            found.update({f"{name}.{key}": member for key, member in _own_members(value)})
    return found


def _own_members(cls: type) -> list[tuple[str, object]]:
    """List the public methods and properties of a class that are defined inside skspike."""
    members = []
    for key, member in inspect.getmembers(cls):
        function = member.fget if isinstance(member, property) else member
        ours = getattr(function, "__module__", None) or ""
        if inspect.isfunction(function) and not key.startswith("_") and ours.startswith("skspike"):
            members.append((key, member))
    return members
