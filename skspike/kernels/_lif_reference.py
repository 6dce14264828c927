"""The specification of the leaky integrate-and-fire neuron: a loop over time in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ._surrogate import SURROGATES


@dataclass(frozen=True)
class LIFSpec:
    """What one neuron does, apart from its leak: the arguments of :func:`lif` after checking."""

    threshold: float
    v_reset: float | None
    integrate: bool
    decay_input: bool
    detach_reset: bool
    surrogate: str
    alpha: float

    @property
    def v_rest(self) -> float:
        """Potential that the membrane leaks to and starts from."""
        return 0.0 if self.v_reset is None else self.v_reset


def lif_reference(
    x: Tensor, v: Tensor, leak: Tensor | float, spec: LIFSpec, spike: Callable | None = None
) -> tuple[Tensor, Tensor]:
    """Run the neuron over ``x`` of shape (T, ...) from the state `v`; see :func:`lif`.

    `spike` maps ``u = h - threshold`` to spikes; the default is a step with the spec's surrogate
    derivative. Tests pass a smooth function, for which autograd's gradient is exact.
    """
    spike = spike or surrogate_spike(spec.surrogate, spec.alpha)
    spikes = []
    for x_t in x:
        h = charge(x_t, v, leak, spec)
        s = spike(h - spec.threshold)
        spikes.append(s)
        v = reset(h, s.detach() if spec.detach_reset else s, spec)
    return torch.stack(spikes), v


def charge(x: Tensor, v: Tensor, leak: Tensor | float, spec: LIFSpec) -> Tensor:
    """Integrate one step of input current; the result is the potential before reset."""
    if spec.integrate:
        return v + x
    if spec.decay_input:
        return v + (x - (v - spec.v_rest)) * leak
    return v - (v - spec.v_rest) * leak + x


def reset(h: Tensor, s: Tensor, spec: LIFSpec) -> Tensor:
    """Reset the potential where the neuron fired, to `v_reset` or by the threshold."""
    if spec.v_reset is None:
        return h - s * spec.threshold
    return (1 - s) * h + s * spec.v_reset


def surrogate_spike(name: str, alpha: float) -> Callable[[Tensor], Tensor]:
    """Return a step function, 1 where ``u >= 0``, with the named derivative."""
    derivative = SURROGATES[name].derivative

    def spike(u: Tensor) -> Tensor:
        return _SurrogateSpike.apply(u, derivative, alpha)

    return spike


class _SurrogateSpike(torch.autograd.Function):
    """Step forward, surrogate derivative backward."""

    @staticmethod
    def forward(ctx, u, derivative, alpha):
        ctx.save_for_backward(u)
        ctx.derivative, ctx.alpha = derivative, alpha
        return (u >= 0).to(u.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, ds):
        (u,) = ctx.saved_tensors
        alpha = torch.tensor(ctx.alpha, dtype=u.dtype, device=u.device)
        return ds * ctx.derivative(u, alpha), None, None
