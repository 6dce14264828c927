"""Whole networks: one training step and inference of SMA-VGG8, and Spiking ResNet-18.

Run ``python -m tests.benchmarks.bench_training [--device cuda] [--tiny]`` on an idle machine.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from skspike.kernels import empty_cache, lif
from skspike.models import create_model
from skspike.nn import fold_norms
from tests.benchmarks import loops, peer_networks, peers
from tests.benchmarks.bench_kernels import MAPS_TRAINING, bandwidth_limit
from tests.benchmarks.compare import Arm, Limit, Target, compare
from tests.benchmarks.measure import channels_last, convolution_rate, matrix_rate
from tests.benchmarks.setting import Setting, run

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# Training and inference: asked for against the published precision, and in the same precision.
TRAINING = {
    "cpu": (Target(4.0, memory=0.5), Target(1.6, memory=0.5)),
    "cuda": (Target(2.0, memory=0.5), Target(1.8, memory=0.5)),
}
INFERENCE = {"cpu": (Target(5.0), Target(1.6)), "cuda": (Target(2.0), Target(1.8))}
RESNET = {"cpu": Target(2.0), "cuda": Target(8.0)}
NEURONS = {"cpu": Target(10.0), "cuda": Target(40.0)}


# --- what a network does in a step ---


def precision(place: torch.device, name: str) -> contextlib.AbstractContextManager:
    """Return the autocast of a precision, which is none for float32."""
    if name == "float32":
        return contextlib.nullcontext()
    return torch.autocast(place.type, DTYPES[name])


def lay_out(name: str, x: Tensor) -> Tensor:
    """Prepare a batch for ours: channels last, in the precision of the first convolution."""
    return channels_last(x.to(DTYPES[name]))


def training_arm(
    model: nn.Module,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    place: torch.device,
    name: str,
    prepare: Callable[[Tensor], Tensor] = lambda x: x,
) -> Arm:
    """Return the arm that takes one optimizer step, and reads the loss as every loop does."""
    scaler = torch.amp.GradScaler(place.type, enabled=name == "float16")

    def forward(x: Tensor, y: Tensor) -> Tensor:
        with precision(place, name):
            return loss_of(model(prepare(x)).mean(0), y)

    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = forward(x, y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        loss.item()

    model.train()
    return Arm(step, forward, tuple(model.parameters()))


def inference_arm(
    model: nn.Module,
    place: torch.device,
    name: str,
    prepare: Callable[[Tensor], Tensor] = lambda x: x,
) -> Arm:
    """Return the arm that predicts."""

    @torch.inference_mode()
    def step(x: Tensor) -> Tensor:
        with precision(place, name):
            return model(prepare(x)).mean(0)

    model.eval()
    return Arm(step)


def operations(model: nn.Module, x: Tensor) -> int:
    """Return the operations of the convolutions and linear layers on a batch like `x`, forward."""
    training = model.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(x[:, :1])
    model.train(training)
    return counter.get_total_flops() * x.shape[1]


def arithmetic_limit(setting: Setting, name: str, n_operations: float, shape: tuple) -> Limit:
    """Return the time of so many operations at the machine's best measured rate.

    `shape` is that of a large map in the network: the rate is that of a 7 x 7 convolution on it, or
    of a matrix product if that is higher.
    """
    n = setting.pick(2048, 8192, 64)
    rate = max(
        matrix_rate(setting.place, DTYPES[name], n),
        convolution_rate(setting.place, DTYPES[name], shape, 7),
    )
    return Limit(
        n_operations / rate,
        f"{n_operations / 1e12:.4g} TFLOP at {rate / 1e12:.4g} TFLOP/s, "
        "the best of a matrix product and a convolution",
    )


# --- SMA-VGG8 ---

CLASSES = 11


def check_vgg(setting: Setting) -> None:
    """Compare a small network in float64: outputs and gradients, in training and evaluation.

    One spike more or less would change the outputs by far more than the tolerance.
    """
    generator = torch.Generator().manual_seed(0)
    # Triton's interpreter takes minutes for what a GPU does in milliseconds.
    n_steps, n_samples, side = (4, 1, 8) if setting.rehearsal else (8, 2, 18)
    options = {"width": 4, "n_steps": n_steps, "dropout": 0.0}
    ours = create_model("sma_vgg8_dvs128_gesture", zoneout_channels=4, **options)
    for module in ours.modules():
        if isinstance(module, nn.Linear):  # by default, the neurons of the head stay silent
            module.weight.data.mul_(6)
    peer = peer_networks.sma_vgg8(CLASSES, rcr=4, **options)
    peer_networks.copy_weights(ours, peer)
    frames = torch.poisson(torch.full((n_steps, n_samples, 2, side, side - 1), 0.8), generator)
    frames = frames.double().to(setting.place)
    ours.double().to(setting.place), peer.double().to(setting.place)
    for training in (True,) if setting.rehearsal else (True, False):
        ours.train(training), peer.train(training)
        y, y_peer = ours(channels_last(frames)), peer(frames)
        assert_close(y, y_peer, rtol=1e-9, atol=1e-9)
        if not training:
            assert_close(fold_norms(ours)(frames), y_peer, rtol=1e-9, atol=1e-9)
        gradients, theirs = (
            torch.autograd.grad(out.square().mean(), model.parameters())
            for out, model in ((y, ours), (y_peer, peer))
        )
        assert_close(gradients, theirs, rtol=1e-8, atol=1e-10)


def draw_frames(setting: Setting) -> list[tuple[Tensor, Tensor]]:
    """Draw frames of events, most of them 0, and labels."""
    n_steps, n_samples, side = setting.pick((10, 16, 34), (16, 16, 128), (4, 2, 8))
    generator = torch.Generator().manual_seed(0)
    inputs = []
    for _ in range(1 if setting.tiny else 2):
        x = torch.poisson(torch.full((n_steps, n_samples, 2, side, side), 0.3), generator)
        y = torch.randint(CLASSES, (n_samples,), generator=generator)
        inputs.append((x.to(setting.place), y.to(setting.place)))
    return inputs


def vgg_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Return the published loss."""
    return mse_loss(logits, one_hot(y, CLASSES).to(logits.dtype))


def bench_vgg(setting: Setting, training: bool) -> None:
    """Compare full-width SMA-VGG8 with the authors' structure, as published and in bfloat16."""
    with contextlib.suppress(peers.MissingPeer):
        check_vgg(setting)
    inputs = draw_frames(setting)
    place, n_steps = setting.place, len(inputs[0][0])
    width = 2 if setting.tiny else 64
    network = create_model("sma_vgg8_dvs128_gesture", n_steps=n_steps, width=width).to(place)
    peer_networks.calibrate(network, inputs[0][0][:, :2])
    published = "float16" if setting.device == "cuda" and training else "float32"

    def ours(name: str) -> Arm:
        model = copy.deepcopy(network) if training else fold_norms(network.eval())
        model.to(memory_format=torch.channels_last)
        prepare = functools.partial(lay_out, name)
        if not training:
            return inference_arm(model, place, name, prepare)
        adamw = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=1e-3, fused=True)
        return training_arm(model, vgg_loss, adamw, place, name, prepare)

    def peer(name: str, fused: bool) -> Arm:
        model = peer_networks.sma_vgg8(CLASSES, n_steps, width).to(place)
        peer_networks.copy_weights(network, model)
        if not training:
            return inference_arm(model, place, name)
        options = {"fused": True} if fused else {}
        adamw = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=1e-3, **options)
        return training_arm(model, vgg_loss, adamw, place, name)

    n_operations = operations(network, inputs[0][0]) * (3 if training else 1)
    x = inputs[0][0]
    wide = (x.shape[0] * x.shape[1], 4 * width, x.shape[-2] // 4, x.shape[-1] // 4)  # block 3
    as_published, same = (TRAINING if training else INFERENCE)[setting.device]
    sj_published, sj_same = f"spikingjelly {published} (as published)", "spikingjelly bfloat16"
    compare(
        setting,
        "training",
        f"SMA-VGG8 {'training step' if training else 'inference'}, "
        f"{x.shape[-2]}x{x.shape[-1]}, T={n_steps}, N={x.shape[1]}, width {width}",
        ours={name: ours(name) for name in ("float32", "bfloat16")},
        peers={
            sj_published: functools.partial(peer, published, fused=False),
            sj_same: functools.partial(peer, "bfloat16", fused=True),
        },
        pairs=[
            ("float32", sj_published, as_published),
            ("bfloat16", sj_published, as_published),
            ("bfloat16", sj_same, same),
        ],
        inputs=inputs if training else [(x,) for x, _ in inputs],
        limits={
            name: arithmetic_limit(setting, name, n_operations, wide)
            for name in ("float32", "bfloat16")
        },
    )


# --- Spiking ResNet-18 ---

STEPPED, LAYERED = "step-major Python loop", "layer-major Python neurons"


def check_resnet(setting: Setting) -> None:
    """Compare a small network in float64.

    In training, a step-major loop can only normalise each step by itself; so outputs and gradients
    are compared in evaluation, where batch norm does the same in any order.
    """
    ours = create_model("spiking_resnet18", n_classes=10, width=4)
    peer = peer_networks.SteppedResNet18(10, loops.decaying_step, width=4)
    peer_networks.copy_weights(ours, peer)
    ours.double().to(setting.place).eval(), peer.double().to(setting.place).eval()
    x = torch.rand(3, 2, 3, 32, 32, dtype=torch.float64, device=setting.place)
    y, y_peer = ours(channels_last(x)), peer(x)
    assert_close(y, y_peer, rtol=1e-9, atol=1e-9)
    gradients, theirs = (
        torch.autograd.grad(out.square().mean(), model.parameters())
        for out, model in ((y, ours), (y_peer, peer))
    )
    assert_close(gradients, theirs, rtol=1e-8, atol=1e-10)


def bench_resnet(setting: Setting, gesture: bool = False) -> None:
    """Compare a training step with a loop over time around the whole network."""
    if gesture and (setting.device == "cpu" or setting.tiny):
        return  # hours, and at tiny size the same as without
    check_resnet(setting)
    n_samples, side = (10, 128) if gesture else (100, 32)
    n_steps, n_samples, side = setting.pick(*[(32, n_samples, side)] * 2, (2, 2, 32))
    width = 2 if setting.tiny else 64
    place = setting.place
    network = create_model("spiking_resnet18", n_classes=10, width=width).to(place)
    x = (torch.rand(n_steps, n_samples, 3, side, side, device=place) < 0.3).float()
    y = torch.randint(10, (n_samples,), device=place)

    def ours(name: str) -> Arm:
        model = copy.deepcopy(network).to(memory_format=torch.channels_last)
        adam = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
        prepare = functools.partial(lay_out, name)
        return training_arm(model, cross_entropy, adam, place, name, prepare)

    def peer(model: nn.Module) -> Arm:
        peer_networks.copy_weights(network, model.to(place))
        adam = torch.optim.Adam(model.parameters(), 1e-3)
        return training_arm(model, cross_entropy, adam, place, "float32")

    def stepped() -> Arm:
        return peer(peer_networks.SteppedResNet18(10, loops.decaying_step, width))

    def layered() -> Arm:
        options = {"n_classes": 10, "width": width, "backend": "reference"}
        return peer(create_model("spiking_resnet18", **options))

    n_operations = 3 * operations(network, x)
    wide = (n_steps * n_samples, width, side // 4, side // 4)
    compare(
        setting,
        "training",
        f"Spiking ResNet-18 training step, {side}x{side}, T={n_steps}, N={n_samples}, "
        f"width {width}",
        ours={name: ours(name) for name in ("float32", "bfloat16")},
        peers={STEPPED: stepped, LAYERED: layered},
        pairs=[
            ("float32", STEPPED, RESNET[setting.device]),
            ("float32", LAYERED, Target()),
            ("bfloat16", STEPPED, RESNET[setting.device]),
        ],
        inputs=[(x, y)],
        limits={
            name: arithmetic_limit(setting, name, n_operations, wide)
            for name in ("float32", "bfloat16")
        },
    )


def neuron_layers(n_samples: int, width: int) -> list[tuple[int, ...]]:
    """Return the shapes of one step of the 17 layers of neurons, for images of 32 x 32."""
    stages = [(width * 2**i, 8 // 2**i, 8 // 2**i) for i in range(4)]
    shapes = [(width, 16, 16), *(stage for stage in stages for _ in range(4))]
    return [(n_samples, *shape) for shape in shapes]


def fused_layers(layers: tuple[Tensor, ...]) -> list[Tensor]:
    """Run the neurons of every layer over all steps."""
    options = {"decay": 0.2, "threshold": 0.3, "surrogate": "rectangle", "detach_reset": False}
    return [lif(x, **options)[0] for x in layers]


def bench_neurons(setting: Setting) -> None:
    """Compare the layers of neurons of Spiking ResNet-18 alone, forward and backward."""
    n_steps, n_samples, width = setting.pick((32, 100, 64), (32, 100, 64), (3, 1, 2))
    shapes = neuron_layers(n_samples, width)

    def draw(shapes: list, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
        draws = [torch.randn(2, n_steps, *s, device=setting.place, dtype=dtype) for s in shapes]
        return [x[0].requires_grad_() for x in draws], [x[1] for x in draws]

    def train_fused(layers: list[Tensor], ds: list[Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(fused_layers(layers), layers, ds)

    def run_stepped(layers: list[Tensor]) -> list[Tensor]:
        spikes = loops.loop_by_steps(loops.decaying_step, layers)
        return [s for layer in spikes for s in layer]

    def train_stepped(layers: list[Tensor], ds: list[Tensor]) -> tuple[Tensor, ...]:
        by_step = [g for layer in ds for g in layer]
        return torch.autograd.grad(run_stepped(layers), layers, by_step)

    layers, ds = draw(neuron_layers(1, 2), torch.float64)
    stepped_spikes = run_stepped(layers)
    for i, s in enumerate(fused_layers(layers)):
        mine = stepped_spikes[i * n_steps : (i + 1) * n_steps]
        assert_close(s, torch.stack(mine), rtol=0, atol=0)
    assert_close(train_fused(layers, ds), train_stepped(layers, ds))

    n_neurons = sum(torch.Size(shape).numel() for shape in shapes)
    inputs = [draw(shapes, torch.float32)]
    empty_cache()
    compare(
        setting,
        "training",
        f"Spiking ResNet-18, 17 layers of neurons alone, T={n_steps}, N={n_samples}, float32",
        ours={"float32": Arm(train_fused, lambda layers, ds: fused_layers(layers))},
        peers={STEPPED: lambda: Arm(train_stepped, lambda layers, ds: run_stepped(layers))},
        pairs=[("float32", STEPPED, NEURONS[setting.device])],
        inputs=inputs,
        limits={"float32": bandwidth_limit(setting, MAPS_TRAINING * 4 * n_steps * n_neurons)},
    )


CASES = {
    "vgg-training": functools.partial(bench_vgg, training=True),
    "vgg-inference": functools.partial(bench_vgg, training=False),
    "resnet-neurons": bench_neurons,
    "resnet-training": bench_resnet,
    "resnet-training-gesture": functools.partial(bench_resnet, gesture=True),
}

if __name__ == "__main__":
    run("tests.benchmarks.bench_training", __doc__.partition("\n")[0], CASES)
