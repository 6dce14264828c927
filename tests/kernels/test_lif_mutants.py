"""Faults planted in the numba twin, each of which the parity check must find.

The mutated templates run uncompiled, as the plain Python that they are: the whole family is
checked within milliseconds, and what is compiled is the same source (test_lif_numba.py).
"""

from __future__ import annotations

import inspect
import math
from types import FunctionType, ModuleType

import pytest

from skspike.kernels import _lif_numba
from tests.kernels.parity import assert_parity, covering_cases, make_problem

SOURCE = inspect.getsource(_lif_numba)
WIDE = 8200  # more neurons than a block
PROBLEMS = [
    *(
        make_problem(case, (5, 4, 3), draw)
        for case in covering_cases()
        for draw in ("random", "grid")
    ),
    make_problem(covering_cases()[-1], (2, WIDE)),
]

# what goes wrong: what the source says, what the mutant says
MUTANTS = {
    # forward
    "spike above the threshold only": (
        "s_t[j] = real(1) if h >= threshold",
        "s_t[j] = real(1) if h > threshold",
    ),
    "hard reset above the threshold only": ("v_rest if h >= threshold", "v_rest if h > threshold"),
    "soft reset above the threshold only": (
        "h - threshold if h >= threshold",
        "h - threshold if h > threshold",
    ),
    "hard reset to zero": ("return v_rest if", "return real(0) if"),
    "soft reset to zero": ("return h - threshold if", "return real(0) if"),
    "soft reset instead of hard": ("return v_rest if", "return h - threshold if"),
    "leak to zero instead of rest": ("v + (x - (v - v_rest)) * leak", "v + (x - v) * leak"),
    "leak swapped with decay": ("v - (v - v_rest) * leak + x", "v_rest + (v - v_rest) * leak + x"),
    "input decayed when it must not": ("* leak + x\n", "* leak + x * leak\n"),
    "input not decayed": ("(x - (v - v_rest)) * leak", "x - (v - v_rest) * leak"),
    "integrator that leaks": ("return v + x\n", "return v + (x - v) * leak\n"),
    "initial state ignored": (
        "v_last.fill_(spec.v_rest) if v is None else v_last.copy_(v)",
        "v_last.fill_(spec.v_rest)",
    ),
    "first neuron's leak for all": (
        "k = leak[first + j] if LEAK_PER_NEURON else leak[0]\n                h = charge",
        "k = leak[0]\n                h = charge",
    ),
    "last step missing": ("for t in range(x.shape[0]):", "for t in range(x.shape[0] - 1):"),
    "first step missing": ("for t in range(x.shape[0]):", "for t in range(1, x.shape[0]):"),
    "time reversed": ("for t in range(x.shape[0]):", "for t in range(x.shape[0] - 1, -1, -1):"),
    "block after block forgotten": ("v_b = v[first:last]", "v_b = v[0 : last - first]"),
    # backward
    "backward: fired above the threshold only": ("fired = h_t[j] >= thr", "fired = h_t[j] > thr"),
    "backward: first step missing": (
        "for t in range(n_steps - 1, -1, -1)",
        "for t in range(n_steps - 1, 0, -1)",
    ),
    "backward: time not reversed": (
        "for t in range(n_steps - 1, -1, -1)",
        "for t in range(n_steps)",
    ),
    "backward: initial state ignored": (
        "v[j] = v0[first + j] if STATE_PER_NEURON else v0[0]",
        "v[j] = v_rest",
    ),
    "derivative of h, not of h - threshold": (
        "derivative(h_t[j] - threshold, alpha)",
        "derivative(h_t[j], alpha)",
    ),
    "spike's gradient not sent through the surrogate": ("+ ds_t[j] * ds_dh", "+ ds_t[j]"),
    "hard reset's spike detached always": ("dv_dh += (v_rest - h_t[j]) * ds_dh", "pass"),
    "hard reset's spike with the wrong sign": (
        "dv_dh += (v_rest - h_t[j]) * ds_dh",
        "dv_dh -= (v_rest - h_t[j]) * ds_dh",
    ),
    "hard reset's spike as if to zero": ("dv_dh += (v_rest - h_t[j])", "dv_dh += (-h_t[j])"),
    "soft reset's spike detached always": ("dv_dh -= threshold * ds_dh", "pass"),
    "soft reset's spike with the wrong sign": (
        "dv_dh -= threshold * ds_dh",
        "dv_dh += threshold * ds_dh",
    ),
    "reset's spike never detached": ("if not DETACH_RESET:", "if True:"),
    "gradient passes a hard reset": ("real(0) if fired else real(1)", "real(1)"),
    "dx without the leak": (
        "dx_t[j] = dh * k if DECAY_INPUT and not INTEGRATE else dh",
        "dx_t[j] = dh",
    ),
    "dx of the integrator with a leak": ("if DECAY_INPUT and not INTEGRATE", "if DECAY_INPUT"),
    "dv decays by the leak": ("dh * (real(1) - k)", "dh * k"),
    "gradient of the last state dropped": (
        "dv.zero_() if dv_last is None else dv.copy_(dv_last)",
        "dv.zero_()",
    ),
    # gradient to tau
    "leak's gradient from before the reset": (
        "v_before = reset(h_before[j], threshold, v_rest)",
        "v_before = h_before[j]",
    ),
    "leak's gradient ignores the initial state": (
        "v_before = v0[first + j] if STATE_PER_NEURON else v0[0]",
        "v_before = v_rest",
    ),
    "leak's gradient from input that does not decay": (
        "drive = x_t[j] if DECAY_INPUT else real(0)",
        "drive = x_t[j]",
    ),
    "leak's gradient measures from zero": ("(drive - (v_before - v_rest))", "(drive - v_before)"),
    "leak's gradient of the last step only": ("dleak[first + j] += dh", "dleak[first + j] = dh"),
    "shared leak's gradient averaged": ("row(dleak).sum()", "row(dleak).mean()"),
}


def interpret(template, **constants):
    """Bind constants to a template's global names as `specialize` does, and compile nothing."""
    names = {
        name: interpret(value, **constants) if isinstance(value, FunctionType) else value
        for name, value in constants.items()
        if name in template.__code__.co_names
    }
    return FunctionType(template.__code__, template.__globals__ | names)


def twin_from(source):
    """Execute the source of the twin as a module of its own that compiles nothing."""
    module = ModuleType("skspike.kernels._lif_mutant")
    module.__package__ = "skspike.kernels"
    exec(compile(source, module.__name__, "exec"), module.__dict__)
    module.specialize = interpret
    return module.lif_numba


def check_family(monkeypatch, source):
    """Check every problem with the twin made from `source` in place of the real one."""
    monkeypatch.setattr(_lif_numba, "lif_numba", twin_from(source))
    for problem in PROBLEMS:
        assert_parity(problem)


def test_the_source_as_it_is_passes(monkeypatch):
    check_family(monkeypatch, SOURCE)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name, monkeypatch):
    old, new = MUTANTS[name]
    assert SOURCE.count(old) >= 1, "the source has changed; plant this fault anew"
    with pytest.raises(AssertionError):
        check_family(monkeypatch, SOURCE.replace(old, new))


def test_random_draws_alone_would_miss_the_threshold(monkeypatch):
    """Why the grid is there: no Gaussian number meets the threshold exactly."""
    old, new = MUTANTS["spike above the threshold only"]
    monkeypatch.setattr(_lif_numba, "lif_numba", twin_from(SOURCE.replace(old, new)))
    for case in covering_cases():
        assert_parity(make_problem(case, (5, 4, 3), "random"))


def test_problems_fire_and_rest():
    """A problem in which no neuron, or every neuron, fires would test half of the code."""
    from skspike.kernels import lif

    for problem in PROBLEMS:
        s, _ = lif(problem.x, problem.v, tau=problem.tau, backend="reference", **problem.options)
        assert 0.02 < s.mean() < 0.9
    assert math.prod(PROBLEMS[-1].x.shape[1:]) == WIDE
