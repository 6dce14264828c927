"""The folder of downloaded data sets."""

from __future__ import annotations

import os
from pathlib import Path


def get_data_home(data_home=None) -> str:
    """Return the folder in which downloaded data sets are kept, and make it if there is none.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder; a ``~`` stands for the user's own. By default what the environment variable
        ``SKSPIKE_DATA`` says, and without it ``~/skspike_data``.

    Returns
    -------
    data_home : str
        The path of the folder.

    See Also
    --------
    sklearn.datasets.get_data_home : The same for the data sets of scikit-learn.

    Examples
    --------
    >>> import os, tempfile
    >>> from skspike.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     home = get_data_home(os.path.join(folder, "events"))
    ...     os.path.isdir(home)
    True
    """
    if data_home is None:
        data_home = os.environ.get("SKSPIKE_DATA") or "~/skspike_data"
    folder = Path(data_home).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
