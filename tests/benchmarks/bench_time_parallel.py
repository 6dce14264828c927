"""One network on several processes, each with a part of the steps, against one process with all.

Run ``python -m tests.benchmarks.bench_time_parallel [--device cuda] [--tiny]`` on an idle machine.

The model of the time of n processes is T_s / n + n T_c: T_s is that of one process, T_c that of
handing a layer's state on. One GPU holds one process only, so there T_s and T_c are measured and
the rest is the model's.
"""

from __future__ import annotations

import functools
import math
import os
import statistics
import tempfile
from collections.abc import Callable

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from skspike.models import create_model
from skspike.nn import TimeParallel
from tests.benchmarks.bench_training import neuron_layers
from tests.benchmarks.measure import interleave
from tests.benchmarks.report import report, significant
from tests.benchmarks.setting import Setting, run

SIZES = {"cpu": (32, 8, 64), "cuda": (32, 100, 64), "tiny": (4, 2, 2)}  # steps, samples, width


def make_network(width: int) -> nn.Module:
    """Return Spiking ResNet-18, equal in every process."""
    torch.manual_seed(0)
    return create_model("spiking_resnet18", n_classes=10, width=width)


def draw(size: tuple[int, int, int], place: torch.device) -> tuple[Tensor, Tensor]:
    """Draw images and labels."""
    torch.manual_seed(1)
    n_steps, n_samples, _ = size
    x = (torch.rand(n_steps, n_samples, 3, 32, 32) < 0.3).float()
    return x.to(place), torch.randint(10, (n_samples,)).to(place)


def train(network: nn.Module, gather: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Compute the gradients of a step; the optimizer's part is the same everywhere."""
    network.zero_grad(set_to_none=True)
    loss = cross_entropy(gather(network(x)).mean(0), y)
    loss.backward()
    return loss.detach()


def check(x: Tensor, y: Tensor) -> None:
    """Compare the loss and the gradients with those of one process, in float64."""
    alone = make_network(2).double()
    together = TimeParallel(make_network(2).double())
    x = x[:, :2].double()
    loss = train(alone, lambda steps: steps, x, y[:2])
    shared = train(together, together.gather_steps, together.split_steps(x), y[:2])
    assert_close(shared, loss)
    pairs = zip(alone.parameters(), together.parameters(), strict=True)
    for one, other in pairs:
        assert_close(other.grad, one.grad, rtol=1e-8, atol=1e-10)


def median(step: Callable, inputs: tuple, seconds: float) -> float:
    """Return the median seconds of a step, in which all processes take part."""
    rounds = 3 if seconds == 0 else 7

    def together(*arguments: Tensor) -> None:
        dist.barrier()
        step(*arguments)

    times = interleave({"step": together}, [inputs], torch.device("cpu"), math.inf, rounds)
    return statistics.median(times["step"])


def pass_on(state: Tensor) -> None:
    """Send a layer's state to the next process and get it back: two hand-overs."""
    rank = dist.get_rank()
    if rank < 2:
        for sender in (0, 1):
            dist.send(state, 1 - sender) if rank == sender else dist.recv(state, sender)


def work(rank: int, n: int, store: str, size: tuple, seconds: float, queue: mp.Queue) -> None:
    """Run one of n processes; the slowest process of a step counts."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=n)
    x, y = draw(size, torch.device("cpu"))
    check(x, y)
    shapes = [torch.Size(shape).numel() for shape in neuron_layers(size[1], size[2])]
    hand_over = median(pass_on, (torch.zeros(sum(shapes) // len(shapes)),), seconds) / 2
    parallel = TimeParallel(make_network(size[2]))
    own = parallel.split_steps(x)
    times = torch.tensor(
        [
            median(functools.partial(train, parallel, parallel.gather_steps), (own, y), seconds),
            hand_over,
        ]
    )
    dist.all_reduce(times, dist.ReduceOp.MAX)
    if rank == 0:
        queue.put(times.tolist())
    dist.barrier()
    dist.destroy_process_group()


def time_alone(size: tuple, place: torch.device, n_threads: int, seconds: float) -> float:
    """Return the seconds of a training step in one process."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    network = make_network(size[2]).to(place)
    step = functools.partial(train, network, lambda steps: steps)
    inputs, at_least = [draw(size, place)], 3 if seconds else 1
    times = interleave({"step": step}, inputs, place, seconds, 7, at_least)["step"]
    torch.set_num_threads(before)
    return statistics.median(times)


def bench_processes(setting: Setting, n: int) -> None:
    """Measure n processes of one thread each."""
    size = setting.pick(SIZES["cpu"], SIZES["cuda"], SIZES["tiny"])
    seconds = 0.0 if setting.tiny else 20.0
    context = mp.get_context("spawn")
    queue = context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        mp.spawn(work, (n, store, size, seconds, queue), nprocs=n)
    measured, hand_over = queue.get()
    cores = len(os.sched_getaffinity(0))
    alone = {k: time_alone(size, torch.device("cpu"), k, seconds) for k in {1, min(n, cores)}}
    for n_threads, its in sorted(alone.items()):
        ideal = alone[1] / min(n, cores)
        report(
            bench="time_parallel",
            case=f"Spiking ResNet-18 gradients, 32x32, T={size[0]}, N={size[1]}, {n} processes",
            ours=f"{n} processes of 1 thread",
            peer=f"1 process of {n_threads} thread{'s' * (n_threads > 1)}",
            ratio=significant(its / measured, 3),
            limit_fraction=significant(ideal / measured, 3),
            limit=f"{min(n, cores)} cores share the time of one",
            limit_ms=significant(1e3 * ideal),
            ours_ms=significant(1e3 * measured),
            peer_ms=significant(1e3 * its),
            hand_over_ms=significant(1e3 * hand_over),
            model_ms=significant(1e3 * (alone[1] / n + n * hand_over)),
            cores=cores,
            **({"tiny": True} if setting.tiny else {}),
            **({"rehearsal": True} if setting.rehearsal else {}),
        )


def bench_model(setting: Setting) -> None:
    """Measure one GPU and a copy on it, and say what the model makes of several GPUs."""
    size = setting.pick(SIZES["cpu"], SIZES["cuda"], SIZES["tiny"])
    place = setting.place
    seconds = 0.0 if setting.tiny else 4.0
    alone = time_alone(size, place, torch.get_num_threads(), seconds)
    shapes = [torch.Size(shape).numel() for shape in neuron_layers(size[1], size[2])]
    source, target = torch.rand(2, sum(shapes) // len(shapes), device=place)
    copies = interleave({"copy": target.copy_}, [(source,)] * 16, place, 1.0)["copy"]
    hand_over = statistics.median(copies)
    best = math.sqrt(alone / hand_over)
    for n in (2, 4, 8):
        modelled = alone / n + n * hand_over
        report(
            bench="time_parallel",
            case=f"Spiking ResNet-18 gradients, 32x32, T={size[0]}, N={size[1]}, {n} devices",
            ours=f"{n} devices, by the model",
            peer="1 device",
            ratio=None,
            model_ratio=significant(alone / modelled, 3),
            model_ms=significant(1e3 * modelled),
            peer_ms=significant(1e3 * alone),
            hand_over_ms=significant(1e3 * hand_over),
            best_number=significant(best, 3),
            **({"tiny": True} if setting.tiny else {}),
            **({"rehearsal": True} if setting.rehearsal else {}),
        )


def bench_two(setting: Setting) -> None:
    """Measure two processes where there is no GPU, else ask the model."""
    bench_model(setting) if setting.device == "cuda" else bench_processes(setting, 2)


def bench_four(setting: Setting) -> None:
    """Measure four processes where there is no GPU."""
    if setting.device == "cpu" and not setting.tiny:
        bench_processes(setting, 4)


CASES = {"two": bench_two, "four": bench_four}

if __name__ == "__main__":
    run("tests.benchmarks.bench_time_parallel", __doc__.partition("\n")[0], CASES)
