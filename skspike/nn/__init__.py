"""Torch modules on time-first tensors; their computation lives in :mod:`skspike.kernels`."""

from ._adaptive import AdaptiveEmbedding, AdaptiveSoftmax
from ._attention import SMA, SMALite, attention_zoneout
from ._fire import fire
from ._inference import fold_norms
from ._neurons import IF, LIF, AdaptiveLIF, ParametricLIF, make_neuron
from ._s4d import S4D
from ._sdn import SurrogateDynamicNetwork, load_surrogate_dynamics
from ._sdn_fit import fit_surrogate_dynamics
from ._selective_ssm import SelectiveSSM, SelectiveSSMBlock
from ._spiking_ssm import SpikingSSMBlock
from ._spiking_ssm_neuron import SpikingSSMNeuron
from ._steps import AdaptiveAvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, Dropout, MaxPool2d
from ._time_parallel import TimeParallel
from ._token_memory import TokenMemory

__all__ = [
    "IF",
    "LIF",
    "S4D",
    "SMA",
    "AdaptiveAvgPool2d",
    "AdaptiveEmbedding",
    "AdaptiveLIF",
    "AdaptiveSoftmax",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "MaxPool2d",
    "ParametricLIF",
    "SMALite",
    "SelectiveSSM",
    "SelectiveSSMBlock",
    "SpikingSSMBlock",
    "SpikingSSMNeuron",
    "SurrogateDynamicNetwork",
    "TimeParallel",
    "TokenMemory",
    "attention_zoneout",
    "fire",
    "fit_surrogate_dynamics",
    "fold_norms",
    "load_surrogate_dynamics",
    "make_neuron",
]
