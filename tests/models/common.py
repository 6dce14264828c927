"""What the tests of networks share."""

from __future__ import annotations

import torch
from torch import nn


def excite(model: nn.Module) -> nn.Module:
    """Make every layer of a small network fire; freshly initialised, the last ones are silent.

    One pass in training gives the norms the statistics of its batch.
    """
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 1, 2, generator=generator)
            nn.init.uniform_(module.bias, 0, 1, generator=generator)
        elif isinstance(module, nn.Linear):
            with torch.no_grad():
                module.weight *= 4
                module.bias += 0.3
    return model
