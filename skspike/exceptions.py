"""Exceptions and warnings of skspike: each carries one sentence saying what, where and got what."""

__all__ = [
    "BackendError",
    "DownloadError",
    "EventFormatError",
    "EventLossWarning",
    "ProcessLostError",
]


class BackendError(RuntimeError):
    """A backend asked for by name cannot serve the call."""


class DownloadError(OSError):
    """A file cannot be downloaded, or what came is not what it should be."""


class EventFormatError(ValueError):
    """A file or buffer does not hold events in the format it claims.

    Parameters
    ----------
    message : str
        The sentence that the error shows.
    path : str, default=None
        The file, where it is known.
    offset : int, default=None
        Byte of the file at which the damage was found, where it is known.
    reason : str, default=None
        What is wrong there, without the name of the file.

    Attributes
    ----------
    path, offset, reason
        As given.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        offset: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.path = path
        self.offset = offset
        self.reason = reason


class EventLossWarning(UserWarning):
    """Some events of a recording do not appear in the output; the message says how many and why."""


class ProcessLostError(RuntimeError):
    """Another process, with which this one shares its work, has ended or no longer answers."""
