"""Encoded recordings that are kept in a folder, under the encoder and the content of each."""

from __future__ import annotations

import contextlib
import copy
import inspect
import os
import shutil
import sys
import uuid
from hashlib import blake2b
from pathlib import Path
from pickle import PicklingError

import joblib
import numpy as np

from .._events import EventCollection
from ._row_store import RowStore

__all__ = ["EncoderCache", "encoder_key", "open_store", "recording_keys"]

_TITLE = "encoder.txt"
_open: dict[tuple[int, str], RowStore] = {}  # by process, so that each writes one segment


class EncoderCache:
    """The folder in which estimators keep encoded recordings, looked at from outside.

    Estimators with ``cache=path`` fill the folder; no object of this class is needed for that. It
    says how large the folder is, and empties it.

    Parameters
    ----------
    path : str or path-like
        The folder that was given to the estimators; it need not exist.

    Attributes
    ----------
    n_rows : int
        Number of encoded recordings, of all encoders.
    nbytes : int
        Size of the files in bytes.

    Notes
    -----
    Each encoder has a sub-folder, whose ``encoder.txt`` describes it. Deleting sub-folders, or
    all of it, is safe at any time: what is missing is encoded again.

    Examples
    --------
    >>> import tempfile
    >>> from skspike import SMAClassifier
    >>> from skspike.datasets import make_moving_shapes
    >>> from skspike.encoders import EncoderCache
    >>> X, y = make_moving_shapes(n_samples=12, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = SMAClassifier(n_steps=2, width=4, max_epochs=1, cache=folder).fit(X, y)
    ...     EncoderCache(folder).n_rows
    12
    """

    def __init__(self, path):
        self.path = Path(path)

    @property
    def n_rows(self) -> int:
        """The number of encoded recordings, of all encoders."""
        return sum(entry["n_rows"] for entry in self.report())

    @property
    def nbytes(self) -> int:
        """The size of the files in bytes."""
        return sum(entry["nbytes"] for entry in self.report())

    def __repr__(self) -> str:
        """Return one line: folder, rows, encoders, size."""
        report = self.report()
        n_rows, nbytes = (sum(entry[name] for entry in report) for name in ("n_rows", "nbytes"))
        return (
            f"<EncoderCache {str(self.path)!r}: {n_rows} recordings by {len(report)} encoders, "
            f"{nbytes / 1e6:.1f} MB>"
        )

    def report(self) -> list[dict]:
        """Return what the folder holds, one dictionary for each encoder.

        Returns
        -------
        report : list of dict
            With the keys ``"encoder"`` (its description), ``"n_rows"``, ``"nbytes"`` and
            ``"folder"``, the largest first.
        """
        found = [_describe(title.parent) for title in self.path.glob(f"*/{_TITLE}")]
        return sorted(found, key=lambda entry: -entry["nbytes"])

    def clear(self) -> None:
        """Delete all encoded recordings, and nothing else that may lie in the folder."""
        for entry in self.report():
            shutil.rmtree(entry["folder"], ignore_errors=True)


def _describe(folder: Path) -> dict:
    """Return the line of the report on one encoder."""
    return {
        "encoder": (folder / _TITLE).read_text(encoding="utf-8").rstrip(),
        "n_rows": len(RowStore(folder)),
        "nbytes": sum(file.stat().st_size for file in folder.iterdir()),
        "folder": str(folder),
    }


def open_store(path, encoder) -> RowStore:
    """Return the rows of a fitted encoder in the folder of a cache."""
    folder = Path(os.path.abspath(path)) / encoder_key(encoder)
    place = os.getpid(), str(folder)
    if place not in _open or not (folder / _TITLE).exists():
        title = f"{_versioned(type(encoder))}\n{encoder!r}\n"
        with contextlib.suppress(OSError):  # what cannot be written can still be read
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _TITLE).write_text(title, encoding="utf-8")
        _open[place] = RowStore(folder)
    else:
        _open[place].refresh()
    return _open[place]


def encoder_key(encoder) -> str:
    """Return a digest of all that decides what a fitted encoder makes of a recording.

    That is its class with the version of the package, or the source code where there is none, its
    parameters and what it has learned. The number of jobs decides nothing.
    """
    params = encoder.get_params(deep=True) if hasattr(encoder, "get_params") else {}
    n_jobs = [name for name in params if name.split("__")[-1] == "n_jobs"]
    plain = copy.deepcopy(encoder).set_params(**dict.fromkeys(n_jobs)) if n_jobs else encoder
    code = sorted({line for part in (encoder, *params.values()) for line in _code_of(part)})
    try:
        return joblib.hash((code, plain))
    except PicklingError as error:
        raise TypeError(
            f"An encoder whose recordings are kept in a cache must pickle. Got {encoder!r} "
            f"instead: {error.args[0]}"
        ) from error


def _code_of(part) -> list[str]:
    """Name the classes of an object, or a function, if it has any code of its own."""
    if inspect.isroutine(part) or inspect.isclass(part):
        return [_versioned(part)]
    return [_versioned(cls) for cls in type(part).__mro__[:-1]] if hasattr(part, "__dict__") else []


def _versioned(code) -> str:
    """Name a class or function, with the version of its package or else its source code."""
    root = code.__module__.partition(".")[0]
    version = getattr(sys.modules.get(root), "__version__", None)
    if version is None and root != "builtins":
        try:
            version = blake2b(inspect.getsource(code).encode(), digest_size=8).hexdigest()
        except (OSError, TypeError):
            version = uuid.uuid4().hex  # nobody knows whether it is the code of the last time
    return f"{code.__module__}.{code.__qualname__} {version}"


def recording_keys(encoder_key: str, X: EventCollection) -> list[bytes]:
    """Return the key of each recording; equal recordings on sensors of one size have one key."""
    width, height = X.sensor_size
    context = f"{encoder_key} {width} {height} ".encode()
    return [blake2b(context + digest, digest_size=16).digest() for digest in _digests(X)]


def _digests(X: EventCollection) -> list[bytes]:
    """Return a digest of each recording; views of one buffer share what is known of it."""
    known = X._digests
    for stored, recording in zip(X.index.tolist(), X, strict=True):
        if stored not in known:
            known[stored] = blake2b(recording.view(np.uint8), digest_size=16).digest()
    return [known[stored] for stored in X.index.tolist()]
