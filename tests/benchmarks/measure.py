"""How to measure: interleaved arms, medians, memory kept for backward, and the machine's rates."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d

Inputs = Sequence[tuple]
ROUNDS = 3  # whatever they take
SHORT = 0.05  # seconds, of which those a processor takes to wake are a part worth mentioning


def interleave(
    arms: dict[str, Callable],
    inputs: Inputs,
    place: torch.device,
    seconds: float,
    rounds: int = 101,
    at_least: int = ROUNDS,
) -> dict[str, list[float]]:
    """Time the arms in turn, each on all sets of inputs; return seconds for one call, by round.

    Every other round runs backwards, so that no arm always finds the caches as another left them.
    Warm-up comes before: two rounds, or one on the CPU if it takes long. Then as many rounds as fit
    into `seconds`, within the two limits. On the CPU a short turn is taken twice, the second time
    with the clock: processors go to sleep while another arm works on one of them.
    """
    times: dict[str, list[float]] = {name: [] for name in arms}
    started = time.perf_counter()
    for i in range(-2, rounds):
        if i == -1 and place.type == "cpu" and time.perf_counter() - started > seconds / 5:
            continue
        if i == 0:
            started = time.perf_counter()
        for name, arm in list(arms.items())[:: 1 if i % 2 else -1]:
            spent = _time_calls(arm, inputs, place)
            if place.type == "cpu" and spent < SHORT:
                spent = _time_calls(arm, inputs, place)
            if i >= 0:
                times[name].append(spent / len(inputs))
        passed = time.perf_counter() - started
        if i + 1 >= at_least and passed * (i + 2) / (i + 1) > seconds:
            break
    return times


def _time_calls(arm: Callable, inputs: Inputs, place: torch.device) -> float:
    """Return the seconds of one call on each set of inputs, one after the other."""
    if place.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        for arguments in inputs:
            arm(*arguments)
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3
    start = time.perf_counter()
    for arguments in inputs:
        arm(*arguments)
    return time.perf_counter() - start


def ratio(theirs: list[float], ours: list[float]) -> tuple[float, float]:
    """Return the ratio of the medians, and half the spread of the middle half of the rounds."""
    value = statistics.median(theirs) / statistics.median(ours)
    by_round = sorted(a / b for a, b in zip(theirs, ours, strict=True))
    n = len(by_round)
    return value, (by_round[3 * n // 4] - by_round[n // 4]) / 2


def bytes_saved(forward: Callable[[], object], kept_anyway: Iterable[Tensor] = ()) -> int:
    """Return the bytes that autograd holds for the backward pass, each storage once.

    `kept_anyway` are tensors that live whether or not there is a backward pass: parameters.
    """
    known = {tensor.untyped_storage().data_ptr() for tensor in kept_anyway}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    del result
    return sum(storages.values())


def peak_memory(step: Callable[[], object]) -> int:
    """Return the most bytes of device memory that a step holds beyond what was held before."""
    step()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def copy_bandwidth(place: torch.device, n_bytes: int) -> float:
    """Return the bytes read and written per second while copying a large tensor."""
    source, target = torch.rand(2, n_bytes // 4, device=place)
    times = interleave({"copy": target.copy_}, [(source,)], place, 2.0, 21)["copy"]
    return 2 * n_bytes / statistics.median(times)


def matrix_rate(place: torch.device, dtype: torch.dtype, n: int) -> float:
    """Return the operations per second of an n x n matrix product."""
    a, b = torch.randn(2, n, n, device=place).to(dtype)
    times = interleave({"product": torch.mm}, [(a, b)], place, 1.0, 21)["product"]
    return 2 * n**3 / statistics.median(times)


def convolution_rate(place: torch.device, dtype: torch.dtype, shape: tuple, kernel: int) -> float:
    """Return the operations per second of a convolution that keeps `shape`, channels last."""
    weight = torch.randn(shape[1], shape[1], kernel, kernel, device=place)
    x, weight = (
        tensor.to(dtype).to(memory_format=torch.channels_last)
        for tensor in (torch.randn(shape, device=place), weight)
    )
    times = interleave(
        {"convolution": lambda x: conv2d(x, weight, padding=kernel // 2)}, [(x,)], place, 2.0, 11
    )["convolution"]
    return 2 * weight[0].numel() * x.numel() / statistics.median(times)


def fill_the_cache(place: torch.device, n_bytes: int) -> int:
    """Return how many sets of inputs of `n_bytes` it takes to be larger than the L2 by far."""
    if place.type != "cuda":
        return 1
    cache = torch.cuda.get_device_properties(place).L2_cache_size
    return max(2, min(16, -(-4 * cache // n_bytes)))


def channels_last(x: Tensor) -> Tensor:
    """Lay (T, N, C, H, W) out with the channels innermost."""
    merged = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return merged.unflatten(0, x.shape[:2])
