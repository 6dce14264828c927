"""Batch norm over time and batch, spiking neurons, and 2 x 2 pooling: one operator.

A compiled twin is a module with four functions on detached tensors. `x` is (T, N, C, ...),
contiguous or with the channel innermost; so are, in the same layout, the tensors of its shape.
Coefficients of the channels have shape (C,) and, like states and `leak` (one element), the dtype
of the arithmetic (float32 for 16 bits), statistics and sums float64. `pool` is "none", "max" or
"avg".

``moments(x) -> (mean, var)``
    Mean and biased variance of each channel; zero where there is nothing to average.

``forward(x, scale, shift, v, leak, spec, pool) -> (s, v_last)``
    Spikes of neurons with the current ``scale[c] * x + shift[c]``, pooled, in the dtype of `x`; and
    the states after the last step. `v` is None at rest.

``backward(x, scale, shift, mean, v, leak, ds, dv, spec, pool, fixed, learn_leak)
-> (dy, dv, dleak, sum_dy, sum_dy_x)``
    The gradients to the current, to the first state and to `leak` (empty unless `learn_leak`), and
    the sums over each channel of ``dy`` and ``dy * (x - mean[c])``, from unrounded ``dy``. If
    `fixed`, that is, if the statistics do not depend on `x`, ``scale[c] * dy`` stands in `dy`.

``norm_backward(x, dy, a, b, c, mean) -> dx``
    Overwrite `dy` with ``a[c] * dy + b[c] * (x - mean[c]) + c[c]``.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .._validation import check_choice, check_number
from ._dispatch import choose_backend
from ._lif import check_input, expand, leak_of, lif, make_spec, resting
from ._lif_op import N_SPEC, empty_like
from ._memory import compute_dtype
from ._norm_lif_reference import batch_norm, norm_lif_reference, pooled, track
from ._ops import define
from ._scale_mix import has_channels_innermost, same_layout
from ._spec import SPEC_SCHEMA, NeuronSpec

POOLS = ("max", "avg")


def norm_lif(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    v: Tensor | None = None,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    pool: str | None = None,
    tau: float | Tensor = 2.0,
    decay: float | Tensor | None = None,
    threshold: float = 1.0,
    strict: bool = False,
    v_reset: float | None = 0.0,
    decay_input: bool = True,
    detach_reset: bool = True,
    surrogate: str = "atan",
    alpha: float | None = None,
    group: dist.ProcessGroup | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Normalise a current over time and batch, let neurons fire on it, and pool their spikes.

    Equal to :func:`torch.nn.functional.batch_norm` of steps and samples together, :func:`lif`,
    and :func:`torch.nn.functional.max_pool2d` or ``avg_pool2d`` with windows of 2 x 2, one after
    the other.

    Parameters
    ----------
    x : Tensor of shape (n_steps, n_samples, n_channels, ...)
        What is normalised, such as the output of a convolution. Must be finite.
    weight : Tensor of shape (n_channels,) or None
        Factor behind the norm; None is 1.
    bias : Tensor of shape (n_channels,) or None
        Addend behind the norm; None is 0.
    running_mean : Tensor of shape (n_channels,), default=None
        Mean to normalise by in evaluation; moved in place in training.
    running_var : Tensor of shape (n_channels,), default=None
        Variance to normalise by in evaluation; moved in place in training.
    v : Tensor broadcastable to shape (n_samples, n_channels, ...), default=None
        Potential before the first step; None starts at rest.
    training : bool
        Whether to normalise by the statistics of `x`, which happens too if no running ones are
        given.
    momentum : float in [0, 1], default=0.1
        Share of the statistics of `x` in the new running statistics.
    eps : float in [0, inf), default=1e-5
        Added to the variance.
    pool : {"max", "avg"} or None, default=None
        Pooling of the spikes in windows of 2 x 2; `x` then has the shape (n_steps, n_samples,
        n_channels, height, width). None does without.
    tau : float in [1, inf] or Tensor, default=2.0
        As in :func:`lif`. A tensor of more than one element is served by separate calls.
    decay : float in [0, 1] or Tensor, default=None
        As in :func:`lif`. A tensor of more than one element is served by separate calls.
    threshold : float, default=1.0
        Potential from which on a neuron fires; equality fires.
    strict : bool, default=False
        Whether a neuron fires only above the threshold, not on equality.
    v_reset : float or None, default=0.0
        Potential after a spike (hard reset); None subtracts the threshold instead (soft reset).
    decay_input : bool, default=True
        Whether the input is divided by `tau` too.
    detach_reset : bool, default=True
        Whether the gradient ignores the spike in the reset.
    surrogate : str, default="atan"
        Derivative that stands in for that of the spike; see :func:`lif`.
    alpha : float, default=None
        Sharpness of the surrogate; None takes its usual value.
    group : torch.distributed.ProcessGroup, default=None
        Processes that share the statistics of a batch ("synchronised batch norm"); each has samples
        or steps of its own.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`.

    Returns
    -------
    spikes : Tensor of shape (n_steps, n_samples, n_channels, ...)
        0 or 1, or their mean with ``pool="avg"``, in the dtype and the layout of `x`; of half the
        height and width, rounded down, after pooling.
    v : Tensor of shape (n_samples, n_channels, ...)
        Potential after the last reset, in the dtype of `x`, or float32 if that has 16 bits.

    Raises
    ------
    ValueError
        If an argument is out of its range or a shape does not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to `x`, `weight`, `bias`, `v` and a tensor `tau` or `decay`. The compiled
    backends keep only `x` for the backward pass and recompute the potentials. They take the
    statistics in float64, independently of the number of threads. Their normalised current may
    differ from torch's in the last bit, which changes spikes where a potential meets the threshold
    by chance: equality with the reference is exact in float64, and in float32 away from the
    threshold. With 16 bits nothing between the input and the spikes is rounded to 16 bits.

    The maximum of a window without spikes, or with several, passes its gradient to the first
    pixel that has it, as torch's does.

    References
    ----------
    .. [1] Ioffe, S. and Szegedy, C., "Batch normalization: accelerating deep network training by
       reducing internal covariate shift", ICML 2015.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import norm_lif
    >>> x = torch.randn(4, 2, 3, 9, 8)
    >>> spikes, v = norm_lif(x, torch.ones(3), torch.zeros(3), training=True, pool="max")
    >>> spikes.shape, v.shape
    (torch.Size([4, 2, 3, 4, 4]), torch.Size([2, 3, 9, 8]))
    """
    check_input("norm_lif", x)
    _check_shapes(x, pool)
    _check_channels(x, weight, bias, running_mean, running_var)
    check_number("norm_lif", "momentum", momentum, 0.0, 1.0)
    check_number("norm_lif", "eps", eps, 0.0)
    of_batch = training or running_mean is None
    if of_batch and group is None and x.numel() == x.shape[2]:
        raise ValueError(
            "The 'x' parameter of norm_lif must have more than one value per channel in training. "
            f"Got shape {tuple(x.shape)} instead."
        )
    charge, leak = leak_of("norm_lif", x, tau, decay, decay_input)
    spec = make_spec("norm_lif", threshold, strict, v_reset, charge, detach_reset, surrogate, alpha)
    v = None if v is None else expand("norm_lif", "v", v, x)
    backend = choose_backend("norm_lif", backend, x)
    group = group if of_batch else None
    real = compute_dtype(x.dtype)
    weight, bias = (None if a is None else a.to(real) for a in (weight, bias))
    norm: dict[str, Any] = {
        "weight": weight,
        "bias": bias,
        "running_mean": running_mean,
        "running_var": running_var,
        "training": of_batch,
        "momentum": momentum,
        "eps": eps,
        "group": group,
    }
    if backend == "reference":
        v = resting(x, spec) if v is None else v
        return norm_lif_reference(x, v, leak, spec, pool=pool, **norm)
    if leak.numel() > 1:
        neuron: dict[str, Any] = {
            "tau": tau,
            "decay": decay,
            "threshold": threshold,
            "strict": strict,
            "v_reset": v_reset,
            "decay_input": decay_input,
            "detach_reset": detach_reset,
            "surrogate": surrogate,
            "alpha": alpha,
            "backend": backend,
        }
        s, v_last = lif(batch_norm(x.to(real), **norm), v, **neuron)
        return pooled(s, pool).to(x.dtype), v_last
    fixed = (None, None) if of_batch else (running_mean, running_var)
    s, v_last, *statistics = norm_lif_forward(
        x,
        weight,
        bias,
        *fixed,
        v,
        leak,
        *spec.args(),
        float(eps),
        pool or "none",
        "" if group is None else group.group_name,
        backend,
    )
    if of_batch and training and (x.numel() > 0 or group is not None):
        mean, var, count = statistics
        track(running_mean, running_var, mean, var, count, momentum)
    return s, v_last


def _check_shapes(x: Tensor, pool: str | None) -> None:
    """Raise unless `x` has channels, and pixels to pool."""
    if x.ndim < 3:
        raise ValueError(
            "The 'x' parameter of norm_lif must have shape (n_steps, n_samples, n_channels, ...). "
            f"Got {tuple(x.shape)} instead."
        )
    if pool is None:
        return
    check_choice("norm_lif", "pool", pool, POOLS)
    if x.ndim != 5 or min(x.shape[3:]) < 2:
        raise ValueError(
            "The 'x' parameter of norm_lif must have shape (n_steps, n_samples, n_channels, "
            "height, width), and two pixels each way, to be pooled. "
            f"Got {tuple(x.shape)} instead."
        )


def _check_channels(x: Tensor, *of_channels: Tensor | None) -> None:
    """Raise unless what belongs to the channels has one element for each."""
    names = ("weight", "bias", "running_mean", "running_var")
    for name, value in zip(names, of_channels, strict=True):
        if value is not None and tuple(value.shape) != (x.shape[2],):
            raise ValueError(
                f"The {name!r} parameter of norm_lif must have shape ({x.shape[2]},), one element "
                f"for each channel of x. Got {tuple(value.shape)} instead."
            )
    if (of_channels[2] is None) != (of_channels[3] is None):
        raise ValueError(
            "The 'running_var' parameter of norm_lif must be given if and only if 'running_mean' "
            "is."
        )


# --- operators ---


def twin(backend: str) -> ModuleType:
    """Import the compiled twin."""
    if backend == "numba":
        from . import _norm_lif_numba

        return _norm_lif_numba
    from . import _norm_lif_triton

    return _norm_lif_triton


def _norm_lif(x, weight, bias, mean, var, v, leak, *rest):
    """Return spikes, last state, and the statistics (mean, var, count) if taken from `x`."""
    spec, (eps, pool, group, backend) = NeuronSpec(*rest[:N_SPEC]), rest[N_SPEC:]
    kernels = twin(backend)
    [x] = same_layout([x])
    found = mean is None
    if found:
        mean, var, count = _all_moments(*kernels.moments(x), x.numel() // x.shape[2], group)
    scale, shift, _ = _coefficients(weight, bias, mean, var, eps)
    real = compute_dtype(x.dtype)
    s, v_last = kernels.forward(x, scale.to(real), shift.to(real), v, leak, spec, pool)
    statistics = (mean, var, count) if found else tuple(scale.new_empty(0) for _ in range(3))
    return s, v_last, *statistics


def _norm_lif_fake(x, weight, bias, mean, var, v, leak, *rest):
    pool = rest[N_SPEC + 1]
    [x] = same_layout([x])
    n = x.shape[2] if mean is None else 0
    of_channels = [x.new_empty(n, dtype=torch.float64) for _ in range(2)]
    count = x.new_empty(() if mean is None else 0, dtype=torch.float64)
    step = empty_like(x[0], compute_dtype(x.dtype))
    return _empty_pooled(x, pool), step, *of_channels, count


def _empty_pooled(x: Tensor, pool: str) -> Tensor:
    """Return an uninitialised tensor of pooled spikes in the layout of `x`."""
    if pool == "none":
        return empty_like(x)
    *outer, height, width = x.shape
    if has_channels_innermost(x):
        n_steps, n_samples, n_channels = outer
        s = x.new_empty((n_steps, n_samples, height // 2, width // 2, n_channels))
        return s.movedim(-1, 2)
    return x.new_empty((*outer, height // 2, width // 2))


def _norm_lif_backward(x, weight, bias, mean, var, count, v, leak, ds, dv, *rest):
    """Return the gradients to x, weight, bias, v and leak; empty for a leak that does not learn.

    Without a `count` the statistics are fixed.
    """
    spec, (eps, pool, group, learn_leak, backend) = NeuronSpec(*rest[:N_SPEC]), rest[N_SPEC:]
    kernels, real = twin(backend), compute_dtype(x.dtype)
    [x] = same_layout([x])
    scale, shift, inverse = _coefficients(weight, bias, mean, var, eps)
    centre = mean.to(real)
    coefficients = scale.to(real), shift.to(real), centre
    dy, dv, dleak, sum_dy, sum_dy_x = kernels.backward(
        x, *coefficients, v, leak, ds, dv, spec, pool, count is None, learn_leak
    )
    dweight, dbias = (sum_dy_x * inverse).to(real), sum_dy.to(real, copy=True)
    if count is not None:
        # dx = scale (dy - mean(dy) - x^ mean(dy x^)), with x^ = (x - mean) * inverse
        means = _all_sum(torch.stack([sum_dy, sum_dy_x]), group) / count
        factors = scale, -scale * inverse**2 * means[1], -scale * means[0]
        dy = kernels.norm_backward(x, dy, *(factor.to(real) for factor in factors), centre)
    return dy, dweight, dbias, dv, dleak


def _norm_lif_backward_fake(x, weight, bias, mean, var, count, v, leak, ds, dv, *rest):
    learn_leak = rest[N_SPEC + 3]
    [x] = same_layout([x])
    step = empty_like(x[0], compute_dtype(x.dtype))
    of_channels = [step.new_empty(x.shape[2]) for _ in range(2)]
    return empty_like(x), *of_channels, step, step.new_empty(leak.shape if learn_leak else 0)


def _coefficients(
    weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return factor and addend that normalise each channel, and 1 / deviation; in float64."""
    inverse = 1 / (var.double() + eps).sqrt()
    scale = inverse if weight is None else inverse * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return scale, shift, inverse


def _all_moments(
    mean: Tensor, var: Tensor, count: int, group: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Combine the moments of all processes of a group, after Chan et al."""
    if not group:
        return mean, var, torch.full((), count, dtype=mean.dtype, device=mean.device)
    own = torch.stack([torch.full_like(mean, count), mean, var])
    processes = _resolve(group)
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size(processes))]
    dist.all_gather(parts, own, group=processes)
    counts, means, variances = torch.stack(parts).unbind(1)
    shares = counts / counts.sum(0)
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean) ** 2)).sum(0), counts.sum(0)[0]


def _all_sum(x: Tensor, group: str) -> Tensor:
    """Return the sum over all processes of a group."""
    if group:
        dist.all_reduce(x, group=_resolve(group))
    return x


def _resolve(group: str) -> dist.ProcessGroup:
    """Return the process group of a name."""
    from torch.distributed.distributed_c10d import _resolve_process_group

    return _resolve_process_group(group)  # type: ignore[arg-type]


def _setup_context(ctx, inputs, output):
    x, weight, bias, mean, var, v, leak = inputs[:7]
    ctx.spec, (ctx.eps, ctx.pool, ctx.group, ctx.backend) = (
        NeuronSpec(*inputs[7 : 7 + N_SPEC]),
        inputs[7 + N_SPEC :],
    )
    statistics = output[2:] if mean is None else (mean, var, None)
    ctx.mark_non_differentiable(*output[2:])
    ctx.save_for_backward(x, weight, bias, *statistics, v, leak)
    ctx.set_materialize_grads(False)


def _backward(ctx, ds, dv, *_):
    x, weight, bias, mean, var, count, v, leak = ctx.saved_tensors
    needs = ctx.needs_input_grad
    gradients = norm_lif_backward(
        x,
        weight,
        bias,
        mean,
        var,
        count,
        v,
        leak,
        ds,
        dv,
        *ctx.spec.args(),
        ctx.eps,
        ctx.pool,
        ctx.group,
        needs[6],
        ctx.backend,
    )
    dx, dweight, dbias, dv, dleak = (
        g if needed else None
        for g, needed in zip(gradients, (*needs[:3], *needs[5:7]), strict=True)
    )
    return dx, dweight, dbias, None, None, dv, dleak, *(None,) * (N_SPEC + 4)


norm_lif_backward = define(
    "norm_lif_backward",
    "(Tensor x, Tensor? weight, Tensor? bias, Tensor mean, Tensor var, Tensor? count, Tensor? v, "
    f"Tensor leak, Tensor? ds, Tensor? dv, {SPEC_SCHEMA}, float eps, str pool, str group, "
    "bool learn_leak, str backend) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _norm_lif_backward,
    _norm_lif_backward_fake,
)
norm_lif_forward = define(
    "norm_lif",
    "(Tensor x, Tensor? weight, Tensor? bias, Tensor? mean, Tensor? var, Tensor? v, Tensor leak, "
    f"{SPEC_SCHEMA}, float eps, str pool, str group, str backend) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _norm_lif,
    _norm_lif_fake,
    _setup_context,
    _backward,
)
