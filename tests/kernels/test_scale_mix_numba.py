"""Mixing scales by the compiled twin against the reference: shapes, layouts, threads, faults."""

from __future__ import annotations

import inspect
import math
import operator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from skspike.kernels import _memory, _scale_mix, _scale_mix_numba
from tests.kernels.interpreted import twin_from
from tests.kernels.scales import SOURCES, assert_parity, make_scales, run

DTYPES = (torch.float64, torch.float32, torch.bfloat16)


def channels_last(x):
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def transposed(x):
    return x.transpose(1, -1).contiguous().transpose(1, -1)


def every_second(x):
    return torch.stack([x, x + 9], -1)[..., 0]


def as_is(x):
    return x


def offset(x):
    return torch.cat([x[:1] + 9, x])[1:]


LAYOUTS = (as_is, channels_last, transposed, every_second, offset)
by_layout = pytest.mark.parametrize("layout", [as_is, channels_last])


def laid_out(problem, layout):
    """Return a problem with all its maps in a layout."""
    scales, dout = [layout(s) for s in problem.scales], layout(problem.dout)
    return replace(problem, scales=scales, dout=dout)


@pytest.fixture
def n_threads(monkeypatch):
    """Return the setter of torch's number of threads, which then share small problems too."""
    monkeypatch.setattr(_scale_mix_numba, "GRAIN", 2**8)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# --- parity ---


@by_layout
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_source_and_dtype(dtype, source, layout):
    assert_parity(laid_out(make_scales(3, (16, 2, 5, 5, 3), source, dtype), layout))


@by_layout
@pytest.mark.parametrize("n", [1, 5])
def test_number_of_scales(n, layout):
    assert_parity(laid_out(make_scales(n, (3, 2, 3, 4, 4)), layout))


@by_layout
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1, 1, 1),
        (1, 3, 4, 2, 2),
        (16, 1, 3, 3, 3),
        (3, 2, 1, 5, 7),  # one channel
        (3, 2, 7, 1, 1),  # one pixel
        (3, 2, 4),  # no map
        (3, 2, 4, 6),
        (2, 2, 2, 3, 2, 3),
        (2, 1, 3, 65, 64),  # one row more than a block
        (2, 1, 4099, 2, 1),  # more channels than a block
        (2, 0, 3, 2, 2),
        (2, 2, 0, 2, 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("source", ["own step", "chain"])
def test_shape(source, shape, layout):
    if 0 in shape and source == "chain":
        source = "own step"
    assert_parity(laid_out(make_scales(3, shape, source), layout))


@by_layout
@pytest.mark.parametrize("source", ["own step", "step before"])
def test_maps_without_pixels(source, layout):
    problem = laid_out(make_scales(3, (3, 2, 2, 0, 4), source), layout)
    y, mean, *gradients = run(problem, "numba")
    assert y.shape == (3, 2, 2, 0, 4)
    assert mean.isnan().all()
    assert (gradients[3] == 0).all()


@pytest.mark.parametrize("of_gradient", LAYOUTS)
@pytest.mark.parametrize("of_first", LAYOUTS)
def test_mixed_layouts(of_first, of_gradient):
    problem = make_scales()
    first, second, third = problem.scales
    scales = [of_first(first), channels_last(second), transposed(third)]
    weight = every_second(problem.weight)
    source = problem.source.transpose(1, 2).contiguous().transpose(1, 2)
    dout = of_gradient(problem.dout)
    assert_parity(replace(problem, scales=scales, weight=weight, source=source, dout=dout))


def test_expanded_arguments():
    problem = make_scales()
    s = problem.scales[0][:, :1].expand(-1, 2, -1, -1, -1)
    dout = torch.ones((), dtype=torch.float64).expand(s.shape)
    weight = problem.weight[:, :, :, :1].expand(-1, -1, -1, 3)
    assert_parity(replace(problem, scales=[s, *problem.scales[1:]], weight=weight, dout=dout))


# --- memory that is not written ---


@by_layout
@pytest.mark.parametrize("source", SOURCES)
def test_every_element_of_the_results_is_written(source, layout, monkeypatch):
    problem = laid_out(make_scales(3, (4, 2, 3, 5, 6), source), layout)
    clean = run(problem, "numba")

    def poisoned(*args):
        return _memory.empty_dense(*args).fill_(math.nan)

    monkeypatch.setattr(_scale_mix_numba, "empty_dense", poisoned)
    monkeypatch.setattr(torch, "empty_like", lambda x: torch.full_like(x, math.nan))
    for found, expected in zip(run(problem, "numba"), clean, strict=True):
        assert torch.equal(found, expected)


# --- threads ---


@by_layout
@pytest.mark.parametrize("dtype", DTYPES)
def test_results_do_not_depend_on_the_number_of_threads(dtype, layout, n_threads):
    problem = laid_out(make_scales(3, (5, 3, 7, 9, 11), "chain", dtype), layout)
    results = []
    for n in (1, 2, 7):
        n_threads(n)
        results.append(run(problem, "numba"))
    for result in results[1:]:
        for found, expected in zip(result, results[0], strict=True):
            assert torch.equal(found, expected)


def test_concurrent_calls(n_threads):
    n_threads(2)
    problems = [
        laid_out(make_scales(3, (5, 3, 7, 9, 3 + i), "chain"), (as_is, channels_last)[i % 2])
        for i in range(8)
    ]
    expected = [run(problem, "numba") for problem in problems]

    def work(i):
        for _ in range(50):
            found = run(problems[i], "numba")
            assert all(map(torch.equal, found, expected[i]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


# --- planted faults ---

SOURCE = inspect.getsource(_scale_mix_numba)
PROBLEMS = [
    laid_out(make_scales(2, (4, 2, 3, 5, 2), source), layout)
    for source in SOURCES
    for layout in (as_is, channels_last)
]

# what goes wrong: what the source says, what the mutant says
MUTANTS = {
    "weight of the own step": ("w = weight[i, r]\n", "w = weight[i, u]\n"),
    "map of the own step": ("s = scales[i][r, first", "s = scales[i][u, first"),
    "last scale alone": ("total[j] += w * load", "total[j] = w * load"),
    "source of the first channel": ("source[i, t, rest % n_channels]", "source[i, t, 0]"),
    "readers of the first channel": ("c = rest % n_channels", "c = 0"),
    "readers of the first scale": ("order[i, k, c]", "order[0, k, c]"),
    "one reader too few": ("begin[i, t + 1, c]\n", "begin[i, t + 1, c] - 1\n"),
    "last reader alone": ("g[j] += load(d[j])", "g[j] = load(d[j])"),
    "nobody's gradient kept": ("if first_reader == end:", "if False:"),
    "weight's gradient by the first scale": ("s = scales[i][u, first", "s = scales[0][u, first"),
    "mean of the last scale": ("total += of_scale", "total = of_scale"),
    "sum, not mean": ("store(total / real(n_pixels))", "store(total)"),
    "sums of the first block alone": ("else dweight[i, u] + total", "else dweight[i, u]"),
    "channel innermost: steps before left out": (
        "for step in range(lowest, highest + 1):",
        "for step in range(highest, highest + 1):",
    ),
    "channel innermost: every channel from every step": (
        "value if steps_i[j] == step else real(0)",
        "value",
    ),
    "channel innermost: weights of the own step": ("_repeat(weight[i, r]", "_repeat(weight[i, u]"),
    "channel innermost: weights of another step, kept": (
        "if first == 0 or lowest != highest:",
        "if first == 0:",
    ),
    "channel innermost: gradient of every channel": ("if steps[j] == t else real(0)", ""),
    "channel innermost: gradient of the own step": (
        "d = dout[r * n_samples + b, first : first + n]",
        "d = dout[u, first : first + n]",
    ),
    "channel innermost: weight's gradient of the last pixels": ("dw_i[j] += g_n", "dw_i[j] = g_n"),
    "channel innermost: weight's gradient of other items too": ("        dw[:] = 0\n", ""),
    "channel innermost: sum of one row": ("row[c] += part[c]", "row[c] = part[c]"),
    "channel innermost: mean of the first scale": (
        "s = scales[i][u, first : first + n]\n                total_n",
        "s = scales[0][u, first : first + n]\n                total_n",
    ),
    "channel innermost: sum, not mean": ("store(mean[c] / real(n_pixels))", "store(mean[c])"),
}


def check_source(monkeypatch, source):
    """Check every problem with the twin made from `source` in place of the real one."""
    # a chunk is less than a map
    module = twin_from(source, add_reordered=operator.add, CHUNK=7)
    monkeypatch.setattr(_scale_mix, "twin", lambda backend: module)
    for problem in PROBLEMS:
        assert_parity(problem)


def test_the_source_as_it_is_passes(monkeypatch):
    check_source(monkeypatch, SOURCE)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name, monkeypatch):
    old, new = MUTANTS[name]
    assert SOURCE.count(old) >= 1, "the source has changed; plant this fault anew"
    with pytest.raises(AssertionError):
        check_source(monkeypatch, SOURCE.replace(old, new))
