"""Whole networks, one file per paper, and a registry of their names."""

from ._registry import create_model, list_models
from ._sma_mlp import SMAMLP
from ._sma_vgg import SMAVGG8
from ._spiking_resnet import SpikingResNet
from ._spiking_ssm import SpikingSSM, SpikingSSMMatcher
from ._spiking_ssm_decoder import SpikingSSMDecoder

__all__ = [
    "SMAMLP",
    "SMAVGG8",
    "SpikingResNet",
    "SpikingSSM",
    "SpikingSSMDecoder",
    "SpikingSSMMatcher",
    "create_model",
    "list_models",
]
