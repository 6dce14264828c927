"""The specification of the spiking neurons: a loop over time in plain torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ._spec import NeuronSpec
from ._surrogate import SURROGATES


def lif_reference(
    x: Tensor,
    v: Tensor,
    leak: Tensor | float,
    spec: NeuronSpec,
    a: Tensor | None = None,
    rho: Tensor | float = 0.0,
    spike: Callable | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Run the neuron over ``x`` of shape (T, ...) from the states `v` and `a`.

    `spike` maps ``(u, h)`` with ``u = h - threshold`` to spikes; the default is a step with the
    spec's surrogate derivative. Tests pass a smooth function, for which autograd's gradient is
    exact.
    """
    spike = spike or surrogate_spike(spec.surrogate, spec.alpha, spec.strict)
    spikes = []
    for x_t in x:
        h = charge(x_t.to(v.dtype), v, leak, spec)
        theta = h.new_tensor(spec.threshold)
        theta = theta if a is None else theta + spec.beta * a
        # a surrogate that looks at h as well sees it from the threshold below
        reached = [spike(h - k * theta, h - (k - 1) * theta) for k in range(1, 1 + spec.max_spikes)]
        s = sum(reached[1:], reached[0])
        spikes.append(s.to(x.dtype))
        to_reset = s if spec.v_reset is None else reached[0]
        v = reset(h, to_reset.detach() if spec.detach_reset else to_reset, spec)
        v = v if spec.through_time else v.detach()
        if a is not None:
            a = rho * a + s
    return torch.stack(spikes), v, a


def charge(x: Tensor, v: Tensor, leak: Tensor | float, spec: NeuronSpec) -> Tensor:
    """Integrate one step of input current; the result is the potential before reset."""
    if spec.charge == "integrate":
        return v + x
    if spec.charge == "decay_input":
        return v + (x - (v - spec.v_rest)) * leak
    if spec.charge == "leak":
        return v - (v - spec.v_rest) * leak + x
    return spec.v_rest + (v - spec.v_rest) * leak + x


def reset(h: Tensor, s: Tensor, spec: NeuronSpec) -> Tensor:
    """Reset the potential where the neuron fired, to `v_reset` or by the threshold."""
    if spec.v_reset is None:
        return h - s * spec.threshold
    return (1 - s) * h + s * spec.v_reset


def surrogate_spike(name: str, alpha: float, strict: bool = False) -> Callable:
    """Return a step function, 1 where ``u >= 0`` (``u > 0``), with the named derivative."""
    derivative = SURROGATES[name].derivative

    def spike(u: Tensor, h: Tensor) -> Tensor:
        return _SurrogateSpike.apply(u, h.detach(), derivative, alpha, strict)

    return spike


class _SurrogateSpike(torch.autograd.Function):
    """Step forward, surrogate derivative backward."""

    @staticmethod
    def forward(ctx, u, h, derivative, alpha, strict):
        ctx.save_for_backward(u, h)
        ctx.derivative, ctx.alpha = derivative, alpha
        return ((u > 0) if strict else (u >= 0)).to(u.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, ds):
        u, h = ctx.saved_tensors
        alpha = torch.tensor(ctx.alpha, dtype=u.dtype, device=u.device)
        return ds * ctx.derivative(u, h, alpha), None, None, None, None
