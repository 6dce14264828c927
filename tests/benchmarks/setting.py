"""Where and at which size a case runs, and the command line of every benchmark."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from tests.benchmarks.report import note

THREADS = 2  # of the column for CPUs, whatever the machine has


@dataclass(frozen=True)
class Setting:
    """What the command line asks for.

    A rehearsal runs the arms for CUDA on tensors of the CPU, at tiny size, with Triton's
    interpreter: it shows that the code works, its times mean nothing.
    """

    device: str = "cpu"
    tiny: bool = False
    rehearsal: bool = False

    @property
    def place(self) -> torch.device:
        """Where the tensors are."""
        return torch.device("cpu" if self.rehearsal else self.device)

    def pick(self, cpu: Any, cuda: Any, tiny: Any) -> Any:
        """Return the size for this setting."""
        if self.tiny:
            return tiny
        return cuda if self.device == "cuda" else cpu

    def arguments(self) -> list[str]:
        """Return the command line that makes this setting."""
        flags = {"--tiny": self.tiny, "--rehearse": self.rehearsal}
        return ["--device", self.device, *(flag for flag, on in flags.items() if on)]


Case = Callable[[Setting], None]


def parse(parser: argparse.ArgumentParser) -> tuple[Setting, argparse.Namespace]:
    """Read the command line that all benchmarks share, with what `parser` has besides."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument(
        "--rehearse", action="store_true", help="run the arms for CUDA on the CPU (needs --tiny)"
    )
    args = parser.parse_args()
    if args.rehearse and not (args.tiny and os.environ.get("TRITON_INTERPRET") == "1"):
        parser.error("--rehearse needs --tiny and the variable TRITON_INTERPRET=1.")
    if args.device == "cuda" and not args.rehearse and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; --rehearse tries the code without one.")
    return Setting(args.device, args.tiny, args.rehearse), args


def run(module: str, doc: str, cases: dict[str, Case]) -> None:
    """Run the benchmark `module` from the command line: all its cases, or those asked for.

    Each case gets a process of its own, because allocators remember what came before; at tiny size
    that does not matter.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--case", choices=cases, action="append", help="only this; repeatable")
    setting, args = parse(parser)
    if not args.case and not setting.tiny:
        command = [sys.executable, "-m", module, *setting.arguments(), "--case"]
        sys.exit(max(subprocess.run([*command, name]).returncode != 0 for name in cases))
    sys.exit(max(not _run_one(module, name, cases[name], setting) for name in args.case or cases))


def _run_one(module: str, name: str, case: Case, setting: Setting) -> bool:
    """Run a case in this process; say what went wrong, if anything."""
    import skspike

    if setting.device == "cpu":
        torch.set_num_threads(min(THREADS, torch.get_num_threads()))
    torch.manual_seed(0)
    try:
        with skspike.config_context(backend="triton" if setting.rehearsal else "auto"):
            case(setting)
    except Exception:
        traceback.print_exc()
        note(f"{module}: the case {name} failed.")
        return False
    return True
