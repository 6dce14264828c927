"""A newcomer finds the right file at the first guess: the trees of code, tests and docs agree."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

import skspike
from tests.house import PACKAGE, ROOT, public_objects

TESTS = ROOT / "tests"
NO_TWIN = {
    "test_house_*.py": "about the package as a whole",
    "*golden*.py": "one set of vectors runs through several floors",
    "models/test_compiled.py": "what torch does to every network",
    "benchmarks/*": "timing is not a test; the benchmarks check parity themselves",
    "fuzz/*": "damaged files of every format, in child processes",
}
TEST_FILES = sorted(str(file.relative_to(TESTS)) for file in TESTS.rglob("test_*.py"))
MODULES = sorted(str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("_[!_]*.py"))
PUBLIC_MODULES = sorted(str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("[!_]*.py"))


def covers(test: str, module: str) -> bool:
    """Tell whether a test file's name begins with that of a module, or of its operator."""
    if Path(test).parent != Path(module).parent:
        return False
    operator = re.sub(r"_(numba|reference|triton)$", "", Path(module).stem.lstrip("_"))
    return re.match(rf"test_{operator}(_|$)", Path(test).stem) is not None


@pytest.mark.parametrize("test", TEST_FILES)
def test_every_test_file_has_its_module(test):
    free = any(fnmatch(test, pattern) for pattern in NO_TWIN)
    assert free or any(covers(test, module) for module in [*MODULES, *PUBLIC_MODULES]), (
        f"tests/{test} mirrors no module of skspike"
    )


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_test_file(module):
    assert any(covers(test, module) for test in TEST_FILES), f"skspike/{module} has no test file"


def test_the_mirror_rule_sees_faults():
    assert covers("nn/test_sma_zoneout.py", "nn/_sma.py")
    assert covers("kernels/test_lif.py", "kernels/_lif_numba.py")
    assert not covers("kernels/test_lifetime.py", "kernels/_lif.py")
    assert not covers("nn/test_lif.py", "kernels/_lif.py")


def test_the_changelog_has_the_version_being_made():
    released = re.sub(r"\.?dev\d+$", "", skspike.__version__)
    changelog = (ROOT / "docs" / "changelog.md").read_text()
    section = changelog.partition(f"## {released}")[2].partition("\n## ")[0]
    lines = re.findall(r"^\* .+", section, flags=re.MULTILINE)
    assert len(lines) >= 8, f"docs/changelog.md must list the changes of {released}"


@pytest.mark.parametrize("name", sorted({n.rpartition(".")[2] for n in public_objects()}))
def test_every_public_name_is_in_the_changelog(name):
    assert name in (ROOT / "docs" / "changelog.md").read_text()
