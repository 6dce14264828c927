"""What a spiking network costs: operations of each kind, and their energy."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ._validation import check_number
from .nn import SelectiveSSMBlock, SpikingSSMBlock

__all__ = ["count_operations"]

# joules in 45 nm CMOS, as the papers on spiking networks reckon after Horowitz (ISSCC 2014)
_ENERGY = {"mac": 4.6e-12, "ac": 0.9e-12}
_BLOCKS = SpikingSSMBlock, SelectiveSSMBlock
_MACS_OF_MODE = 8  # a complex mode: multiplied by its factor (4), plus the input, read out (4)


def count_operations(
    model: nn.Module, n_steps: float, firing_rates: Sequence[float]
) -> dict[str, float]:
    r"""Count the operations of a network of spiking state space models, run step by step.

    Parameters
    ----------
    model : skspike.models.SpikingSSM
        The network.
    n_steps : float
        Number of steps of a sequence.
    firing_rates : sequence of float of length n_layers * n_repeats
        Spikes of a neuron in a step, in each block and each time that it is passed: the share of
        the neurons that fire, unless one may fire several times.

    Returns
    -------
    report : dict
        For one sequence:

        ``"mixing_macs"``
            Multiplications and additions of the matrices after the spikes, were these dense.
        ``"mixing_acs"``
            Additions that spikes cause instead.
        ``"mixing_energy_dense"``, ``"mixing_energy"``
            Energy of these two, in joules: what the paper compares.
        ``"other_macs"``
            Multiplications and additions of all else: encoder, state space models (8 for each
            complex mode; values, gates and states of selective ones), neurons, gates and decoder.
        ``"energy"``
            Energy of the whole network, in joules.

    Raises
    ------
    ValueError
        If there is not one firing rate for each block.

    Notes
    -----
    4.6 pJ for a multiplication with addition and 0.9 pJ for an addition, in 45 nm. Moving data is
    not counted, which costs more on every real chip.

    The published energy counts the mixing matrices alone. Run step by step, the state space models
    of the published language model take more than twice what is reported for these.

    References
    ----------
    .. [1] Horowitz, M., "Computing's energy problem (and what we can do about it)", ISSCC 2014.
    .. [2] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025.

    Examples
    --------
    >>> from skspike.energy import count_operations
    >>> from skspike.models import SpikingSSM
    >>> model = SpikingSSM(n_classes=2, width=8, n_layers=1, d_state=4)
    >>> report = count_operations(model, n_steps=100, firing_rates=[0.1])
    >>> report["mixing_macs"], report["mixing_acs"]
    (14400.0, 2880.0)
    """
    check_number("count_operations", "n_steps", n_steps, 0)
    n_repeats = getattr(model, "n_repeats", 1)
    blocks = n_repeats * [module for module in model.modules() if isinstance(module, _BLOCKS)]
    if len(firing_rates) != len(blocks):
        raise ValueError(
            f"The 'firing_rates' parameter of count_operations must have {len(blocks)} values, "
            f"one for each block. Got {len(firing_rates)} instead."
        )
    dense, sparse, other = 0.0, 0.0, 0.0
    for block, rate in zip(blocks, map(float, firing_rates), strict=True):
        n_results, n_neurons = block.mix.weight.shape
        dense += n_results * (n_neurons + 1)  # the bias as one addition
        sparse += n_results * (rate * n_neurons + 1)
        other += 2 * n_neurons + _other_macs(block)  # decays and thresholds
    repeated = {module for block in blocks for module in block.modules()}
    for module in model.modules():
        if isinstance(module, nn.Linear) and not any(module is block.mix for block in blocks):
            times = n_repeats if module in repeated else 1
            other += times * module.in_features * module.out_features
    dense, sparse, other = dense * n_steps, sparse * n_steps, other * n_steps
    energy = sparse * _ENERGY["ac"] + other * _ENERGY["mac"]
    return {
        "mixing_macs": dense,
        "mixing_acs": sparse,
        "mixing_energy_dense": dense * _ENERGY["mac"],
        "mixing_energy": sparse * _ENERGY["ac"],
        "other_macs": other,
        "energy": energy,
    }


def _other_macs(block: SpikingSSMBlock | SelectiveSSMBlock) -> float:
    """Return what a step of a block costs beside its neurons and its matrices."""
    directions = 2 if block.ssm.bidirectional else 1
    if isinstance(block, SelectiveSSMBlock):
        # states and what they contribute; channels shared with the step before, gates, sum around
        states = block.ssm.n_states * (2 * directions + 1)
        return states + (2 + block.gated + block.residual) * block.ssm.n_channels
    width, n_modes = block.ssm.log_a_real.shape
    return width * (_MACS_OF_MODE * n_modes * directions + 1 + 2)  # D, the gate, the sum around
