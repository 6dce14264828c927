"""Every public docstring is complete numpydoc, and the defaults it states are the real ones."""

from __future__ import annotations

import ast
import inspect
import re

import pytest
from numpydoc.docscrape import NumpyDocString, get_doc_object
from numpydoc.validate import validate

from tests.house import public_callables, public_modules

# The codes of numpydoc.validate that are no rule of ours, for any object.
NOT_OURS = {
    "ES01",  # a summary that says it all needs no second paragraph
    "RT02",  # returned values are named, as in scikit-learn
    "SA01",  # See Also is for what is not found at the first guess
}
CALLABLES = public_callables()
WITH_PARAMETERS = [
    name
    for name, obj in CALLABLES.items()
    if not isinstance(obj, property)
    and not (inspect.isclass(obj) and issubclass(obj, BaseException))
]


# torch's own protocol: its callers are torch's, and the class says which shapes go in and out.
TORCH_PROTOCOL = {"extra_repr", "forward"}


def faults(obj: object) -> list[str]:
    """Return what numpydoc finds wrong with the docstring of an object."""
    ignored = set(NOT_OURS)
    if _needs_no_example(obj):
        ignored.add("EX01")
    if _is_used_as_its_parent(obj):
        ignored.update({"EX01", "PR01"})
    if getattr(obj, "__name__", None) in TORCH_PROTOCOL:
        ignored.update({"PR01", "RT01"})
    found = validate(get_doc_object(obj))["errors"]
    return [f"{code}: {text}" for code, text in found if code not in ignored]


def _needs_no_example(obj: object) -> bool:
    """Methods and properties are shown in their class's example; exceptions need none."""
    if inspect.isclass(obj):
        return issubclass(obj, BaseException)
    return isinstance(obj, property) or re.search(r"\w\.\w+$", obj.__qualname__) is not None


def _is_used_as_its_parent(obj: object) -> bool:
    """A class that takes over its parent's parameters, and begins by naming the parent."""
    if not inspect.isclass(obj):
        return False
    if (getattr(obj.__init__, "__module__", None) or "").startswith("skspike"):
        return False
    return any(f".{parent.__name__}`" in (obj.__doc__ or "") for parent in obj.__mro__[1:])


def wrong_defaults(obj: object) -> list[str]:
    """Compare each ``default=`` of a docstring's type lines with the signature."""
    documented = {}
    for entry in NumpyDocString(inspect.getdoc(obj) or "")["Parameters"]:
        documented.update({name.strip("* "): entry.type for name in entry.name.split(",")})
    return [
        f"{parameter.name}: {sentence}"
        for parameter in inspect.signature(obj).parameters.values()
        if parameter.name in documented
        and (sentence := _disagreement(parameter, documented[parameter.name]))
    ]


def _disagreement(parameter: inspect.Parameter, type_line: str) -> str | None:
    """Say how a type line and a signature disagree about a default, if they do."""
    found = re.search(r"\bdefault=(.+)$", type_line)
    if parameter.default is parameter.empty:
        return f"documents {found.group()}, but is required" if found else None
    if not found and not (type_line == "None" and parameter.default is None):
        return f"does not document its default {parameter.default!r}"
    if found and not _same(found.group(1), parameter.default):
        return f"documents {found.group()}, but the default is {parameter.default!r}"
    return None


def _same(text: str, value: object) -> bool:
    """Tell whether a documented literal (or, failing that, a repr or a name) is the value."""
    try:
        literal = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text in (repr(value), getattr(value, "__name__", None))
    return type(literal) is type(value) and literal == value


@pytest.mark.parametrize("module", public_modules(), ids=lambda module: module.__name__)
def test_public_modules_say_what_they_are_for(module):
    summary = (module.__doc__ or "").strip().split("\n\n")[0]
    assert summary.endswith("."), f"{module.__name__} needs a docstring with a summary sentence"


@pytest.mark.parametrize("name", CALLABLES)
def test_docstring_is_complete(name):
    assert not faults(CALLABLES[name])


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_documented_defaults_are_the_real_ones(name):
    assert not wrong_defaults(CALLABLES[name])


# --- The checks see what they are for ---


def _good(tau, alpha=2.0, *, backend="auto"):
    """Return the number.

    Parameters
    ----------
    tau : float
        The time constant.
    alpha : float, default=2.0
        The sharpness.
    backend : {"auto", "numba"}, default="auto"
        The backend.

    Returns
    -------
    number : float
        The number.

    Examples
    --------
    >>> 1.0
    1.0
    """
    return tau


def _plant(old: str, new: str, function=_good):
    """Return a copy of the good function with a fault in its docstring."""
    copy = type(function)(function.__code__, function.__globals__, function.__name__)
    copy.__defaults__, copy.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    copy.__doc__ = function.__doc__.replace(old, new)
    assert copy.__doc__ != function.__doc__
    return copy


def test_a_good_docstring_passes():
    assert not faults(_good)
    assert not wrong_defaults(_good)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("    tau : float\n        The time constant.\n", "", "PR01"),
        ("alpha : float", "alfa : float", "PR02"),
        ("tau : float\n", "tau\n", "PR04"),
        ("        The sharpness.\n", "", "PR07"),
        ("    Returns\n    -------\n    number : float\n        The number.\n\n", "", "RT01"),
        (_good.__doc__[_good.__doc__.index("    Examples") :], "", "EX01"),
        (_good.__doc__, "", "GL08"),
    ],
)
def test_a_planted_fault_is_found(old, new, code):
    assert any(fault.startswith(code) for fault in faults(_plant(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("default=2.0", "default=4.0"),
        ("default=2.0", "default=2"),  # an int is not a float
        (", default=2.0", ""),
        ('default="auto"', "default=None"),
        ("tau : float", "tau : float, default=2.0"),
    ],
)
def test_a_wrong_default_is_found(old, new):
    assert len(wrong_defaults(_plant(old, new))) == 1
