"""Batch norm, neurons and pooling as one operator: arguments, registration, several processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import skspike
from skspike.exceptions import BackendError
from skspike.kernels import lif, norm_lif
from skspike.kernels._norm_lif import norm_lif_backward, norm_lif_forward
from skspike.kernels._spec import NeuronSpec
from tests.kernels import norm_ranks
from tests.kernels.norm_parity import POOLS, assert_norm_parity, make_norm_problem, run_norm
from tests.kernels.parity import Case

SPEC = NeuronSpec(1.0, 0.0, "decay_input", False, True, "atan", 2.0)
PLAIN = Case("number", "atan", 0.0, (True, False), "decay_input", (False, torch.float64))


def channels_last(x):
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


# --- arguments ---


X = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64)
ONES = torch.ones(3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[0, 0, 0]}, "must have shape (n_steps, n_samples, n_channels, ...)"),
        ({"weight": torch.ones(2)}, "'weight' parameter of norm_lif must have shape (3,)"),
        ({"bias": torch.ones(3, 1)}, "'bias' parameter of norm_lif must have shape (3,)"),
        ({"running_mean": ONES}, "'running_var' parameter of norm_lif must be given if and only"),
        ({"pool": "sum"}, "'pool' parameter of norm_lif must be one of"),
        ({"pool": "max", "x": X[..., 0]}, "height, width), and two pixels each way, to be pooled"),
        ({"pool": "max", "x": X[..., :1]}, "two pixels each way, to be pooled"),
        ({"momentum": 2.0}, "'momentum' parameter of norm_lif must be"),
        ({"eps": -1.0}, "'eps' parameter of norm_lif must be"),
        ({"x": X[:1, :1, :, :1, :1]}, "must have more than one value per channel in training"),
        ({"v": torch.ones(7)}, "'v' parameter of norm_lif must be broadcastable"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {"x": X, "weight": ONES, "bias": ONES, "training": True} | change
    with pytest.raises(ValueError, match=re.escape(message)):
        norm_lif(**arguments)


def test_a_backend_asked_for_by_name_does_not_fall_back():
    with pytest.raises(BackendError, match="The 'numba' backend of norm_lif serves"):
        norm_lif(X.half(), None, None, training=True, backend="numba")


def test_the_configured_backend_is_used():
    with skspike.config_context(backend="reference"):
        expected = norm_lif(X, ONES, ONES, training=True)
    found = norm_lif(X, ONES, ONES, training=True, backend="reference")
    assert torch.equal(found[1], expected[1])


def test_evaluation_without_running_statistics_takes_those_of_the_batch():
    found = norm_lif(X, ONES, ONES, training=False)
    assert torch.equal(found[1], norm_lif(X, ONES, ONES, training=True)[1])


@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
def test_running_statistics_are_torchs(momentum):
    norm = nn.BatchNorm2d(3, momentum=momentum).double()
    running = norm.running_mean.clone(), norm.running_var.clone()
    for seed in range(3):
        x = torch.randn(4, 2, 3, 5, 5, generator=torch.Generator().manual_seed(seed)).double() + 1
        norm(x.flatten(0, 1))
        norm_lif(x, None, None, *running, training=True, momentum=momentum)
    torch.testing.assert_close(running, (norm.running_mean, norm.running_var))


def test_evaluation_leaves_running_statistics_alone():
    running = torch.zeros_like(ONES), ONES.clone()
    norm_lif(X, None, None, *running, training=False)
    assert [a.tolist() for a in running] == [[0.0] * 3, [1.0] * 3]


@pytest.mark.parametrize("pool", [None, "max"])
def test_a_time_constant_of_each_neuron_takes_separate_calls(pool):
    problem = make_norm_problem(PLAIN, (4, 2, 3, 5, 6), pool=pool)
    tau = 1 + torch.rand(2, 3, 5, 6, dtype=torch.float64)
    problem.inputs["tau"] = tau
    assert_norm_parity(problem)


@pytest.mark.parametrize("pool", POOLS)
def test_sixteen_bits(pool):
    """Spikes are those of the same input in float32; gradients come near them."""
    torch.manual_seed(0)
    x = channels_last(torch.randn(6, 3, 8, 6, 6)).bfloat16()
    weight, bias = torch.rand(8) + 1, torch.rand(8)
    found = []
    for dtype, backend in ((torch.bfloat16, "numba"), (torch.float32, "reference")):
        leaves = [a.clone().requires_grad_() for a in (x.to(dtype), weight, bias)]
        s, v = norm_lif(*leaves, training=True, pool=pool, backend=backend)
        assert s.dtype == dtype
        assert v.dtype == torch.float32
        ds = torch.randn(s.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
        found.append((s.float(), v, *torch.autograd.grad(s, leaves, ds.to(dtype))))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-4)
    assert found[0][2].dtype == torch.bfloat16
    largest = found[1][2].abs().max()
    assert (found[0][2].float() - found[1][2]).abs().max() < 0.02 * largest
    for a, b in zip(found[0][3:], found[1][3:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_only_one_result_is_used():
    for index in (0, 1):
        gradients = []
        for backend in ("numba", "reference"):
            x = X.clone().requires_grad_()
            out = norm_lif(x, None, None, training=True, pool="max", backend=backend)[index]
            gradients += torch.autograd.grad(out.sum(), x)
        torch.testing.assert_close(*gradients)


# --- the operator ---


@pytest.mark.parametrize(
    ("training", "pool", "layout"),
    [
        (True, "none", torch.clone),
        (True, "max", channels_last),
        (True, "max", torch.clone),
        (False, "none", channels_last),
        (False, "max", torch.clone),
    ],
)
def test_opcheck(training, pool, layout):
    torch.manual_seed(0)
    x = layout(torch.randn(5, 2, 3, 4, 5, dtype=torch.float64))
    weight, bias, v = torch.rand(3), torch.rand(3), torch.rand(2, 3, 4, 5)
    tensors = [a.double() for a in (weight, bias, v)]
    leak = torch.tensor(0.5, dtype=torch.float64)
    statistics = (None, None) if training else (torch.zeros(3).double(), torch.ones(3).double())

    def arguments(learn):
        x_, w_, b_, v_, k_ = (a.clone().requires_grad_(learn) for a in (x, *tensors, leak))
        return x_, w_, b_, *statistics, v_, k_, *SPEC.args(), 1e-5, pool, "", "numba"

    torch.library.opcheck(norm_lif_forward, arguments(True))
    s, v_last, mean, var, count = norm_lif_forward(*arguments(False))
    if not training:
        mean, var, count = *statistics, None
    upstream = torch.randn_like(s), torch.randn_like(v_last)
    torch.library.opcheck(
        norm_lif_backward,
        (x, *tensors[:2], mean, var, count, tensors[2], leak, *upstream, *SPEC.args())
        + (1e-5, pool, "", True, "numba"),
    )


def test_compiles_without_a_graph_break():
    running = torch.zeros_like(ONES), ONES.clone()

    def train(x, weight, running_mean, running_var):
        s, v = norm_lif(2 * x, weight, None, running_mean, running_var, training=True, pool="max")
        return s + 1, v

    compiled = torch.compile(train, fullgraph=True, backend="aot_eager")
    results = []
    for function in (train, compiled):
        x, weight = X.clone().requires_grad_(), ONES.clone().requires_grad_()
        statistics = [a.clone() for a in running]
        s, v = function(x, weight, *statistics)
        results.append((s, v, *statistics, *torch.autograd.grad(s.sum() + v.sum(), (x, weight))))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    assert not torch.equal(results[0][2], running[0])


def test_second_derivatives_are_refused():
    x = X.clone().requires_grad_()
    (dx,) = torch.autograd.grad(
        norm_lif(x, None, None, training=True)[1].sum(), x, create_graph=True
    )
    with pytest.raises(RuntimeError, match="norm_lif_backward is not implemented"):
        dx.sum().backward()


# --- several processes ---


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory):
    """Return what each of the processes found."""
    folder = tmp_path_factory.mktemp("norm")
    root = Path(__file__).parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "tests.kernels.norm_ranks"]
    processes = [
        subprocess.Popen([*command, str(rank), str(folder)], cwd=root, env=environment)
        for rank in range(len(norm_ranks.SHARES))
    ]
    assert [process.wait(120) for process in processes] == [0] * len(processes)
    return [torch.load(folder / str(rank)) for rank in range(len(processes))]


@pytest.mark.parametrize("backend", norm_ranks.BACKENDS)
def test_processes_that_share_statistics_equal_one(backend, of_ranks):
    """With unequal shares of the samples."""
    expected = run_norm(norm_ranks.problem(), "reference")
    found = [results[backend] for results in of_ranks]
    exact = {"rtol": 1e-11, "atol": 1e-11}
    for name in ("s", "dx"):
        torch.testing.assert_close(torch.cat([f[name] for f in found], 1), expected[name], **exact)
    for name in ("v", "dv"):
        torch.testing.assert_close(torch.cat([f[name] for f in found]), expected[name], **exact)
    for name in ("dweight", "dbias", "dtau"):  # each its part, as data-parallel training expects
        torch.testing.assert_close(sum(f[name] for f in found), expected[name], **exact)
    for f in found:
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(f[name], expected[name], **exact)
    alone = run_norm(norm_ranks.share(norm_ranks.problem(), 0), "reference")
    assert not torch.allclose(alone["dx"], found[0]["dx"])


def test_lif_alone_gives_what_norm_lif_gives_behind_a_norm_that_does_nothing():
    x = torch.randn(8, 4, 3, 5)
    running = torch.zeros(3), torch.ones(3)
    found = norm_lif(x, None, None, *running, training=False, eps=0.0)
    for a, b in zip(found, lif(x), strict=True):
        assert torch.equal(a, b)
