"""What blocks for long sequences share: where the norm is, and how spikes return to the stream."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._validation import check_choice
from ._spiking_ssm_neuron import SpikingSSMNeuron
from ._steps import BatchNorm1d, Dropout

NORMS = {"layer": nn.LayerNorm, "batch": BatchNorm1d}
PLACES = ("before", "after", "unused")

State = tuple[Tensor, ...]  # of what comes before the neurons, and last, of the neurons


class SequenceBlock(nn.Module):
    """A norm, something with a memory that drives neurons, and a matrix that mixes their spikes.

    Parameters
    ----------
    n_channels : int
        Number of channels.
    norm : {"layer", "batch"}
        Normalises channels: those of a step with each other, or each over all steps and samples.
    norm_place : {"before", "after", "unused"}
        Whether the input of the block is normalised, or its output, or neither.
    ssm, neuron, mix : Module
        What drives the neurons, the neurons, and what mixes their spikes.
    dropout : float
        Probability that a channel is dropped from the spikes, and once more from the mixture.
    """

    def __init__(
        self,
        n_channels: int,
        norm: str,
        norm_place: str,
        ssm: Any,
        neuron: SpikingSSMNeuron,
        mix: Any,
        dropout: float,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        check_choice(owner, "norm", norm, NORMS)
        check_choice(owner, "norm_place", norm_place, PLACES)
        self.norm_place = norm_place
        self.norm = NORMS[norm](n_channels)
        self.ssm = ssm
        self.neuron = neuron
        self.dropout = Dropout(dropout)
        self.mix = mix

    def forward(self, x: Tensor, valid: Tensor | None = None, form: str = "parallel") -> Tensor:
        """Return the output of all steps.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, n_channels)
            The input, time first.
        valid : Tensor of bool of shape (n_steps, n_samples), default=None
            Which steps belong to a sample; the others have no influence on these. None stands for
            all.
        form : {"parallel", "recurrent"}, default="parallel"
            Whether what drives the neurons is computed for many steps at once, or step by step.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, n_channels)
            The output; that of steps which belong to no sample is of no meaning.
        """
        z = self._normalize(x, valid) if self.norm_place == "before" else x
        y = self._gather(x, self.neuron(self._drive(z, valid, form)))
        return self._normalize(y, valid) if self.norm_place == "after" else y

    def stream(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the output of some steps, and the state after them.

        In evaluation mode, that is ``forward`` in parts. In training each call has a dropout
        mask and batch statistics of its own.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, n_channels)
            The next steps of the input.
        state : tuple of Tensor, default=None
            What the call for the steps before returned; None starts from rest.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, n_channels)
            The output.
        state : tuple of Tensor
            What the block remembers; last of all, that of the neurons.

        Raises
        ------
        ValueError
            If the block is bidirectional: it cannot answer before the end.
        """
        z = self.norm(x) if self.norm_place == "before" else x
        *held, potential = (None,) if state is None else state
        z, after = self._drive_on(z, tuple(held))
        s, potential = self.neuron.stream(z, potential)
        y = self._gather(x, s)
        return self.norm(y) if self.norm_place == "after" else y, (*after, potential)

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that published models train at a lower rate than the others.

        Returns
        -------
        parameters : list of Parameter
            Those of the state space model; see :meth:`skspike.nn.S4D.slow_parameters`.
        """
        return self.ssm.slow_parameters()

    def _drive(self, z: Tensor, valid: Tensor | None, form: str) -> Tensor:
        """Return the current of the neurons in all steps of whole sequences."""
        raise NotImplementedError

    def _drive_on(self, z: Tensor, held: State) -> tuple[Tensor, State]:
        """Return the current of the neurons in some steps, and what to hold; () holds nothing."""
        raise NotImplementedError

    def _gather(self, x: Tensor, s: Tensor) -> Tensor:
        """Mix the channels of spikes, and add that to the input of the block."""
        raise NotImplementedError

    def _normalize(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Normalise; the statistics of a batch are those of the steps that belong to a sample."""
        if valid is None or not (self.training and isinstance(self.norm, BatchNorm1d)):
            return self.norm(x)
        y = torch.zeros_like(x)
        y[valid] = self.norm(x[valid][None])[0].to(y.dtype)
        return y

    def extra_repr(self) -> str:
        """Show where the norm is in the module's repr."""
        return f"norm_place={self.norm_place!r}"
