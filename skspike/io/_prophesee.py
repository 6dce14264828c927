"""The text at the head of Prophesee's files: lines ``% key value``, and the sensor they name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ._format import HEAD
from ._log import DecodeLog

_LINE = re.compile(rb"% ?([\x20-\x7e\t\xa0-\xff]*)\r?\n")
_LONGEST = 2**16  # bytes; a header is text of some hundred
_MAX_SIDE = 2**15
# What older files do not say: sizes of the sensor generations.
_GENERATIONS = (
    (re.compile(r"gen ?x320", re.I), (320, 320)),
    (re.compile(r"gen ?4|imx6[34]6|^4\.", re.I), (1280, 720)),
    (re.compile(r"gen ?3|^3\.", re.I), (640, 480)),
)


@dataclass(frozen=True)
class Header:
    """The fields of a header, with lower-case keys, and the byte at which the data begin."""

    fields: dict[str, str]
    stop: int


def parse_header(head: bytes) -> Header:
    """Read lines until ``% end``, or until something is no such line."""
    fields: dict[str, str] = {}
    stop = 0
    while line := _LINE.match(head, stop):
        stop = line.end()
        key, _, value = line[1].decode("latin-1").strip().partition(" ")
        if key == "end":
            break
        fields[key.lower()] = value.strip()
    return Header(fields, stop)


def read_header(path: Path) -> Header:
    """Read the header of a file."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
        header = parse_header(head)
        if header.stop > HEAD // 2:  # a longer one may reach over what was read
            header = parse_header(head + file.read(_LONGEST))
    return header


def options(fields: dict[str, str]) -> dict[str, str]:
    """Return the options in a field such as ``format EVT3;height=720;width=1280``."""
    parts = fields.get("format", "").split(";")[1:]
    return {key.strip(): value.strip() for key, _, value in (part.partition("=") for part in parts)}


def sensor_size(header: Header, log: DecodeLog) -> tuple[int, int] | None:
    """Return the size of the sensor that a header states, or that its generation has."""
    fields = {**header.fields, **options(header.fields)}
    if "geometry" in fields:
        stated = fields["geometry"].lower().split("x")
    elif "width" in fields and "height" in fields:
        stated = [fields["width"], fields["height"]]
    else:
        return _usual_size(fields)
    try:
        width, height = map(int, stated)
    except ValueError:
        width = height = 0
    if 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE:
        return width, height
    log.damage(0, f"its header states no size that a sensor can have: {'x'.join(stated)!r}")
    return None


def _usual_size(fields: dict[str, str]) -> tuple[int, int] | None:
    """Return the size of the sensor by the name of its generation."""
    for key in ("sensor_name", "plugin_name", "sensor_generation", "generation"):
        for pattern, size in _GENERATIONS:
            if pattern.search(fields.get(key, "")):
                return size
    return None
