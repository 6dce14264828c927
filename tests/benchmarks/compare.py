"""Ours against others on one piece of work: parity, time and memory, one line for each."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from tests.benchmarks.measure import Inputs, bytes_saved, interleave, peak_memory, ratio
from tests.benchmarks.report import note, report, significant
from tests.benchmarks.setting import Setting

SECONDS = {"cpu": 30.0, "cuda": 4.0}  # for all rounds of a case


class MissingPeer(Exception):
    """A library to compare with is not installed."""


@dataclass
class Arm:
    """One way to do the work.

    `step` is what is timed, on one set of inputs. `forward`, if there is a backward pass, returns
    what holds the memory for it; `parameters` would be held anyway.
    """

    step: Callable
    forward: Callable | None = None
    parameters: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Target:
    """What is asked for: so many times faster, so little memory, so near the limit."""

    ratio: float | None = None
    memory: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Limit:
    """The time below which no version gets on this machine, and why."""

    seconds: float
    why: str


def compare(
    setting: Setting,
    bench: str,
    case: str,
    *,
    ours: dict[str, Arm],
    peers: dict[str, Callable[[], Arm]],
    pairs: list[tuple[str, str, Target]],
    inputs: Inputs,
    limits: dict[str, Limit] | None = None,
    facts: dict | None = None,
) -> None:
    """Time all arms in turn and report the pairs (ours, peer, target).

    A peer is built when its turn comes: it may be missing, or raise because its results differ
    from ours, and then there is no number. Whatever else is to be in the lines, `facts` has.
    """
    arms, missing = dict(ours), {}
    for name, build in peers.items():
        try:
            arms[name] = build()
        except MissingPeer as error:
            missing[name] = str(error)
    names = {name for pair in pairs for name in pair[:2]}
    arms = {name: arm for name, arm in arms.items() if name in names}
    place = setting.place
    steps = {name: arm.step for name, arm in arms.items()}
    if setting.tiny:
        times = interleave(steps, inputs, place, 0.0, at_least=1)
    else:
        times = interleave(steps, inputs, place, SECONDS[setting.device])
    memory = {name: _memory(setting, arm, inputs) for name, arm in arms.items()}
    kind = "peak_memory" if place.type == "cuda" else "bytes_saved"
    for our_name, peer, target in pairs:
        if peer in missing:
            note(f"{bench}, {case}: no comparison with {peer}: {missing[peer]}")
            report(bench=bench, case=case, peer=peer, missing=missing[peer], ratio=None)
            continue
        value, spread = ratio(times[peer], times[our_name])
        seconds = statistics.median(times[our_name])
        limit = (limits or {}).get(our_name)
        mine, its = memory[our_name], memory[peer]
        report(
            bench=bench,
            case=case,
            ours=our_name,
            peer=peer,
            ratio=significant(value, 3),
            ratio_spread=significant(spread, 2),
            ratio_target=target.ratio,
            **{
                f"{kind}_ratio": significant(mine / its, 3) if mine and its else None,
                f"{kind}_target": target.memory,
                "ours_mb": significant(mine / 1e6) if mine is not None else None,
                "peer_mb": significant(its / 1e6) if its is not None else None,
            },
            limit_fraction=significant(limit.seconds / seconds, 3) if limit else None,
            limit_target=target.limit,
            limit=limit.why if limit else None,
            limit_ms=significant(1e3 * limit.seconds) if limit else None,
            ours_ms=significant(1e3 * seconds),
            peer_ms=significant(1e3 * statistics.median(times[peer])),
            rounds=len(times[peer]),
            **(facts or {}),
            **({"tiny": True} if setting.tiny else {}),
            **({"rehearsal": True} if setting.rehearsal else {}),
        )


def _memory(setting: Setting, arm: Arm, inputs: Inputs) -> int | None:
    """Return the bytes kept for backward on the CPU, the peak of a step on CUDA."""
    if setting.place.type == "cuda":
        return peak_memory(lambda: arm.step(*inputs[0]))
    if arm.forward is None:
        return None
    return bytes_saved(lambda: arm.forward(*inputs[0]), arm.parameters)
