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
    shared = kernel.asm["ptx"].count("st.shared")
    found = {"widths": dict(sorted(widths.items())), "fused": fused, "shared": shared}
    return {"name": kernel.name} | numbers | found


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
        (replace(integrate, through_time=False), torch.float32, "recompute", False),
        (replace(soft, max_spikes=4), torch.float32, "recompute", True),
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


def norm_lif():
    """Compile batch norm, neurons and pooling: both layouts, even and odd maps, each dtype."""
    from skspike.kernels import _norm_lif_triton as twin
    from skspike.kernels._spec import NeuronSpec

    plain = NeuronSpec(1.0, 0.0, "decay_input", False, True, "atan", 2.0)
    cases = [
        ("none", torch.float32, False, (16, 2, 64, 32, 32)),
        ("none", torch.float32, True, (16, 2, 64, 32, 32)),
        ("none", torch.bfloat16, True, (16, 2, 64, 32, 32)),
        ("none", torch.float64, False, (16, 2, 64, 32, 32)),
        ("max", torch.float32, False, (16, 2, 64, 32, 32)),
        ("max", torch.float32, False, (16, 2, 64, 34, 34)),
        ("max", torch.float32, True, (16, 2, 64, 34, 34)),
        ("max", torch.bfloat16, True, (16, 2, 64, 32, 32)),
        ("avg", torch.bfloat16, False, (16, 2, 64, 35, 35)),
        ("avg", torch.float32, False, (1, 1, 1, 2, 2)),
        ("none", torch.float32, True, (1, 1, 1, 1, 1)),
    ]
    for pool, dtype, innermost, shape in cases:
        x = torch.zeros(shape, dtype=dtype)
        if innermost:
            x = x.movedim(2, -1).contiguous().movedim(-1, 2)
        real = torch.float64 if dtype == torch.float64 else torch.float32
        of_channels = torch.zeros(shape[2], dtype=real)
        leak = torch.zeros((), dtype=real)

        def call(x=x, c=of_channels, leak=leak, pool=pool):
            twin.moments(x)
            s, _ = twin.forward(x, c, c, None, leak, plain, pool)
            twin.backward(x, c, c, c, None, leak, s, None, plain, pool, False, False)
            twin.norm_backward(x, x, c, c, c, c)

        for kernel in compile_launches(call):
            layout = "channels last" if innermost else "contiguous"
            case = f"{pool} {dtype} {layout} {shape}"
            print(json.dumps({"case": case} | describe(kernel)), flush=True)


def scale_mix():
    """Compile the mixing of scales: both layouts, with and without source steps."""
    from skspike.kernels import _scale_mix_triton as twin

    cases = [
        (torch.float32, False, False, (16, 2, 64, 32, 32)),
        (torch.float32, False, True, (16, 2, 64, 32, 32)),
        (torch.float32, True, False, (16, 2, 64, 32, 32)),
        (torch.bfloat16, True, True, (16, 2, 64, 32, 32)),
        (torch.bfloat16, False, True, (16, 2, 64, 4, 4)),
        (torch.float64, False, True, (1, 1, 1, 1, 1)),
        (torch.float32, True, True, (1, 1, 1, 1, 1)),
    ]
    for dtype, innermost, has_source, shape in cases:
        x = torch.zeros(shape, dtype=dtype)
        if innermost:
            x = x.movedim(2, -1).contiguous().movedim(-1, 2)
        real = torch.float64 if dtype == torch.float64 else torch.float32
        weight = torch.zeros((3, *shape[:3]), dtype=real)
        source = torch.zeros(3, shape[0], shape[2], dtype=torch.int64) if has_source else None

        def call(x=x, weight=weight, source=source):
            twin.mix([x, x, x], weight, source)
            twin.mix_backward([x, x, x], weight, source, x, True, True)
            twin.mean([x, x, x])

        for kernel in compile_launches(call):
            layout = "channels last" if innermost else "contiguous"
            case = f"{dtype} {layout} {'source' if has_source else ''} {shape}"
            print(json.dumps({"case": case} | describe(kernel)), flush=True)


def linear_scan():
    """Compile state space models step by step, few and many modes."""
    from skspike.kernels import _linear_scan_triton as twin

    for dtype, n_modes in ((torch.float32, 2), (torch.float32, 32), (torch.float64, 8)):
        x = torch.zeros(64, 2, 256, dtype=dtype)
        decay = torch.zeros(256, n_modes, dtype=dtype.to_complex())
        state = torch.zeros(2, 256, n_modes, dtype=decay.dtype)

        def call(x=x, decay=decay, state=state):
            twin.forward(x, decay, decay, state)
            twin.backward(x, decay, decay, state, x, None)

        for kernel in compile_launches(call):
            print(json.dumps({"case": f"{dtype} {n_modes} modes"} | describe(kernel)), flush=True)


def gated_scan():
    """Compile gated leaky integrators, in both directions."""
    from skspike.kernels import _gated_scan_triton as twin

    for dtype in (torch.float32, torch.float64):
        for reverse in (False, True):
            x = torch.zeros(64, 2, 256, dtype=dtype)

            def call(x=x, reverse=reverse):
                twin.forward(x, x, x[0], reverse)
                twin.backward(x, x, x[0], x, x, reverse)

            for kernel in compile_launches(call):
                case = f"{dtype} {'back' if reverse else 'ahead'}"
                print(json.dumps({"case": case} | describe(kernel)), flush=True)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
