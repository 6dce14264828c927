"""Compile plain Python templates with numba, once per machine.

A template reads its compile-time choices from global names. :func:`specialize` binds those names
to constants, names the result after a digest of its whole content, and compiles it with a disk
cache: nothing but what is used gets compiled, and an edited source can never meet stale code.
"""

from __future__ import annotations

import functools
import inspect
import logging
import threading
import time
from collections.abc import Callable
from hashlib import blake2b
from types import FunctionType
from typing import Any

import numba

log = logging.getLogger("skspike")

# "numpy": a division by zero gives inf; checking for it would forbid vector instructions.
_OPTIONS = {"nogil": True, "error_model": "numpy"}
# Only templates call the functions among the constants: entries for Python and C would go unused.
_INNER = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def specialize(template: Callable, **constants: object) -> Callable:
    """Compile `template` with the global names in `constants` bound to constant values.

    Functions among the constants are compiled too, bound to the same constants. Only what the
    template names, itself or through its functions, decides which version is compiled.
    The result releases the GIL. It serves arguments of the types of its first call alone: numba's
    disk cache can mix up versions that several processes compile for different types, so what
    decides the types must be among the constants.
    """
    return _compile(template, *_select(template, constants))


def _used(function: Callable, constants: dict[str, Any]) -> set[str]:
    """Return the names of the constants that a function reaches."""
    names = set(function.__code__.co_names) & set(constants)
    for name in tuple(names):
        if isinstance(constants[name], FunctionType):
            names |= _used(constants[name], constants)
    return names


def _select(function: Callable, constants: dict[str, Any]) -> tuple[tuple, tuple]:
    """Return the constants that a function reaches, with their types, as keys of a cache."""
    # `real`, the type of the numbers, decides the types of arguments even where nothing names it
    used = sorted(_used(function, constants) | ({"real"} & constants.keys()))
    values = tuple(constants[name] for name in used)
    # 1, 1.0 and True are equal, and yet give different code.
    return tuple(zip(used, values, strict=True)), tuple(map(type, values))


@functools.cache
def _compile(template: Callable, used: tuple[tuple[str, Any], ...], types: tuple) -> Callable:
    """Compile one version of a template."""
    function = _bind(template, used)
    return _announce_compilation(_njit_cached(function), function.__qualname__)


@functools.cache
def _compile_inner(function: Callable, used: tuple[tuple[str, Any], ...], types: tuple) -> Callable:
    """Compile one version of a function inside templates, which share it."""
    return numba.njit(**_INNER)(_bind(function, used))


def _bind(function: Callable, used: tuple[tuple[str, Any], ...]) -> FunctionType:
    """Copy a function with constants in place of the global names that it uses.

    Every copy, also of a function inside, is named after the version: machine code from the disk
    cache is linked by name, and one version would call the functions of another.
    """
    constants = dict(used)
    names = {
        name: _compile_inner(value, *_select(value, constants))
        if isinstance(value, FunctionType)
        else value
        for name, value in used
        if name in function.__code__.co_names
    }
    copy = FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)
    copy.__module__ = function.__module__
    copy.__qualname__ = f"{function.__qualname__}_{_digest(function, used)}"
    return copy


def _digest(template: Callable, constants: tuple) -> str:
    """Hash everything that decides the machine code, except the machine (numba adds that)."""
    parts = [repr(_OPTIONS), inspect.getsource(template)]
    for name, value in constants:
        content = inspect.getsource(value) if isinstance(value, FunctionType) else repr(value)
        parts.append(f"{name}={content}")
    return blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def _njit_cached(function: Callable) -> Callable:
    """Compile lazily with a disk cache, or without one where no folder can be written."""
    try:
        return numba.njit(**_OPTIONS, cache=True)(function)
    except RuntimeError as error:  # numba: "cannot cache function: no locator available"
        log.info("kernels are not cached on disk: %s", error)
        return numba.njit(**_OPTIONS)(function)


def _announce_compilation(dispatcher: Any, name: str) -> Callable:
    """Log how long the first call spent on compiling, unless the cache served it."""

    compiled = False
    first = threading.Lock()

    @functools.wraps(dispatcher)
    def kernel(*args: object) -> object:
        nonlocal compiled
        if compiled:
            return dispatcher(*args)
        with first:  # a thread that came second would find compiling disabled
            if compiled:
                return dispatcher(*args)
            start = time.perf_counter()
            result = dispatcher(*args)
            dispatcher.disable_compile()
            compiled = True
        if not dispatcher.stats.cache_hits:
            seconds = time.perf_counter() - start
            log.info("compiled kernel %s in %.1f s; later processes find it cached", name, seconds)
        return result

    return kernel
