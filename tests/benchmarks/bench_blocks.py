"""What stands between two convolutions: norm, neurons and pool as one, and SMA's mixing of scales.

Run ``python -m tests.benchmarks.bench_blocks [--device cuda] [--tiny]`` on an idle machine.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from skspike import kernels
from tests.benchmarks import peers
from tests.benchmarks.bench_kernels import bandwidth_limit
from tests.benchmarks.compare import Arm, Target, compare
from tests.benchmarks.measure import channels_last, fill_the_cache
from tests.benchmarks.setting import Setting, run

# Maps that have to move, of the size of the input. A batch norm must see all of its input before it
# can normalise any, and all of the gradient before it can return any: two passes each way. The
# pooled map and its gradient have a quarter of the size.
MAPS_BLOCK = 2 + 1 / 4 + 2 * (1 + 1 / 4) + 1
MAPS_BLOCK_FORWARD = 1 + 1 / 4
N_SCALES = 4
# The descriptor reads all scales; the sum reads them again, as its weights follow from the
# descriptor, and writes a map. Backward: read its gradient and the scales, write theirs.
MAPS_MIX = N_SCALES + (N_SCALES + 1) + (1 + N_SCALES + N_SCALES)

PRIMARY = {"cpu": Target(4.0, memory=0.5), "cuda": Target(1.8, memory=0.5)}


class FusedBlock(nn.Module):
    """Batch norm, LIF and 2 x 2 max-pooling by one kernel."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        return kernels.norm_lif(
            x,
            norm.weight,
            norm.bias,
            norm.running_mean,
            norm.running_var,
            training=self.training,
            momentum=norm.momentum,
            eps=norm.eps,
            pool="max",
        )[0]


def make_norm(channels: int, place: torch.device) -> nn.BatchNorm2d:
    """Return a norm after which a fifth of the neurons fires, as in a trained network."""
    norm = nn.BatchNorm2d(channels)
    nn.init.uniform_(norm.weight, 0.8, 1.2)
    nn.init.uniform_(norm.bias, 0.2, 0.6)
    return norm.to(place)


def train_block(block: nn.Module, x: Tensor, ds: Tensor) -> tuple[Tensor, ...]:
    """One forward and backward pass."""
    return torch.autograd.grad(block(x), (x, *block.parameters()), ds)


def copy_state(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters and buffers by their order; the names may differ."""
    pairs = zip(source.state_dict().values(), target.state_dict().values(), strict=True)
    for theirs, ours in pairs:
        ours.copy_(theirs)


def check_block(setting: Setting, ours: nn.Module, peer: nn.Module) -> None:
    """Compare a training and an evaluation pass in float64, to the last spike."""
    place = setting.place
    channels = ours.norm.num_features
    x = torch.randn(4, 2, channels, 7, 6, dtype=torch.float64, device=place)
    ds = torch.randn(4, 2, channels, 3, 3, dtype=torch.float64, device=place)
    ours.double(), peer.double()
    for training, lay_out in itertools.product((True, False), (torch.clone, channels_last)):
        ours.train(training), peer.train(training)
        x = lay_out(x.detach()).requires_grad_()
        assert_close(ours(x), peer(x), rtol=0, atol=0)
        assert_close(train_block(ours, x, ds), train_block(peer, x, ds))
        assert_close(ours.norm.running_mean, peer[0].running_mean)
        assert_close(ours.norm.running_var, peer[0].running_var)
    ours.float().train(), peer.float().train()


def bench_block(
    setting: Setting,
    *,
    last: bool = False,
    dtype: torch.dtype = torch.float32,
    training: bool = True,
) -> None:
    """Compare the first block of SMA-VGG8, less its convolution."""
    shape = setting.pick((10, 16, 64, 34, 34), (16, 16, 64, 128, 128), (2, 2, 3, 6, 5))
    place, channels = setting.place, shape[2]
    n_bytes = dtype.itemsize * torch.Size(shape).numel()
    pooled = (*shape[:3], shape[3] // 2, shape[4] // 2)

    def draw(size: tuple) -> Tensor:
        x = torch.randn(size, device=place).to(dtype)
        return channels_last(x) if last else x

    n_sets = fill_the_cache(place, round(MAPS_BLOCK * n_bytes))
    inputs = [(draw(shape).requires_grad_(training), draw(pooled)) for _ in range(n_sets)]
    norm = make_norm(channels, place)
    block = FusedBlock(norm).train(training)

    def arm(block: nn.Module) -> Arm:
        if training:
            parameters = tuple(block.parameters())
            return Arm(functools.partial(train_block, block), lambda x, ds: block(x), parameters)
        return Arm(torch.no_grad()(lambda x, ds: block(x)))

    def build() -> Arm:
        peer = peers.spikingjelly_block(channels).to(place)
        copy_state(block, peer)
        check_block(setting, block, peer)
        block.train(training)
        return arm(peer.train(training))

    name = str(dtype).removeprefix("torch.")
    layout = ", channels last" if last else ""
    passes = "forward+backward" if training else "forward only"
    primary = training and not last and dtype == torch.float32
    ours = arm(block)
    compare(
        setting,
        "blocks",
        f"BN + LIF + 2x2 max-pool {passes}, {'x'.join(map(str, shape))}, {name}{layout}",
        ours={"ours": ours},
        peers={"spikingjelly": build},
        pairs=[("ours", "spikingjelly", PRIMARY[setting.device] if primary else Target())],
        inputs=inputs,
        limits={
            "ours": bandwidth_limit(
                setting, (MAPS_BLOCK if training else MAPS_BLOCK_FORWARD) * n_bytes
            )
        },
    )


def mix_fused(scales: list[Tensor], weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the descriptor and the weighted sum of the scales by one kernel each."""
    return kernels.scale_mean(scales), kernels.scale_mix(scales, weight)


def mix_by_torch(scales: list[Tensor], weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same by torch's own operators."""
    products = (w[..., None, None] * s for w, s in zip(weight, scales, strict=True))
    descriptor = functools.reduce(operator.add, scales).mean((-2, -1))
    return descriptor, functools.reduce(operator.add, products)


def bench_mix(setting: Setting) -> None:
    """Compare what SMA does with its scales in the second block of SMA-VGG8."""
    shape = setting.pick((10, 16, 128, 17, 17), (16, 16, 128, 64, 64), (2, 2, 3, 5, 5))
    place = setting.place

    def draw(dtype: torch.dtype, shape: tuple) -> tuple:
        options = {"device": place, "dtype": dtype}
        scales = [
            (torch.rand(shape, device=place) < 0.2).to(dtype).requires_grad_()
            for _ in range(N_SCALES)
        ]
        weight = torch.randn(N_SCALES, *shape[:3], **options).softmax(0).requires_grad_()
        return scales, weight, (torch.randn(shape[:3], **options), torch.randn(shape, **options))

    def arm(mix: Callable) -> Arm:
        def step(scales: list[Tensor], weight: Tensor, gradients: tuple) -> tuple[Tensor, ...]:
            return torch.autograd.grad(mix(scales, weight), (*scales, weight), gradients)

        return Arm(step, lambda scales, weight, gradients: mix(scales, weight))

    ours, peer = arm(mix_fused), arm(mix_by_torch)
    small = draw(torch.float64, (3, 2, 4, 5, 3))
    assert_close(ours.forward(*small), peer.forward(*small))
    assert_close(ours.step(*small), peer.step(*small))
    n_bytes = 4 * torch.Size(shape).numel()
    n_sets = fill_the_cache(place, MAPS_MIX * n_bytes)
    compare(
        setting,
        "blocks",
        f"SMA's descriptor and weighted sum of {N_SCALES} scales forward+backward, "
        f"{'x'.join(map(str, shape))}, float32",
        ours={"ours": ours},
        peers={"torch": lambda: peer},
        pairs=[("ours", "torch", Target())],
        inputs=[draw(torch.float32, shape) for _ in range(n_sets)],
        limits={"ours": bandwidth_limit(setting, MAPS_MIX * n_bytes)},
    )


CASES = {
    "block": bench_block,
    "block-channels-last": functools.partial(bench_block, last=True),
    "block-bfloat16": functools.partial(bench_block, last=True, dtype=torch.bfloat16),
    "block-inference": functools.partial(bench_block, training=False),
    "mix": bench_mix,
}

if __name__ == "__main__":
    run("tests.benchmarks.bench_blocks", __doc__.partition("\n")[0], CASES)
