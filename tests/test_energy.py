"""Operations of networks, counted by hand."""

from __future__ import annotations

import pytest

from skspike.energy import count_operations
from skspike.models import SpikingSSM, create_model


def test_a_small_network_by_hand():
    model = SpikingSSM(3, in_channels=2, n_layers=1, width=4, d_state=6, bidirectional=True)
    report = count_operations(model, n_steps=10, firing_rates=[0.25])
    mixing, spikes = 8 * 4 + 8, 8 * 4 * 0.25 + 8
    other = 2 * 4 + 4 * 3 + 4 * (8 * 3 * 2 + 1) + 4 * 4
    assert report["mixing_macs"] == 10 * mixing
    assert report["mixing_acs"] == pytest.approx(10 * spikes)
    assert report["other_macs"] == 10 * other
    assert report["mixing_energy_dense"] == pytest.approx(10 * mixing * 4.6e-12)
    assert report["mixing_energy"] == pytest.approx(10 * spikes * 0.9e-12)
    assert report["energy"] == pytest.approx(10 * (spikes * 0.9e-12 + other * 4.6e-12))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("gated", [False, True])
def test_a_selective_network_by_hand(gated, residual, bidirectional):
    options = {"block": "selective", "expand": 3, "residual": residual, "gated": gated}
    model = SpikingSSM(3, n_layers=1, width=4, bidirectional=bidirectional, **options)
    report = count_operations(model, n_steps=10, firing_rates=[0.25])
    ways = 1 + bidirectional
    results = 4 * (1 + gated)
    assert report["mixing_macs"] == 10 * (results * 12 + results)
    assert report["mixing_acs"] == pytest.approx(10 * (results * 12 * 0.25 + results))
    to_states = 2 * 4 + 4 * 12 * (1 + ways)  # what is shared with the step before, both matrices
    states = 12 * 2 * ways + 12  # a step and a contribution of each, and the value's own
    around = 4 + 4 * 3 + 4 * gated + 4 * residual  # encoder, decoder, gates, sum
    assert report["other_macs"] == 10 * (around + to_states + states + 2 * 12)


@pytest.mark.parametrize("block", ["s4d", "selective"])
def test_blocks_that_are_passed_again_cost_as_much_again(block):
    once, twice = (
        count_operations(SpikingSSM(3, n_layers=2, n_repeats=n, width=4, block=block), 10, rates)
        for n, rates in ((1, [0.5, 0.25]), (2, [0.5, 0.25, 0.75, 0.0]))
    )
    around = 10 * (4 + 4 * 3)  # encoder and decoder
    assert twice["other_macs"] - around == pytest.approx(2 * (once["other_macs"] - around))
    assert twice["mixing_macs"] == 2 * once["mixing_macs"]
    with pytest.raises(ValueError, match="must have 4 values, one for each block"):
        count_operations(SpikingSSM(3, n_layers=2, n_repeats=2, width=4), 10, [0.1, 0.1])


def test_the_published_count_is_of_the_mixing_matrices_alone():
    """16 layers of 1,024 channels, 8,192 steps, 26.4 % of the neurons: 275.15 GMAC, 65.4 mJ."""
    model = create_model("spiking_ssm_smnist", width=1024, n_layers=16)
    report = count_operations(model, n_steps=8192, firing_rates=[0.264] * 16)
    assert report["mixing_macs"] == pytest.approx(275.15e9, rel=1e-4)
    assert report["mixing_energy_dense"] == pytest.approx(1.265, rel=1e-3)
    assert report["mixing_energy"] == pytest.approx(65.4e-3, rel=3e-3)
    ssm = 16 * 8192 * 1024 * 8 * 32
    assert report["other_macs"] > ssm == pytest.approx(34.4e9, rel=2e-3)


def test_there_must_be_a_rate_for_each_block():
    with pytest.raises(ValueError, match="must have 2 values, one for each block"):
        count_operations(SpikingSSM(2, n_layers=2, width=4), 10, [0.1])
