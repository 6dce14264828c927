import pytest

from skspike import _memory
from skspike._memory import free_memory


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return the folder that stands for the system's, with 8 MiB free and no group's limit."""
    (tmp_path / "meminfo").write_text("MemTotal: 16384 kB\nMemAvailable:    8192 kB\n")
    monkeypatch.setattr(_memory, "_MACHINE", tmp_path / "meminfo")
    monkeypatch.setattr(_memory, "_GROUPS", tmp_path)
    return tmp_path


def write_group(folder, limit, used, stat, names):
    for name, content in zip(names, (limit, used, stat), strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{content}\n")


NEW = ("memory.max", "memory.current", "memory.stat")
OLD = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat")


def test_this_machine_has_memory():
    assert 2**20 < free_memory() < 2**50


def test_the_machine_decides_where_nothing_else_does(machine):
    assert free_memory() == 8 * 2**20
    write_group(machine, "max", 5, "inactive_file 2", NEW)
    assert free_memory() == 8 * 2**20


@pytest.mark.parametrize(("names", "cache"), [(NEW, "inactive_file"), (OLD, "total_inactive_file")])
def test_a_group_has_what_its_limit_leaves(machine, names, cache):
    write_group(machine, 1000, 700, f"anon 5\n{cache} 150\nother 3", names)
    assert free_memory() == 450
    write_group(machine, 1000, 1700, "anon 5", names)
    assert free_memory() == 0


@pytest.mark.parametrize("content", [None, "MemTotal: 5 kB\n", "MemAvailable: many\n", ""])
def test_where_the_system_does_not_tell_half_of_all_is_free(machine, content, monkeypatch):
    (machine / "meminfo").unlink()
    if content is not None:
        (machine / "meminfo").write_text(content)
    monkeypatch.setattr(_memory.os, "sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4}.get)
    assert free_memory() == 20
    monkeypatch.delattr(_memory.os, "sysconf")
    assert free_memory() == 2**32
