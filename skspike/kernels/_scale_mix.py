"""The attended sum of several scales, and the spatial mean of their sum.

A compiled twin is a module with three functions on detached tensors: ``mix`` and ``mix_backward``,
whose arguments are described below, and ``mean(scales) -> (T, N, C)``.

``mix(scales, weight, source) -> out``
    ``out[t, b, c] = sum_i weight[i, u, b, c] * scales[i][u, b, c]`` with ``u = source[i, t, c]``,
    or ``u = t`` where `source` is None.

``mix_backward(scales, weight, source, dout, needs_scales, needs_weight) -> (dscales, dweight)``
    ``dscales[i][u, b, c] = weight[i, u, b, c] * g`` and ``dweight[i, u, b, c] = sum(g *
    scales[i][u, b, c])``, where ``g`` is the sum of ``dout[t, b, c]`` over the t that read u. What
    is not needed is empty: ``n`` tensors, or one, of no element.

The scales are n tensors of one shape (T, N, C, ...) and of one layout, dense with the map or with
the channel innermost (see :func:`same_layout`); `dout`, `out` and `dscales` share it, strides
included. `weight` is (n, T, N, C), contiguous and in the dtype of the arithmetic (float32 for 16
bits), and so is `dweight`. `source` is (n, T, C), contiguous, int64.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor

from ._dispatch import choose_backend
from ._memory import compute_dtype
from ._ops import define
from ._scale_mix_reference import scale_mean_reference, scale_mix_reference


def scale_mix(
    scales: Sequence[Tensor],
    weight: Tensor,
    source: Tensor | None = None,
    *,
    backend: str = "auto",
) -> Tensor:
    r"""Add up several scales, each weighed by step, sample and channel.

    With the scales :math:`S_i` and their weights :math:`w_i`,

    .. math::
        y_{tbc} = \sum_i w_{iubc} S_{iubc} \quad\text{with } u = \mathrm{source}_{itc},

    where :math:`u = t` without a `source`. Attention zoneout is a `source` that names the step
    before where a value is replaced.

    Parameters
    ----------
    scales : sequence of n tensors of shape (n_steps, n_samples, n_channels, ...)
        The maps to mix, all of one shape and dtype.
    weight : Tensor of shape (n, n_steps, n_samples, n_channels)
        What multiplies each map.
    source : Tensor of int of shape (n, n_steps, n_channels), default=None
        The step, in [0, n_steps), whose weighed map each step and channel takes; None takes its
        own.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`.

    Returns
    -------
    y : Tensor of shape (n_steps, n_samples, n_channels, ...)
        The sum, in the dtype and the layout of the first scale.

    Raises
    ------
    TypeError
        If the scales are no floating point tensors of one dtype, or `source` is not of integers.
    ValueError
        If shapes do not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to the scales and to `weight`. No stack of the scales is made: the compiled
    backends read every map once and write one, and in the backward pass read every map and write
    its gradient. Scales of 16 bits are weighed and added in float32. Results do not depend on the
    number of threads.

    References
    ----------
    .. [1] Shan, Y. et al., "Advancing spiking neural networks towards multiscale spatiotemporal
       interaction learning", AAAI 2025, 39(2), 1501-1509.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import scale_mix
    >>> scales = [torch.ones(2, 1, 1, 1, 3), torch.full((2, 1, 1, 1, 3), 2.0)]
    >>> weight = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(2, 2, 1, 1)
    >>> scale_mix(scales, weight)[:, 0, 0, 0].tolist()
    [[7.0, 7.0, 7.0], [10.0, 10.0, 10.0]]
    """
    _check_scales("scale_mix", scales)
    s = scales[0]
    _check_shape("weight", weight, (len(scales), *s.shape[:3]))
    weight = weight.to(compute_dtype(s.dtype))
    if source is not None:
        if source.is_floating_point() or source.dtype == torch.bool:
            raise TypeError(
                "The 'source' parameter of scale_mix must be a tensor of integers. "
                f"Got {source.dtype}."
            )
        _check_shape("source", source, (len(scales), s.shape[0], s.shape[2]))
        source = source.long()
    backend = choose_backend("scale_mix", backend, s)
    if backend == "reference":
        return scale_mix_reference(scales, weight, source)
    return mix_forward(list(scales), weight, source, backend)


def scale_mean(scales: Sequence[Tensor], *, backend: str = "auto") -> Tensor:
    """Return the mean over the map of the sum of several scales.

    Parameters
    ----------
    scales : sequence of n tensors of shape (n_steps, n_samples, n_channels, ...)
        The maps, all of one shape and dtype.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`.

    Returns
    -------
    mean : Tensor of shape (n_steps, n_samples, n_channels)
        The mean, in the dtype of the scales.

    Raises
    ------
    TypeError
        If the scales are no floating point tensors of one dtype.
    ValueError
        If shapes do not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to the scales. Every map is read once, and scales of 16 bits are added in
    float32. Results do not depend on the number of threads.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import scale_mean
    >>> scales = [torch.eye(2).reshape(1, 1, 1, 2, 2), torch.ones(1, 1, 1, 2, 2)]
    >>> scale_mean(scales).item()
    1.5
    """
    _check_scales("scale_mean", scales)
    backend = choose_backend("scale_mean", backend, scales[0])
    if backend == "reference":
        return scale_mean_reference(scales)
    return mean_forward(list(scales), backend)


def _check_scales(op: str, scales: Sequence[Tensor]) -> None:
    """Raise unless the scales are floating point tensors of one dtype and shape."""
    if isinstance(scales, Tensor) or not all(isinstance(s, Tensor) for s in scales):
        raise TypeError(f"The 'scales' parameter of {op} must be a sequence of tensors.")
    if len(scales) == 0:
        raise ValueError(f"The 'scales' parameter of {op} must hold at least one tensor.")
    dtypes, shapes = [s.dtype for s in scales], [tuple(s.shape) for s in scales]
    if not dtypes[0].is_floating_point or any(dtype != dtypes[0] for dtype in dtypes):
        raise TypeError(
            f"The 'scales' parameter of {op} must be floating point tensors of one dtype. "
            f"Got {dtypes}."
        )
    if len(shapes[0]) < 3 or any(shape != shapes[0] for shape in shapes):
        raise ValueError(
            f"The 'scales' parameter of {op} must be tensors of one shape "
            f"(n_steps, n_samples, n_channels, ...). Got {shapes} instead."
        )


def _check_shape(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless a tensor has the shape that the scales demand."""
    if tuple(value.shape) != shape:
        raise ValueError(
            f"The {name!r} parameter of scale_mix must have shape {shape}. "
            f"Got {tuple(value.shape)} instead."
        )


# --- layout ---


def has_channels_innermost(x: Tensor) -> bool:
    """Tell whether a dense (T, N, C, ...) has the channel innermost, and is not contiguous too."""
    return not x.is_contiguous() and x.movedim(2, -1).is_contiguous()


def same_layout(scales: Sequence[Tensor]) -> list[Tensor]:
    """Return the scales, copied where they are not dense in the layout that the first one has."""
    first = scales[0]
    if has_channels_innermost(first):
        return [_laid_out(s.movedim(2, -1)).movedim(-1, 2) for s in scales]
    return [_laid_out(s) for s in scales]


def _laid_out(x: Tensor) -> Tensor:
    """Return `x` contiguous, with the strides of a fresh tensor in axes of one element too."""
    x = x.contiguous()
    return x.view(-1).view(x.shape)


# --- operators ---


def twin(backend: str) -> ModuleType:
    """Import the compiled twin."""
    if backend == "numba":
        from . import _scale_mix_numba

        return _scale_mix_numba
    from . import _scale_mix_triton

    return _scale_mix_triton


def _mix(scales, weight, source, backend):
    source = None if source is None else source.contiguous()
    return twin(backend).mix(same_layout(scales), weight.contiguous(), source)


def _mix_fake(scales, weight, source, backend):
    return torch.empty_like(same_layout(scales)[0])


def _mix_backward(scales, weight, source, dout, needs_scales, needs_weight, backend):
    """Return the gradients to the scales and to the weight; empty where none is needed."""
    *scales, dout = same_layout([*scales, dout])
    source = None if source is None else source.contiguous()
    return twin(backend).mix_backward(
        scales, weight.contiguous(), source, dout, needs_scales, needs_weight
    )


def _mix_backward_fake(scales, weight, source, dout, needs_scales, needs_weight, backend):
    scales = same_layout(scales)
    return (
        [torch.empty_like(s) if needs_scales else s.new_empty(0) for s in scales],
        weight.new_empty(weight.shape if needs_weight else 0),
    )


def _setup_mix(ctx, inputs, output):
    scales, weight, source, ctx.backend = inputs
    ctx.save_for_backward(weight, source, *scales)


def _join_mix(ctx, dout):
    weight, source, *scales = ctx.saved_tensors
    needs_scales, needs_weight = any(ctx.needs_input_grad[0]), ctx.needs_input_grad[1]
    dscales, dweight = mix_backward(
        scales, weight, source, dout, needs_scales, needs_weight, ctx.backend
    )
    return (
        dscales if needs_scales else [None] * len(scales),
        dweight if needs_weight else None,
        None,
        None,
    )


def _mean(scales, backend):
    return twin(backend).mean(same_layout(scales))


def _mean_fake(scales, backend):
    return scales[0].new_empty(scales[0].shape[:3])


def _setup_mean(ctx, inputs, output):
    ctx.shape, ctx.n_scales = inputs[0][0].shape, len(inputs[0])


def _join_mean(ctx, dmean):
    # One number for a whole map, and the same for each scale: no map is written for it.
    n_pixels = ctx.shape[3:].numel()
    ds = (dmean / n_pixels).reshape(dmean.shape + (1,) * (len(ctx.shape) - 3)).expand(ctx.shape)
    return [ds] * ctx.n_scales, None


mix_backward = define(
    "scale_mix_backward",
    "(Tensor[] scales, Tensor weight, Tensor? source, Tensor dout, bool needs_scales, "
    "bool needs_weight, str backend) -> (Tensor[], Tensor)",
    _mix_backward,
    _mix_backward_fake,
)
mix_forward = define(
    "scale_mix",
    "(Tensor[] scales, Tensor weight, Tensor? source, str backend) -> Tensor",
    _mix,
    _mix_fake,
    _setup_mix,
    _join_mix,
)
mean_forward = define(
    "scale_mean",
    "(Tensor[] scales, str backend) -> Tensor",
    _mean,
    _mean_fake,
    _setup_mean,
    _join_mean,
)
