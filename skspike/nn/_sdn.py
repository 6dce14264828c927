"""The surrogate dynamic network: a small convolutional network that predicts carried potentials."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from .._validation import check_number
from ._sdn_weights import WEIGHTS

Weights = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]

_fitted: dict[float, SurrogateDynamicNetwork] = {}


class SurrogateDynamicNetwork(nn.Module):
    r"""Network that predicts from inputs alone what a neuron carries from step to step.

    Of the neuron with hard reset to zero, threshold 1 and a factor `decay` on its potential, it
    learns :math:`m_t = k\, v_{t-1}` as a function of the `kernel_size` inputs before step t. All
    steps are computed at once. Published as C8k1 - C8k8g8 - BN - ReLU - (C8k1 - BN + identity) -
    ReLU - C1k1, with 193 trainable parameters.

    Parameters
    ----------
    decay : float in [0, 1], default=0.125
        Factor on the carried potential of the neuron that the network stands for.
    width : int in [1, inf), default=8
        Number of units of each layer.
    kernel_size : int in [1, inf), default=8
        Number of inputs that a prediction depends on; the present one is not among them.

    Notes
    -----
    A new network knows nothing: :func:`skspike.nn.fit_surrogate_dynamics` trains one, and
    :func:`skspike.nn.load_surrogate_dynamics` returns one that is trained already. Input and output
    have shape (n_series, 1, n_steps), as published; :func:`skspike.kernels.sdn_membrane` takes time
    first, and is many times faster.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import SurrogateDynamicNetwork
    >>> network = SurrogateDynamicNetwork()
    >>> network(torch.randn(3, 1, 20)).shape
    torch.Size([3, 1, 20])
    >>> sum(p.numel() for p in network.parameters()), sum(w.numel() for w in network.fold())
    (193, 153)
    """

    def __init__(self, decay: float = 0.125, width: int = 8, kernel_size: int = 8) -> None:
        super().__init__()
        check_number("SurrogateDynamicNetwork", "decay", decay, 0.0, 1.0)
        for name, value in (("width", width), ("kernel_size", kernel_size)):
            check_number("SurrogateDynamicNetwork", name, value, 1, integer=True)
        self.decay = decay
        self.encode = nn.Conv1d(1, width, 1, bias=False)
        self.delay = nn.Conv1d(width, width, kernel_size, groups=width)
        self.delay_norm = nn.BatchNorm1d(width)
        self.mix = nn.Conv1d(width, width, 1)
        self.mix_norm = nn.BatchNorm1d(width)
        self.decode = nn.Conv1d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the predicted potentials (n_series, 1, n_steps) of series of that shape."""
        kernel_size = self.delay.kernel_size[0]
        windows = pad(x[:, 0], (kernel_size, -1)).unfold(-1, kernel_size, 1)
        return self.respond(windows.flatten(0, 1)).reshape(x.shape)

    def respond(self, windows: Tensor) -> Tensor:
        """Return the prediction for each window of inputs.

        Parameters
        ----------
        windows : Tensor of shape (n_windows, kernel_size)
            Inputs before the step in question, the oldest first.

        Returns
        -------
        m : Tensor of shape (n_windows,)
            Predicted carried potential.
        """
        taps = self.encode.weight[:, 0] * self.delay.weight[:, 0]  # (width, kernel_size)
        h = torch.relu(self.delay_norm(linear(windows, taps, self.delay.bias)))
        h = torch.relu(self.mix_norm(linear(h, self.mix.weight[..., 0], self.mix.bias)) + h)
        return linear(h, self.decode.weight[..., 0], self.decode.bias)[:, 0]

    def fold(self) -> Weights:
        """Return the network in evaluation as three layers, without encoder, norms or residual.

        Returns
        -------
        weights : tuple of six tensors
            What :func:`skspike.kernels.sdn_membrane` takes; 153 numbers in the published size.
        """
        p = {name: value.clone() for name, value in self.state_dict().items()}
        taps = p["encode.weight"][:, 0] * p["delay.weight"][:, 0]
        scale, shift = _affine(p, "delay_norm", self.delay_norm.eps)
        taps, bias = scale[:, None] * taps, scale * p["delay.bias"] + shift
        scale, shift = _affine(p, "mix_norm", self.mix_norm.eps)
        mix, mix_bias = scale[:, None] * p["mix.weight"][..., 0], scale * p["mix.bias"] + shift
        mix = mix + torch.eye(len(mix)).to(mix)
        return taps, bias, mix, mix_bias, p["decode.weight"][0, :, 0], p["decode.bias"][0]

    def unfold(self, weights: Sequence[Tensor]) -> SurrogateDynamicNetwork:
        """Set the parameters so that the network in evaluation folds to given weights.

        Parameters
        ----------
        weights : sequence of six tensors
            As :meth:`fold` returns them.

        Returns
        -------
        network : SurrogateDynamicNetwork
            The network itself, in evaluation, its norms without effect.
        """
        taps, bias, mix, mix_bias, out, out_bias = weights
        parameters = {
            "encode.weight": torch.ones(len(taps), 1, 1),
            "delay.weight": taps[:, None],
            "delay.bias": bias,
            "mix.weight": (mix - torch.eye(len(mix)).to(mix))[..., None],
            "mix.bias": mix_bias,
            "decode.weight": out[None, :, None],
            "decode.bias": out_bias[None],
        }
        for name, norm in (("delay_norm", self.delay_norm), ("mix_norm", self.mix_norm)):
            norm.reset_running_stats()
            parameters[f"{name}.weight"] = torch.full_like(bias, (1 + norm.eps) ** 0.5)
            parameters[f"{name}.bias"] = torch.zeros_like(bias)
        self.load_state_dict(self.state_dict() | parameters)
        return self.eval()

    def extra_repr(self) -> str:
        """Show the neuron in the module's repr."""
        return f"decay={self.decay:g}"


def _affine(p: dict[str, Tensor], norm: str, eps: float) -> tuple[Tensor, Tensor]:
    """Return what a norm in evaluation multiplies by, and what it adds."""
    scale = p[f"{norm}.weight"] / torch.sqrt(p[f"{norm}.running_var"] + eps)
    return scale, p[f"{norm}.bias"] - scale * p[f"{norm}.running_mean"]


def load_surrogate_dynamics(decay: float = 0.125, *, fit: bool = False) -> SurrogateDynamicNetwork:
    """Return a surrogate dynamic network that is trained already.

    Parameters
    ----------
    decay : float in [0, 1], default=0.125
        Factor on the carried potential of the neuron. Weights for 0.125 come with the package.
    fit : bool, default=False
        Whether to train a network for another decay, by :func:`fit_surrogate_dynamics`, which takes
        minutes. The process keeps it.

    Returns
    -------
    network : SurrogateDynamicNetwork
        In evaluation, in float32, its parameters frozen.

    Raises
    ------
    ValueError
        If there is no network for that decay.

    Notes
    -----
    The network for 0.125 has a mean absolute error of 3.4e-4 on normal inputs, and 99.991 % of its
    spikes are those of the neuron; the published one has 1.0e-3 and 99.975 %. On inputs ten times
    as large the figures are 2.9e-3 and 99.989 %, and 6.8e-2 and 99.731 % of the published one.

    Examples
    --------
    >>> from skspike.nn import load_surrogate_dynamics
    >>> load_surrogate_dynamics().decay
    0.125
    """
    if decay in WEIGHTS:
        network = unpacked(WEIGHTS[decay], decay)
    elif decay in _fitted or fit:
        if decay not in _fitted:
            from ._sdn_fit import fit_surrogate_dynamics

            _fitted[decay] = fit_surrogate_dynamics(decay, random_state=0)
        network = unpacked(torch.cat([w.flatten() for w in _fitted[decay].fold()]), decay)
    else:
        raise ValueError(
            f"The 'decay' parameter of load_surrogate_dynamics must be one of {sorted(WEIGHTS)}, "
            f"or with fit=True, which takes minutes, any in [0.0, 1.0]. Got {decay!r} instead."
        )
    return network.requires_grad_(False)


def unpacked(numbers: Sequence[float] | Tensor, decay: float) -> SurrogateDynamicNetwork:
    """Return a network of the published size from the numbers of its folded weights in a row."""
    network = SurrogateDynamicNetwork(decay)
    shapes = [w.shape for w in network.fold()]
    parts = torch.as_tensor(numbers, dtype=torch.float32).split([s.numel() for s in shapes])
    return network.unfold([p.reshape(s) for p, s in zip(parts, shapes, strict=True)])
