"""The compiled twin against the reference: the family, shapes, layouts, threads, processes."""

from __future__ import annotations

import math
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations, product

import pytest
import torch
from joblib import Parallel, delayed

from skspike import _buffers
from skspike.kernels import _lif_numba, _memory, lif
from tests.kernels.parity import (
    FAMILY,
    Case,
    assert_parity,
    assert_same,
    by_step,
    compiled_cases,
    counting,
    covering_cases,
    make_problem,
    run,
)

PLAIN = Case("number", "atan", 0.0, (True, False), "decay_input", (False, torch.float32))
RICH = Case("by neuron", "sigmoid", None, (False, True), "leak", (False, torch.float64))

by_draw = pytest.mark.parametrize("draw", ["random", "grid"])
by_kind = pytest.mark.parametrize("case", [PLAIN, RICH], ids=["plain", "rich"])


GRAIN = 2**15


@pytest.fixture(autouse=True)
def _share_little_work(monkeypatch):
    """Let threads share problems that are too small for them outside the tests."""
    monkeypatch.setattr(_lif_numba, "GRAIN", GRAIN)
    monkeypatch.setattr(_lif_numba, "ROW", _buffers.LINE)


@pytest.fixture
def n_threads():
    """Return the setter of torch's number of threads, which is put back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# --- the family ---


def test_any_two_values_of_the_family_meet_in_a_case():
    cases = covering_cases()
    for (i, a), (j, b) in combinations(enumerate(FAMILY), 2):
        assert {(case[i], case[j]) for case in cases} == set(product(a, b))


def test_any_value_of_the_family_meets_either_dtype_compiled():
    cases = compiled_cases()
    for (i, values), dtype in product(enumerate(FAMILY[:-1]), (torch.float64, torch.float32)):
        assert {case[i] for case in cases if case.dtype == dtype} == set(values)
    assert {case.strict_and_dtype for case in cases} == set(FAMILY.strict_and_dtype)


@by_draw
@pytest.mark.parametrize("case", compiled_cases(), ids=lambda case: "-".join(map(str, case)))
def test_family(case, draw):
    assert_parity(make_problem(case, (6, 2, 5, 3), draw))


@by_draw
@pytest.mark.parametrize("threshold", [0.5, 1.5, -0.5])
@by_kind
def test_threshold(case, threshold, draw):
    problem = make_problem(case, (8, 30), draw)
    problem.options["threshold"] = threshold
    assert_parity(problem)


@by_kind
def test_alpha(case):
    problem = make_problem(case, (8, 30))
    problem.options["alpha"] = 0.7
    assert_parity(problem)


@by_draw
@pytest.mark.parametrize("save", ["recompute", "potential"])
@by_kind
def test_gradients_by_step(case, save, draw):
    assert_parity(by_step(make_problem(case, (8, 30), draw), save))
    assert_parity(by_step(make_problem(case, (1000, 330), draw), save))


@by_draw
@pytest.mark.parametrize("case", compiled_cases(), ids=lambda case: "-".join(map(str, case)))
def test_several_spikes_in_a_step(case, draw):
    problem = counting(make_problem(case, (8, 30), draw))
    assert_parity(problem)
    assert_parity(by_step(problem))


# --- shapes ---


@by_kind
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1),
        (1, 7),
        (3, 1),
        (5, 3, 1, 2),
        (3, 32769),  # one more than a block
        (16, 2, 3, 5, 7),
        (1000, 3),
        (
            1000,
            330,
        ),  # long series take narrower blocks in the backward pass: these are two and a half
        (4, 3 * GRAIN // 4 + 11),  # several chunks
    ],
    ids=str,
)
def test_shape(shape, case):
    assert_parity(make_problem(case, shape))


@by_kind
@pytest.mark.parametrize("shape", [(3, 0), (2, 4, 0, 5)])
def test_no_neurons(shape, case):
    problem = make_problem(case, shape)
    assert_parity(problem)
    assert run(problem, "numba")["dx"].shape == shape


@by_kind
def test_one_dimension_is_one_neuron(case):
    problem = make_problem(case._replace(tau="scalar tensor"), (9, 1))
    problem = replace(
        problem.map(lambda x: x[:, 0]),
        v=None if problem.v is None else problem.v[0],
        dv=problem.dv[0],
    )
    assert_parity(problem)


# --- layouts ---


def transposed(x):
    return x.transpose(1, -1).contiguous().transpose(1, -1)


def steps_last(x):
    return x.movedim(0, -1).contiguous().movedim(-1, 0)


def channels_last(x):
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def every_second(x):
    return torch.stack([x, x + 9], -1)[..., 0]


def offset(x):
    return torch.cat([x[:1] + 9, x])[1:]


def reversed_steps(x):
    return x.flip(0)


LAYOUTS = (transposed, steps_last, channels_last, every_second, offset, reversed_steps)


def names(function):
    return getattr(function, "__name__", "as is")


@by_kind
@pytest.mark.parametrize("of_gradient", [None, *LAYOUTS], ids=names)
@pytest.mark.parametrize("of_input", [None, *LAYOUTS], ids=names)
def test_layout(of_input, of_gradient, case):
    problem = make_problem(case, (4, 2, 3, 5, 6))
    if of_input:
        problem.x = of_input(problem.x)
    if of_gradient:
        problem.ds = of_gradient(problem.ds)
    assert_parity(problem)


@pytest.mark.parametrize("layout", [transposed, every_second, channels_last])
def test_layout_of_everything_else(layout):
    """Of one step's tensors: the layout is made with a time axis that is then dropped."""
    problem = make_problem(RICH, (4, 2, 3, 5, 6))
    v, tau, dv = (layout(a[None])[0] for a in (problem.v, problem.tau, problem.dv))
    assert_parity(replace(problem, v=v, tau=tau, dv=dv))
    channels_last_x = replace(problem, x=channels_last(problem.x))
    assert_parity(replace(channels_last_x, v=v, tau=tau, dv=dv))


@by_kind
def test_expanded_input_and_upstream_gradients(case):
    problem = make_problem(case, (4, 3, 5))
    assert_parity(problem.map(lambda x: x[:1].expand(4, 3, 5)))
    assert_parity(problem.map(lambda x: x[:, :1].expand(4, 3, 5)))
    ones = torch.ones((), dtype=case.dtype)
    assert_parity(replace(problem, ds=ones.expand(4, 3, 5), dv=ones.expand(3, 5)))


def test_broadcast_state_and_tau():
    problem = make_problem(RICH, (4, 3, 5))
    assert_parity(replace(problem, v=problem.v[:, :1], tau=problem.tau[:1]))
    assert_parity(replace(problem, v=problem.v[0, 0], tau=problem.tau[0, :1]))


def test_only_one_result_is_used():
    problem = make_problem(RICH, (4, 30))
    for index in (0, 1):
        gradients = []
        for backend in ("numba", "reference"):
            x = problem.x.clone().requires_grad_()
            out = lif(x, problem.v, tau=problem.tau, backend=backend, **problem.options)[index]
            gradients += torch.autograd.grad(out.sum(), x)
        torch.testing.assert_close(*gradients)


# --- memory that is not written ---


@by_kind
@pytest.mark.parametrize("shape", [(5, 7, 3), (4, 2**16 + 5)], ids=["small", "large"])
def test_every_element_of_the_outputs_is_written(shape, case, monkeypatch):
    problems = make_problem(case, shape), by_step(make_problem(case, shape))
    clean = [run(problem, "numba") for problem in problems]
    monkeypatch.setattr(
        _lif_numba, "empty_dense", lambda *a: _memory.empty_dense(*a).fill_(math.nan)
    )
    for problem, expected in zip(problems, clean, strict=True):
        poisoned = run(problem, "numba")
        for name, value in expected.items():
            assert torch.equal(poisoned[name], value), name


def test_reused_buffers_do_not_leak_into_results():
    problem = make_problem(PLAIN, (4, 2**16 + 5))
    expected = run(problem, "reference")
    for _ in range(3):
        assert_same(run(problem, "numba"), expected)


# --- threads and processes ---


@by_kind
def test_results_do_not_depend_on_the_number_of_threads(case, n_threads):
    problem = make_problem(case._replace(tau="scalar tensor"), (4, 2 * GRAIN + 77))
    for of_graph in (problem, by_step(problem)):
        results = []
        for n in (1, 2, 7):
            n_threads(n)
            results.append(run(of_graph, "numba"))
        for result in results[1:]:
            for name, value in results[0].items():
                assert torch.equal(result[name], value), name


def test_concurrent_calls(n_threads):
    """8 threads with 200 calls each, several chunks a call."""
    n_threads(2)
    problems = [make_problem(case, (64, 1100 + 9 * i)) for i, case in enumerate([PLAIN, RICH] * 4)]
    expected = [run(problem, "numba") for problem in problems]

    def work(i):
        for _ in range(200):
            result = run(problems[i], "numba")
            assert all(torch.equal(result[k], value) for k, value in expected[i].items())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def _exit_with_parity(problem, expected):
    """In a forked child: end with 0 if the results are bit-equal to the parent's."""
    result = run(problem, "numba")
    same = all((result[k].numpy() == value.numpy()).all() for k, value in expected.items())
    raise SystemExit(0 if same else 3)


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork"
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes_the_same(n_threads):
    """Forked while other threads of the parent are inside the kernels, and hold their locks."""
    n_threads(2)
    problem = make_problem(PLAIN, (1024, 160))
    expected = run(problem, "numba")
    done = threading.Event()

    def keep_busy():
        while not done.is_set():
            run(problem, "numba")

    busy = [threading.Thread(target=keep_busy) for _ in range(2)]
    for thread in busy:
        thread.start()
    try:
        for _ in range(5):
            context = multiprocessing.get_context("fork")
            child = context.Process(target=_exit_with_parity, args=(problem, expected))
            child.start()
            child.join(60)
            hangs = child.is_alive()
            if hangs:
                child.kill()
            assert not hangs
            assert child.exitcode == 0
    finally:
        done.set()
        for thread in busy:
            thread.join()


def test_loky_workers_compute_the_same():
    problem = make_problem(PLAIN, (16, 300))
    expected = run(problem, "numba")
    results = Parallel(n_jobs=2, backend="loky")(delayed(run)(problem, "numba") for _ in range(4))
    for result in results:
        assert all(torch.equal(result[k], value) for k, value in expected.items())
