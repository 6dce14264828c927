"""Training of surrogate dynamic networks; :func:`print_weights` makes those that ship."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss, smooth_l1_loss

from .._validation import check_choice, check_number
from ..kernels import lif
from ._sdn import SurrogateDynamicNetwork, Weights

LOSSES: dict[str, Callable] = {"l1": l1_loss, "mse": mse_loss, "smooth_l1": smooth_l1_loss}
INITS = ("rounds", "random")
N_STEPS, N_SERIES, RENEW = 1024, 256, 1000  # of the series at hand, and how long they serve
STEEP = 200.0  # slope of what stands for a spike in the initial network


def fit_surrogate_dynamics(
    decay: float = 0.125,
    *,
    init: str = "rounds",
    loss: str = "l1",
    lr: float = 3e-4,
    weight_decay: float = 0.0,
    n_updates: int = 60_000,
    batch_size: int = 4096,
    random_state: int | None = None,
    verbose: int = 0,
) -> SurrogateDynamicNetwork:
    """Train a surrogate dynamic network on normal inputs.

    A prediction depends on eight inputs, so a batch consists of windows of that length, drawn with
    the true potentials from long series, which are renewed all the time.

    Parameters
    ----------
    decay : float in [0, 1], default=0.125
        Factor on the carried potential of the neuron.
    init : {"rounds", "random"}, default="rounds"
        Where training starts: at a network built by hand that does two rounds of
        :func:`skspike.kernels.fixed_point_membrane`, or at random as published.
    loss : {"l1", "mse", "smooth_l1"}, default="l1"
        What is minimised: the mean absolute error, the squared one as in the paper, or a smooth
        absolute one as in the authors' code.
    lr : float in (0, inf), default=3e-4
        Initial learning rate of AdamW, annealed by a cosine; 0.01 as published, from a random
        start.
    weight_decay : float in [0, inf), default=0.0
        Weight decay; 0.01 as published.
    n_updates : int in [1, inf), default=60000
        Number of batches; about 70,000 as published.
    batch_size : int in [1, inf), default=4096
        Windows in a batch; about 65,000, in 64 series of 1,024 steps, as published.
    random_state : int, default=None
        Seeds weights and inputs; None draws anew each time.
    verbose : int, default=0
        Whether to print the error now and then.

    Returns
    -------
    network : SurrogateDynamicNetwork
        In evaluation, in float32.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    Computed in float64, about 2.5 ms for an update with the defaults. The global generators of
    random numbers are left alone.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025.

    Examples
    --------
    >>> from skspike.nn import fit_surrogate_dynamics
    >>> network = fit_surrogate_dynamics(n_updates=1, batch_size=8, random_state=0)
    >>> round(float(network.fold()[-1]), 2)
    0.12
    """
    op = "fit_surrogate_dynamics"
    check_choice(op, "init", init, INITS)
    check_choice(op, "loss", loss, LOSSES)
    check_number(op, "lr", lr, 0.0, closed="neither")
    check_number(op, "weight_decay", weight_decay, 0.0, closed="left")
    for name, value in (("n_updates", n_updates), ("batch_size", batch_size)):
        check_number(op, name, value, 1, integer=True)
    generator = torch.Generator()
    generator.seed() if random_state is None else generator.manual_seed(random_state)
    network = _start(decay, init, generator)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_updates)
    for i in range(n_updates):
        if i % RENEW == 0:
            series, potentials = _draw(decay, generator)
        windows, m = _batch(series, potentials, batch_size, generator)
        error = LOSSES[loss](network.respond(windows), m)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        schedule.step()
        if verbose and (i + 1) % RENEW == 0:
            print(f"update {i + 1:6d}: {loss} {error.item():.2e}", file=sys.stderr, flush=True)
    return network.eval().float()


def _start(decay: float, init: str, generator: torch.Generator) -> SurrogateDynamicNetwork:
    """Return the network to train, in float64; one built by hand keeps its norms as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch.randint(2**31, (), generator=generator).item())
        network = SurrogateDynamicNetwork(decay).double()
    if init == "random":
        return network
    return network.unfold(by_hand(*_draw(decay, generator), decay))


def _draw(decay: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return normal inputs, and what a neuron carries into each step."""
    x = torch.randn(N_STEPS, N_SERIES, dtype=torch.float64, generator=generator)
    v, potentials = torch.zeros_like(x[0]), []
    for x_t in x:
        potentials.append(decay * v)
        _, v = lif(x_t[None], v, decay=decay)
    return x, torch.stack(potentials)


def _batch(
    x: Tensor, potentials: Tensor, batch_size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw windows of eight inputs, and what a neuron carries into the step after them."""
    t = torch.randint(8, N_STEPS, (batch_size,), generator=generator)
    neuron = torch.randint(N_SERIES, (batch_size,), generator=generator)
    return x[t[:, None] + torch.arange(-8, 0), neuron[:, None]], potentials[t, neuron]


# --- the network built by hand ---


def by_hand(x: Tensor, potentials: Tensor, decay: float) -> Weights:
    r"""Return folded weights that do two rounds of the fixed point, and a little more.

    What a neuron keeps of its potential w is w below the threshold and 0 from there on. With
    :math:`(y)_+ = \max(0, y)` and a steep slope S, three units say that:

    .. math:: w [w < 1] \approx 1 - (1 - w)_+ - (S (w - 1) + 1)_+ + (S (w - 1))_+.

    The second layer does so for the last potential, which is the last input plus what was carried
    there; the first layer for the two potentials before, each of an input plus a linear guess from
    older ones. Two units pass the last input on. Linear guesses are fitted to the series.
    """
    windows = x.unfold(0, 8, 1)[:-1].flatten(0, 1)  # of the inputs before steps 8, 9, ...
    now, before = (potentials[8 - back : N_STEPS - back].flatten() for back in (0, 1))
    older, oldest, constant = _least_squares(windows[:, [-1, -2]], now)

    taps, bias = torch.zeros(8, 8).double(), torch.zeros(8).double()
    taps[0, -1], taps[1, -1] = 1, -1
    for first, back in ((2, 2), (5, 3)):
        w = torch.zeros(8).double()
        w[-back], w[-back - 1], w[-back - 2] = 1, older, oldest
        taps[first : first + 3], bias[first : first + 3] = _keeping(w, constant)
    h = torch.relu(windows @ taps.T + bias)

    *carried, constant = _least_squares(h[:, 2:], before)
    mix, mix_bias = torch.zeros(8, 8).double(), torch.zeros(8).double()
    mix[:3], mix_bias[:3] = _keeping(
        torch.stack([w.new_tensor(1), w.new_tensor(-1), *carried]), constant
    )
    out = torch.zeros(8).double()
    out[:3] = decay * torch.tensor([-1.0, -1.0, 1.0])
    return taps, bias, mix, mix_bias, out, torch.tensor(decay).double()


def _keeping(w: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
    """Return three units that together say what is kept of the potential ``w @ x + constant``."""
    taps = torch.stack([-w, STEEP * w, STEEP * w])
    below = STEEP * (constant - 1)
    return taps, torch.stack([1 - constant, below + 1, below])


def _least_squares(x: Tensor, y: Tensor) -> Tensor:
    """Return the coefficients, and the constant, of the best linear guess of `y`."""
    with_constant = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    return torch.linalg.lstsq(with_constant, y[:, None]).solution[:, 0]


def print_weights() -> None:
    """Print the module with the weights that ship; this takes minutes."""
    fitted = fit_surrogate_dynamics(random_state=0, verbose=1)
    numbers = " ".join(f"{n:.9g}" for w in fitted.fold() for n in w.flatten().tolist())
    print(_MODULE.format(numbers="\n".join(textwrap.wrap(numbers, 96))))


_MODULE = '''"""Weights of trained surrogate dynamic networks, printed by `_sdn_fit.print_weights`.

They are those of the folded network, in the order of :func:`skspike.kernels.sdn_membrane`.
"""

from __future__ import annotations

_WEIGHTS_0125 = """
{numbers}
"""

WEIGHTS = {{0.125: [float(number) for number in _WEIGHTS_0125.split()]}}'''
