"""SpikingSSM: spiking state space models for long sequences."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .._validation import check_choice, check_number
from ..nn import SelectiveSSMBlock, SpikingSSMBlock
from ._registry import register

BLOCKS = {"s4d": SpikingSSMBlock, "selective": SelectiveSSMBlock}
READOUTS = ("mean", "max", "last", "ends", "steps")

# of the blocks, what was read of the steps so far, the number of steps
State = tuple[list, Tensor | None, int]


@register("spiking_ssm")
class SpikingSSM(nn.Module):
    """Network of spiking state space models for long sequences.

    An encoder (a matrix, or a vector for each token), blocks, and a matrix that reads their output,
    by default averaged over steps.

    Parameters
    ----------
    n_classes : int
        Number of outputs; None returns what they would be read from.
    n_steps : int, default=None
        Not needed, and here so that all networks are built alike: sequences have any length.
    in_channels : int, default=1
        Number of values in a step of a sequence.
    vocabulary_size : int, default=None
        Number of tokens where a step is one; replaces `in_channels`.
    n_layers : int in [1, inf), default=4
        Number of blocks.
    n_repeats : int in [1, inf), default=1
        How often the sequence goes through all blocks, with the same weights every time: for what
        is nested, a deep network of few parameters.
    width : int in [1, inf), default=128
        Number of channels of a block.
    readout : {"mean", "max", "last", "ends", "steps"}, default="mean"
        What the output is read from: the mean over the steps of a sequence, the maximum of each
        channel over them, its last step, its first and its last step, or each step for itself.
    final_norm : bool, default=False
        Whether the output of the last block is normalised over channels before it is read; the
        published networks have no such norm.
    block : {"s4d", "selective"}, default="s4d"
        The published block, :class:`skspike.nn.SpikingSSMBlock`, or one whose state space model is
        told by each step how much to forget, :class:`skspike.nn.SelectiveSSMBlock`.
    **options : dict
        Of the blocks: `bidirectional`, `dt_min`, `dt_max`, `norm`, `norm_place`, `dropout`, `mode`,
        `decay`, `n_rounds`, `learnable_threshold`, `shared_threshold`, `surrogate`, `alpha`,
        `max_spikes` and `backend`; `d_state` and `trainable_input` of ``"s4d"``, `expand`,
        `residual` and `gated` of ``"selective"``.

    Notes
    -----
    Input of shape (n_steps, n_samples, in_channels), or tokens of shape (n_steps, n_samples);
    output of shape (1, n_samples, n_classes), or (n_steps, n_samples, n_classes) with
    ``readout="steps"``.

    Published networks read the mean, in which a step has a small part: where a few steps of many
    decide, training begins slowly. Each channel of the maximum is that of a single step. The ends
    are what a recurrent network in both directions is read from.

    The published configurations are in the registry, from ``"spiking_ssm_smnist"`` to
    ``"spiking_ssm_dvs_gesture"``, with their exact numbers of parameters. Those that were trained
    with a norm whose result is discarded have ``norm_place="unused"``.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025.

    Examples
    --------
    >>> import torch
    >>> from skspike.models import SpikingSSM, create_model
    >>> model = SpikingSSM(n_classes=10, width=16, n_layers=2, d_state=4)
    >>> model(torch.randn(50, 3, 1)).shape
    torch.Size([1, 3, 10])
    >>> published = create_model("spiking_ssm_psmnist")
    >>> sum(p.numel() for p in published.parameters())
    665610
    """

    def __init__(
        self,
        n_classes: int | None,
        n_steps: int | None = None,
        in_channels: int = 1,
        vocabulary_size: int | None = None,
        n_layers: int = 4,
        n_repeats: int = 1,
        width: int = 128,
        readout: str = "mean",
        final_norm: bool = False,
        block: str = "s4d",
        **options: Any,
    ) -> None:
        super().__init__()
        for name, value in (("n_layers", n_layers), ("n_repeats", n_repeats), ("width", width)):
            check_number("SpikingSSM", name, value, 1, integer=True)
        check_choice("SpikingSSM", "readout", readout, READOUTS)
        check_choice("SpikingSSM", "block", block, BLOCKS)
        self.readout = readout
        self.n_read = 2 * width if readout == "ends" else width
        self.encoder = _encoder(in_channels, vocabulary_size, width)
        self.blocks: Any = nn.ModuleList(  # of which mypy knows no methods
            BLOCKS[block](width, **options) for _ in range(n_layers)
        )
        self.n_repeats = n_repeats
        self.norm = nn.LayerNorm(width) if final_norm else nn.Identity()
        self.decoder = _decoder(n_classes, self.n_read)

    def forward(self, x: Tensor, lengths: Tensor | None = None, form: str = "parallel") -> Tensor:
        """Return the output for whole sequences.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, in_channels) or (n_steps, n_samples)
            Sequences, time first, or the tokens of sequences.
        lengths : Tensor of int of shape (n_samples,), default=None
            Number of steps of each sequence; what follows them, NaN too, has no influence. None
            stands for `n_steps`.
        form : {"parallel", "recurrent"}, default="parallel"
            How the state space models are computed; see :meth:`skspike.nn.S4D.forward`.

        Returns
        -------
        y : Tensor of shape (1, n_samples, n_classes), or (n_steps, n_samples, n_classes)
            The output, of each step with ``readout="steps"``.
        """
        lengths = shorter(lengths, *x.shape[:2])
        x = self.features(x, lengths, form)
        return self.decoder(pool(x, lengths, self.readout))

    def features(self, x: Tensor, lengths: Tensor | None = None, form: str = "parallel") -> Tensor:
        """Return the output of the last block at every step, after the final norm, if there is one.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, in_channels) or (n_steps, n_samples)
            Sequences or tokens, time first.
        lengths : Tensor of int of shape (n_samples,), default=None
            Number of steps of each sequence.
        form : {"parallel", "recurrent"}, default="parallel"
            How the state space models are computed.

        Returns
        -------
        z : Tensor of shape (n_steps, n_samples, width)
            The features.
        """
        lengths, valid = shorter(lengths, *x.shape[:2]), None
        if lengths is not None:
            valid = within(lengths, len(x))
            x = torch.where(valid.reshape(*valid.shape, *(1 for _ in x.shape[2:])), x, 0)
        x = self.encoder(x)
        for block in self.n_repeats * list(self.blocks):
            x = block(x, valid, form)
        return self.norm(x)

    def stream(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the output after each of some steps, and the state after them.

        To predict, call it under ``torch.no_grad()``: gradients pass from call to call.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, in_channels) or (n_steps, n_samples)
            The next steps of sequences.
        state : tuple, default=None
            What the call for the steps before returned; None starts from rest.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, n_classes)
            What ``forward`` returns, in evaluation mode, for the sequences up to and including
            each step.
        state : tuple
            All that the network remembers; it does not grow with the number of steps.

        Raises
        ------
        ValueError
            If the network is bidirectional: it cannot answer before the end.
        """
        blocks = self.n_repeats * list(self.blocks)
        states, held, n = ([None] * len(blocks), None, 0) if state is None else state
        x, after = self.encoder(x), []
        for block, before in zip(blocks, states, strict=True):
            x, now = block.stream(x, before)
            after.append(now)
        read, held = pool_so_far(self.norm(x), held, n, self.readout)
        return self.decoder(read), (after, held, n + len(x))

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that published models train at a lower rate than the others.

        Returns
        -------
        parameters : list of Parameter
            Those of all blocks; see :meth:`skspike.nn.S4D.slow_parameters`.
        """
        return [p for block in self.blocks for p in block.slow_parameters()]


class SpikingSSMMatcher(nn.Module):
    """Network that compares two sequences, each encoded by the same spiking state space models.

    Parameters
    ----------
    n_classes : int
        Number of outputs.
    width : int in [1, inf), default=128
        Number of channels of a block, and of the layer that compares.
    **options : dict
        Of the :class:`SpikingSSM` that encodes a sequence.

    Notes
    -----
    Input of shape (n_steps, n_samples, 2, ...): both sequences of each sample; output of shape
    (1, n_samples, n_classes). The two means u and v are read as (u, v, u - v, u v) by a layer of as
    many units as channels, as in the published network for retrieval.

    References
    ----------
    .. [1] Tay, Y. et al., "Long Range Arena: a benchmark for efficient transformers", ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from skspike.models import SpikingSSMMatcher
    >>> model = SpikingSSMMatcher(n_classes=2, vocabulary_size=98, width=8, n_layers=1)
    >>> model(torch.randint(98, (30, 4, 2))).shape
    torch.Size([1, 4, 2])
    """

    def __init__(self, n_classes: int, width: int = 128, **options: Any) -> None:
        super().__init__()
        self.body = SpikingSSM(None, width=width, **options)
        self.n_repeats = self.body.n_repeats
        self.match = nn.Sequential(
            nn.Linear(4 * self.body.n_read, width), nn.ReLU(), nn.Linear(width, n_classes)
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None, form: str = "parallel") -> Tensor:
        """Return the output for pairs of whole sequences.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, 2, in_channels) or (n_steps, n_samples, 2)
            Pairs of sequences or of sequences of tokens, time first.
        lengths : Tensor of int of shape (n_samples, 2), default=None
            Number of steps of each sequence; None stands for `n_steps`.
        form : {"parallel", "recurrent"}, default="parallel"
            How the state space models are computed.

        Returns
        -------
        y : Tensor of shape (1, n_samples, n_classes)
            The output.
        """
        lengths = None if lengths is None else lengths.flatten()
        means = self.body(x.flatten(1, 2), lengths, form)
        u, v = means.unflatten(1, (-1, 2)).unbind(2)
        return self.match(torch.cat([u, v, u - v, u * v], -1))

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that published models train at a lower rate than the others.

        Returns
        -------
        parameters : list of Parameter
            Those of all blocks; see :meth:`skspike.nn.S4D.slow_parameters`.
        """
        return self.body.slow_parameters()


def shorter(lengths: Tensor | None, n_steps: int, n_samples: int) -> Tensor | None:
    """Return numbers of steps, None if all are whole; raise unless there is one for each sample."""
    if lengths is None:
        return None
    if lengths.shape == (n_samples,) and lengths.min() >= 1 and lengths.max() <= n_steps:
        return None if lengths.min() == n_steps else lengths
    raise ValueError(
        f"The 'lengths' parameter of SpikingSSM must be {n_samples} ints in the range "
        f"[1, {n_steps}]. Got {lengths.tolist()} instead."
    )


def within(lengths: Tensor, n_steps: int) -> Tensor:
    """Tell which steps belong to sequences of given lengths, (n_steps, n_samples)."""
    return torch.arange(n_steps, device=lengths.device)[:, None] < lengths


def pool(x: Tensor, lengths: Tensor | None, readout: str) -> Tensor:
    """Return what the output is read from, (1, n_samples, width) or all steps."""
    if readout == "steps":
        return x
    if readout in ("last", "ends"):
        last = x[-1:]
        if lengths is not None:
            last = x.gather(0, (lengths - 1)[None, :, None].expand(1, -1, x.shape[2]))
        return last if readout == "last" else torch.cat([x[:1], last], -1)
    if readout == "max":
        return _inside(x, lengths, -math.inf).amax(0, keepdim=True)
    if lengths is None:
        return _mean(x)
    return _inside(x, lengths, 0.0).sum(0, keepdim=True) / lengths[:, None]


def pool_so_far(x: Tensor, held: Any, n: int, readout: str) -> tuple[Tensor, Tensor | None]:
    """Return what is read after each step, and what to hold for those to come, after `n` steps."""
    if readout == "mean":
        sums = x.cumsum(0) if held is None else held + x.cumsum(0)
        counts = torch.arange(n + 1, n + len(x) + 1, device=x.device)
        return sums / counts[:, None, None], sums[-1]
    if readout == "max":
        highest = x.cummax(0).values
        highest = highest if held is None else torch.maximum(highest, held)
        return highest, highest[-1]
    if readout == "ends":
        first = x[0] if held is None else held
        return torch.cat([first.expand_as(x), x], -1), first
    return x, None


def _inside(x: Tensor, lengths: Tensor | None, outside: float) -> Tensor:
    """Return `x` with a value in the steps behind the end of a sequence."""
    return x if lengths is None else torch.where(within(lengths, len(x))[..., None], x, outside)


def _mean(x: Tensor) -> Tensor:
    """Return the mean over steps; torch's own would divide its gradient anew for each of them."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return (x.sum(0, keepdim=True, dtype=wide) / len(x)).to(x.dtype)


def _encoder(in_channels: int, vocabulary_size: int | None, width: int) -> nn.Module:
    """Return the layer from a step of a sequence to the channels of the first block."""
    if vocabulary_size is None:
        check_number("SpikingSSM", "in_channels", in_channels, 1, integer=True)
        return nn.Linear(in_channels, width)
    check_number("SpikingSSM", "vocabulary_size", vocabulary_size, 1, integer=True)
    return nn.Embedding(vocabulary_size, width)


def _decoder(n_classes: int | None, width: int) -> nn.Module:
    """Return the layer from the channels of the last block to the output."""
    if n_classes is None:
        return nn.Identity()
    check_number("SpikingSSM", "n_classes", n_classes, 1, integer=True)
    return nn.Linear(width, n_classes)


_LONG = {"n_layers": 6, "width": 256, "bidirectional": True, "norm": "batch"}
_UNUSED = {"norm_place": "unused"}
PUBLISHED: dict[str, dict[str, Any]] = {
    "smnist": {"n_classes": 10, "n_layers": 2, "width": 400, "dropout": 0.1, **_UNUSED},
    "psmnist": {"n_classes": 10, "n_layers": 4, "width": 256, "dropout": 0.1, **_UNUSED},
    "listops": {
        **_LONG, **_UNUSED, "n_classes": 10, "vocabulary_size": 18, "d_state": 4,
        "trainable_input": True,
    },
    "text": {
        **_LONG, "n_classes": 2, "vocabulary_size": 135, "d_state": 4, "trainable_input": True,
    },
    "image": {
        **_LONG, **_UNUSED, "n_classes": 10, "width": 512, "norm": "layer", "dropout": 0.1,
    },
    "pathfinder": {**_LONG, "n_classes": 2},
    "pathx": {**_LONG, "n_classes": 2, "trainable_input": True, "dt_min": 0.0001},
    "speech_commands": {
        **_LONG, "n_classes": 35, "width": 128, "d_state": 16, "trainable_input": True,
    },
    "dvs_gesture": {
        **_LONG, **_UNUSED, "n_classes": 11, "in_channels": 64, "width": 512, "d_state": 16,
        "norm": "layer", "dropout": 0.1, "trainable_input": True,
    },
}  # fmt: skip


def _published(configuration: dict[str, Any], **options: Any) -> SpikingSSM:
    """Return a published network, or one that differs in some options."""
    return SpikingSSM(**(configuration | options))


for _name, _configuration in PUBLISHED.items():
    register(f"spiking_ssm_{_name}")(partial(_published, _configuration))


@register("spiking_ssm_retrieval")
def spiking_ssm_retrieval(**options: Any) -> SpikingSSMMatcher:
    """Return the network that compares two texts."""
    return SpikingSSMMatcher(**{**_LONG, "n_classes": 2, "vocabulary_size": 98, **options})
