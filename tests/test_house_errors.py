"""The library raises what its conventions allow, and never by a bare assert."""

from __future__ import annotations

import ast
import builtins

import pytest

from skspike import exceptions
from tests.house import PACKAGE

# NotImplementedError marks an abstract method; AttributeError, IndexError and KeyError are what
# Python's own protocols ask for; ImportError names a missing extra.
ALLOWED = {
    "AttributeError",
    "FileExistsError",
    "FileNotFoundError",
    "ImportError",
    "IndexError",
    "KeyError",
    "NotFittedError",
    "NotImplementedError",
    "RuntimeError",
    "StopIteration",
    "TypeError",
    "ValueError",
    *exceptions.__all__,
}
FILES = sorted(PACKAGE.rglob("*.py"))


def asserts(source: str) -> list[int]:
    """Return the lines of bare asserts: they vanish under ``python -O``."""
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]


def strange_raises(source: str) -> list[str]:
    """Return the names of raised exceptions that the conventions do not know."""
    raises = [node.exc for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise)]
    calls = [exc.func if isinstance(exc, ast.Call) else exc for exc in raises if exc]
    names = [call.id for call in calls if isinstance(call, ast.Name)]
    known = {*dir(builtins), *exceptions.__all__, *ALLOWED}
    return [name for name in names if name in known - ALLOWED]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_library_code_raises_by_the_conventions(file):
    source = file.read_text()
    assert not asserts(source)
    assert not strange_raises(source)


def test_planted_faults_are_found():
    assert asserts("def f(x):\n    assert x > 0") == [2]
    assert strange_raises("def f(x):\n    raise Exception('no')") == ["Exception"]
    assert strange_raises("def f(error):\n    raise ValueError('no') from error") == []


@pytest.mark.parametrize("name", exceptions.__all__)
def test_our_errors_are_caught_by_a_builtin_name(name):
    error = getattr(exceptions, name)
    bases = {
        "BackendError": RuntimeError,
        "DownloadError": OSError,
        "EventFormatError": ValueError,
        "ProcessLostError": RuntimeError,
    }
    assert issubclass(error, bases.get(name, UserWarning))
    assert str(error("one sentence.")) == "one sentence."
