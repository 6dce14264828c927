"""Compile what the Triton twins launch for a GPU that is not there: sm_90, to the last instruction.

Run as a program, it compiles every kernel of a function of this module named on the command line,
and prints one JSON object for each: registers, stack, and the widths of its memory accesses.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

TARGET = GPUTarget("cuda", 90, 32)


class NoDriver:
    """What compiling asks of a driver."""

    def get_current_target(self):
        return TARGET

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


def compile_launches(call) -> list:
    """Call a launcher with tensors of the CPU; return the kernels it would have started."""
    kernels = []

    def compile_only(self, grid):
        def run(*args, **kwargs):
            kernels.append(self.run(*args, grid=grid, warmup=True, **kwargs))

        return run

    before = JITFunction.__getitem__
    triton.runtime.driver.set_active(NoDriver())
    JITFunction.__getitem__ = compile_only
    try:
        call()
    finally:
        JITFunction.__getitem__ = before
    return kernels


def describe(kernel) -> dict:
    """Return the resources of a compiled kernel, and how wide its memory accesses are in bits."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        command = [tool, "--dump-resource-usage", file.name]
        usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    numbers = {k: int(v) for k, v in re.findall(r"(REG|STACK|LOCAL):(\d+)", usage)}
    accesses = re.findall(r"(ld|st)\.global\S*?(?:\.v(\d))?\.b(\d+)", kernel.asm["ptx"])
    widths = Counter(f"{op}{int(n or 1) * int(bits)}" for op, n, bits in accesses)
    fused = len(re.findall(r"\bfma\.rn\.f(?:32|64)", kernel.asm["ptx"]))
    return {"name": kernel.name, **numbers, "widths": dict(sorted(widths.items())), "fused": fused}


def lif():
    """Compile the neuron: every charge and surrogate, each dtype, both ways to save."""
    from skspike.kernels import _lif_triton as twin
    from skspike.kernels._spec import NeuronSpec

    plain = NeuronSpec(1.0, 0.0, "decay_input", False, True, "atan", 2.0)
    soft = replace(plain, charge="leak", v_reset=None, detach_reset=False, surrogate="sigmoid")
    integrate = replace(plain, charge="integrate", strict=True, surrogate="triangle")
    adaptive = replace(plain, charge="decay", beta=0.5, surrogate="dspike")
    cases = [
        (plain, torch.float32, "recompute", False),
        (plain, torch.float32, "potential", False),
        (plain, torch.bfloat16, "recompute", False),
        (plain, torch.float16, "potential", False),
        (plain, torch.float32, "recompute", True),
        (soft, torch.float64, "recompute", True),
        (integrate, torch.float32, "recompute", False),
        (adaptive, torch.float32, "recompute", False),
        (adaptive, torch.bfloat16, "recompute", True),
    ]
    twin.MANY_NEURONS = 0
    for spec, dtype, save, learn in cases:
        x = torch.zeros(16, 4096, dtype=dtype)
        state = torch.zeros(4096, dtype=torch.float64 if dtype == torch.float64 else None)
        leak = state if learn else state[:1]
        a, rho = (state, leak) if spec.adaptive else (None, None)
        v = state if learn else None

        def call(x=x, v=v, leak=leak, a=a, rho=rho, spec=spec, save=save, learn=learn):
            saved = twin.forward(x, v, leak, a, rho, spec, save)[3]
            learn_rho = learn and spec.adaptive
            twin.backward(x, v, leak, a, rho, saved, x, v, None, spec, learn, learn_rho)

        for kernel in compile_launches(call):
            case = f"{spec.charge} {spec.surrogate} {dtype} {save} {'learn' if learn else ''}"
            print(json.dumps({"case": case} | describe(kernel)), flush=True)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
