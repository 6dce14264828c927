"""Specialised kernels: what decides a version, and a disk cache that is never stale nor needed."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from skspike._compile_numba import specialize
from tests.house import ROOT

TEMPLATES = """
def total(x):
    s = 0.0
    for value in x:
        s += term(value)
    return s
"""
HELPERS = """
def scaled(value):
    return FACTOR * value


def shifted(value):
    return value + 1
"""
SCRIPT = """
import logging, sys
import numpy as np
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
from skspike._compile_numba import specialize
import helpers, templates
kernel = specialize(templates.total, term=helpers.scaled, FACTOR=3.0)
print("total", kernel(np.arange(4, dtype=sys.argv[1])))
"""


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the templates' source, and their helpers' in another file."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "templates.py").write_text(TEMPLATES)
    (tmp_path / "package" / "helpers.py").write_text(HELPERS)
    return tmp_path / "package"


@pytest.fixture
def templates(folder, monkeypatch):
    """Import both files, without byte-code files: their stamp could be that of older source."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    functions = {}
    for name in ("templates", "helpers"):
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        functions |= vars(module)
    return SimpleNamespace(**functions)


def start(folder, dtype="float64", home=None):
    """Begin a process that computes a total with one of the templates, and prints it."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home or folder),
        "XDG_CACHE_HOME": str(home or folder),
    }
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", SCRIPT, dtype]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process):
    """Return what a process printed; it must have succeeded."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


def compiled_files(folder):
    """Return the files of machine code below a folder."""
    return sorted(folder.rglob("*.nbc"))


# --- what decides a version ---


X = np.arange(4.0)


def test_constants_decide(templates):
    for factor in (2.0, 3.0):
        assert specialize(templates.total, term=templates.scaled, FACTOR=factor)(X) == 6 * factor


def test_helper_functions_decide(templates):
    options = {"FACTOR": 2.0}
    assert specialize(templates.total, term=templates.scaled, **options)(X) == 12
    assert specialize(templates.total, term=templates.shifted, **options)(X) == 10


def test_the_template_stays_a_plain_function_without_constants(templates):
    specialize(templates.total, term=templates.shifted)(X)
    with pytest.raises(NameError, match="term"):
        templates.total(X)


def test_equal_constants_share_a_version(templates):
    first = specialize(templates.total, term=templates.scaled, FACTOR=2.0)
    assert specialize(templates.total, FACTOR=2.0, term=templates.scaled) is first


@pytest.mark.parametrize("other", [2, 2.0, np.float32(2)])
def test_equal_constants_of_another_type_make_another_version(templates, other):
    mine = specialize(templates.total, term=templates.scaled, FACTOR=other)
    same = [f for f in (2, 2.0, np.float32(2)) if type(f) is type(other)]
    every = [
        specialize(templates.total, term=templates.scaled, FACTOR=f)
        for f in (2, 2.0, np.float32(2))
    ]
    assert sum(version is mine for version in every) == len(same)


def test_a_version_serves_the_types_of_its_first_call_alone(templates):
    kernel = specialize(templates.total, term=templates.scaled, FACTOR=5.0)
    kernel(X)
    with pytest.raises(TypeError, match="No matching definition"):
        kernel(X.astype(np.float32))


def test_constants_that_nothing_names_do_not_make_a_version(templates):
    first = specialize(templates.total, term=templates.shifted, FACTOR=2.0)
    assert specialize(templates.total, term=templates.shifted, FACTOR=3.0, OTHER=[]) is first


def test_the_type_of_the_numbers_makes_a_version_even_if_nothing_names_it(templates):
    term = templates.scaled
    single = specialize(templates.total, term=term, FACTOR=2.0, real=np.float32)
    double = specialize(templates.total, term=term, FACTOR=2.0, real=np.float64)
    assert single(np.arange(4, dtype=np.float32)) == double(np.arange(4.0)) == 12


def test_threads_that_meet_at_the_first_call_all_succeed(templates):
    for i in range(20):
        kernel = specialize(templates.total, term=templates.scaled, FACTOR=100.0 + i)
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(kernel, [np.ones(1)] * 8))
        assert results == [100.0 + i] * 8


def test_compiling_is_logged_once(templates, caplog):
    kernel = specialize(templates.total, term=templates.shifted)
    with caplog.at_level(logging.INFO, logger="skspike"):
        kernel(X)
        kernel(X)
    (record,) = caplog.records
    assert record.name == "skspike"
    assert record.getMessage().startswith("compiled kernel total_")


# --- the disk cache ---


def test_a_second_process_finds_the_kernel_compiled(folder):
    first = finish(start(folder))
    assert "compiled kernel total_" in first
    assert "total 18.0" in first
    (file,) = compiled_files(folder)
    assert file.parent == folder / "__pycache__"
    assert finish(start(folder)) == "total 18.0\n"
    assert compiled_files(folder) == [file]


@pytest.mark.parametrize(
    ("name", "old", "new", "total"),
    [
        ("templates.py", "s = 0.0", "s = 7.0", "25.0"),
        ("helpers.py", "FACTOR * value", "FACTOR - value", "6.0"),
    ],
)
def test_an_edited_source_never_meets_stale_code(name, old, new, total, folder):
    """Not even if size and time stamp of the file are the same."""
    finish(start(folder))
    source = folder / name
    stamp = source.stat()
    source.write_text(source.read_text().replace(old, new))
    os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert source.stat().st_size == stamp.st_size
    assert f"total {total}" in finish(start(folder))


def test_processes_that_meet_at_a_cold_cache_all_succeed(folder):
    for _ in range(2):
        processes = [start(folder) for _ in range(4)]
        assert all("total 18.0" in finish(process) for process in processes)
    assert finish(start(folder)) == "total 18.0\n"


def test_a_read_only_install_caches_in_the_users_folder(folder, tmp_path):
    (folder / "__pycache__").touch()  # a file, where numba wants a folder: so not even root can
    home = tmp_path / "home"
    assert "compiled kernel" in finish(start(folder, home=home))
    assert not compiled_files(folder)
    assert len(compiled_files(home)) == 1
    assert finish(start(folder, home=home)) == "total 18.0\n"


def test_without_any_place_for_a_cache_kernels_still_run(folder, tmp_path):
    (folder / "__pycache__").touch()
    (tmp_path / "home").touch()
    output = finish(start(folder, home=tmp_path / "home"))
    assert "kernels are not cached on disk" in output
    assert "total 18.0" in output
    assert not compiled_files(tmp_path)


def test_functions_inside_are_named_after_the_version():
    """Cached machine code is linked by name: two versions must not share that of an inner one."""
    names = set()
    for constant in (1.0, 2.0):
        kernel = specialize(_outer, inner=_inner, CONSTANT=constant)
        names.add(kernel.__wrapped__.py_func.__globals__["inner"].py_func.__qualname__)
    assert len(names) == 2


def test_templates_share_the_functions_inside():
    """Or each of a template's versions would compile all of them anew."""
    found = [
        specialize(outer, inner=_inner, CONSTANT=constant, OTHER=other)
        for outer, constant, other in ((_outer, 1.0, 1), (_other, 1.0, 1), (_other, 1.0, 2))
    ]
    functions = {id(kernel.__wrapped__.py_func.__globals__["inner"]) for kernel in found}
    assert len(functions) == 1
    assert [kernel(1.0) for kernel in found] == [2, 3, 4]


def _outer(x):
    return inner(x)


def _other(x):
    return inner(x) + OTHER


def _inner(x):
    return x + CONSTANT


inner = CONSTANT = OTHER = None  # bound by `specialize`
