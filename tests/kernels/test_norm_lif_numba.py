"""The compiled twin of norm_lif against the reference: family, shapes, layouts, threads, faults."""

from __future__ import annotations

import inspect
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from skspike.kernels import _memory, _norm_lif, _norm_lif_numba, norm_lif
from tests.kernels.interpreted import twin_from
from tests.kernels.norm_parity import (
    POOLS,
    assert_norm_parity,
    family,
    make_norm_problem,
    run_norm,
)
from tests.kernels.parity import Case, assert_same

SOURCE = inspect.getsource(_norm_lif_numba)
PLAIN = Case("number", "atan", 0.0, (True, False), "decay_input", (False, torch.float64))
RICH = Case("scalar tensor", "sigmoid", None, (False, True), "leak", (False, torch.float64))

by_kind = pytest.mark.parametrize("case", [PLAIN, RICH], ids=["plain", "rich"])
by_pool = pytest.mark.parametrize("pool", POOLS)


@pytest.fixture
def n_threads(monkeypatch):
    """Return the setter of torch's number of threads, which then share small problems too."""
    monkeypatch.setattr(_norm_lif_numba, "GRAIN", 2**8)
    monkeypatch.setattr(_norm_lif_numba, "CHUNK", 2**8)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# --- the family, and faults that the check must find: as plain Python, compiled further below ---


def use_source(monkeypatch, source):
    """Put a twin made from `source`, which compiles nothing, in place of the real one."""
    # of the two shapes of the family, one has longer maps than the short ones
    module = twin_from(source, BLOCK=24, SAVED=80, LANES=8, CHUNK=64, SHORT=20)
    monkeypatch.setattr(_norm_lif, "twin", lambda backend: module)


def channels_last(x):
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


PROBLEMS = [p for problem in family() for p in (problem, problem.map(channels_last))]


@pytest.mark.parametrize("i", range(len(PROBLEMS)))
def test_family(i, monkeypatch):
    use_source(monkeypatch, SOURCE)
    assert_norm_parity(PROBLEMS[i])


def test_problems_fire_and_rest():
    """A problem in which no neuron, or every neuron, fires would test half of the code."""
    means = torch.stack([run_norm(problem, "reference")["s"].mean() for problem in PROBLEMS])
    assert ((means > 0.001) & (means < 0.95)).all()
    assert means.median() > 0.1


# what goes wrong: what the source says, what the mutant says
MUTANTS = {
    "input not scaled": ("load(x_t[j]) * scale_b[j] + shift_b[j], v_b", "load(x_t[j]), v_b"),
    "recomputed without the shift": (
        "load(x_t[j]) * scale[j] + shift[j], v[j]",
        "load(x_t[j]) * scale[j], v[j]",
    ),
    "channels of the first block for all": (
        "_spread(scale, scale_b, first, n, run)\n        _spread(shift",
        "_spread(scale, scale_b, 0, n, run)\n        _spread(shift",
    ),
    "maximum of the upper row": ("n += load(low[2 * j]) + load(low[2 * j + 1])", "n += real(0)"),
    "maximum is a sum": ("(real(1) if n > real(0) else real(0)) if MAX_POOL", "n if MAX_POOL"),
    "average of two": ("n * real(0.25)", "n * real(0.5)"),
    "odd last row pooled": ("if k % pairs * 2 + 1 == height:", "if False:"),
    "odd last column has a gradient": ("top[j] = 0\n", "top[j] = 1\n"),
    "gradient of the odd last row left over": ("g[at : at + row] = 0", "pass"),
    "silent window without a gradient": ("lost[j] *= right", "lost[j] += right"),
    "gradient to all of a silent window": ("right[j] + low[j] + here[j] + at_right", "at_right"),
    "gradient to the second maximum too": ("right[j] * at_left[j] + low", "low"),
    "gradient to the third maximum too": (" + (real(1) - right[j]) * above_right[j]", ""),
    "gradient to the fourth maximum too": (" + right[j] * above_left[j]", ""),
    "maximum's gradient to the silent": ("real(1) - here[j] + right", "right"),
    "average's gradient to one": ("share = real(1) if MAX_POOL else real(0.25)", "share = real(1)"),
    "reset's gradient dropped": (
        "to_spike += dv_b[j] * (v_rest - h_t[j] if HARD_RESET else -threshold)",
        "to_spike += real(0)",
    ),
    "gradient through a hard reset": ("real(0) if HARD_RESET and spike else dv_b[j]", "dv_b[j]"),
    "decay's factor in the gradient": ("dv_b[j] = dh[j] * k\n", "dv_b[j] = dh[j]\n"),
    "leak's gradient of the last step": ("dleak[j] += dh[j] * (drive", "dleak[j] = dh[j] * (drive"),
    "leak's gradient from the raw input": (
        "drive = load(x_t[j]) * scale_b[j] + shift_b[j]",
        "drive = load(x_t[j])",
    ),
    "leak's gradient of the last block": (
        "_collect(dleak, sums[chunk, 2, :1], first, n, 1)",
        "sums[chunk, 2, 0] = dleak[:n].sum()",
    ),
    "weight's gradient not centred": ("(load(x_t[j]) - mean_b[j])", "load(x_t[j])"),
    "bias' gradient of one step": ("sum_dy[j] += d\n", "sum_dy[j] = d\n"),
    "sums of all blocks from the last": ("sum_dy[:n] = 0\n", "pass\n"),
    "fixed statistics not scaled": ("store(d * scale_b[j] if FIXED else d)", "store(d)"),
    "moments of the first chunk": (
        "sums.sum(0))\n    if not by_run",
        "sums[0])\n    if not by_run",
    ),
    "variance about zero": ("second - first**2", "second"),
    "mean about the centre": ("return centre + first", "return first"),
    "no mean in the gradient": ("- mean_r) + c_r", ")"),
    "no mean in the gradient of rows": ("(load(x_r[j]) - mean[j]) + c[j]", "load(x_r[j]) + c[j]"),
    "a tail forgotten": (
        "for begin in range(0, length, LANES):",
        "for begin in range(0, length - LANES + 1, LANES):",
    ),
}


def check_family():
    """Check every problem."""
    for problem in PROBLEMS:
        assert_norm_parity(problem)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name, monkeypatch):
    old, new = MUTANTS[name]
    assert SOURCE.count(old) >= 1, "the source has changed; plant this fault anew"
    use_source(monkeypatch, SOURCE.replace(old, new))
    with pytest.raises((AssertionError, IndexError)):
        check_family()


# --- compiled: shapes and layouts ---


SHAPES = [
    (1, 1, 3, 2, 2),
    (3, 1, 1, 5, 7),
    (16, 2, 3, 5, 7),
    (4, 3, 16, 9, 8),
    (4, 1, 2, 12, 13),  # maps longer than the short ones
    (1024, 1, 3, 4, 3),  # long series take narrower blocks in the backward pass
    (2, 1, 3, 160, 150),  # a pair of rows is no divisor of a block
]


@pytest.mark.parametrize("layout", [None, channels_last])
@by_pool
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shape(shape, pool, layout):
    problem = make_norm_problem(PLAIN, shape, pool=pool)
    assert_norm_parity(problem.map(layout) if layout else problem)


@by_kind
@pytest.mark.parametrize("shape", [(4, 3, 5), (1, 2, 1), (3, 2, 4, 7), (2, 2, 3, 2, 3, 4)], ids=str)
def test_shapes_that_are_no_map(shape, case):
    for training in (True, False):
        assert_norm_parity(make_norm_problem(case, shape, training=training))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("shape", "pool"), [((4, 0, 3, 4, 4), "max"), ((2, 3, 5, 0), None)])
def test_no_neurons(shape, pool, training):
    problem = make_norm_problem(PLAIN, shape, pool=pool, training=training)
    assert_norm_parity(problem)
    assert run_norm(problem, "numba")["dx"].shape == shape


def transposed(x):
    return x.transpose(1, -1).contiguous().transpose(1, -1)


def steps_last(x):
    return x.movedim(0, -1).contiguous().movedim(-1, 0)


def every_second(x):
    return torch.stack([x, x + 9], -1)[..., 0]


LAYOUTS = (None, transposed, steps_last, channels_last, every_second)


@pytest.mark.parametrize("of_gradient", LAYOUTS)
@pytest.mark.parametrize("of_input", LAYOUTS)
def test_layout(of_input, of_gradient):
    problem = make_norm_problem(RICH, (4, 2, 3, 5, 6), pool="max")
    if of_input:
        problem.inputs["x"] = of_input(problem.inputs["x"])
    if of_gradient:
        problem.ds = of_gradient(problem.ds)
    assert_norm_parity(problem)


def test_results_have_the_layout_of_the_input():
    x = channels_last(torch.randn(4, 2, 3, 8, 8)).requires_grad_()
    s, _ = norm_lif(x, None, None, training=True, pool="max")
    assert s.movedim(2, -1).is_contiguous()
    assert torch.autograd.grad(s.sum(), x)[0].stride() == x.stride()


def test_single_precision():
    single = PLAIN._replace(strict_and_dtype=(False, torch.float32))
    assert_norm_parity(make_norm_problem(single, (6, 3, 5, 14, 12), training=False))
    problem = make_norm_problem(single, (6, 3, 5, 14, 12), pool="max")
    assert_norm_parity(problem.map(channels_last))


@pytest.mark.parametrize("shape", [(1, 1, 3, 2, 2), (6, 2, 3, 5, 4)], ids=str)
@pytest.mark.parametrize(
    ("pool", "layout"),
    [(None, None), ("max", None), ("max", channels_last), ("avg", channels_last)],
)
def test_grid(pool, layout, shape):
    """On which neurons meet the threshold exactly, behind a norm with fixed statistics."""
    problem = make_norm_problem(PLAIN, shape, "grid", pool=pool)
    assert_norm_parity(problem.map(layout) if layout else problem)


@pytest.mark.parametrize("shape", [(7, 3, 5), (7, 2, 3, 12, 13)], ids=str)
def test_statistics_far_from_zero(shape):
    """A mean of 10^4 deviations: squares of the input itself would cancel."""
    x = 1e4 + torch.randn(shape, dtype=torch.float64)
    mean, var = _norm_lif_numba.moments(x.float())
    axes = [0, 1, *range(3, x.ndim)]
    expected = torch.var_mean(x.float().double(), axes, correction=0)
    torch.testing.assert_close((var, mean), expected, rtol=1e-9, atol=0)


# --- what is written and what is kept ---


@by_pool
@pytest.mark.parametrize("shape", [(4, 2, 3, 5, 7), (2, 2, 3, 160, 151)], ids=["small", "large"])
def test_every_element_of_the_results_is_written(shape, pool, monkeypatch):
    problem = make_norm_problem(PLAIN, shape, pool=pool)
    clean = run_norm(problem, "numba")
    monkeypatch.setattr(
        _norm_lif_numba, "empty_dense", lambda *a: _memory.empty_dense(*a).fill_(math.nan)
    )
    poisoned = run_norm(problem, "numba")
    for name, value in clean.items():
        assert torch.equal(poisoned[name], value), name


def test_nothing_but_the_input_is_kept_for_the_backward_pass():
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    x = torch.randn(8, 2, 16, 8, 8, requires_grad=True)
    weight = torch.ones(16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        norm_lif(x, weight, weight, training=True, pool="max")
    assert kept.pop(x.untyped_storage().data_ptr()) == x.numel()
    assert max(kept.values()) <= 16


# --- threads ---


@pytest.mark.parametrize("layout", [None, channels_last])
@by_pool
def test_results_do_not_depend_on_the_number_of_threads(pool, layout, n_threads):
    problem = make_norm_problem(PLAIN, (6, 3, 5, 13, 12), pool=pool)
    problem = problem.map(layout) if layout else problem
    results = []
    for n in (1, 2, 7):
        n_threads(n)
        results.append(run_norm(problem, "numba"))
    assert_same(results[0], run_norm(problem, "reference"))
    for result in results[1:]:
        for name, value in results[0].items():
            assert torch.equal(result[name], value), name


def test_concurrent_calls(n_threads):
    """8 threads with 100 calls each, several chunks a call."""
    n_threads(2)
    problems = [
        make_norm_problem(case, (8, 2, 3, 9 + i, 8), pool="max")
        for i, case in enumerate([PLAIN, RICH] * 4)
    ]
    expected = [run_norm(problem, "numba") for problem in problems]

    def work(i):
        for _ in range(100):
            result = run_norm(problems[i], "numba")
            assert all(torch.equal(result[k], value) for k, value in expected[i].items())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
