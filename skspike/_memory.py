"""How much memory there is left to take."""

from __future__ import annotations

import os
from pathlib import Path

_MACHINE = Path("/proc/meminfo")
_GROUPS = Path("/sys/fs/cgroup")  # where a container's own limit is found
_UNKNOWN = 2**32


def free_memory() -> int:
    """Return how many bytes this process can take without swapping, as far as the system tells."""
    limits = [_available(), _left_in_group()]
    return max(min(limit for limit in limits if limit is not None), 0)


def _available() -> int:
    """Return the memory of the machine that is free or can be freed at once."""
    try:
        lines = _MACHINE.read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return _half_of_all()


def _half_of_all() -> int:
    """Guess where the system tells how much memory there is, but not how much is free."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN


def _left_in_group() -> int | None:
    """Return what the limit of a control group leaves, None where there is no limit."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, now = (int((_GROUPS / name).read_text()) for name in (limit, used))
            stat = (_GROUPS / limit).with_name("memory.stat").read_text().splitlines()
        except (OSError, ValueError):  # no such group, or a limit that reads "max"
            continue
        # files that were read count as used, though they give way at once
        freed = sum(int(line.split()[1]) for line in stat if line.startswith(f"{cache} "))
        return most - now + freed
    return None
