"""The spike of potentials that are known."""

from __future__ import annotations

from torch import Tensor

from ._lif import lif


def fire_at(
    h: Tensor,
    *,
    threshold: float = 1.0,
    strict: bool = False,
    surrogate: str = "triangle",
    alpha: float | None = None,
    max_spikes: int = 1,
    backend: str = "auto",
) -> Tensor:
    r"""Return the spikes of neurons with known potentials, :math:`s = [h \ge \theta]`.

    What :func:`lif` makes of the potentials that it computes, for potentials from elsewhere: input
    plus what :func:`fixed_point_membrane` finds, for instance. Nothing passes from step to step.

    Parameters
    ----------
    h : Tensor of shape (n_steps, ...)
        Potential before the reset, time first. Must be finite.
    threshold : float, default=1.0
        Potential :math:`\theta` from which on a neuron fires; equality fires.
    strict : bool, default=False
        Whether a neuron fires only above the threshold, not on equality.
    surrogate : str, default="triangle"
        Derivative that stands in for that of the spike; see :func:`lif`.
    alpha : float, default=None
        Sharpness of the surrogate; None takes its usual value.
    max_spikes : int in [1, inf), default=1
        Most spikes of a neuron in a step; see :func:`lif`.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        As in :func:`lif`.

    Returns
    -------
    spikes : Tensor of shape (n_steps, ...)
        Their number, 0 to `max_spikes`, in the dtype of `h`.

    Raises
    ------
    ValueError
        If an argument is out of its range or a shape does not fit.
    BackendError
        If a backend asked for by name cannot serve the call.

    Examples
    --------
    >>> import torch
    >>> from skspike.kernels import fire_at
    >>> h = torch.tensor([0.5, 1.0, 1.75], requires_grad=True)
    >>> spikes = fire_at(h)
    >>> spikes.sum().backward()
    >>> spikes.tolist(), h.grad.tolist()
    ([0.0, 1.0, 1.0], [0.5, 1.0, 0.25])
    """
    spikes, _ = lif(
        h,
        decay=0.0,
        threshold=threshold,
        strict=strict,
        through_time=False,
        surrogate=surrogate,
        alpha=alpha,
        max_spikes=max_spikes,
        backend=backend,
    )
    return spikes
