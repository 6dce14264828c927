"""LIF forward and backward through autograd, ours against spikingjelly.

Run ``python -m tests.benchmarks.bench_kernels [--tiny]`` on an idle machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import torch

from skspike.kernels import empty_cache, lif
from tests.benchmarks.measure import Copy, bytes_saved, interleave, report
from tests.benchmarks.peers import spikingjelly_lif

# What has to move in float32: x and s forward; x, ds and dx backward.
BYTES_PER_NEURON_STEP = 5 * 4
SIZES = [(16, 2**20, 15), (16, 2**16, 101), (4, 2**16, 101)]  # steps, neurons, repeats
TINY = [(4, 2**12, 3)]


def train(layer, x, ds):
    """One forward and backward pass, allocations included."""
    return torch.autograd.grad(layer(x), x, ds)[0]


def check_parity(ours, peer, x, ds):
    """Refuse to time what does not compute the same."""
    torch.testing.assert_close(ours(x), peer(x), rtol=0, atol=0)
    torch.testing.assert_close(train(ours, x, ds), train(peer, x, ds), rtol=1e-5, atol=1e-6)


def bench_lif(n_steps: int, n_neurons: int, repeats: int) -> None:
    """Print the comparison for one size."""
    torch.manual_seed(0)
    x = (1.5 * torch.randn(n_steps, n_neurons)).requires_grad_()
    ds = torch.randn(n_steps, n_neurons)
    peer = spikingjelly_lif()

    def ours(x):
        return lif(x)[0]

    check_parity(ours, peer, x, ds)
    empty_cache()
    bandwidth = Copy().bandwidth()
    seconds = interleave(
        {"ours": lambda: train(ours, x, ds), "peer": lambda: train(peer, x, ds)}, repeats
    )
    limit = BYTES_PER_NEURON_STEP * n_steps * n_neurons / bandwidth
    report(
        bench="kernels",
        case=f"lif forward+backward T={n_steps} neurons={n_neurons} float32",
        peer="spikingjelly",
        ratio=round(seconds["peer"] / seconds["ours"], 2),
        bytes_saved_ratio=round(bytes_saved(lambda: ours(x)) / bytes_saved(lambda: peer(x)), 3),
        limit_fraction=round(limit / seconds["ours"], 3),
        ours_ms=round(1e3 * seconds["ours"], 3),
        peer_ms=round(1e3 * seconds["peer"], 3),
        copy_gb_per_s=round(bandwidth / 1e9, 1),
    )


def main() -> None:
    """Run each size in a process of its own: the allocator remembers what came before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="one small size, to see that it runs")
    parser.add_argument("--size", type=int, nargs=3, metavar=("STEPS", "NEURONS", "REPEATS"))
    args = parser.parse_args()
    if args.size:
        torch.set_num_threads(2)
        bench_lif(*args.size)
        return
    for size in TINY if args.tiny else SIZES:
        command = [sys.executable, "-m", "tests.benchmarks.bench_kernels", "--size"]
        if subprocess.run([*command, *map(str, size)]).returncode:
            sys.exit(1)


if __name__ == "__main__":
    main()
