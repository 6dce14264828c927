"""LIF neurons alone: forward and backward through autograd, and forward only.

Run ``python -m tests.benchmarks.bench_kernels [--device cuda] [--tiny]`` on an idle machine.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.testing import assert_close

from skspike.kernels import empty_cache, lif
from tests.benchmarks import loops, peers
from tests.benchmarks.compare import Arm, Limit, Target, compare
from tests.benchmarks.measure import copy_bandwidth, fill_the_cache
from tests.benchmarks.setting import Setting, run

# Maps that have to move: x and s forward; x, ds and dx backward.
MAPS_TRAINING, MAPS_FORWARD = 5, 2
COPY = {"cpu": 2**28, "cuda": 2**32, "tiny": 2**20}  # bytes
PRIMARY = {"cpu": Target(5.5, limit=0.6), "cuda": Target(1.3, limit=0.8)}


def bandwidth_limit(setting: Setting, n_bytes: float) -> Limit:
    """Return the time that moving so many bytes takes at the rate of a large copy."""
    rate = copy_bandwidth(setting.place, COPY["tiny" if setting.tiny else setting.device])
    return Limit(n_bytes / rate, f"{n_bytes / 1e6:.4g} MB at {rate / 1e9:.4g} GB/s, the copy's")


def train(layer: Callable[[Tensor], Tensor], x: Tensor, ds: Tensor) -> Tensor:
    """One forward and backward pass, allocations included."""
    return torch.autograd.grad(layer(x), x, ds)[0]


def training_arm(layer: Callable[[Tensor], Tensor]) -> Arm:
    """Return the arm that trains a layer of neurons."""
    return Arm(functools.partial(train, layer), lambda x, ds: layer(x))


def check_training(ours: Callable, peer: Callable, x: Tensor, ds: Tensor) -> None:
    """Refuse to time what does not compute the same."""
    assert_close(ours(x), peer(x), rtol=0, atol=0)
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if x.dtype == torch.float32 else {}
    assert_close(train(ours, x, ds), train(peer, x, ds), **tolerance)


def draw(setting: Setting, n_steps: int, n_neurons: int, dtype: torch.dtype) -> list[tuple]:
    """Draw inputs and gradients of the output: as many sets as it takes to leave the cache."""
    size, place = (n_steps, n_neurons), setting.place
    n_sets = fill_the_cache(place, MAPS_TRAINING * n_steps * n_neurons * dtype.itemsize)
    return [
        (
            (1.5 * torch.randn(size, device=place)).to(dtype).requires_grad_(),
            torch.randn(size, device=place).to(dtype),
        )
        for _ in range(n_sets)
    ]


def bench_lif(
    setting: Setting,
    n_steps: int,
    log2_neurons: int,
    peer_names: tuple[str, ...] = ("spikingjelly",),
    dtype: torch.dtype = torch.float32,
    target: Target | None = None,
) -> None:
    """Train LIF neurons with decaying input and a detached reset."""
    n_steps, log2_neurons = setting.pick(*[(n_steps, log2_neurons)] * 2, (3, 8))
    inputs = draw(setting, n_steps, 2**log2_neurons, dtype)

    def ours(x: Tensor) -> Tensor:
        return lif(x)[0]

    python_loop = functools.partial(loops.loop, loops.lif_step)
    # Compiling takes minutes; at tiny size the compiler is only traced.
    backend = "aot_eager" if setting.tiny else "inductor"
    layers = {
        "python loop": lambda: python_loop,
        "torch.compile": lambda: torch.compile(python_loop, backend=backend, dynamic=False),
        "spikingjelly": peers.spikingjelly_neuron,
    }

    def build(name: str) -> Arm:
        layer = layers[name]()
        check_training(ours, layer, *inputs[0])
        return training_arm(layer)

    limit = bandwidth_limit(setting, MAPS_TRAINING * n_steps * 2**log2_neurons * dtype.itemsize)
    empty_cache()
    name = str(dtype).removeprefix("torch.")
    compare(
        setting,
        "kernels",
        f"LIF forward+backward, T={n_steps}, 2^{log2_neurons} neurons, {name}",
        ours={"ours": training_arm(ours)},
        peers={peer: functools.partial(build, peer) for peer in peer_names},
        pairs=[
            ("ours", peer, target if target and peer == "spikingjelly" else Target())
            for peer in peer_names
        ],
        inputs=inputs,
        limits={"ours": limit},
    )


def bench_inference(setting: Setting) -> None:
    """Run LIF neurons without a backward pass."""
    n_steps, log2_neurons = setting.pick((16, 20), (16, 22), (3, 8))
    inputs = [(x.detach(),) for x, _ in draw(setting, n_steps, 2**log2_neurons, torch.float32)]

    def ours(x: Tensor) -> Tensor:
        return lif(x)[0]

    def build() -> Arm:
        layer = peers.spikingjelly_neuron()
        assert_close(ours(inputs[0][0]), layer(inputs[0][0]), rtol=0, atol=0)
        return Arm(layer)

    limit = bandwidth_limit(setting, MAPS_FORWARD * n_steps * 2**log2_neurons * 4)
    compare(
        setting,
        "kernels",
        f"LIF forward only, T={n_steps}, 2^{log2_neurons} neurons, float32",
        ours={"ours": Arm(ours)},
        peers={"spikingjelly": build},
        pairs=[("ours", "spikingjelly", Target())],
        inputs=inputs,
        limits={"ours": limit},
    )


def bench_snntorch(setting: Setting) -> None:
    """Train the neuron that snnTorch has: input not decayed, gradient through the reset."""
    n_steps, log2_neurons = setting.pick((16, 20), (16, 20), (3, 8))
    inputs = draw(setting, n_steps, 2**log2_neurons, torch.float32)

    def ours(x: Tensor) -> Tensor:
        return lif(x, decay_input=False, detach_reset=False)[0]

    def build() -> Arm:
        layer = peers.snntorch_lif(setting.place)
        check_training(ours, layer, *inputs[0])
        return training_arm(layer)

    limit = bandwidth_limit(setting, MAPS_TRAINING * n_steps * 2**log2_neurons * 4)
    compare(
        setting,
        "kernels",
        f"LIF as in snnTorch forward+backward, T={n_steps}, 2^{log2_neurons} neurons, float32",
        ours={"ours": training_arm(ours)},
        peers={"snntorch": build},
        pairs=[("ours", "snntorch", Target())],
        inputs=inputs,
        limits={"ours": limit},
    )


def _lif_case(n_steps: int, log2_neurons: int, **options: object) -> Callable[[Setting], None]:
    def case(setting: Setting) -> None:
        primary = n_steps == 16 and log2_neurons >= 20 and "dtype" not in options
        target = PRIMARY[setting.device] if primary else None
        bench_lif(setting, n_steps, log2_neurons, target=target, **options)

    return case


CASES = {
    "lif-16-20": _lif_case(16, 20, peer_names=("spikingjelly", "python loop")),
    "lif-16-22": _lif_case(16, 22),
    "lif-16-24": _lif_case(16, 24),
    "lif-4-16": _lif_case(4, 16),
    "lif-16-16": _lif_case(16, 16),
    "lif-256-16": _lif_case(256, 16, peer_names=("spikingjelly", "python loop")),
    "lif-bfloat16": _lif_case(16, 20, dtype=torch.bfloat16),
    "lif-compile": _lif_case(16, 20, peer_names=("torch.compile",)),
    "lif-inference": bench_inference,
    "lif-snntorch": bench_snntorch,
}

if __name__ == "__main__":
    run("tests.benchmarks.bench_kernels", __doc__.partition("\n")[0], CASES)
