"""A training iteration of a spiking state space model, its neurons and its linear part alone.

Run ``python -m tests.benchmarks.bench_ssm [--device cuda] [--tiny]`` on an idle machine.

The network is that for a one-dimensional sequence, with a single block: a linear encoder, S4D with
64 states, neurons, the gate, the mean over the steps, a linear decoder. All arms have its weights
and differ in the neurons alone; these are timed by themselves, too. The published table has a
batch of 64 and does not say how many channels; here they are few, so that a loop ends on a CPU.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from skspike.kernels import gated_scan, linear_scan, ssm_conv, ssm_kernel
from skspike.models import SpikingSSM
from tests.benchmarks import loops, peers
from tests.benchmarks.compare import Arm, Target, compare
from tests.benchmarks.setting import Setting, run

N_SAMPLES = 64
WIDTH = {"cpu": 4, "cuda": 256, "tiny": 2}
LENGTHS = (1024, 2048, 4096, 8192)
MODES = ("exact", "sdn", "fixed_point")
CHECKED = 400  # steps on which the arms are compared, in float64


class PeerNeuron(nn.Module):
    """Neurons of another make behind the thresholds of ours."""

    def __init__(self, ours: nn.Module, spikes: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.ln_threshold = ours.ln_threshold
        self.spikes = spikes

    def forward(self, x: Tensor) -> Tensor:
        return self.spikes(x / self.ln_threshold.exp())


def spikingjelly_spikes() -> nn.Module:
    """Return spikingjelly's neurons with a decay of 1/8: 1 - 1/tau, the input not scaled."""
    return peers.spikingjelly_neuron("PiecewiseQuadratic", tau=8 / 7, decay_input=False)


LOOPS = {
    "BPTT loop": lambda: functools.partial(loops.loop, loops.bptt_step),
    "SLTT loop": lambda: functools.partial(loops.loop, loops.sltt_step),
    "spikingjelly": spikingjelly_spikes,
}


def make_network(width: int, mode: str = "exact") -> SpikingSSM:
    """Return the network, with equal weights in each mode, all neurons of which fire at times."""
    torch.manual_seed(0)
    options = {"n_layers": 1, "width": width, "norm_place": "unused", "mode": mode}
    network = SpikingSSM(n_classes=10, **options)
    with torch.no_grad():
        network.blocks[0].ssm.d.fill_(1.0)
    return network


def with_neurons(network: SpikingSSM, spikes: Callable[[Tensor], Tensor]) -> SpikingSSM:
    """Return a copy of a network in which the neurons are replaced."""
    network = copy.deepcopy(network)
    block = network.blocks[0]
    block.neuron = PeerNeuron(block.neuron, spikes)
    return network


def loss_of(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the loss of a batch."""
    return nn.functional.cross_entropy(network(x)[0], y)


def iterate(network: nn.Module, x: Tensor, y: Tensor) -> None:
    """Compute the gradients of an iteration; the optimizer's part is the same everywhere."""
    network.zero_grad(set_to_none=True)
    loss_of(network, x, y).backward()


def arm_of(network: nn.Module) -> Arm:
    """Return the arm that trains a network."""
    step, forward = (functools.partial(f, network) for f in (iterate, loss_of))
    return Arm(step, forward, tuple(network.parameters()))


def spikes_of(network: SpikingSSM, x: Tensor) -> Tensor:
    """Return the spikes of the block of a network."""
    found = []
    hook = network.blocks[0].neuron.register_forward_hook(lambda *args: found.append(args[2]))
    with torch.no_grad():
        network(x)
    hook.remove()
    return found[0]


def gradients_of(network: SpikingSSM, x: Tensor, y: Tensor) -> list[Tensor]:
    """Return the gradients of the parameters that are used."""
    iterate(network, x, y)
    return [p.grad for p in network.parameters() if p.grad is not None]


def check(peer: SpikingSSM, ours: SpikingSSM, alike: SpikingSSM, x: Tensor, y: Tensor) -> None:
    """Refuse to time what has other spikes than ours, or other gradients than one alike."""
    peer, ours, alike = (copy.deepcopy(network).double() for network in (peer, ours, alike))
    x, y = x[:CHECKED, :2].double(), y[:2]
    spikes = spikes_of(ours, x)
    if not 0.01 < spikes.mean() < 0.99:
        raise AssertionError("the neurons rest, or always fire: nothing is compared.")
    assert_close(spikes_of(peer, x), spikes, rtol=0, atol=0)
    assert_close(gradients_of(peer, x, y), gradients_of(alike, x, y), rtol=1e-9, atol=1e-11)


def agreement(setting: Setting, exact: SpikingSSM, x: Tensor) -> dict[str, float]:
    """Return the share of spikes in which each mode agrees with the exact one, in float64."""
    x, spikes, shares = x[:, :2].double(), {}, {}
    for mode in MODES:
        network = make_network(width_of(setting), mode).to(setting.place)
        network.load_state_dict(exact.state_dict())
        spikes[mode] = spikes_of(network.double(), x)
        shares[mode] = (spikes[mode] == spikes["exact"]).double().mean().item()
    return {mode: round(share, 6) for mode, share in shares.items()}


def width_of(setting: Setting) -> int:
    """Return the number of channels in a setting."""
    return WIDTH["tiny" if setting.tiny else setting.device]


def draw(setting: Setting, n_steps: int) -> tuple[Tensor, Tensor]:
    """Draw sequences and labels."""
    torch.manual_seed(1)
    n_samples = 3 if setting.tiny else N_SAMPLES
    x = torch.randn(n_steps, n_samples, 1, device=setting.place)
    return x, torch.randint(10, (n_samples,), device=setting.place)


def name_of(setting: Setting, what: str) -> str:
    """Return the name of a case about the network."""
    n_samples, width = (3 if setting.tiny else N_SAMPLES), width_of(setting)
    return f"SpikingSSM training iteration, 1 block, {what}, N={n_samples}, H={width}"


# ours, peer, and how many times faster it is asked to be on the longest sequences
PAIRS = (
    ("exact", "BPTT loop", 20.0),
    ("exact", "SLTT loop", None),
    ("exact", "spikingjelly", None),
    ("exact", "sdn", 1.0),
    ("exact", "fixed_point", None),
    ("sdn", "BPTT loop", None),
)


def targets(n_steps: int) -> list[tuple[str, str, Target]]:
    """Return the pairs to report, with what is asked for on the longest sequences."""
    return [(a, b, Target(asked if n_steps == LENGTHS[-1] else None)) for a, b, asked in PAIRS]


def alike(name: str, exact: SpikingSSM) -> SpikingSSM:
    """Return a network whose gradients pass the leak just where those of a peer do."""
    return exact if name == "SLTT loop" else with_neurons(exact, LOOPS["BPTT loop"]())


def bench_network(setting: Setting, n_steps: int) -> None:
    """Train on sequences of one length with every kind of neurons."""
    n_steps = 50 if setting.tiny else n_steps
    x, y = draw(setting, n_steps)
    width = width_of(setting)
    networks = {mode: make_network(width, mode).to(setting.place) for mode in MODES}
    exact = networks["exact"]

    def build(name: str) -> Arm:
        peer = with_neurons(exact, LOOPS[name]())
        check(peer, exact, alike(name, exact), x, y)
        return arm_of(peer)

    compare(
        setting,
        "ssm",
        name_of(setting, f"T={n_steps}"),
        ours={mode: arm_of(network) for mode, network in networks.items()},
        peers={name: functools.partial(build, name) for name in LOOPS},
        pairs=targets(n_steps),
        inputs=[(x, y)],
        facts={"spikes_that_agree": agreement(setting, exact, x)},
    )


def bench_neurons(setting: Setting, n_steps: int) -> None:
    """Train the neurons of the network alone; :func:`bench_network` compares what they compute."""
    n_steps = 50 if setting.tiny else n_steps
    x, y = draw(setting, n_steps)
    width = width_of(setting)
    exact = make_network(width).to(setting.place)
    current, ds = torch.randn(2, *x.shape[:2], width, device=setting.place)

    def arm(neuron: nn.Module) -> Arm:
        def step(x: Tensor, ds: Tensor) -> tuple[Tensor, ...]:
            return torch.autograd.grad(neuron(x), (x, neuron.ln_threshold), ds)

        return Arm(step, lambda x, ds: neuron(x), tuple(neuron.parameters()))

    def build(name: str) -> Arm:
        peer = with_neurons(exact, LOOPS[name]())
        check(peer, exact, alike(name, exact), x, y)
        return arm(peer.blocks[0].neuron)

    ours = {mode: make_network(width, mode).blocks[0].neuron.to(setting.place) for mode in MODES}
    compare(
        setting,
        "ssm",
        f"SpikingSSM neurons forward+backward, T={n_steps}, {x.shape[1] * width} neurons",
        ours={mode: arm(neuron) for mode, neuron in ours.items()},
        peers={name: functools.partial(build, name) for name in LOOPS},
        pairs=targets(n_steps),
        inputs=[(current.requires_grad_(), ds)],
    )


def bench_growth(setting: Setting) -> None:
    """Train on long sequences, and as many steps of short ones: growth is at most linear."""
    short, long = (25, 50) if setting.tiny else (LENGTHS[0], LENGTHS[-1])
    network = make_network(width_of(setting)).to(setting.place)
    parts, whole = draw(setting, short), draw(setting, long)

    def by_parts() -> None:
        for _ in range(long // short):
            iterate(network, *parts)

    peer = f"T={short}, {long // short} times"
    compare(
        setting,
        "ssm",
        name_of(setting, f"T={long}"),
        ours={"exact": Arm(functools.partial(iterate, network, *whole))},
        peers={peer: lambda: Arm(by_parts)},
        pairs=[("exact", peer, Target(1.0))],
        inputs=[()],
    )


def by_fft(x: Tensor, a: Tensor, c: Tensor) -> Tensor:
    """Return the response of S4D from powers of every lag and torch's Fourier transform."""
    lags = torch.arange(len(x), device=x.device)[:, None, None]
    kernel = 2 * (c * torch.exp(lags * a)).sum(-1).real
    n = 2 * len(x)
    spectrum = torch.fft.rfft(x, n, 0) * torch.fft.rfft(kernel, n, 0)[:, None]
    return torch.fft.irfft(spectrum, n, 0)[: len(x)]


RESPONSES = {
    "convolution": lambda x, a, c: ssm_conv(x, ssm_kernel(a, c, len(x))),
    "scan": lambda x, a, c: linear_scan(x, a.exp(), c)[0],
    "torch.fft": by_fft,
}


def bench_response(setting: Setting, n_steps: int) -> None:
    """Compute the linear part alone: the response and its gradients, as convolution and as scan."""
    n_steps, n_samples, width = (50, 3, 2) if setting.tiny else (n_steps, 16, 32)
    place, n_modes = setting.place, 32
    a = torch.complex(torch.tensor(-0.5), torch.pi * torch.arange(n_modes).float())
    a = (torch.logspace(-3, -1, width)[:, None] * a).to(place).requires_grad_()
    c = torch.randn(width, n_modes, dtype=torch.complex64, device=place, requires_grad=True)
    x, dy = torch.randn(2, n_steps, n_samples, width, device=place)
    x.requires_grad_()

    def respond(name: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        *inputs, dy = inputs
        return torch.autograd.grad(RESPONSES[name](*inputs), inputs, dy)

    def arm(name: str) -> Arm:
        forward = RESPONSES[name]
        return Arm(functools.partial(respond, name), lambda x, a, c, dy: forward(x, a, c), (a, c))

    wide = [v.detach().to(torch.promote_types(v.dtype, torch.float64)) for v in (x, a, c, dy)]
    few = [v[:CHECKED] if v.ndim == 3 else v.requires_grad_() for v in wide]
    few[0].requires_grad_()
    for name in RESPONSES:
        assert_close(respond(name, *few), respond("torch.fft", *few), rtol=1e-8, atol=1e-8)
    compare(
        setting,
        "ssm",
        f"S4D forward+backward, {n_modes} modes, {n_steps}x{n_samples}x{width}, float32",
        ours={name: arm(name) for name in ("convolution", "scan")},
        peers={"torch.fft": lambda: arm("torch.fft")},
        pairs=[("convolution", "torch.fft", Target()), ("scan", "torch.fft", Target())],
        inputs=[(x, a, c, dy)],
    )


def by_doubling(x: Tensor, gate: Tensor) -> Tensor:
    """Return what gated integrators remember, from stretches of steps that double in length."""
    share = gate.sigmoid()
    kept, h, n = 1 - share, share * x, 1
    while n < len(x):
        h = torch.cat([h[:n], torch.addcmul(h[n:], kept[n:], h[:-n])])
        kept = torch.cat([kept[:n], kept[n:] * kept[:-n]])
        n *= 2
    return h


SCANS = {
    "ours": gated_scan,
    "python loop": functools.partial(gated_scan, backend="reference"),
    "doubling": by_doubling,
}


def bench_gated_scan(setting: Setting) -> None:
    """Run gated integrators and their gradients, against a loop and a scan of passes of torch."""
    shape = (50, 3, 2) if setting.tiny else (1024, 32, 64)
    x, gate, dh = torch.randn(3, *shape, device=setting.place)

    def scan(name: str, *inputs: Tensor) -> tuple[Tensor, ...]:
        *inputs, dh = inputs
        return torch.autograd.grad(SCANS[name](*inputs), inputs, dh)

    def build(name: str) -> Arm:
        few = [v[:CHECKED].double() for v in (x, gate, dh)]
        few[:2] = [v.detach().requires_grad_() for v in few[:2]]
        assert_close(scan(name, *few), scan("ours", *few), rtol=1e-9, atol=1e-9)
        return Arm(functools.partial(scan, name), lambda x, gate, dh: SCANS[name](x, gate))

    peers = {name: functools.partial(build, name) for name in SCANS if name != "ours"}
    compare(
        setting,
        "ssm",
        f"gated_scan forward+backward, {'x'.join(map(str, shape))}, float32",
        ours={"ours": build("ours")},
        peers=peers,
        pairs=[("ours", name, Target()) for name in peers],
        inputs=[(x.requires_grad_(), gate.requires_grad_(), dh)],
    )


CASES = {
    **{f"neurons-{n}": functools.partial(bench_neurons, n_steps=n) for n in LENGTHS},
    **{f"network-{n}": functools.partial(bench_network, n_steps=n) for n in LENGTHS},
    "growth": bench_growth,
    **{f"response-{n}": functools.partial(bench_response, n_steps=n) for n in (1024, 8192)},
    "gated-scan": bench_gated_scan,
}

if __name__ == "__main__":
    run("tests.benchmarks.bench_ssm", __doc__.partition("\n")[0], CASES)
