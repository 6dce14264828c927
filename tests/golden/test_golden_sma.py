"""SMA, SMALite and attention zoneout against the authors' modules."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from skspike.nn import SMA, SMALite
from skspike.nn._attention import zoneout_indices
from tests.golden.vectors import PRECISIONS, Vectors, assert_close, golden_files

FILES = golden_files("sma/sma*.npz")
NAMES = [  # of the authors, and ours
    (r"S_Convs\.(\d+)\.conv\.", r"branches.\1.0."),
    (r"S_Convs\.(\d+)\.bn\.(bn\.)?", r"branches.\1.1."),
    (r"C_before_attention_conv\.", "channel_attention.squeeze."),
    (r"C_after_attention_convs\.(\d+)\.", r"channel_attention.expand.\1."),
    (r"T_before_attention_conv\.", "time_attention.squeeze."),
    (r"T_after_attention_convs\.(\d+)\.", r"time_attention.expand.\1."),
]


def our_name(name: str) -> str:
    """Translate a name of the authors' state dict into ours."""
    for theirs, ours in NAMES:
        name = re.sub(theirs, ours, name)
    return name


def build(vectors: Vectors, version: str, dtype: torch.dtype, backend: str) -> SMA:
    """Return the module of a file, with its weights."""
    config = vectors.config()
    lite = config["kind"] == "smal"
    module = (SMALite if lite else SMA)(
        config["channel"],
        config["time"],
        scales=config["kernels"],
        channel_reduction=config["C_reduction"],
        time_reduction=config["T_reduction"],
        kind="relu" if config["kind"] == "relu" else "lif",
        zoneout=config["AZO"],
        # The authors' SMA-L ignores its divisors: 16 and 4, whatever the file says.
        zoneout_channels=16 if lite else config["RCR"],
        zoneout_steps=4 if lite else config["RTR"],
        zoneout_version=version,
        backend=backend,
    ).to(dtype)
    stored = {our_name(k): vectors.tensor(f"param/{k}", dtype) for k in vectors.keys("param/")}
    stored |= {our_name(k): vectors.tensor(f"buf/{k}", dtype) for k in vectors.keys("buf/")}
    own = module.state_dict()
    missing = {k for k in set(own) - set(stored) if "num_batches_tracked" not in k}
    assert not missing, f"no stored weights for {missing}"
    module.load_state_dict({k: v.reshape(own[k].shape) for k, v in stored.items()}, strict=False)
    return module.train(config["train"])


class Recorder:
    """Keep the scales and the attention weights of a forward pass."""

    def __init__(self, module: SMA) -> None:
        attend = module._attend

        def record(scales):
            self.scales = scales
            self.time_weights, self.channel_weights = attend(scales)
            return self.time_weights, self.channel_weights

        module._attend = record


def check_file(vectors: Vectors, prefix: str, version: str, precision: str, backend: str) -> None:
    """Compare output, attention, spikes, gradients and buffers of one run of the module."""
    dtype, config = PRECISIONS[precision], vectors.config()
    module = build(vectors, version, dtype, backend)
    seen = Recorder(module)
    x = vectors.tensor("x", dtype).requires_grad_()
    out = module(x)

    double = precision == "f64"
    out_tolerance = 1e-10 if double else (2e-5 if config["kind"] == "relu" else 2e-6)
    at = f"{prefix}{precision}/"
    assert_close(out, vectors[f"{at}out"], out_tolerance, f"{at}out")
    if not prefix:
        check_attention(vectors, seen, config, precision, out_tolerance)
    if f"{at}grad_x" in vectors:
        check_gradients(vectors, module, x, out, at, double)
    for key in vectors.keys(f"{at}buf_after/"):
        actual = module.state_dict()[our_name(key)]
        assert_close(actual, vectors[f"{at}buf_after/{key}"], 1e-10 if double else 2e-6, key)


def check_attention(vectors, seen, config, precision, tolerance) -> None:
    """Compare the scales, their weights and what zoneout selects."""
    scales = torch.stack(seen.scales)
    if "S" in vectors:
        np.testing.assert_array_equal(scales.detach().numpy(), vectors["S"])
    elif precision == "f64":
        assert_close(scales, vectors["f64/S"], tolerance, "f64/S")
    channel_weights = seen.channel_weights
    if config["kind"] == "smal":
        channel_weights = channel_weights[:, 0]  # equal at all steps, and stored once
    assert_close(seen.time_weights, vectors[f"{precision}/T_w"], tolerance, "T_w")
    assert_close(channel_weights, vectors[f"{precision}/C_w"], tolerance, "C_w")
    if "T_idx" not in vectors:
        return
    shape = vectors["T_idx"].shape[1], vectors["C_idx"].shape[1]
    for i, weights in enumerate(zip(seen.time_weights, seen.channel_weights, strict=True)):
        steps, channels = zoneout_indices(*weights, *shape)
        np.testing.assert_array_equal(steps, vectors["T_idx"][i])
        assert set(channels.tolist()) == set(vectors["C_idx"][i].tolist())


def check_gradients(vectors, module, x, out, at, double) -> None:
    """Compare the gradients of the input and of every parameter."""
    parameters = dict(module.named_parameters())
    loss = (out * vectors.tensor("R", out.dtype)).sum()
    gradients = torch.autograd.grad(loss, [x, *parameters.values()])
    expected = {our_name(k): vectors[f"{at}grad/{k}"] for k in vectors.keys(f"{at}grad/")}
    largest = max(np.abs(g).max(initial=0.0) for g in [vectors[f"{at}grad_x"], *expected.values()])
    tolerance = 1e-10 if double else 2e-5 * largest / max(1.0, largest)
    assert_close(gradients[0], vectors[f"{at}grad_x"], tolerance, f"{at}grad_x")
    for (name, _), gradient in zip(parameters.items(), gradients[1:], strict=True):
        if name in expected:
            want = expected[name].reshape(gradient.shape)
            # Absolute over the whole file: a bias before a batch norm has gradient 0 but for noise.
            assert_close(gradient / max(1.0, largest), want / max(1.0, largest), tolerance, name)


@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_sma_equals_the_golden_vectors(file, backend):
    vectors = Vectors(file)
    version = "loop" if vectors.config()["kind"] == "loop" else "tensor"
    for precision in PRECISIONS:
        check_file(vectors, "", version, precision, backend)
        if f"loop/{precision}/out" in vectors:
            check_file(vectors, "loop/", "loop", precision, backend)


@pytest.mark.parametrize(
    "file", [f for f in FILES if "only_t0" in f.name], ids=lambda file: file.stem
)
def test_tensor_version_survives_a_scale_that_selects_only_the_first_step(file):
    # The authors' tensor version raises here; the loop version leaves that scale as it is.
    check_file(Vectors(file), "", "tensor", "f64", "auto")


def test_there_are_golden_modules():
    assert FILES
