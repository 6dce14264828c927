"""SMA-VGG8 against the published networks: sizes to the last parameter, order, odd maps."""

from __future__ import annotations

import pytest
import torch

from skspike.models import create_model
from skspike.nn import SMA, Dropout, MaxPool2d
from tests.models.common import excite

# name: n_steps, n_classes; parameters without SMA, as published, with SMA in blocks 2 to 5
PUBLISHED = {
    "sma_vgg8_dvs128_gesture": (16, 11, 15_461_835, 22_452_531, 67_165_499),
    "sma_vgg8_cifar10_dvs": (10, 10, 15_460_810, 22_451_014, 67_163_490),
    "sma_vgg8_ncaltech101": (14, 101, 15_554_085, 22_544_543, 67_257_273),
}
# hidden channels of blocks 2 and 3, hidden steps; channels of both and steps that AZO replaces
ATTENTION = {
    "sma_vgg8_dvs128_gesture": ((32, 64), 4, (12, 25), 4),
    "sma_vgg8_cifar10_dvs": ((32, 64), 2, (32, 64), 2),
    "sma_vgg8_ncaltech101": ((32, 64), 3, (5, 10), 3),
}

by_name = pytest.mark.parametrize("name", PUBLISHED)


def structure(*args, **options):
    """Return a network whose parameters have shapes but no memory."""
    with torch.device("meta"):
        return create_model(*args, **options)


def size(module):
    return sum(p.numel() for p in module.parameters())


def small(**options):
    torch.manual_seed(0)
    options = {"n_classes": 3, "n_steps": 4, "width": 2} | options
    return excite(create_model("sma_vgg8", **options))


# --- the published networks ---


@by_name
def test_number_of_parameters(name):
    _, _, without, published, in_all = PUBLISHED[name]
    assert size(structure(name, sma_blocks=())) == without
    assert size(structure(name)) == published
    assert size(structure(name, sma_blocks=(2, 3, 4, 5))) == in_all


def test_number_of_parameters_of_each_block():
    model = structure("sma_vgg8_dvs128_gesture")
    blocks = [1_344, 1_473_316, 5_887_172, 1_181_184, 2_360_832]
    assert [size(block) for block in model.blocks] == blocks
    assert size(model.head) == 11_548_683
    buffers = [b for n, b in model.named_buffers() if not n.endswith("num_batches_tracked")]
    tracked = [n for n, _ in model.named_buffers() if n.endswith("num_batches_tracked")]
    assert sum(b.numel() for b in buffers) + len(tracked) in (6_029, 6_016)


@pytest.mark.parametrize(
    ("channels", "options", "expected"),
    [
        (128, {"n_steps": 16}, 1_399_204),
        (128, {"n_steps": 10}, 1_398_958),
        (128, {"n_steps": 14}, 1_399_085),
        (256, {"n_steps": 16}, 5_591_492),
        (512, {"n_steps": 16}, 22_356_484),
        (64, {"n_steps": 6, "kind": "relu", "time_reduction": 1.5}, 350_372),
        (512, {"n_steps": 6, "kind": "relu", "time_reduction": 1.5}, 22_356_244),
        (128, {"n_steps": 16, "scales": (1,)}, 25_268),
        (128, {"n_steps": 16, "scales": (7,)}, 811_700),
        (128, {"n_steps": 16, "scales": (1, 3)}, 177_412),
        (256, {"n_steps": 16, "scales": (3, 5, 7)}, 5_508_468),
    ],
)
def test_number_of_parameters_of_one_attention(channels, options, expected):
    with torch.device("meta"):
        assert size(SMA(channels, **options)) == expected


@by_name
def test_sizes_inside_the_attention(name):
    model = structure(name)
    n_steps, n_classes, *_ = PUBLISHED[name]
    modules = [block.attention for block in model.blocks if block.attention is not None]
    hidden_steps = {m.time_attention.squeeze.out_features for m in modules}
    channels, steps, zoneout_channels, zoneout_steps = ATTENTION[name]
    assert tuple(m.channel_attention.squeeze.out_features for m in modules) == channels
    assert hidden_steps == {steps}
    assert tuple(m.n_zoneout_channels for m in modules) == zoneout_channels
    assert {m.n_zoneout_steps for m in modules} == {zoneout_steps}
    assert {m.n_steps for m in modules} == {n_steps}
    assert all(m.zoneout for m in modules)
    assert model.head[-1].out_features == n_classes
    assert [m.p for m in model.modules() if isinstance(m, Dropout)] == [0.5, 0.5]


def test_options_override_a_published_configuration():
    model = structure("sma_vgg8_dvs128_gesture", n_classes=7, zoneout_channels=2, width=8)
    assert model.head[-1].out_features == 7
    assert model.blocks[1].attention.n_zoneout_channels == 8


# --- the order of things ---


def test_attention_sits_between_convolution_and_norm():
    """Trap: on the real-valued output of the convolution, not on spikes."""
    model = small().double()
    block = model.blocks[1]
    x = torch.randn(4, 2, 2, 6, 6, dtype=torch.float64)
    spikes = block.neuron(block.norm(block.attention(block.conv(x))))
    expected = MaxPool2d(2)(spikes)
    torch.testing.assert_close(block(x), expected)
    assert len(block.conv(x).unique()) > 100


def test_the_last_layer_does_not_spike():
    y = small()(torch.randn(4, 2, 2, 8, 8))
    assert len(y.unique()) > 4


@pytest.mark.parametrize("blocks", [(), (1,), (2, 3), (4, 5)])
def test_attention_is_in_the_blocks_asked_for(blocks):
    found = [i for i, b in enumerate(small(sma_blocks=blocks).blocks, 1) if b.attention is not None]
    assert found == list(blocks)


def test_the_scales_can_be_rectified():
    model = small(sma_kind="relu")
    assert isinstance(model.blocks[1].attention.branches[0][2], torch.nn.ReLU)
    assert not isinstance(model.blocks[1].neuron, torch.nn.ReLU)


@pytest.mark.parametrize(("name", "value"), [("sma_kind", "nonsense"), ("sma_blocks", (0, 7))])
def test_argument_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of SMAVGG8 must"):
        create_model("sma_vgg8", n_classes=2, n_steps=4, width=4, **{name: value})


@pytest.mark.parametrize(("min_map", "side"), [(1, 1), (2, 2), (3, 4), (5, 8)])
def test_no_side_gets_smaller_than_asked_for(min_map, side):
    model = create_model("sma_vgg8", n_classes=2, n_steps=4, width=4, min_map=min_map)
    assert model.blocks(torch.rand(4, 1, 2, 34, 34)).shape[-2:] == (side, side)


@pytest.mark.parametrize("hidden", [(), (2,), (3, 2)])
def test_hidden_layers_are_multiples_of_the_width(hidden):
    model = create_model("sma_vgg8", n_classes=2, n_steps=4, width=4, hidden=hidden)
    layers = [layer.out_features for layer in model.head if isinstance(layer, torch.nn.Linear)]
    assert layers == [*(4 * m for m in hidden), 2]
    assert sum(isinstance(layer, Dropout) for layer in model.head) == max(1, len(hidden))


def test_zoneout_acts_in_training_only():
    """Two networks of the same weights, with and without: equal in evaluation alone."""
    x = torch.randn(4, 3, 2, 8, 8)
    with_it, without = (
        small(zoneout_channels=1, zoneout_steps=1, dropout=0),
        small(zoneout=False, dropout=0),
    )
    assert not torch.equal(with_it(x), without(x))
    with_it.load_state_dict(without.state_dict())
    y = with_it.eval()(x)
    assert torch.equal(y, without.eval()(x))
    assert len(y.unique()) > 4


# --- maps of any size ---


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 7), (34, 34)])
def test_maps_of_any_size(shape):
    model = small()
    x = torch.rand(4, 2, 2, *shape) * 3
    y = model(x)
    y.sum().backward()
    assert y.shape == (4, 2, 3)
    assert y.isfinite().all()
    assert model.eval()(x).isfinite().all()


def test_every_block_halves_the_map_down_to_one_pixel():
    model, x, sides = small(), torch.rand(4, 2, 2, 34, 34), []
    for block in model.blocks:
        x = block(x)
        sides.append(tuple(x.shape[-2:]))
    assert sides == [(17, 17), (8, 8), (4, 4), (2, 2), (1, 1)]


@pytest.mark.parametrize("in_channels", [1, 3])
def test_input_channels(in_channels):
    model = small(in_channels=in_channels)
    assert model(torch.rand(4, 1, in_channels, 6, 6)).shape == (4, 1, 3)
