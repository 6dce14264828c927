"""Exceptions and warnings of skspike: each carries one sentence saying what, where and got what."""

__all__ = ["BackendError", "EventFormatError", "EventLossWarning", "ProcessLostError"]


class BackendError(RuntimeError):
    """A backend asked for by name cannot serve the call."""


class EventFormatError(ValueError):
    """A file or buffer does not hold events in the format it claims."""


class EventLossWarning(UserWarning):
    """Some events of a recording do not appear in the output; the message says how many and why."""


class ProcessLostError(RuntimeError):
    """Another process, with which this one shares its work, has ended or no longer answers."""
