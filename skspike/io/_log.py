"""What a decoder has to say about a file: its sensor, and its damages, which raise or are counted.

A damage raises at once with ``errors="raise"``; with ``errors="salvage"`` it is noted, the decoder
goes on where it can, and one warning at the end says what the caller did not get.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from ..exceptions import EventFormatError, EventLossWarning

_NAMED = 3  # files that a warning names


class DecodeLog:
    """The sensor size and the damages of one file."""

    def __init__(self, path: str | Path, salvage: bool) -> None:
        self.path = path
        self.salvage = salvage
        self.sensor_size: tuple[int, int] | None = None
        self.n_events = 0  # handed to the caller
        self.n_lost = 0  # events known to be left out
        self.n_bytes = 0  # bytes left out that could not be decoded
        self.n_damages = 0
        self.first = ""  # the first damage, in words

    def damage(
        self,
        offset: int | None,
        reason: str,
        *,
        n_events: int = 0,
        n_bytes: int = 0,
        times: int = 1,
    ) -> None:
        """Raise EventFormatError, or in salvage mode take note and return.

        `reason` completes the sentence "File ... is damaged at byte `offset`: ...". `n_events` and
        `n_bytes` say what is left out if reading goes on; `times` counts equal damages together.
        """
        if not self.salvage:
            raise damaged(self.path, offset, reason)
        if self.n_damages == 0:
            self.first = _where(offset) + reason
        self.n_damages += times
        self.n_lost += n_events
        self.n_bytes += n_bytes

    def summary(self) -> str:
        """Return what is damaged and left out, in one sentence."""
        lost = [f"{self.n_lost} events"] if self.n_lost else []
        lost += [f"{self.n_bytes} bytes that hold no readable event"] if self.n_bytes else []
        return (
            f"File {str(self.path)!r} is damaged {_plural(self.n_damages, 'time')}, "
            f"first{self.first}; {_plural(self.n_events, 'event')} were read, "
            f"{' and '.join(lost) or 'nothing'} left out."
        )


def damaged(path: object, offset: int | None, reason: str) -> EventFormatError:
    """Return the error for a damaged file."""
    message = f"File {str(path)!r} is damaged{_where(offset)}{reason}."
    return EventFormatError(message, path=str(path), offset=offset, reason=reason)


def warn_of_damages(logs: Sequence[DecodeLog]) -> None:
    """Warn once of everything that was salvaged, if anything was damaged."""
    bad = [log for log in logs if log.n_damages]
    if not bad:
        return
    sentences = [log.summary() for log in bad[:_NAMED]]
    if len(bad) > _NAMED:
        sentences.append(f"{len(bad)} of {len(logs)} files are damaged.")
    warnings.warn(" ".join(sentences), EventLossWarning, stacklevel=3)


def _where(offset: int | None) -> str:
    return ": " if offset is None else f" at byte {offset}: "


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
