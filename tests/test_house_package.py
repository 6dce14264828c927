"""The package root is lazy, and no floor imports more than it may."""

import importlib.metadata
import subprocess
import sys

import pytest

import skspike
from tests.house import public_modules

HEAVY = {"numba", "scipy", "sklearn", "skorch", "tonic", "torch"}
FORBIDDEN = {
    "skspike": HEAVY,
    "skspike.exceptions": HEAVY,
    "skspike.datasets": {"numba", "skorch", "tonic", "torch"},
    "skspike.encoders": {"numba", "skorch", "tonic", "torch"},
    "skspike.io": HEAVY,
    "skspike.augment": {"numba", "skorch", "sklearn", "tonic"},
    "skspike.kernels": {"numba", "skorch", "sklearn", "tonic"},
    "skspike.nn": {"numba", "skorch", "sklearn", "tonic"},
    "skspike.energy": {"numba", "skorch", "sklearn", "tonic"},
    "skspike.models": {"numba", "skorch", "sklearn", "tonic"},
    "skspike.estimators": {"numba", "tonic"},
    "skspike.utils": {"numba", "skorch", "tonic", "torch"},
    "skspike.utils.estimator_checks": {"numba", "skorch", "tonic", "torch"},
}


def _imported_by(statement):
    """Run a statement in a new interpreter and return the heavy packages that it imported."""
    code = f"import sys\n{statement}\nprint(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_public_module_has_a_rule():
    assert {module.__name__ for module in public_modules()} <= set(FORBIDDEN)


@pytest.mark.parametrize(
    "forbidden", sorted({" ".join(sorted(names)) for names in FORBIDDEN.values()})
)
def test_importing_a_module_is_light(forbidden):
    """One process for all modules of which the same is asked."""
    modules = [name for name, names in FORBIDDEN.items() if names == set(forbidden.split())]
    assert not _imported_by(f"import {', '.join(modules)}") & set(forbidden.split())


def test_looking_around_the_root_is_light():
    statement = "import skspike; dir(skspike); skspike.get_config(); skspike.__version__"
    assert _imported_by(statement) == set()


def test_the_light_import_test_sees_an_import():
    assert "scipy" in _imported_by("import skspike, scipy")


@pytest.mark.parametrize("name", skspike.__all__)
def test_public_names_resolve(name):
    assert name in dir(skspike)
    assert getattr(skspike, name).__name__.rpartition(".")[2] == name


def test_classes_are_those_of_their_packages():
    assert skspike.SMAClassifier is skspike.estimators.SMAClassifier
    assert skspike.FrameEncoder is skspike.encoders.FrameEncoder


def test_star_import_gives_all_names():
    names = {}
    exec("from skspike import *", names)
    assert set(skspike.__all__) <= set(names)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SMAClasifier", r"has no attribute 'SMAClasifier'\. Did you mean 'SMAClassifier'\?"),
        ("qqq", r"^module 'skspike' has no attribute 'qqq'$"),
    ],
)
def test_unknown_names_raise_and_suggest(name, message):
    with pytest.raises(AttributeError, match=message):
        getattr(skspike, name)


def test_version_is_that_of_the_installed_package():
    try:
        installed = importlib.metadata.version("skspike")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("skspike is imported from a source tree that is not installed")
    assert skspike.__version__ == installed
