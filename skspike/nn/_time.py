"""Processes that share the steps of a batch: what their layers tell each other.

Under :class:`TimeParallel` every process runs all layers on a chunk of steps of its own. A layer
that looks across steps calls the functions here; elsewhere they return what they are given. Each
message has its mirror image in the backward pass. Autograd visits nodes in the reverse order of
their creation, so all processes exchange gradients in the same order, and none waits for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

from ..exceptions import ProcessLostError

_local = threading.local()


class TimeGroup:
    """The chunks of steps that processes own during one call, and messages between them."""

    def __init__(self, group: dist.ProcessGroup, chunks: Sequence[int]) -> None:
        self.group = group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)
        self.chunks = tuple(chunks)
        self.n_steps = sum(chunks)
        self.start = sum(chunks[: self.rank])
        self.stop = self.start + chunks[self.rank]
        self.token: Tensor | None = None  # requires a gradient whenever anything does
        self._sent: list[tuple[dist.Work | None, Tensor]] = []

    @property
    def is_first(self) -> bool:
        """Whether the chunk begins with the first step of all."""
        return self.rank == 0

    @property
    def is_last(self) -> bool:
        """Whether the chunk ends with the last step of all."""
        return self.rank == self.size - 1

    def send(self, value: Tensor, to: int) -> None:
        """Start to send a tensor; it is kept until it has arrived."""
        value = value.detach().contiguous()
        with self._watch(f"handed the state on to process {to}"):
            work = dist.isend(value, dist.get_global_rank(self.group, to), group=self.group)
        self._sent.append((work, value))

    def receive(self, into: Tensor, sender: int) -> Tensor:
        """Fill a contiguous tensor with what another process sends."""
        with self._watch(f"waited for the state of process {sender}"):
            dist.recv(into, dist.get_global_rank(self.group, sender), group=self.group)
        return into

    def gather(self, value: Tensor) -> Tensor:
        """Return the tensors of all processes, stacked."""
        parts = [
            torch.empty_like(value, memory_format=torch.contiguous_format) for _ in self.chunks
        ]
        with self._watch("gathered what the processes have"):
            dist.all_gather(parts, value.detach().contiguous(), group=self.group)
        return torch.stack(parts)

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of the tensors of all processes."""
        value = value.detach().clone(memory_format=torch.contiguous_format)
        with self._watch("summed what the processes have"):
            dist.all_reduce(value, group=self.group)
        return value

    def first(self, value: Tensor) -> Tensor:
        """Return the tensor that the first process has, passed from each to the next."""
        if not self.is_first:
            into = torch.empty_like(value, memory_format=torch.contiguous_format)
            value = self.receive(into, self.rank - 1)
        if not self.is_last:
            self.send(value, self.rank + 1)
        return value

    def finish(self) -> None:
        """Wait until everything sent has arrived."""
        with self._watch("waited for the next process to take its state"):
            while self._sent:
                work, _ = self._sent.pop()
                if work is not None:
                    work.wait()

    @contextmanager
    def _watch(self, doing: str) -> Iterator[None]:
        """Say in one sentence that another process has gone."""
        try:
            yield
        except RuntimeError as error:
            raise ProcessLostError(
                f"Process {self.rank} of {self.size}, with the steps {self.start} to "
                f"{self.stop - 1}, lost contact while it {doing}: another process has ended, or "
                "took longer than the timeout. End all of them, and start again from your last "
                "checkpoint."
            ) from error


def current() -> TimeGroup | None:
    """Return the group that shares the steps of the running call, if one does."""
    return getattr(_local, "group", None)


@contextmanager
def shared_by(group: TimeGroup) -> Iterator[None]:
    """Let a group share the steps of the calls inside."""
    before = current()
    _local.group = group
    try:
        yield
    finally:
        _local.group = before


# --- What layers call ---


def count_steps(x: Tensor) -> int:
    """Return the number of steps of all processes together."""
    group = current()
    return x.shape[0] if group is None else group.n_steps


def all_steps(x: Tensor) -> Tensor:
    """Return the steps of all processes."""
    group = current()
    return x if group is None else join_steps(x, group, _Gather)


def own_steps(x: Tensor) -> Tensor:
    """Return this process's part of all steps."""
    group = current()
    return x if group is None else x[group.start : group.stop]


def batch_statistics(group: TimeGroup, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel of (n_steps, n_samples, C, ...) over all steps."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    var, mean = torch.var_mean(x, (0, 1, *range(3, x.ndim)), correction=0)
    means, variances = _Gather.apply(torch.stack([mean, var]), group).unbind(1)
    share = (means.new_tensor(group.chunks) / group.n_steps)[:, None]
    mean = (share * means).sum(0)
    return mean, (share * (variances + (means - mean) ** 2)).sum(0)


def first_of_all(x: Tensor) -> Tensor:
    """Return the tensor that the first process has; no gradient passes."""
    group = current()
    return x if group is None else group.first(x)


def run_through_time(run: Callable[..., tuple[Tensor, ...]], x: Tensor, *rests: float) -> Tensor:
    """Return the spikes of ``spikes, *states = run(x, *states)``, whose states begin at rest.

    The states of shape (n_samples, ...) come from the steps before and go to those after.
    """
    group = current()
    if group is None:
        return run(x)[0]
    dtype = torch.promote_types(x.dtype, torch.float32)
    states = [before_own(group, x.shape[1:], dtype, x.device, rest) for rest in rests]
    spikes, *states = run(x, *states)
    for state in states:
        spikes = hand_on(group, spikes, state)
    return spikes


def pass_through_time(
    run: Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]], x: Tensor, shape: Sequence[int]
) -> Tensor:
    """Return the spikes of ``spikes, state = run(x, state)``, whose state is data of that shape.

    No gradient passes from step to step, and so none from process to process.
    """
    group, state = current(), None
    if group is not None and not group.is_first:
        dtype = torch.promote_types(x.dtype, torch.float32)
        into = torch.empty(*shape, dtype=dtype, device=x.device)
        state = group.receive(into, group.rank - 1)
    spikes, state = run(x, state)
    if group is not None and not group.is_last:
        group.send(state.to(torch.promote_types(x.dtype, torch.float32)), group.rank + 1)
    return spikes


def before_own(
    group: TimeGroup,
    shape: Sequence[int],
    dtype: torch.dtype,
    device: torch.device,
    rest: float = 0.0,
) -> Tensor:
    """Return what the process before handed on; the first process has `rest` instead."""
    return _Receive.apply(group.token, shape, dtype, device, rest, group)


def hand_on(group: TimeGroup, x: Tensor, state: Tensor) -> Tensor:
    """Return `x`, and send the state to the next process as its :func:`before_own`."""
    return _HandOn.apply(x, state, group)


def join_steps(x: Tensor, group: TimeGroup, gather: type[Function]) -> Tensor:
    """Concatenate chunks of unequal numbers of steps."""
    n_padding = max(group.chunks) - x.shape[0]
    padded = torch.cat([x, x.new_zeros(n_padding, *x.shape[1:])]) if n_padding else x
    parts = gather.apply(padded, group)
    return torch.cat([part[:n] for part, n in zip(parts, group.chunks, strict=True)])


# --- Messages and their mirror images ---


class _Receive(Function):
    """Receive a state from the process before; its gradient goes back there."""

    @staticmethod
    def forward(ctx, token, shape, dtype, device, rest, group):
        ctx.group = group
        state = torch.full(shape, rest, dtype=dtype, device=device)
        return state if group.is_first else group.receive(state, group.rank - 1)

    @staticmethod
    @once_differentiable
    def backward(ctx, dstate):
        if not ctx.group.is_first:
            ctx.group.send(dstate, ctx.group.rank - 1)
        return None, None, None, None, None, None


class _HandOn(Function):
    """Send a state to the next process; its gradient comes back from there."""

    @staticmethod
    def forward(ctx, x, state, group):
        ctx.group, ctx.state = group, (state.shape, state.dtype, state.device)
        if not group.is_last:
            group.send(state, group.rank + 1)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx, dx):
        if ctx.group.is_last:
            return dx, None, None
        shape, dtype, device = ctx.state
        dstate = torch.empty(shape, dtype=dtype, device=device)
        return dx, ctx.group.receive(dstate, ctx.group.rank + 1), None


class _Gather(Function):
    """Stack the tensors of all processes, each of which goes on to use all of them."""

    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        return group.gather(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        return ctx.group.sum(dy)[ctx.group.rank], None


class GatherAlike(Function):
    """Stack the tensors of all processes, each of which goes on to compute the same from them."""

    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        return group.gather(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        return dy[ctx.group.rank], None


class Enter(Function):
    """Pass on the input and the parameters, whose gradients are summed over the processes.

    The token that comes first depends on all of them: whichever gradient is asked for, the
    messages that carry it take part in the backward pass.
    """

    @staticmethod
    def forward(ctx, group, x, *parameters):
        ctx.group = group
        ctx.set_materialize_grads(False)
        ctx.shapes = [(p.shape, p.dtype, p.device) for p in parameters]
        # Detached, they are no views, which may not be changed in place, as neurons' parameters are
        return torch.zeros(()), x, *(p.detach() for p in parameters)

    @staticmethod
    @once_differentiable
    def backward(ctx, _, dx, *gradients):
        gradients = _sum_gradients(ctx.group, gradients, ctx.shapes)
        ctx.group.finish()
        return None, dx, *gradients


def _sum_gradients(group, gradients, shapes):
    """Sum gradients over the processes in one message for each dtype; None where none has one."""
    found: list[Tensor | None] = [None] * len(gradients)
    for dtype in dict.fromkeys(dtype for _, dtype, _ in shapes):
        members = [i for i, shape in enumerate(shapes) if shape[1] == dtype]
        device = shapes[members[0]][2]
        pieces = [
            torch.zeros(shapes[i][0], dtype=dtype, device=device)
            if gradients[i] is None
            else gradients[i]
            for i in members
        ]
        used = torch.tensor([gradients[i] is not None for i in members]).to(device, dtype)
        total = group.sum(torch.cat([used, *(piece.flatten() for piece in pieces)]))
        used, *sums = total.split([len(members), *(piece.numel() for piece in pieces)])
        for i, piece, total, n in zip(members, pieces, sums, used.tolist(), strict=True):
            found[i] = total.view(piece.shape) if n > 0 else None
    return found
