"""Load a folder of recordings, with a class for each sub-folder or a table of labels."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._validation import check_choice
from ..io import read_events

_OWNER = "load_event_folder"


def load_event_folder(
    root,
    *,
    labels=None,
    groups=None,
    sensor_size=None,
    format=None,
    errors="raise",
    return_X_y=False,
):
    """Load a folder of recordings of your own.

    By default the class of a recording is the name of the sub-folder of `root` in which its file
    lies, at any depth. With `labels`, a table says which files to load, and their classes.

    Parameters
    ----------
    root : str or path-like
        The folder. Files may be of any format that :func:`skspike.io.read_events` knows, each with
        one recording.
    labels : str or path-like, default=None
        A CSV file with the columns ``path``, ``label`` and possibly ``group``, named in its first
        line. Paths are relative to `root`, and labels that are all whole numbers become ints.
    groups : {"folder"} or callable, default=None
        What the groups are: with "folder" the names of the folders in which the files lie, below
        those of the classes if there are any; with a callable, what it returns for the path of a
        file, a ``pathlib.Path`` relative to `root`. By default the column ``group`` of
        `labels` if there is one, else there are none.
    sensor_size : tuple of int (width, height), default=None
        Size of the sensor in pixels. By default that stated by the files, else the smallest that
        holds all events.
    format : str, default=None
        Name of the format, for files that cannot be told by their content. By default each file
        is looked at.
    errors : {"raise", "salvage"}, default="raise"
        What to do about a damaged file: raise, or keep what can be read and warn once.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with the attributes

        data : EventCollection of n_samples recordings
            The recordings, sorted by their paths; with `labels`, in the order of the table.
        target : ndarray of shape (n_samples,)
            The classes: those of sub-folders as numbers, those of `labels` as they are.
        groups : ndarray of shape (n_samples,) or None
            The groups, for instance to split by.
        target_names : ndarray of str of shape (n_classes,)
            The names of the classes: of sub-folders, number ``k`` is the class named
            ``target_names[k]``.
        filenames : ndarray of str of shape (n_samples,)
            The paths of the files, relative to `root`.
        DESCR : str
            A description.
    (data, target) : tuple
        The first two of these, with ``return_X_y=True``.

    Raises
    ------
    EventFormatError
        If a file is of no known format, or damaged; the message names it. It is a ``ValueError``.
    ValueError
        If there is no file to load, if a file holds more or less than one recording, or if the
        table of labels cannot be used.
    FileNotFoundError
        If the folder, the table, or a file that the table names does not exist.

    Warns
    -----
    EventLossWarning
        If damaged files were salvaged: how many events were read, and what was left out.

    See Also
    --------
    skspike.io.read_events : Reads files without labels, and lists the formats.

    Notes
    -----
    Files and folders whose names begin with a dot are left alone and, without `labels`, so are
    files that lie in `root` itself. All other files must be recordings: to leave out one that
    cannot be read would change a data set silently.

    Names are sorted by their characters, on every system alike, so that a data set is in the same
    order wherever it is loaded.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skspike.datasets import load_event_folder, make_moving_shapes
    >>> from skspike.io import write_events
    >>> X, y = make_moving_shapes(n_samples=4, shapes=("bar", "disc"), random_state=0)
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for i, k in enumerate(y):
    ...         folder = Path(root, ["bar", "disc"][k])
    ...         folder.mkdir(exist_ok=True)
    ...         write_events(X[[i]], folder / f"{i}.npz")
    ...     shapes = load_event_folder(root)
    >>> shapes.data
    <EventCollection: 4 recordings, ... events, sensor_size=(32, 32)>
    >>> shapes.target, shapes.target_names.tolist()
    (array([0, 0, 1, 1]), ['bar', 'disc'])
    """
    check_choice(_OWNER, "errors", errors, ("raise", "salvage"))
    _check_groups(groups)
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(
            f"The 'root' parameter of {_OWNER} must be a folder. Got {str(root)!r} instead."
        )
    if labels is None:
        names, classes = _list_classes(root)
        target_names, target = np.unique(classes, return_inverse=True)
        group_of = None
    else:
        names, classes, group_of = _read_table(Path(labels), root)
        target = _as_numbers(classes)
        target_names = np.unique(target).astype(str)
    if groups is not None:
        group_of = [_group(groups, Path(name), labels is None) for name in names]
    data = _read(root, names, sensor_size=sensor_size, format=format, errors=errors)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        groups=None if group_of is None else _as_numbers(group_of),
        target_names=target_names,
        filenames=np.array(names),
        DESCR=f"{len(names)} recordings of {len(target_names)} classes from {root}.",
    )


def _check_groups(groups) -> None:
    """Raise unless `groups` is None, a callable or the name of a rule."""
    if groups is not None and not callable(groups):
        check_choice(_OWNER, "groups", groups, ("folder",))


def _list_classes(root: Path) -> tuple[list[str], list[str]]:
    """Return the files below the sub-folders, sorted, and the first folder of each."""
    names = []
    for folder, folders, files in os.walk(root, onerror=_raise, followlinks=True):
        here = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if not name.startswith(".")]
        if here.parts:
            names += [(here / name).as_posix() for name in files if not name.startswith(".")]
    if not names:
        raise ValueError(
            f"The 'root' parameter of {_OWNER} must hold a sub-folder of recordings for each "
            f"class, or 'labels' be given. Got no file below the sub-folders of {str(root)!r}."
        )
    names.sort()
    return names, [name.partition("/")[0] for name in names]


def _raise(error: OSError) -> None:
    """Raise what walking through folders would pass over."""
    raise error


def _read_table(path: Path, root: Path) -> tuple[list[str], list[str], list[str] | None]:
    """Return the paths, labels and groups of a CSV file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = csv.DictReader(text.splitlines(), skipinitialspace=True, strict=True)
        header = rows.fieldnames or []
        lines = [(rows.line_num, row) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"The table {str(path)!r} of {_OWNER} must be a CSV file in UTF-8. Got: {error}."
        ) from error
    if not {"path", "label"} <= {*header}:
        raise ValueError(
            f"The table {str(path)!r} of {_OWNER} must have the columns path and label, and "
            f"may have group, named in its first line. Got {header} instead."
        )
    columns = {name: [] for name in ("path", "label", "group") if name in header}
    for number, row in lines:
        _check_row(row, columns, root, f"Line {number} of {str(path)!r}")
        for name, column in columns.items():
            column.append(row[name].strip())
    if not columns["path"]:
        raise ValueError(f"The table {str(path)!r} of {_OWNER} must name a file. Got none.")
    return columns["path"], columns["label"], columns.get("group")


def _check_row(row: dict, columns: dict, root: Path, where: str) -> None:
    """Raise unless a row of the table has what it needs and its file exists."""
    missing = [name for name in columns if not (row[name] or "").strip()]
    if missing or None in row:
        got = f"none for {', '.join(missing)}" if missing else f"{len(row[None])} more"
        raise ValueError(f"{where} must have one value for each column. Got {got} instead.")
    file = root / row["path"].strip()
    if not file.exists():
        raise FileNotFoundError(f"{where} must name a file. Got {str(file)!r}, which is none.")


def _as_numbers(labels: list) -> np.ndarray:
    """Return labels as ints if all are whole numbers, else as they are."""
    array = np.array(labels)
    if array.dtype.kind != "U":
        return array
    try:
        numbers = array.astype(np.int64)
    except (ValueError, OverflowError):
        return array
    # "007" and "7" are two labels
    return numbers if (numbers.astype(array.dtype) == array).all() else array


def _group(groups, name: Path, by_class: bool) -> object:
    """Return the group of a file."""
    return "/".join(name.parts[int(by_class) : -1]) if isinstance(groups, str) else groups(name)


def _read(root: Path, names: list[str], **options):
    """Read the files, each of one recording."""
    X = read_events([root / name for name in names], **options)
    if len(X) != len(names):
        for name in names:  # find out which
            n = len(read_events([root / name], **options))
            if n != 1:
                raise ValueError(
                    f"File {str(root / name)!r} of {_OWNER} must hold one recording. "
                    f"Got {n} instead."
                )
    return X
