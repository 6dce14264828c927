"""Networks that only infer: each batch norm folded into the layer before it."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from torch import Tensor, nn

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def fold_norms(model: nn.Module) -> nn.Module:
    r"""Return a copy of a network for inference, without its batch norms.

    In evaluation a batch norm is one factor and one addend per channel. Where it directly follows
    a convolution or a linear layer, both go into that layer's weights,

    .. math::
        W' = W \gamma / \sqrt{\sigma^2 + \epsilon}, \qquad
        b' = (b - \mu) \gamma / \sqrt{\sigma^2 + \epsilon} + \beta,

    and :class:`torch.nn.Identity` takes the place of the norm.

    Parameters
    ----------
    model : torch.nn.Module
        A network in evaluation mode; it stays as it is.

    Returns
    -------
    folded : torch.nn.Module
        A copy with the same outputs up to rounding, whose parameters want no gradient. Norms that
        follow something else, or keep no running statistics, are still there.

    Raises
    ------
    ValueError
        If the model, or a part of it, is in training mode.

    Notes
    -----
    Neighbours in a :class:`torch.nn.Sequential` are found without help. Any other module says
    what follows what by a method ``foldable()`` that returns pairs of names, such as
    ``[("conv", "norm")]``, of its layer and the norm applied right after it.

    The weights are multiplied in float64 and rounded once. A threshold turns rounding into spikes:
    in float32 a potential within 1e-7 of the threshold may fire in one network and not in the
    other.

    References
    ----------
    .. [1] Jacob, B. et al., "Quantization and training of neural networks for efficient
       integer-arithmetic-only inference", CVPR 2018, section 3.2.

    Examples
    --------
    >>> import torch
    >>> from skspike.models import SMAVGG8
    >>> from skspike.nn import fold_norms
    >>> folded = fold_norms(SMAVGG8(n_classes=10, n_steps=4, width=8).eval())
    >>> with torch.inference_mode():
    ...     folded(torch.rand(4, 2, 2, 16, 16)).shape
    torch.Size([4, 2, 10])
    """
    if any(module.training for module in model.modules()):
        raise ValueError(
            "The 'model' parameter of fold_norms must be in evaluation mode, model.eval(). "
            "Got a model in training mode instead."
        )
    folded = copy.deepcopy(model).requires_grad_(False)
    for module in list(folded.modules()):
        for name, name_of_norm in _pairs(module):
            layer, norm = module.get_submodule(name), module.get_submodule(name_of_norm)
            if _fits(layer, norm):
                _fold(layer, norm)
                setattr(module, name_of_norm, nn.Identity())
    return folded.eval()  # the new identities too


def _pairs(module: nn.Module) -> list[tuple[str, str]]:
    """Name the children of a module of which the second reads the output of the first."""
    if isinstance(module, nn.Sequential):
        return list(itertools.pairwise(name for name, _ in module.named_children()))
    foldable: Any = getattr(module, "foldable", list)
    return foldable()


def _fits(layer: Any, norm: Any) -> bool:
    """Tell whether the weights of a layer can take over a norm."""
    return (
        isinstance(layer, LAYERS)
        and isinstance(norm, NORMS)
        and norm.running_var is not None
        and norm.num_features == layer.weight.shape[0]
    )


def _fold(layer: Any, norm: Any) -> None:
    """Move the factor and the addend of a norm into the layer before it."""
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    factor = factor if norm.weight is None else factor * norm.weight
    bias = -norm.running_mean if layer.bias is None else layer.bias.double() - norm.running_mean
    bias = bias * factor if norm.bias is None else bias * factor + norm.bias
    rows = factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias = _constant(bias, layer.weight)
    layer.weight = _constant(layer.weight * rows, layer.weight)


def _constant(value: Tensor, like: Tensor) -> nn.Parameter:
    """Make a parameter that wants no gradient, in the dtype of another."""
    return nn.Parameter(value.to(like.dtype), requires_grad=False)
