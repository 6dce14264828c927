"""Twins for numba that run as the plain Python that they are, their source as it is or changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType, ModuleType


def interpret(template: FunctionType, **constants: object) -> Callable:
    """Bind constants to a template's global names as `specialize` does, and compile nothing."""
    names = {
        name: interpret(value, **constants) if isinstance(value, FunctionType) else value
        for name, value in constants.items()
        if name in template.__code__.co_names
    }
    return FunctionType(template.__code__, template.__globals__ | names)


def twin_from(source: str, **names: object) -> ModuleType:
    """Execute the source of a twin as a module of its own, with some `names` bound anew."""
    module = ModuleType("skspike.kernels._interpreted")
    module.__package__ = "skspike.kernels"
    exec(compile(source, module.__name__, "exec"), module.__dict__)
    vars(module).update(specialize=interpret, **names)
    return module


def uncompiled(twin: ModuleType, **names: object) -> ModuleType:
    """Return a twin that compiles nothing."""
    return twin_from(inspect.getsource(twin), **names)
