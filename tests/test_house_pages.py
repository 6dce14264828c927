"""The code on the pages of the documentation runs, and gives what the comments beside it say."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.house import ROOT

PAGES = [Path("README.md"), *sorted(p.relative_to(ROOT) for p in ROOT.glob("docs/**/*.md"))]
FENCE = re.compile(r"^(<!-- not run: .+ -->\n)?```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def code_of(page: str) -> str:
    """Join the Python fences of a page, less those marked ``<!-- not run: why -->``."""
    return "\n".join(code for skip, code in FENCE.findall(page) if not skip)


def run(code: str) -> list[str]:
    """Run code; return where a comment beside an expression is not the expression's repr."""
    module = ModuleType("page")  # by this name its classes are pickled, as those of a script
    sys.modules["page"], names = module, vars(module)
    lines = code.splitlines()
    wrong = []
    for node in ast.parse(code).body:
        source = ast.unparse(node)
        if not isinstance(node, ast.Expr):
            exec(source, names)
            continue
        value = repr(eval(source, names))
        said = re.search(r"  # (.+)$", lines[node.end_lineno - 1])
        if said and said.group(1) != value:
            wrong.append(f"{source} gives {value}, not {said.group(1)}")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not run(code_of((ROOT / page).read_text()))


def test_a_wrong_comment_is_found():
    page = "```python\nx = 2\n```\ntext\n```python\nx + 1  # 4\nx  # 2\n```\n"
    assert run(code_of(page)) == ["x + 1 gives 3, not 4"]
    assert run(code_of(f"<!-- not run: no -->\n{page[:19]}")) == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_begins_with_a_title_and_a_sentence(page):
    title, _, text = (ROOT / page).read_text().partition("\n")
    assert title.startswith("# ")
    first = text.strip().partition("\n\n")[0]
    assert re.match(r"[A-Z{]|skspike", first), f"{page} begins with no sentence"
    assert first.endswith((".", ":")), f"{page} begins with no sentence"


def test_the_files_that_the_readme_names_exist():
    names = re.findall(r"\b(?:docs|examples)/[\w./-]*\w", (ROOT / "README.md").read_text())
    made_by_a_build = {"docs/_build"}
    assert len(names) > 5
    assert not [
        name for name in names if not (ROOT / name).exists() and name not in made_by_a_build
    ]
