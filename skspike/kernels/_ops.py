"""Kernels as operators of torch: what lets autograd, ``torch.compile`` and ``torch.func`` in.

An operator is a Python function that calls a compiled twin. Its *fake* says shape, strides and
dtype of the results from those of the arguments alone; its backward pass is an operator too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_library = torch.library.Library("skspike", "DEF")


def define(
    name: str,
    schema: str,
    run: Callable,
    fake: Callable,
    setup_context: Callable | None = None,
    backward: Callable | None = None,
) -> Any:
    """Register ``torch.ops.skspike.<name>`` for every device and return it.

    `schema` is torch.library's, from the opening parenthesis on. `setup_context` and `backward` are
    those of :func:`torch.library.register_autograd`; without them a gradient is an error.
    """
    full_name = f"skspike::{name}"
    _library.define(
        name + schema, tags=(torch.Tag.pt2_compliant_tag, torch.Tag.needs_exact_strides)
    )
    _library.impl(name, run, "CompositeExplicitAutograd")
    torch.library.register_fake(full_name, fake, lib=_library)
    torch.library.register_autograd(
        full_name, backward or _refuse(full_name), setup_context=setup_context, lib=_library
    )
    return getattr(torch.ops.skspike, name).default


def _refuse(name: str) -> Callable:
    """Return a backward pass that raises: left to itself, torch would answer zero."""

    def backward(ctx: Any, *gradients: Any) -> None:
        raise RuntimeError(f"The gradient of {name} is not implemented (second derivatives?).")

    return backward
