"""Processes that share the steps equal one that has them all; a lost one ends the others."""

from __future__ import annotations

import multiprocessing
import re
import signal
import time

import pytest
import torch
from torch import distributed as dist

from skspike.nn import LIF, TimeParallel
from tests.nn import time_ranks as ranks


@pytest.fixture(scope="module")
def alone():
    """Return what one process computes, for each network."""
    found = {}
    for name in ranks.CASES:
        network = ranks.build(name)
        torch.manual_seed(7)
        found[name] = ranks.train(network, network, ranks.draw(name))
    return found


@pytest.fixture(scope="module")
def left(alone, tmp_path_factory):
    """Return a function that reads what the processes have left."""
    folder = tmp_path_factory.mktemp("ranks")
    # one process imports torch, and the others are its copies
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload([ranks.__name__])
    processes = [
        context.Process(target=ranks.run_rank, args=(rank, str(folder)))
        for rank in range(ranks.SIZE)
    ]
    end = time.monotonic() + 240
    for process in processes:
        process.start()
    for process in processes:
        process.join(max(1, end - time.monotonic()))
        process.kill()
    assert [process.exitcode for process in processes] == [0, -signal.SIGKILL, 0, 0]
    return lambda name, rank: torch.load(folder / f"{name}.{rank}")


# --- equal to one process ---


@pytest.mark.parametrize(("split", "name"), ranks.RUNS)
def test_processes_equal_one(split, name, alone, left):
    """Outputs, gradients, running statistics, and all again after a step of the optimiser."""
    for rank in range(ranks.SPLITS[split][0]):
        found = left(f"{name}, {split}", rank)
        assert found.keys() == alone[name].keys()
        for key, expected in alone[name].items():
            torch.testing.assert_close(
                found[key], expected, rtol=1e-9, atol=1e-10, msg=lambda m, k=key: f"{k}: {m}"
            )


@pytest.mark.parametrize("name", ranks.CASES)
def test_the_networks_tested_here_see_their_input(name, alone):
    assert len(alone[name]["output 0"].unique()) > 5
    silent = [k for k, v in alone[name].items() if k.startswith("gradient") and not v.any()]
    assert not [k for k in silent if "attention" not in k]


def test_gradients_asked_for_alone(left):
    """Messages must be answered whichever gradients are asked for."""
    network, x = ranks.build("sma_vgg8").eval(), ranks.draw("sma_vgg8").requires_grad_()
    last, first = network.head[-1].weight, network.blocks[0].conv.weight
    dx, *expected = torch.autograd.grad(ranks.weigh(network(x)), (x, last, first))
    pieces = []
    for rank in range(2):
        piece, *found = left("partial", rank)
        pieces.append(piece)
        torch.testing.assert_close(found, [*expected, expected[-1]], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(torch.cat(pieces), dx, rtol=1e-9, atol=1e-10)


def test_losses_of_the_processes_are_summed(left):
    network = ranks.build("sma_vgg8").eval()
    network(ranks.draw("sma_vgg8")).square().sum().backward()
    expected = [p.grad for p in network.parameters()]
    for rank in range(2):
        torch.testing.assert_close(left("own", rank), expected, rtol=1e-9, atol=1e-10)


def test_data_parallel_equals_one_process(left):
    network, x = ranks.build("sma_vgg8").eval(), ranks.draw("sma_vgg8")
    network(x.repeat(1, 2, 1, 1, 1)[:, :4]).square().mean().backward()
    expected = [p.grad for p in network.parameters()]
    for rank in range(2):
        torch.testing.assert_close(left("ddp", rank), expected, rtol=1e-9, atol=1e-10)


# --- a process is lost ---


@pytest.mark.parametrize("rank", [0, 2, 3])
def test_a_killed_process_ends_the_others(rank, left):
    message, seconds = left("killed", rank)
    assert re.match(rf"Process {rank} of 4, with the steps {2 * rank} to {2 * rank + 1}, ", message)
    assert message.endswith("End all of them, and start again from your last checkpoint.")
    assert seconds < 60


@pytest.mark.parametrize("rank", [0, 2, 3])
def test_a_late_process_ends_the_others(rank, left):
    message, seconds = left("late", rank)
    assert f"Process {rank} of 4, " in message
    assert seconds < 3 * ranks.TIMEOUT


# --- errors ---


def test_different_samples(left):
    message = "Inputs of TimeParallel must have the same samples in every process. Got [3, 4] "
    assert all(left("samples", rank).startswith(message) for rank in range(2))


def test_without_a_group():
    with pytest.raises(RuntimeError, match="TimeParallel needs a group of processes: start them"):
        TimeParallel(LIF())


@pytest.fixture
def group():
    """Return a group of one process."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield dist.group.WORLD
    dist.destroy_process_group()


@pytest.mark.parametrize("chunks", [(0,), (2, 3), ()])
def test_chunks_that_do_not_fit_the_processes(chunks, group):
    message = f"'chunks' parameter of TimeParallel must have 1 .* Got {re.escape(repr(chunks))} "
    with pytest.raises(ValueError, match=message):
        TimeParallel(LIF(), chunks)


def test_steps_that_do_not_fit_the_chunks(group):
    shared = TimeParallel(LIF(), (4,))
    with pytest.raises(ValueError, match=r"Input of TimeParallel must have 4 steps. Got 3"):
        shared.split_steps(torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"process 0 of TimeParallel must have 4 steps. Got"):
        shared(torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"must have at least 1 steps. Got 0 instead"):
        TimeParallel(LIF()).split_steps(torch.zeros(0, 2))


@pytest.mark.parametrize(
    ("n_steps", "chunks"), [(10, [3, 3, 2, 2]), (8, [2, 2, 2, 2]), (4, [1, 1, 1, 1])]
)
def test_steps_are_shared_as_equally_as_they_go(n_steps, chunks, group):
    shared, x = TimeParallel(LIF()), torch.arange(n_steps)
    shared.size, pieces = 4, []
    for shared.rank in range(4):
        pieces.append(shared.split_steps(x))
    assert [len(piece) for piece in pieces] == chunks
    assert torch.equal(torch.cat(pieces), x)
    with pytest.raises(ValueError, match=r"must have at least 4 steps. Got 3 instead"):
        shared.split_steps(x[:3])


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_timeout_out_of_range(timeout, group):
    with pytest.raises(ValueError, match="'timeout' parameter of TimeParallel must be a float"):
        TimeParallel(LIF(), timeout=timeout)
