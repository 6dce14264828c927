"""The spiking neurons as operators of torch: the join of the compiled twins to autograd."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from ._memory import compute_dtype, dense_over_time
from ._ops import define
from ._spec import SPEC_SCHEMA, NeuronSpec

N_SPEC = len(NeuronSpec.__dataclass_fields__)
SEGMENT = 8  # steps between the states that Triton keeps in order to recompute the potentials


def twin(backend: str) -> ModuleType:
    """Import the compiled twin of the neurons."""
    if backend == "numba":
        from . import _lif_numba

        return _lif_numba
    from . import _lif_triton

    return _lif_triton


def _lif(x, v, leak, a, rho, *rest):
    """Return spikes, states and what is kept for the backward pass."""
    spec, (save, backend) = NeuronSpec(*rest[:N_SPEC]), rest[N_SPEC:]
    save = _possible(save, spec)
    return twin(backend).forward(x, v, leak, a, rho, spec, save)


def _possible(save: str, spec: NeuronSpec) -> str:
    """Return what can be kept: a moving threshold has to be recomputed from the start anyway."""
    return "recompute" if save == "potential" and spec.adaptive else save


def saved_steps(n_steps: int, save: str, backend: str) -> int:
    """Return how many maps the forward pass keeps: potentials, states now and then, or nothing."""
    if save == "potential":
        return n_steps
    if save == "recompute" and backend == "triton":
        return -(-n_steps // SEGMENT) - 1
    return 0


def _lif_fake(x, v, leak, a, rho, *rest):
    spec, (save, backend) = NeuronSpec(*rest[:N_SPEC]), rest[N_SPEC:]
    save = _possible(save, spec)
    x = dense_over_time(x)
    real = compute_dtype(x.dtype)
    step = empty_like(x[0], real)
    a_last = empty_like(step) if spec.adaptive else step.new_empty(0)
    n_saved = saved_steps(x.shape[0], save, backend)
    # the states of an adaptive neuron are two
    n_maps = n_saved * (2 if spec.adaptive and save == "recompute" else 1)
    if n_maps == 0:
        saved = step.new_empty(0)
    elif n_maps == x.shape[0]:
        saved = empty_like(x, real)
    else:
        saved = step.new_empty((n_maps, step.numel()))
    return empty_like(x), step, a_last, saved


def _lif_backward(x, v, leak, a, rho, saved, ds, dv, da, *rest):
    """Return the gradients to x, v, leak, a and rho; empty where there is none."""
    spec, (learn_leak, learn_rho, backend) = NeuronSpec(*rest[:N_SPEC]), rest[N_SPEC:]
    return twin(backend).backward(
        x, v, leak, a, rho, saved, ds, dv, da, spec, learn_leak, learn_rho
    )


def _lif_backward_fake(x, v, leak, a, rho, saved, ds, dv, da, *rest):
    spec, (learn_leak, learn_rho, _) = NeuronSpec(*rest[:N_SPEC]), rest[N_SPEC:]
    x = dense_over_time(x)
    step = empty_like(x[0], compute_dtype(x.dtype))
    none = step.new_empty(0)

    def coefficient(value: Tensor) -> Tensor:
        return step.new_empty(value.shape) if value.numel() == 1 else empty_like(step)

    return (
        empty_like(x),
        step,
        coefficient(leak) if learn_leak else none,
        empty_like(step) if spec.adaptive else none.clone(),
        coefficient(rho) if learn_rho else none.clone(),
    )


def empty_like(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return an uninitialised tensor with the strides of a dense one."""
    return torch.empty_strided(x.shape, x.stride(), dtype=dtype or x.dtype, device=x.device)


def _setup_context(ctx, inputs, output):
    x, v, leak, a, rho = inputs[:5]
    ctx.spec, ctx.backend = NeuronSpec(*inputs[5 : 5 + N_SPEC]), inputs[-1]
    ctx.save_for_backward(x, v, leak, a, rho, output[3])
    ctx.set_materialize_grads(False)


def _backward(ctx, ds, dv, da, _):
    x, v, leak, a, rho, saved = ctx.saved_tensors
    _, needs_v, learn_leak, needs_a, learn_rho = ctx.needs_input_grad[:5]
    dx, dv, dleak, da, drho = lif_backward(
        x, v, leak, a, rho, saved, ds, dv, da, *ctx.spec.args(), learn_leak, learn_rho, ctx.backend
    )
    gradients = (
        dx,
        dv if needs_v and ctx.spec.through_time else None,
        dleak if learn_leak else None,
        da if needs_a else None,
        drho if learn_rho else None,
    )
    return gradients + (None,) * (N_SPEC + 2)


lif_backward = define(
    "lif_backward",
    "(Tensor x, Tensor? v, Tensor leak, Tensor? a, Tensor? rho, Tensor saved, Tensor? ds, "
    f"Tensor? dv, Tensor? da, {SPEC_SCHEMA}, bool learn_leak, bool learn_rho, str backend) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _lif_backward,
    _lif_backward_fake,
)
lif_forward = define(
    "lif",
    f"(Tensor x, Tensor? v, Tensor leak, Tensor? a, Tensor? rho, {SPEC_SCHEMA}, str save, "
    "str backend) -> (Tensor, Tensor, Tensor, Tensor)",
    _lif,
    _lif_fake,
    _setup_context,
    _backward,
)
