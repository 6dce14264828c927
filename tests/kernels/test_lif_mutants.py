"""Faults planted in the numba twin, each of which the parity check must find.

The mutated templates run uncompiled, as the plain Python that they are: the whole family is
checked within milliseconds, and what is compiled is the same source (test_lif_numba.py).
"""

from __future__ import annotations

import inspect
import math
from itertools import product

import pytest

from skspike.kernels import _lif_numba, _lif_op
from tests.kernels.interpreted import twin_from
from tests.kernels.parity import (
    adapting,
    assert_parity,
    by_step,
    counting,
    covering_cases,
    make_problem,
    run,
)

SOURCE = inspect.getsource(_lif_numba)
WIDE = 32800  # more neurons than a block
PROBLEMS = [
    *(
        make_problem(case, (5, 4, 3), draw)
        for case in covering_cases()
        for draw in ("random", "grid")
    ),
    make_problem(covering_cases()[-1], (2, WIDE)),
    *(
        by_step(make_problem(case, (5, 4, 3), draw), save)
        for case in covering_cases()[::2]
        for draw, save in (("random", "recompute"), ("grid", "potential"))
    ),
    by_step(make_problem(covering_cases()[-1], (2, 8200))),
    *(
        adapting(make_problem(case, (5, 4, 3), draw), beta)
        for case in covering_cases()[::3]
        for draw in ("random", "grid")
        for beta in (0.5, -0.25)
    ),
    *(
        counting(make_problem(case, (5, 4, 3), draw))
        for case in covering_cases()
        for draw in ("random", "grid")
    ),
    *(
        counting(make_problem(case._replace(surrogate="dspike_unit"), (5, 4, 3)))
        for case in covering_cases()[:3]
    ),
    *(
        by_step(counting(make_problem(case, (5, 4, 3), "grid")), save)
        for case in covering_cases()[::4]
        for save in ("recompute", "potential")
    ),
]

# what goes wrong: what the source says, what the mutant says
MUTANTS = {
    # forward
    "spike above the threshold only": ("else h >= theta", "else h > theta"),
    "strict spike on the threshold": ("return h > theta if STRICT", "return h >= theta if STRICT"),
    "hard reset to zero": ("return v_rest if", "return real(0) if"),
    "soft reset to zero": (
        "return h - (n * threshold if MAX_SPIKES > 1 else threshold) if",
        "return real(0) if",
    ),
    "soft reset instead of hard": ("return v_rest if", "return h - threshold if"),
    "soft reset by one of several spikes": ("n * threshold if MAX_SPIKES > 1 else", ""),
    "one spike too few": (
        "in range(2, MAX_SPIKES + 1):\n        n",
        "in range(2, MAX_SPIKES):\n        n",
    ),
    "every threshold the first": ("fires(h, real(k) * theta)", "fires(h, theta)"),
    "leak to zero instead of rest": ("v + (x - (v - v_rest)) * leak", "v + (x - v) * leak"),
    "leak swapped with decay": ("v - (v - v_rest) * leak + x", "v_rest + (v - v_rest) * leak + x"),
    "decay swapped with leak": ("v_rest + (v - v_rest) * leak + x", "v - (v - v_rest) * leak + x"),
    "decay to zero instead of rest": ("v_rest + (v - v_rest) * leak + x", "v * leak + x"),
    "input decayed when it must not": ("* leak + x\n", "* leak + x * leak\n"),
    "input not decayed": ("(x - (v - v_rest)) * leak", "x - (v - v_rest) * leak"),
    "integrator that leaks": ("return v + x\n", "return v + (x - v) * leak\n"),
    "initial state ignored": ("spec.v_rest if v is None else v)", "spec.v_rest)"),
    "first neuron's leak for all": (
        "k = leak[first + j] if LEAK_PER_NEURON else leak[0]\n                h = charge",
        "k = leak[0]\n                h = charge",
    ),
    "last step missing": ("for t in range(x.shape[0]):", "for t in range(x.shape[0] - 1):"),
    "first step missing": ("for t in range(x.shape[0]):", "for t in range(1, x.shape[0]):"),
    "time reversed": ("for t in range(x.shape[0]):", "for t in range(x.shape[0] - 1, -1, -1):"),
    "block after block forgotten": ("v_b = v[first:last]", "v_b = v[0 : last - first]"),
    # backward
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
        "derivative(h - theta, h, alpha)",
        "derivative(h, h, alpha)",
    ),
    "hard reset: derivative of h, not of h - threshold": (
        "derivative(h_t[j] - theta, h_t[j], alpha)",
        "derivative(h_t[j], h_t[j], alpha)",
    ),
    "spike's gradient not sent through the surrogate": (
        "du = to_spikes * slope(h_t[j], theta, alpha)",
        "du = to_spikes",
    ),
    "slope of the first spike alone": (
        "du = to_spikes * slope(h_t[j], theta, alpha)",
        "du = to_spikes * derivative(h_t[j] - theta, h_t[j], alpha)",
    ),
    "slope of one spike too few": (
        "in range(2, MAX_SPIKES + 1):\n        g",
        "in range(2, MAX_SPIKES):\n        g",
    ),
    "slope of every spike at the first threshold": ("h - real(k) * theta", "h - theta"),
    "slope measured from rest": ("h - real(k - 1) * theta", "h"),
    "hard reset by every spike": (
        "du += to_first * derivative(h_t[j] - theta, h_t[j], alpha)",
        "du += to_first * slope(h_t[j], theta, alpha)",
    ),
    "hard reset's spike with the wrong sign": ("(v_rest - h_t[j])", "(h_t[j] - v_rest)"),
    "hard reset's spike as if to zero": ("(v_rest - h_t[j])", "-h_t[j]"),
    "soft reset's spike with the wrong sign": ("dv_b[j] * -threshold", "dv_b[j] * threshold"),
    "reset's spike always detached": ("if not DETACH_RESET and", "if False and"),
    "reset's spike never detached": ("if not DETACH_RESET and", "if True and"),
    "gradient passes a hard reset": ("real(0) if HARD_RESET and fired else", ""),
    "gradient stops at a soft reset": ("if HARD_RESET and fired else", "if fired else"),
    "dx without the leak": ("store(dh * k if DECAY_INPUT else dh)", "store(dh)"),
    "dx with a leak always": ("store(dh * k if DECAY_INPUT else dh)", "store(dh * k)"),
    "dv decays by the leak": ("dh * (real(1) - k)", "dh * k"),
    "dv leaks by the decay": ("dv_b[j] = dh * k", "dv_b[j] = dh * (real(1) - k)"),
    "gradient of the last state dropped": ("or not spec.through_time else dv", "or True else dv"),
    # gradient to tau and decay
    "leak's gradient from before the reset": (
        "v_before = reset(h_before[j], count(h_before[j], theta), threshold, v_rest)",
        "v_before = h_before[j]",
    ),
    "leak's gradient ignores the initial state": (
        "v_before = v0[first + j] if STATE_PER_NEURON else v0[0]",
        "v_before = v_rest",
    ),
    "leak's gradient from input that does not decay": (
        "drive = load(x_t[j]) if DECAY_INPUT else real(0)",
        "drive = load(x_t[j])",
    ),
    "leak's gradient measures from zero": ("else drive - (v - v_rest)", "else drive - v"),
    "decay's gradient measures from zero": ("return v - v_rest if DECAY", "return v if DECAY"),
    "leak's gradient of the last step only": ("dleak[first + j] += dh", "dleak[first + j] = dh"),
    "shared leak's gradient averaged": ("row(gradient).sum()", "row(gradient).mean()"),
    # gradients within a step
    "by step: derivative of h, not of h - threshold": (
        "slope(h, threshold, alpha)",
        "slope(h + threshold, threshold, alpha)",
    ),
    "by step: no reset": ("reset(h, count(h, threshold), threshold, v_rest)", "h"),
    "by step: last step missing": (
        "in range(x.shape[0]):\n            x_t = x[t, first : first + n]\n            ds_t",
        "in range(x.shape[0] - 1):\n            x_t = x[t, first : first + n]\n            ds_t",
    ),
    "by step: first block's spikes for all": (
        "ds_t = ds[t, first : first + n]\n            dx_t = dx[t",
        "ds_t = ds[t, 0:n]\n            dx_t = dx[t",
    ),
    "by step: leak's gradient after the reset": (
        "to_leak(drive, v[j], v_rest)",
        "to_leak(drive, h, v_rest)",
    ),
    "by step: kept potentials forgotten": (
        "if LEAK_GRADIENT or not SAVED:",
        "if not SAVED:",
    ),
    # the threshold that moves
    "adaptation ignored": ("threshold + beta * a_b[j] if ADAPTIVE else threshold", "threshold"),
    "adaptation of the other sign": ("threshold + beta * a_b[j]", "threshold - beta * a_b[j]"),
    "adaptation without memory": ("r * a_b[j] + n", "n"),
    "adaptation without spikes": ("r * a_b[j] + n", "r * a_b[j]"),
    "first neuron's rho for all": (
        "r = rho[first + j] if RHO_PER_NEURON else rho[0]\n                    a_b",
        "r = rho[0]\n                    a_b",
    ),
    "initial adaptation ignored": ("0.0 if a is None else a)", "0.0)"),
    "recomputed adaptation ignores rho": ("r * a_before[j] + spikes", "a_before[j] + spikes"),
    "recomputed with a threshold at rest": (
        "count(h_t[j], threshold + beta * a_t[j] if ADAPTIVE else threshold)",
        "count(h_t[j], threshold)",
    ),
    "spike's gradient without the adaptation": ("to_spikes += da_b[j]", "to_spikes += real(0)"),
    "adaptation's gradient without the threshold": ("r * da_b[j] - beta * du", "r * da_b[j]"),
    "adaptation's gradient of the other sign": ("- beta * du", "+ beta * du"),
    "gradient of the last adaptation dropped": ("0.0 if da is None else da", "0.0"),
    "rho's gradient after the step": ("da_b[j] * a_t[j]", "da_b[j] * a_before[j]"),
}


def check_family(monkeypatch, source):
    """Check every problem with the twin made from `source` in place of the real one."""
    module = twin_from(source)
    monkeypatch.setattr(_lif_op, "twin", lambda backend: module)
    for problem in PROBLEMS:
        assert_parity(problem)


def test_the_source_as_it_is_passes(monkeypatch):
    check_family(monkeypatch, SOURCE)
    for case, beta in product(covering_cases(), (0.5, -0.25)):
        assert_parity(adapting(make_problem(case, (6, 3, 5, 2)), beta))


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name, monkeypatch):
    old, new = MUTANTS[name]
    assert SOURCE.count(old) >= 1, "the source has changed; plant this fault anew"
    with pytest.raises(AssertionError):
        check_family(monkeypatch, SOURCE.replace(old, new))


def test_random_draws_alone_would_miss_the_threshold(monkeypatch):
    """Why the grid is there: no Gaussian number meets the threshold exactly."""
    old, new = MUTANTS["spike above the threshold only"]
    module = twin_from(SOURCE.replace(old, new))
    monkeypatch.setattr(_lif_op, "twin", lambda backend: module)
    for case in covering_cases():
        assert_parity(make_problem(case, (5, 4, 3), "random"))


def test_problems_fire_and_rest():
    """A problem in which no neuron, or every neuron, fires would test half of the code."""
    for problem in PROBLEMS:
        fired = run(problem, "reference")["s"] > 0
        assert 0.02 < fired.float().mean() < 0.9
    assert any(math.prod(problem.x.shape[1:]) == WIDE for problem in PROBLEMS)
