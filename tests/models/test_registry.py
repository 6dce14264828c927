"""What every registered network must do."""

from __future__ import annotations

import copy
import io
import pickle
import re

import pytest
import torch

from skspike import config_context
from skspike.models import _registry, create_model, list_models
from tests.models.common import excite

T, N, K, LONG = 4, 3, 5, 100
OPTIONS = {"n_classes": K, "n_steps": T, "width": 2}

# Those whose kind of neuron can be chosen; attention ties them to a number of steps
SMA = [name for name in list_models() if name.startswith("sma")]

# a language model has no classes; its tests are those of the decoder
by_name = pytest.mark.parametrize("name", [n for n in list_models() if "wikitext" not in n])


def build(name, **options):
    """Return a small network and an input for it: frames, vectors or tokens."""
    torch.manual_seed(0)
    x = inputs(name)
    sizes = {"in_channels": x.shape[2]} if x.is_floating_point() else {}
    if name.startswith("spiking_ssm"):
        sizes["width"] = 8  # of two channels one or none fires
    return excite(create_model(name, **OPTIONS | sizes | options)), x


def inputs(name):
    """Draw an input for a network: long sequences for those that are made for them."""
    if name in ("spiking_ssm_listops", "spiking_ssm_text"):
        return torch.randint(18, (LONG, N))
    if name == "spiking_ssm_retrieval":
        return torch.randint(18, (LONG, N, 2))
    if name.startswith("spiking_ssm"):
        return torch.randn(LONG, N, 7)
    return torch.randn(T, N, *((7,) if name == "sma_mlp" else (2, 9, 8)))


@by_name
def test_the_networks_tested_here_see_their_input(name):
    """A silent network would pass whatever compares its outputs."""
    model, x = build(name)
    y = model(x)
    assert len(y.unique()) > y.numel() / 4
    assert len(model.eval()(x).unique()) > y.numel() / 4


@by_name
def test_forward_and_backward(name):
    model, x = build(name)
    y = model(x.requires_grad_() if x.is_floating_point() else x)
    assert y.shape == (1 if name.startswith("spiking_ssm") else T, N, K)
    y.square().sum().backward()
    if x.is_floating_point():  # tokens have no gradient
        assert x.grad.isfinite().all()
        assert x.grad.any()
    learnt = {k: p for k, p in model.named_parameters() if not is_published_unused(model, k)}
    for key, parameter in learnt.items():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    silent = [k for k, p in learnt.items() if not p.grad.any()]
    assert not [k for k in silent if "attention" not in k]  # its one hidden unit may be at rest


def is_published_unused(model, key):
    """Tell whether a parameter is that of a norm that is published, but not applied."""
    block, found, _ = key.rpartition(".norm.")
    return bool(found) and getattr(model.get_submodule(block), "norm_place", None) == "unused"


@pytest.mark.parametrize("name", SMA)
@pytest.mark.parametrize("neuron", ["if", "plif"])
@pytest.mark.parametrize("options", [{"tau": 3.0, "surrogate": "dspike", "alpha": 2.0}])
def test_neuron_options_reach_every_neuron(options, neuron, name):
    from skspike.nn import IF, ParametricLIF

    model, x = build(name, neuron=neuron, **options)
    neurons = [m for m in model.modules() if hasattr(m, "surrogate")]
    kind = {"if": IF, "plif": ParametricLIF}[neuron]
    assert {type(m) for m in neurons} == {kind}
    assert {(m.surrogate, m.alpha) for m in neurons} == {("dspike", 2.0)}
    with config_context(backend="reference"):  # no need to compile such neurons too
        model(x).sum().backward()


@by_name
def test_evaluation_keeps_no_state_and_is_deterministic(name):
    model, x = build(name)
    model(x)
    model.eval()
    before = copy.deepcopy(model.state_dict())
    assert torch.equal(model(x), model(x))
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


@by_name
def test_evaluation_of_a_sample_does_not_depend_on_its_batch(name):
    """In double precision: in single one flipped spike can change everything after it."""
    model, x = build(name)
    model, x = model.double(), x.double() if x.is_floating_point() else x
    model(x)
    model.eval()
    alone = torch.cat([model(x[:, i : i + 1]) for i in range(N)], 1)
    torch.testing.assert_close(alone, model(x), rtol=1e-10, atol=1e-12)


@by_name
def test_weights_and_dropout_come_from_torchs_generator(name):
    results = []
    for _ in range(2):
        model, x = build(name)
        results.append(model(x))
    assert torch.equal(*results)


@by_name
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(copied, name):
    model, x = build(name, **({"neuron": "plif"} if name in SMA else {}))
    model.eval()
    assert torch.equal(copied(model)(x), model(x))


@by_name
def test_state_dict_round_trip(name):
    model, x = build(name)
    model(x)  # buffers move too
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other, _ = build(name)
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    other.load_state_dict(torch.load(file))
    assert torch.equal(other.eval()(x), model.eval()(x))


@pytest.mark.parametrize("name", SMA)
def test_another_number_of_steps_raises(name):
    model, x = build(name)
    with pytest.raises(ValueError, match="must have 4 steps, to which its time attention is tied"):
        model(x[:3])


# --- the registry ---


def test_names_are_sorted_and_complete():
    published = {"sma_vgg8_cifar10_dvs", "sma_vgg8_dvs128_gesture", "sma_vgg8_ncaltech101"}
    assert published | {"sma_mlp", "sma_vgg8", "spiking_resnet18"} <= set(list_models())
    assert {"spiking_ssm", "spiking_ssm_smnist", "spiking_ssm_retrieval"} <= set(list_models())
    assert list_models() == sorted(list_models())


def test_the_list_is_a_copy():
    list_models().clear()
    assert list_models()


def test_unknown_name():
    message = f"No model is called 'vgg'; there are {', '.join(list_models())}."
    with pytest.raises(ValueError, match=re.escape(message)):
        create_model("vgg")


def test_unknown_option():
    with pytest.raises(TypeError, match="depth"):
        create_model("sma_vgg8", n_classes=2, n_steps=2, depth=3)


def test_a_new_network_can_be_registered(monkeypatch):
    monkeypatch.setattr(_registry, "_REGISTRY", dict(_registry._REGISTRY))
    linear = _registry.register("linear")(lambda n_classes: torch.nn.Linear(2, n_classes))
    assert "linear" in list_models()
    assert create_model("linear", n_classes=3).out_features == 3
    assert linear(4).out_features == 4
