"""Diagonal state space models, step by step."""

from __future__ import annotations

from torch import Tensor

from ._dispatch import choose_backend
from ._linear_scan_reference import linear_scan_reference
from ._memory import compute_dtype
from ._ssm_conv import check_sequence
from ._ssm_kernel import check_modes


def linear_scan(
    x: Tensor,
    decay: Tensor,
    c: Tensor,
    state: Tensor | None = None,
    *,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    r"""Run a diagonal state space model over time, step by step.

    Each channel h has modes n that stand for pairs of conjugates; every sample has its own states,

    .. math::
        s_{tn} &= d_n\, s_{t-1,n} + x_t \\
        y_t &= 2 \operatorname{Re} \sum_n c_n\, s_{tn}.

    From a state of zero, that is :func:`ssm_conv` of `x` with :func:`ssm_kernel` of
    :math:`\log d` and :math:`c`. This one takes time in steps, so that a recording may still be
    arriving.

    Parameters
    ----------
    x : Tensor of shape (n_steps, n_samples, n_channels)
        The input, time first. Must be finite.
    decay : Tensor of complex64 or complex128 of shape (n_channels, n_modes)
        What a mode is multiplied by at each step, of twice the bits of `x`, complex64 for 16 bits.
    c : Tensor of shape (n_channels, n_modes)
        What each mode contributes, in the dtype of `decay`.
    state : Tensor of shape (n_samples, n_channels, n_modes), default=None
        The modes before the first step, in the dtype of `decay`; None starts from zero.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`.

    Returns
    -------
    y : Tensor of shape (n_steps, n_samples, n_channels)
        The result, in the dtype of `x`.
    state : Tensor of shape (n_samples, n_channels, n_modes)
        The modes after the last step: what to hand to the next call.

    Raises
    ------
    TypeError
        If `x` is not of floating point numbers, or `decay` or `c` not complex.
    ValueError
        If shapes or dtypes do not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Notes
    -----
    Gradients flow to `x`, `decay`, `c` and `state`. Sequences in two parts, with the state handed
    on, give what the whole gives.

    References
    ----------
    .. [1] Gu, A. et al., "On the parameterization and initialization of diagonal state space
       models", NeurIPS 2022.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import linear_scan
    >>> x = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    >>> decay = torch.tensor([[0.5 + 0j]])
    >>> y, state = linear_scan(x, decay, torch.ones_like(decay))
    >>> y.flatten().tolist()
    [2.0, 1.0, 0.5]
    >>> linear_scan(x, decay, torch.ones_like(decay), state)[0].flatten().tolist()
    [2.25, 1.125, 0.5625]
    """
    check_sequence("linear_scan", x)
    check_modes("linear_scan", "decay", decay, c)
    real = compute_dtype(x.dtype)
    _check_modes_of(x, decay)
    if state is None:
        state = decay.new_zeros(*x.shape[1:], decay.shape[1])
    else:
        _check_state(state, x, decay)
    choose_backend("linear_scan", backend, x, numba=(), triton=())
    y, state = linear_scan_reference(x.to(real), decay, c, state)
    return y.to(x.dtype), state


def _check_modes_of(x: Tensor, decay: Tensor) -> None:
    """Raise unless there are modes for the channels of `x`, in its precision."""
    expected = compute_dtype(x.dtype).to_complex()
    if decay.dtype != expected or decay.shape[0] != x.shape[2]:
        raise ValueError(
            f"The 'decay' parameter of linear_scan must be {expected} of shape ({x.shape[2]}, "
            f"n_modes) to go with x. Got {decay.dtype} {tuple(decay.shape)} instead."
        )


def _check_state(state: Tensor, x: Tensor, decay: Tensor) -> None:
    """Raise unless there is a number for each sample, channel and mode."""
    shape = (*x.shape[1:], decay.shape[1])
    if not isinstance(state, Tensor) or state.dtype != decay.dtype or state.shape != shape:
        got = f"{state.dtype} {tuple(state.shape)}" if isinstance(state, Tensor) else repr(state)
        raise ValueError(
            f"The 'state' parameter of linear_scan must be {decay.dtype} of shape {shape}. "
            f"Got {got} instead."
        )
