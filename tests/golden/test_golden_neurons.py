"""The LIF family against spikingjelly's neurons, as the authors of the methods use them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from skspike.kernels import _lif_numba, _lif_op, lif
from tests.golden.vectors import PRECISIONS, Vectors, assert_close, golden_files
from tests.kernels.interpreted import uncompiled

FILES = golden_files("neurons/*.npz")
UNCOMPILED = uncompiled(_lif_numba)
TOLERANCE = {"f32": 1e-5, "f64": 1e-12}
SURROGATES = {"ATan": "atan", "Sigmoid": "sigmoid", "PiecewiseQuadratic": "triangle"}


def options(config: dict) -> dict:
    """Translate a file's configuration into arguments of `lif`, all but a learnable tau."""
    return {
        "tau": math.inf if config["neuron"] == "IF" else config["tau"],
        "threshold": config["v_threshold"],
        "v_reset": config["v_reset"],
        "decay_input": bool(config["decay_input"]),
        "detach_reset": config["detach_reset"],
        "surrogate": SURROGATES[config["surrogate"]],
        "alpha": config["alpha"],
    }


def cases(vectors: Vectors) -> list[tuple[str, dict]]:
    """Return the prefix and the configuration of each case in a file."""
    if "config" in vectors:
        prefixes = {key.split("/")[0] + "/" for key in vectors.keys("T")}
        return [("T" + prefix, vectors.config()) for prefix in sorted(prefixes)]
    prefixes = sorted({key.split("/")[0] + "/" for key in vectors.keys("")})
    return [(prefix, vectors.config(prefix)) for prefix in prefixes]


def check_case(vectors: Vectors, prefix: str, config: dict, precision: str, backend: str) -> None:
    """Compare spikes, potentials, gradients and the carried state of one case."""
    dtype, tolerance = PRECISIONS[precision], TOLERANCE[precision]
    x = vectors.tensor(f"{prefix}x", dtype).requires_grad_()
    arguments = options(config) | {"backend": backend}
    inputs = [x]
    if config["neuron"] == "PLIF":
        w = vectors.tensor(f"{prefix}{precision}/w", dtype).requires_grad_()
        arguments["tau"] = 1 + torch.exp(-w)
        inputs.append(w)

    def expected(name: str) -> np.ndarray:
        shared = f"{prefix}{name}"  # spikes are the same in both precisions, and stored once
        return vectors[shared if shared in vectors else f"{prefix}{precision}/{name}"]

    spikes, v = lif(x, **arguments)
    np.testing.assert_array_equal(spikes.detach().numpy(), expected("spikes"))
    assert_close(v, expected("v_final"), tolerance, f"{prefix}v_final")
    for t in range(len(x)):
        _, v_t = lif(x[: t + 1], **arguments)
        assert_close(v_t, expected("v_seq")[t], tolerance, f"{prefix}v_seq[{t}]")

    losses = {
        "": (spikes * vectors.tensor(f"{prefix}R", dtype)).sum(),
        "_from_v": (v * vectors.tensor(f"{prefix}Rv", dtype)).sum(),
    }
    for suffix, loss in losses.items():
        gradients = torch.autograd.grad(loss, inputs, retain_graph=True)
        for name, gradient in zip(("grad_x", "grad_w"), gradients, strict=False):
            what = f"{name}{suffix}"
            assert_close(gradient, expected(what), tolerance, f"{prefix}{what}")

    spikes, v = lif(x, v, **arguments)
    np.testing.assert_array_equal(spikes.detach().numpy(), expected("spikes_call2"))
    assert_close(v, expected("v_final_call2"), tolerance, f"{prefix}v_final_call2")


def check_file(file: Path, backend: str) -> None:
    """Compare all cases of a file."""
    vectors = Vectors(file)
    found = cases(vectors)
    assert found, f"{file.name} holds no case"
    for prefix, config in found:
        for precision in PRECISIONS:
            check_case(vectors, prefix, config, precision, backend)


by_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@by_file
def test_reference_equals_the_golden_vectors(file):
    check_file(file, "reference")


@by_file
def test_numba_equals_the_golden_vectors(file, monkeypatch):
    """Its templates as plain Python; compiled, they equal the reference (test_lif_numba.py)."""
    monkeypatch.setattr(_lif_op, "twin", lambda backend: UNCOMPILED)
    check_file(file, "numba")


@pytest.mark.parametrize("file", FILES[:-1:20], ids=lambda file: file.stem)
def test_compiled_neurons_equal_the_golden_vectors(file):
    check_file(file, "numba")


def test_there_are_golden_neurons():
    assert FILES
