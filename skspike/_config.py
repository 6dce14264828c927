"""Package-wide defaults: which backend runs the kernels, which device runs the networks."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["config_context", "get_config", "set_config"]

BACKENDS = ("auto", "reference", "numba", "triton")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_defaults = {"backend": "auto", "device": "auto"}
_local = threading.local()


def _current() -> dict[str, str]:
    """Return this thread's configuration, made from the defaults at first use."""
    if not hasattr(_local, "config"):
        _local.config = _defaults.copy()
    return _local.config


def check_device(owner: str, device: object) -> None:
    """Raise unless `device` has the form of a device's name."""
    if not _DEVICE.fullmatch(str(device)):
        raise ValueError(
            f"The 'device' parameter of {owner} must be 'auto', 'cpu', 'cuda' or 'cuda:N'. "
            f"Got {device!r} instead."
        )


def get_config() -> dict[str, str]:
    """Return a copy of the configuration of the current thread.

    Returns
    -------
    config : dict
        Keys ``"backend"`` and ``"device"``.

    Examples
    --------
    >>> import skspike
    >>> skspike.get_config()["backend"]
    'auto'
    """
    return _current().copy()


def set_config(backend: str | None = None, device: str | None = None) -> None:
    """Set the configuration of the current thread; ``None`` leaves a key as it is.

    Parameters
    ----------
    backend : {"auto", "reference", "numba", "triton"}, default=None
        Which implementation runs the kernels. ``"auto"`` picks the fastest that can serve a call;
        a backend asked for by name never falls back.
    device : {"auto", "cpu", "cuda", "cuda:N"}, default=None
        Where estimators with ``device="auto"`` run. ``"auto"`` takes CUDA where there is one.

    Raises
    ------
    ValueError
        If a value is none of those above.

    Examples
    --------
    >>> import skspike
    >>> skspike.set_config(device="cpu")
    >>> skspike.get_config()["device"]
    'cpu'
    >>> skspike.set_config(device="auto")
    """
    if backend is not None and backend not in BACKENDS:
        raise ValueError(
            f"The 'backend' parameter of set_config must be one of {BACKENDS}. "
            f"Got {backend!r} instead."
        )
    if device is not None:
        check_device("set_config", device)
    config = _current()
    config.update({k: v for k, v in {"backend": backend, "device": device}.items() if v})


@contextmanager
def config_context(backend: str | None = None, device: str | None = None) -> Iterator[None]:
    """Set the configuration inside a ``with`` block and restore it afterwards.

    Parameters
    ----------
    backend : {"auto", "reference", "numba", "triton"}, default=None
        As in :func:`set_config`.
    device : {"auto", "cpu", "cuda", "cuda:N"}, default=None
        As in :func:`set_config`.

    Yields
    ------
    None

    Examples
    --------
    >>> import skspike
    >>> with skspike.config_context(backend="reference"):
    ...     skspike.get_config()["backend"]
    'reference'
    """
    before = get_config()
    set_config(backend=backend, device=device)
    try:
        yield
    finally:
        _local.config = before
