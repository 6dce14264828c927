"""What torch does to networks: compile, copy, call with other parameters, run in threads."""

from __future__ import annotations

import copy
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from skspike import config_context, nn
from skspike.models import create_model, list_models


def small(name="sma_vgg8", **options):
    """Return a small network and an input for it."""
    torch.manual_seed(0)
    if name == "sma_mlp":
        return create_model(name, n_classes=3, n_steps=4, in_channels=6, width=2), torch.rand(
            4, 3, 6
        )
    if name.startswith("spiking_ssm"):
        return small_ssm(name)
    size = {"n_steps": 4, "width": 4} if name.startswith("sma") else {}
    model = create_model(name, n_classes=3, **size, **options)
    channels = next(p.shape[1] for p in model.parameters() if p.ndim == 4)
    return model, torch.rand(4, 2, channels, 16, 16)


def small_ssm(name):
    """Return a small network of sequences, and numbers or tokens for it."""
    model = create_model(name, n_classes=3, width=4)
    if name.removeprefix("spiking_ssm_") in ("listops", "text"):
        return model, torch.randint(18, (4, 3))
    if name == "spiking_ssm_retrieval":
        return model, torch.randint(18, (4, 3, 2))
    return model, torch.rand(4, 3, model.encoder.in_features)


def block_of_neurons():
    """Return a convolution, its norm and neurons, and an input."""
    torch.manual_seed(0)
    block = torch.nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.LIF())
    return block, torch.randn(4, 2, 2, 6, 6)


@pytest.mark.parametrize("name", ["sma_vgg8", "sma_mlp", "spiking_resnet18"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_compiles_without_a_graph_break(name, training):
    model, x = small(name)
    for module in model.modules():
        if hasattr(module, "p"):
            module.p = 0.0  # dropout draws its mask at another moment when compiled
    model.train(training)
    other = copy.deepcopy(model)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    y, y_compiled = model(x), compiled(x)
    torch.testing.assert_close(y_compiled, y)
    y.sum().backward()
    y_compiled.sum().backward()
    for (key, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, msg=lambda text, key=key: f"{key}: {text}")
    for (key, p), q in zip(model.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(q, p, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_compiles_to_machine_code():
    block, x = block_of_neurons()
    compiled = torch.compile(copy.deepcopy(block), fullgraph=True)
    found, expected = compiled(x), block(x)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", [n for n in list_models() if "wikitext" not in n])
def test_a_copy_computes_the_same_and_shares_nothing(name):
    model, x = small(name)
    model.eval()
    twin = copy.deepcopy(model)
    assert torch.equal(twin(x), model(x))
    pointers = {p.data_ptr() for p in model.parameters()}
    assert not any(p.data_ptr() in pointers for p in twin.parameters())


def test_functional_call_takes_other_parameters():
    model, x = small()
    model.eval()
    other, _ = small()
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(1.5)
    other.eval()
    state = dict(other.named_parameters()) | dict(other.named_buffers())
    assert torch.equal(torch.func.functional_call(model, state, x), other(x))


def test_the_reference_network_has_equal_results_and_gradients():
    model, x = small(zoneout=True)
    model, x = model.double(), x.double()
    other = copy.deepcopy(model)
    torch.manual_seed(1)
    y = model(x)
    with config_context(backend="reference"):
        torch.manual_seed(1)
        y_reference = other(x)
    torch.testing.assert_close(y, y_reference, rtol=1e-10, atol=1e-12)
    (y**2).sum().backward()
    with config_context(backend="reference"):
        (y_reference**2).sum().backward()
    for (key, p), q in zip(model.named_parameters(), other.named_parameters(), strict=True):
        torch.testing.assert_close(
            p.grad, q[1].grad, rtol=1e-8, atol=1e-10, msg=lambda text, key=key: f"{key}: {text}"
        )


def test_threads_share_a_network():
    """8 threads, 1,000 calls each."""
    block, x = block_of_neurons()
    block.eval()
    inputs = [x * (1 + i / 8) for i in range(8)]
    with torch.no_grad():
        expected = [block(x) for x in inputs]

    def work(i):
        with torch.no_grad():
            return all(torch.equal(block(inputs[i]), expected[i]) for _ in range(1000))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
