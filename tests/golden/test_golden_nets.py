"""SMA-VGG8 against the authors' three networks: logits, spike counts, one training step."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from skspike.models import create_model
from skspike.nn import LIF, SMA
from skspike.nn import _attention as attention_module
from tests.golden.vectors import Vectors, assert_close, golden_files

FILES = golden_files("sma/net_*.npz")
MODELS = {
    "dvs": "sma_vgg8_dvs128_gesture",
    "cif": "sma_vgg8_cifar10_dvs",
    "ncal": "sma_vgg8_ncaltech101",
}


def hash_values(k: int, n: int) -> np.ndarray:
    """Return the manifest's hash of the indices 0..n-1 for entry `k`, in [-1, 1)."""
    h = np.arange(n, dtype=np.uint32) * np.uint32(2654435761)
    h += np.uint32((k + 1) * 2246822519 % 2**32)
    h ^= h >> np.uint32(15)
    h *= np.uint32(2246822519)
    h ^= h >> np.uint32(13)
    h *= np.uint32(3266489917)
    h ^= h >> np.uint32(16)
    return 2 * ((h >> np.uint32(8)) / 2**24) - 1


def fill(k: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return entry `k` of a state dict by the manifest's weight rule, rounded to float32."""
    n = int(np.prod(shape))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    s = hash_values(k, n)
    if len(shape) == 1:
        values = (1.0 if name.endswith("weight") else 0.0) + 0.25 * s
    else:
        gain = 3.0 if len(shape) == 2 else 1.0
        values = gain * np.sqrt(6 / (n // shape[0])) * s
    return values.astype(np.float32).reshape(shape)


def build(vectors: Vectors) -> nn.Module:
    """Return the network of a file in float64, its entries filled in the authors' order."""
    config = vectors.config()
    model = create_model(MODELS[config["net"]], n_steps=config["T"], dropout=0.0).double()
    own = model.state_dict()
    keys = [str(key) for key in vectors["state_keys"]]
    shapes = [tuple(json.loads(str(shape))) for shape in vectors["state_shapes"]]
    assert len(own) == len(keys)
    state = {}
    for k, (name, theirs, shape) in enumerate(zip(own, keys, shapes, strict=True)):
        buffer = f"buf/{theirs}"
        values = vectors[buffer] if buffer in vectors else fill(k, theirs, shape)
        state[name] = torch.from_numpy(np.asarray(values)).reshape(own[name].shape)
        if buffer not in vectors:
            total = float(np.asarray(values, np.float64).sum())
            assert total == pytest.approx(float(vectors["state_sum"][k]), abs=1e-3, rel=1e-5)
    model.load_state_dict(state)
    return model


class SpikeCounts:
    """Count the spikes of every spiking layer, in the order of the forward pass."""

    def __init__(self, model: nn.Module) -> None:
        self.counts: list[float] = []
        for module in model.modules():
            if isinstance(module, LIF):
                module.register_forward_hook(
                    lambda _, __, s: self.counts.append(float(s.detach().sum()))
                )


def test_hash_rule():
    expected = [-0.635644793510437, -0.6660354137420654, -0.1791837215423584, 0.24587786197662354]
    np.testing.assert_array_equal(hash_values(0, 4), expected)
    expected = [-0.3482542037963867, -0.1676926612854004, -0.2963993549346924, -0.11535727977752686]
    np.testing.assert_array_equal(hash_values(5, 4), expected)


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def vectors(request):
    found = Vectors(request.param)
    if found.config()["net"] not in MODELS:
        pytest.skip(f"the network {found.config()['net']!r} is not part of the package yet")
    return found


# Nobody listens to fused layers: where hooks count the spikes, they are called one by one.
by_path = pytest.mark.parametrize("fused", [False, True], ids=["layers", "fused"])


@by_path
def test_evaluation_equals_the_golden_network(vectors, fused):
    model = build(vectors).eval()
    spikes = None if fused else SpikeCounts(model)
    attentions = [m for m in model.modules() if isinstance(m, SMA)]
    maps, weights = {}, {}
    for i, module in enumerate(attentions):
        module.register_forward_hook(lambda _, __, out, i=i: maps.update({i: out}))
        weigh = module._attend
        module._attend = lambda s, i=i, weigh=weigh: weights.setdefault(i, weigh(s))
    with torch.no_grad():
        logits = model(vectors.tensor("x"))
    assert_close(logits, vectors["f64/logits"], 1e-9, "logits")
    if spikes is not None:
        np.testing.assert_array_equal(spikes.counts, vectors["f64/lif_spike_count"])
    for i, name in enumerate(sorted(vectors.keys("f64/sma_out_mean_hw/"))):
        assert_close(maps[i].mean((-2, -1)), vectors[f"f64/sma_out_mean_hw/{name}"], 1e-9, name)
        assert_close(maps[i][:, 0, :4], vectors[f"f64/sma_out_sample/{name}"], 1e-9, name)
        assert_close(weights[i][0], vectors[f"f64/T_w/{name}"], 1e-9, f"time weights of {name}")
        assert_close(weights[i][1], vectors[f"f64/C_w/{name}"], 1e-9, f"channel weights of {name}")


def loss_of(net: str, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the published loss of a network."""
    if net == "ncal":
        return torch.stack([nn.functional.cross_entropy(step, labels) for step in logits]).mean()
    one_hot = nn.functional.one_hot(labels, logits.shape[-1]).to(logits.dtype)
    return nn.functional.mse_loss(logits.mean(0), one_hot)


@by_path
def test_training_step_equals_the_golden_network(vectors, fused, monkeypatch):
    if "train/f64/loss" not in vectors:
        pytest.skip("the file holds no training step")
    selections = []

    def record(
        time_weight, channel_weight, n_steps, n_channels, inner=attention_module.zoneout_indices
    ):
        selections.append(inner(time_weight, channel_weight, n_steps, n_channels))
        return selections[-1]

    monkeypatch.setattr(attention_module, "zoneout_indices", record)
    model = build(vectors).train()
    spikes = None if fused else SpikeCounts(model)
    x = vectors.tensor("x").requires_grad_()
    logits = model(x)
    loss = loss_of(vectors.config()["net"], logits, vectors.tensor("train/labels", torch.int64))
    loss.backward()

    assert_close(logits, vectors["train/f64/logits"], 1e-9, "logits")
    assert_close(loss, vectors["train/f64/loss"], 1e-9, "loss")
    if spikes is not None:
        np.testing.assert_array_equal(spikes.counts, vectors["train/f64/lif_spike_count"])
    check_selections(vectors, selections)
    check_gradient_digests(vectors, model, x)
    own = model.state_dict()
    for name, theirs in zip(own, vectors["state_keys"], strict=True):
        after = next((k for k in vectors.keys("train/") if k.endswith(f"buf_after/{theirs}")), None)
        if after is not None:
            assert_close(own[name], vectors[f"train/{after}"], 1e-9, str(theirs))


def check_selections(vectors: Vectors, selections: list) -> None:
    """Compare what zoneout selected: n scales' steps, then n scales' channels, for each SMA."""
    stored = [vectors[f"train/topk/{key}"] for key in sorted(vectors.keys("train/topk/"))]
    ours = [chosen for module in selections for kind in module for chosen in kind]
    assert len(ours) == len(stored)
    for actual, expected in zip(ours, stored, strict=True):
        assert set(actual.tolist()) == set(expected.tolist())


def check_gradient_digests(vectors: Vectors, model: nn.Module, x: torch.Tensor) -> None:
    """Compare norm and hash product of every gradient, relative to the largest norm."""
    norms, products = vectors["train/f64/grad_l2"], vectors["train/f64/grad_dot_hash"]
    tolerance = 1e-8 * norms.max()
    assert_close(x.grad, vectors["train/f64/grad_x"], 1e-8, "grad_x")
    gradients = [parameter.grad.numpy().ravel() for parameter in model.parameters()]
    assert len(gradients) == len(norms)
    for i, (name, gradient) in enumerate(zip(vectors["train/grad_names"], gradients, strict=True)):
        assert abs(np.linalg.norm(gradient) - norms[i]) <= tolerance, name
        product = gradient @ hash_values(10000 + i, gradient.size)
        assert abs(product - products[i]) <= tolerance, name


def test_there_are_golden_networks():
    assert FILES
