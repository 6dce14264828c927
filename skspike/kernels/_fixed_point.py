"""The potential that a neuron carries from step to step, found in rounds instead of steps."""

from __future__ import annotations

import math
from types import ModuleType

import torch
from torch import Tensor

from .._validation import check_number
from ._dispatch import choose_backend
from ._fixed_point_reference import fixed_point_reference
from ._lif import check_input, expand
from ._lif_op import empty_like
from ._memory import compute_dtype, dense_over_time
from ._ops import define


def fixed_point_membrane(
    x: Tensor,
    v: Tensor | None = None,
    *,
    decay: float,
    threshold: float = 1.0,
    n_rounds: int = 3,
    backend: str = "auto",
) -> Tensor:
    r"""Return the potential that each step finds, from a few inputs before it.

    Of the neuron ``lif(x, v, decay=decay, threshold=threshold)``, with hard reset to zero, the
    carried potential :math:`m_t = k v_{t-1}` is the fixed point of

    .. math:: m_t \leftarrow k\, w_{t-1} [w_{t-1} < \theta], \qquad w_t = m_t + x_t.

    Each round takes all steps at once. After K rounds from :math:`m = 0`, a potential is that of
    a neuron at rest K steps before: exact in the first K + 1 steps, and elsewhere wrong by
    :math:`k^K |v_{t-1-K}|` at most, unless a decision to fire differs.

    Parameters
    ----------
    x : Tensor of shape (n_steps, ...)
        Input current, time first. Must be finite.
    v : Tensor broadcastable to shape (...), default=None
        Potential before the first step; None starts at rest.
    decay : float in [0, 1]
        Factor :math:`k` on the carried potential.
    threshold : float, default=1.0
        Potential :math:`\theta` from which on a neuron fires; equality fires.
    n_rounds : int in [0, inf), default=3
        Number of rounds: how many inputs a potential depends on. Each makes the error smaller
        about by the factor `decay`.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`.

    Returns
    -------
    m : Tensor of shape (n_steps, ...)
        Carried potential of every step, in the dtype of `x`, or float32 if that has 16 bits. It is
        data: no gradient flows to `x` or `v`.

    Raises
    ------
    ValueError
        If an argument is out of its range or a shape does not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Spikes are those of :func:`fire_at` for ``x + m``. The compiled backends read `x` and write `m`
    once, whatever the number of rounds.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025 (the neuron, there predicted by a network; the rounds are
       ours).

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import fixed_point_membrane, lif
    >>> x = torch.tensor([0.5, 0.875, 2.0, 0.5])
    >>> fixed_point_membrane(x, decay=0.25, n_rounds=2).tolist()
    [0.0, 0.125, 0.0, 0.0]
    """
    op = "fixed_point_membrane"
    check_input(op, x)
    check_number(op, "decay", decay, 0.0, 1.0)
    check_number(op, "threshold", threshold, -math.inf, math.inf, closed="neither")
    check_number(op, "n_rounds", n_rounds, 0, math.inf, closed="left", integer=True)
    x = x.detach()
    v = None if v is None else expand(op, "v", v.detach(), x)
    backend = choose_backend(op, backend, x)
    settings = float(decay), float(threshold), int(n_rounds)
    if backend == "reference":
        v = torch.zeros_like(x[0], dtype=compute_dtype(x.dtype)) if v is None else v
        return fixed_point_reference(x, v, *settings)
    return _op(x, v, *settings, backend)


def twin(backend: str) -> ModuleType:
    """Import the compiled twin."""
    if backend == "numba":
        from . import _fixed_point_numba

        return _fixed_point_numba
    from . import _fixed_point_triton

    return _fixed_point_triton


def _run(x, v, decay, threshold, n_rounds, backend):
    """Return the carried potentials."""
    return twin(backend).fixed_point(x, v, decay, threshold, n_rounds)


def _fake(x, v, decay, threshold, n_rounds, backend):
    return empty_like(dense_over_time(x), compute_dtype(x.dtype))


_op = define(
    "fixed_point_membrane",
    "(Tensor x, Tensor? v, float decay, float threshold, int n_rounds, str backend) -> Tensor",
    _run,
    _fake,
)
