"""What one of several processes does that share the statistics of a batch."""

from __future__ import annotations

import sys

import torch
from torch import distributed as dist

from tests.kernels.norm_parity import make_norm_problem, run_norm
from tests.kernels.parity import Case

# compiled for other tests before
CASE = Case("scalar tensor", "atan", 0.0, (True, True), "decay_input", (False, torch.float64))
SHARES = (slice(0, 2), slice(2, 5))  # samples of each process
BACKENDS = ("numba", "reference")


def problem():
    """Return the problem of all processes together."""
    return make_norm_problem(CASE, (4, 5, 3, 5, 6), pool="max")


def share(whole, rank):
    """Return the part of a process."""
    part = SHARES[rank]
    inputs = whole.inputs | {"x": whole.inputs["x"][:, part], "v": whole.inputs["v"][part]}
    running = tuple(a.clone() for a in whole.running)
    return type(whole)(inputs, running, whole.ds[:, part], whole.dv[part], whole.options)


def main(rank, folder):
    """Run the share of a process, and leave the results in a file."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=len(SHARES)
    )
    own = share(problem(), rank).using(group=dist.group.WORLD)
    torch.save({backend: run_norm(own, backend) for backend in BACKENDS}, f"{folder}/{rank}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
