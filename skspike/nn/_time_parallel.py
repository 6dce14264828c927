"""Temporal fusion across devices: several processes, each with a part of the steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .._validation import check_number
from ._time import Enter, GatherAlike, TimeGroup, join_steps, shared_by


class TimeParallel(nn.Module):
    r"""Share the time steps of a network among several processes.

    Every process has the whole network and a contiguous chunk of the steps. It runs a layer on its
    chunk as soon as the states of that layer's neurons have arrived from the process before, and
    hands the new states on: a wavefront. The backward pass is the mirror image. Outputs, gradients
    and running statistics are those of one process with all steps, to rounding.

    Parameters
    ----------
    module : Module
        A network of layers of :mod:`skspike.nn`. All processes begin with the weights of the first.
    chunks : sequence of int, default=None
        Number of steps of each process; None shares them as equally as they go, the first
        processes having one more than the last.
    group : torch.distributed.ProcessGroup, default=None
        The processes. None makes a group of all, for which every process must come here.
    timeout : float, default=50.0
        Seconds for which a process waits for another until it takes it as lost, in the group that
        None makes. Raise it if one process alone does something that takes longer.

    Raises
    ------
    RuntimeError
        If ``torch.distributed.init_process_group`` has not been called.
    ValueError
        If a chunk has no steps, or there are not as many chunks as processes.
    ProcessLostError
        If another process ends, or does not answer in time.

    Notes
    -----
    The call takes the process's own chunk of steps, of shape (n_steps, n_samples, ...), and returns
    the outputs of these; all processes must have the same samples, and all must run the backward
    pass. The gradients are those of the *sum* of the losses of the processes, and are added up
    before they reach the parameters: after ``loss.backward()`` every process has the same, and a
    step of the same optimiser keeps the weights equal. For the loss of all outputs, compute it
    in every process from :meth:`gather_steps`, which sees to it that it counts once.

    With :math:`T_s` the time of one process, and :math:`T_c` that of one hand-over, n processes
    take about :math:`T_s / n + n T_c`, the least at :math:`n = \sqrt{T_s / T_c}`. In training,
    batch norm needs the mean and variance over all steps, for which the processes wait for each
    other once a layer.

    The published work shows the forward pass of the neurons alone; the rest is ours. Tested with
    gloo on the CPU. Wrap the module before the optimiser is made, and save ``module.state_dict()``.

    References
    ----------
    .. [1] Li, Y. et al., "Towards scalable GPU-accelerated SNN training via temporal fusion",
       ICANN 2024, pp. 58-73.

    Examples
    --------
    Run by ``torchrun``, the first line is ``init_process_group("gloo")``; here is one process.

    >>> import torch
    >>> from torch import distributed
    >>> from skspike.nn import LIF, TimeParallel
    >>> store = distributed.HashStore()
    >>> distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    >>> neurons = TimeParallel(LIF())
    >>> x = torch.full((4, 1), 1.5)  # all steps
    >>> y = neurons(neurons.split_steps(x))
    >>> neurons.gather_steps(y).flatten().tolist()
    [0.0, 1.0, 0.0, 1.0]
    >>> distributed.destroy_process_group()
    """

    def __init__(
        self,
        module: nn.Module,
        chunks: Sequence[int] | None = None,
        group: dist.ProcessGroup | None = None,
        timeout: float = 50.0,
    ) -> None:
        super().__init__()
        check_number("TimeParallel", "timeout", timeout, 0, closed="neither")
        if not (dist.is_available() and dist.is_initialized()):
            raise RuntimeError(
                "TimeParallel needs a group of processes: start them with torchrun and call "
                "torch.distributed.init_process_group first."
            )
        self.group = group or dist.new_group(timeout=timedelta(seconds=timeout))
        self.rank, self.size = dist.get_rank(self.group), dist.get_world_size(self.group)
        if chunks is not None and (len(chunks) != self.size or min(chunks) < 1):
            raise ValueError(
                f"The 'chunks' parameter of TimeParallel must have {self.size} positive numbers "
                f"of steps, one for each process. Got {tuple(chunks)} instead."
            )
        self.chunks = None if chunks is None else tuple(chunks)
        self.module = module
        start = TimeGroup(self.group, (1,) * self.size)
        for value in (*module.parameters(), *module.buffers()):
            value.detach().copy_(start.first(value.detach()))
        start.finish()

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of this process's chunk of steps."""
        time = TimeGroup(self.group, self._lengths(x))
        learned = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        time.token, own, *values = Enter.apply(
            time, x if x.requires_grad else None, *learned.values()
        )
        with shared_by(time):
            shared = dict(zip(learned, values, strict=True))
            y = torch.func.functional_call(self.module, shared, (x if own is None else own,))
        time.finish()
        return y

    def split_steps(self, x: Tensor) -> Tensor:
        """Return this process's chunk of all steps.

        Parameters
        ----------
        x : Tensor of shape (n_steps, ...)
            All steps.

        Returns
        -------
        chunk : Tensor of shape (n_own_steps, ...)
            A view of the steps of this process.

        Raises
        ------
        ValueError
            If there are fewer steps than processes, or not as many as `chunks` add up to.
        """
        n = x.shape[0]
        chunks = self.chunks or [n // self.size + (i < n % self.size) for i in range(self.size)]
        if sum(chunks) != n or min(chunks) < 1:
            wanted = f"{sum(self.chunks)}" if self.chunks else f"at least {self.size}"
            raise ValueError(f"Input of TimeParallel must have {wanted} steps. Got {n} instead.")
        return x.split(list(chunks))[self.rank]

    def gather_steps(self, y: Tensor) -> Tensor:
        """Return the steps of all processes.

        Parameters
        ----------
        y : Tensor of shape (n_own_steps, n_samples, ...)
            Output of this process.

        Returns
        -------
        steps : Tensor of shape (n_steps, n_samples, ...)
            Outputs of all, equal in every process. Each process must compute the same loss from
            them: its gradient goes to the process's own steps only.

        Raises
        ------
        ProcessLostError
            If another process ends, or does not answer in time.
        """
        return join_steps(y, TimeGroup(self.group, self._lengths(y)), GatherAlike)

    def _lengths(self, x: Tensor) -> tuple[int, ...]:
        """Return the number of steps of every process."""
        if self.chunks is not None:
            if x.shape[0] != self.chunks[self.rank]:
                raise ValueError(
                    f"Input of process {self.rank} of TimeParallel must have "
                    f"{self.chunks[self.rank]} steps. Got shape {tuple(x.shape)} instead."
                )
            return self.chunks
        unknown = TimeGroup(self.group, (1,) * self.size)
        shapes = unknown.gather(torch.tensor(x.shape[:2], device=x.device)).tolist()
        if len({n_samples for _, n_samples in shapes}) > 1:
            raise ValueError(
                "Inputs of TimeParallel must have the same samples in every process. "
                f"Got {[n_samples for _, n_samples in shapes]} samples instead."
            )
        return tuple(n_steps for n_steps, _ in shapes)
