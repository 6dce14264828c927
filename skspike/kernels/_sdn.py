"""The potential that a neuron carries from step to step, as a small network predicts it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from torch import Tensor

from ..exceptions import BackendError
from ._dispatch import choose_backend
from ._lif import check_input
from ._lif_op import empty_like
from ._memory import compute_dtype, dense_over_time
from ._ops import define
from ._sdn_reference import sdn_reference

COMPILED = 8  # units and inputs of the network that the twins are written for


def sdn_membrane(x: Tensor, weights: Sequence[Tensor], *, backend: str = "auto") -> Tensor:
    r"""Return the potential that each step finds, as a surrogate dynamic network predicts it.

    Every neuron's series of inputs passes the same three layers, the first of which sees the K
    inputs before a step, and silence before the first. With :math:`(y)_+ = \max(0, y)`,

    .. math::
        h_t &= \Bigl(\sum_{i<K} W_{\cdot i}\, x_{t-K+i} + b\Bigr)_+ \\
        m_t &= c \cdot (A h_t + d)_+ + e.

    Parameters
    ----------
    x : Tensor of shape (n_steps, ...)
        Input current, time first. Must be finite.
    weights : sequence of six tensors
        :math:`W` of shape (width, K), :math:`b` (width,), :math:`A` (width, width), :math:`d`
        (width,), :math:`c` (width,) and :math:`e` (), as
        :meth:`skspike.nn.SurrogateDynamicNetwork.fold` returns them.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`. The compiled ones are written for the published size, eight units and
        eight inputs.

    Returns
    -------
    m : Tensor of shape (n_steps, ...)
        Predicted carried potential of every step, in the dtype of `x`, or float32 if that has 16
        bits. It is data: no gradient flows to `x` or the weights.

    Raises
    ------
    ValueError
        If the weights do not fit each other.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Spikes are those of :func:`fire_at` for ``x + m``. The compiled backends keep no activation, of
    which torch makes sixteen times the size of `x`, and do 272 operations per neuron-step. They add
    up in another order than torch: results agree within rounding.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import sdn_membrane
    >>> from skspike.nn import load_surrogate_dynamics
    >>> x = torch.tensor([0.5, 0.875, 2.0, 0.5])[:, None]
    >>> m = sdn_membrane(x, load_surrogate_dynamics().fold())  # of a neuron with decay 0.125
    >>> (m.flatten() - torch.tensor([0, 0.0625, 0.1171875, 0])).abs().max() < 0.01
    tensor(True)
    """
    check_input("sdn_membrane", x)
    _check_weights(weights)
    real = compute_dtype(x.dtype)
    x, weights = x.detach(), [w.detach().to(x.device, real) for w in weights]
    chosen = choose_backend("sdn_membrane", backend, x)
    if chosen != "reference" and tuple(weights[0].shape) != (COMPILED, COMPILED):
        if backend == chosen:
            raise BackendError(
                f"The {backend!r} backend of sdn_membrane serves networks of {COMPILED} units and "
                f"{COMPILED} inputs. Got weights of shape {tuple(weights[0].shape)}."
            )
        chosen = "reference"
    if chosen == "reference":
        return sdn_reference(x, weights)
    return _op(x, weights, chosen)


def _check_weights(weights: Sequence[Tensor]) -> None:
    """Raise unless the shapes fit each other."""
    shapes = [tuple(w.shape) for w in weights]
    width = shapes[0][0] if shapes and len(shapes[0]) == 2 else 0
    if shapes[1:] != [(width,), (width, width), (width,), (width,), ()]:
        raise ValueError(
            "The 'weights' parameter of sdn_membrane must have the shapes (width, K), (width,), "
            f"(width, width), (width,), (width,) and (). Got {shapes} instead."
        )


def twin(backend: str) -> ModuleType:
    """Import the compiled twin."""
    if backend == "numba":
        from . import _sdn_numba

        return _sdn_numba
    from . import _sdn_triton

    return _sdn_triton


def _run(x, weights, backend):
    """Return the predicted potentials."""
    return twin(backend).sdn(x, weights)


def _fake(x, weights, backend):
    return empty_like(dense_over_time(x), compute_dtype(x.dtype))


_op = define("sdn_membrane", "(Tensor x, Tensor[] weights, str backend) -> Tensor", _run, _fake)
