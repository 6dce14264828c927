"""Which parameters of estimators are those of blocks."""

from __future__ import annotations

import inspect

import pytest

from skspike import SpikingSSMClassifier, SpikingSSMLanguageModel, SpikingSSMRegressor
from skspike.estimators._blocks import block_options
from skspike.models._spiking_ssm import BLOCKS

by_block = pytest.mark.parametrize("block", BLOCKS)


@by_block
@pytest.mark.parametrize("kind", [SpikingSSMClassifier, SpikingSSMRegressor])
def test_estimators_of_sequences_have_every_option_of_a_block(kind, block):
    options = block_options(kind(block=block))
    known = set(inspect.signature(BLOCKS[block].__init__).parameters)
    assert set(options) == known - {"self", "n_channels", "alpha"} | {"block"}
    assert options["block"] == block


@by_block
def test_the_language_model_has_those_that_it_names(block):
    options = block_options(SpikingSSMLanguageModel(block=block, decay=0.5))
    own = {"s4d": {"d_state"}, "selective": {"expand", "residual", "gated"}}
    shared = {"block", "dt_min", "dt_max", "dropout", "mode", "decay", "backend"}
    shared |= {"surrogate", "max_spikes"}
    assert set(options) == shared | own[block]
    assert options["decay"] == 0.5
