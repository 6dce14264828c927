"""What the processes in the tests of TimeParallel do: each leaves files that the tests compare."""

from __future__ import annotations

import itertools
import os
import signal
import time
from functools import partial
from pathlib import Path

import torch
from torch import distributed as dist
from torch import nn

from skspike import nn as snn
from skspike.exceptions import ProcessLostError
from skspike.models import create_model
from tests.models.common import excite

T, N, SIZE = 10, 3, 4
TIMEOUT = 4.0
IMAGE, VECTOR = (2, 9, 8), (5,)

# name: number of processes, chunks
SPLITS = {"two": (2, (7, 3)), "four": (4, None), "four, uneven": (4, (1, 2, 6, 1))}


def vgg(**options):
    return create_model("sma_vgg8", n_classes=3, n_steps=T, width=2, **options)


# name: network, shape of a sample of a step
CASES = {
    "sma_vgg8": (lambda: vgg(zoneout_steps=2, zoneout_channels=1), IMAGE),
    "sma_vgg8, loop": (lambda: vgg(zoneout_steps=1, zoneout_version="loop"), IMAGE),
    "sma_vgg8, loop of some": (
        lambda: vgg(zoneout_steps=2, zoneout_channels=1, zoneout_version="loop"),
        IMAGE,
    ),
    "sma_vgg8, relu and plif": (lambda: vgg(sma_kind="relu", neuron="plif", hidden=()), IMAGE),
    "sma_lite": (lambda: snn.SMALite(8, T, zoneout=True, zoneout_channels=2), (8, 4, 4)),
    "sma_mlp": (lambda: create_model("sma_mlp", n_classes=3, in_channels=5, n_steps=T), VECTOR),
    "spiking_resnet18": (
        lambda: create_model("spiking_resnet18", n_classes=3, in_channels=2, width=4),
        (2, 17, 17),
    ),
    "plif first": (lambda: nn.Sequential(snn.ParametricLIF(3.0), nn.Linear(5, 3)), VECTOR),
    "lif first": (lambda: nn.Sequential(snn.LIF(v_reset=-0.25), nn.Linear(5, 3)), VECTOR),
    "ssm neuron": (lambda: nn.Sequential(snn.SpikingSSMNeuron(5), nn.Linear(5, 3)), VECTOR),
    "ssm neuron, in rounds": (
        lambda: nn.Sequential(snn.SpikingSSMNeuron(5, "fixed_point"), nn.Linear(5, 3)),
        VECTOR,
    ),
    "ssm block": (
        lambda: nn.Sequential(
            snn.SpikingSSMBlock(5, 4, bidirectional=True, norm="batch", dropout=0.2),
            nn.Linear(5, 3),
        ),
        VECTOR,
    ),
    "selective block": (
        lambda: nn.Sequential(
            snn.SelectiveSSMBlock(5, 4, bidirectional=True, norm="batch", dropout=0.2, dt_max=2.0),
            nn.Linear(5, 3),
        ),
        VECTOR,
    ),
    "adaptive": (
        lambda: nn.Sequential(snn.BatchNorm1d(5), snn.AdaptiveLIF(5), nn.Linear(5, 3)),
        VECTOR,
    ),
}

# Compiled are those that hand on each kind of state; the others are to test the messages alone.
COMPILED = ("sma_vgg8", "sma_vgg8, loop", "sma_vgg8, loop of some", "plif first", "adaptive")

# The variants of a network on uneven chunks alone
RUNS = [(s, n) for s in SPLITS for n in CASES if "uneven" in s or "," not in n]


def build(name, seed=0):
    """Return a network in double precision that fires, with norms of either momentum."""
    torch.manual_seed(seed)
    network = excite(CASES[name][0]()).double()
    for module in network.modules():
        if hasattr(module, "backend") and name not in COMPILED:
            module.backend = "reference"
    norms = (m for m in network.modules() if hasattr(m, "momentum"))
    for norm, momentum in zip(norms, itertools.cycle((0.3, None))):
        norm.momentum = momentum
    return network


def draw(name):
    """Return all steps of a batch."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(T, N, *CASES[name][1], dtype=torch.float64, generator=generator)


def weigh(y):
    """Return a loss of which each output has another share."""
    generator = torch.Generator().manual_seed(2)
    return (y.square() * torch.randn(y.shape, dtype=y.dtype, generator=generator)).sum()


def train(network, call, x):
    """Return what two training steps and an evaluation of a network give."""
    optimizer = torch.optim.SGD(network.parameters(), 1e-5)
    found = {}
    for step in range(2):
        optimizer.zero_grad()
        y = call(x)
        weigh(y).backward()
        found |= {f"output {step}": y.detach()}
        found |= {f"gradient {step} of {n}": p.grad for n, p in network.named_parameters()}
        optimizer.step()
    found |= {f"buffer {n}": b for n, b in network.named_buffers()}
    with torch.no_grad():
        return {**found, "evaluation": (network.eval(), call(x))[1]}


def together(shared, x):
    """Return the outputs of all steps, as one process would."""
    return shared.gather_steps(shared(shared.split_steps(x)))


def run_rank(rank, folder):
    """Be one of the processes."""
    folder = Path(folder)
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "store"), SIZE)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=SIZE)
    groups = {n: dist.new_group(range(n)) for n in {n for n, _ in SPLITS.values()}}

    def save(name, value):
        torch.save(value, folder / f"{name}.{rank}")

    for split, name in RUNS:
        n, chunks = SPLITS[split]
        if rank < n:
            network = build(name, seed=rank)  # TimeParallel makes them equal
            torch.manual_seed(7 + rank)  # the first decides on dropout
            shared = snn.TimeParallel(network, chunks, groups[n])
            save(f"{name}, {split}", train(network, partial(together, shared), draw(name)))
    if rank < 2:
        save("partial", partial_gradients(groups[2]))
        save("own", own_losses(groups[2]))
        save("ddp", data_parallel(rank, groups[2]))
        save("samples", wrong_samples(rank, groups[2]))
    save("late", lose(rank, lambda: time.sleep(2 * TIMEOUT)))
    save("killed", lose(rank, lambda: os.kill(os.getpid(), signal.SIGKILL)))


def partial_gradients(group):
    """Ask for the gradient of the input, of the last layer and of a frozen network alone."""
    network = build("sma_vgg8").eval()
    shared, x = snn.TimeParallel(network, group=group), draw("sma_vgg8")
    x = shared.split_steps(x).requires_grad_()

    def ask(*inputs):
        return torch.autograd.grad(weigh(shared.gather_steps(shared(x))), inputs)

    last, first = network.head[-1].weight, network.blocks[0].conv.weight
    found = [*ask(x), *ask(last), *ask(first)]
    for parameter in network.parameters():
        parameter.requires_grad_(parameter is first)
    return [*found, *ask(first)]


def own_losses(group):
    """Each process has a loss of its own steps."""
    network = build("sma_vgg8").eval()
    shared = snn.TimeParallel(network, group=group)
    shared(shared.split_steps(draw("sma_vgg8"))).square().sum().backward()
    return [p.grad for p in network.parameters()]


def data_parallel(rank, group):
    """Each process has samples of its own."""
    network = build("sma_vgg8").eval()
    parallel = nn.parallel.DistributedDataParallel(network, process_group=group)
    x = draw("sma_vgg8").repeat(1, 2, 1, 1, 1)[:, rank::2][:, :2]
    parallel(x).square().mean().backward()
    return [p.grad for p in network.parameters()]


def wrong_samples(rank, group):
    """The processes have different numbers of samples."""
    try:
        snn.TimeParallel(snn.LIF(), group=group)(torch.zeros(2, 3 + rank))
    except ValueError as error:
        return str(error)


class Leave(nn.Module):
    """A layer at which one process goes."""

    def __init__(self, leave):
        super().__init__()
        self.leave = leave

    def forward(self, x):
        if self.leave is not None:
            self.leave()
        return x


def lose(rank, leave):
    """Run a network in whose middle process 1 goes; return the error and when it came."""
    network = nn.Sequential(
        snn.ParametricLIF(), Leave(leave if rank == 1 else None), snn.ParametricLIF()
    )
    dist.barrier()  # the time starts when all have come
    shared = snn.TimeParallel(network, timeout=TIMEOUT)
    start = time.monotonic()
    try:
        shared(torch.ones(2, 5, requires_grad=True)).sum().backward()
    except ProcessLostError as error:
        return str(error), time.monotonic() - start
