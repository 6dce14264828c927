"""How a language model is trained and scored: lanes of a long stream, segment by segment."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel

__all__ = ["LanguageTrainer", "autocast", "firing_rates", "mean_log_prob"]

_PAD = -1  # in place of a target that is not there
_CHUNK = 2**15  # tokens in a step of scoring, padding included


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Let torch choose where float32 weights compute in bfloat16, if the precision is that."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


class LanguageTrainer:
    """Trains a network on a long stream of tokens.

    The stream is cut into `batch_size` lanes that are read side by side. A step of the optimizer
    sees the next `segment_length` tokens of each lane and goes on from the state after those
    before, through which no gradient flows.

    Parameters
    ----------
    model : SpikingSSMDecoder
    precision : {"float32", "bfloat16"}
    batch_size, segment_length : int
    lr, ssm_lr, weight_decay : float
    schedule : {"cosine"} or None
    warmup : float
        Share of all steps in which the learning rate rises from zero.
    max_epochs : int
    max_grad_norm : float or None
    averaging : float
        Share of the average of the weights that a step leaves as it is; 0 averages nothing.
    """

    def __init__(
        self,
        model,
        *,
        precision,
        batch_size,
        segment_length,
        lr,
        ssm_lr,
        weight_decay,
        schedule,
        warmup,
        max_epochs,
        max_grad_norm,
        averaging,
    ) -> None:
        self.model, self.precision = model, precision
        self.batch_size, self.segment_length = batch_size, segment_length
        self.schedule, self.warmup, self.max_epochs = schedule, warmup, max_epochs
        self.max_grad_norm = max_grad_norm
        self.optimizer = torch.optim.AdamW(
            _groups(model, lr, ssm_lr, weight_decay), lr=lr, fused=True
        )
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.average = None
        if averaging:
            self.average = AveragedModel(model, multi_avg_fn=partial(_move, averaging))
        self.n_steps = 0

    @property
    def result(self) -> torch.nn.Module:
        """Return the network with the weights to use: their average, or else the present ones."""
        return self.model if self.average is None else self.average.module

    def run_epoch(self, numbers: np.ndarray, rng: np.random.RandomState) -> float:
        """Show the stream once; return the mean loss of a token."""
        device = self.model.softmax.biases[0].device
        inputs, targets = _lanes(torch.from_numpy(numbers), self.batch_size)
        cuts = _cuts(len(inputs), self.segment_length, rng)
        # an epoch whose first segment is short may have one step more
        total = self.max_epochs * (math.ceil(len(inputs) / self.segment_length) + 1)
        self.model.train()
        state, losses = None, []
        for first, end in pairwise(cuts):
            self._set_rates(self.n_steps / total)
            x, y = inputs[first:end].to(device), targets[first:end].to(device)
            loss, state = self._step(x, y, state)
            losses.append(loss * ((end - first) / len(inputs)))
            self.n_steps += 1
        return float(torch.stack(losses).sum())  # the device is waited for once an epoch

    def _step(self, x: Tensor, y: Tensor, state: list | None) -> tuple[Tensor, list]:
        """Take one step of the optimizer; return the loss and the state after it, as data."""
        with autocast(x.device, self.precision):
            h, state = self.model.stream_features(x, state)
            loss = self.model.softmax(h, y).mean()
        self.optimizer.zero_grad()
        loss.backward()
        if self.max_grad_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return loss.detach(), [tuple(part.detach() for part in block) for block in state]

    def _set_rates(self, done: float) -> None:
        """Set the learning rates when this share of all steps is done."""
        factor = min(1.0, (done + 1e-3) / self.warmup) if self.warmup else 1.0
        if self.schedule == "cosine":
            left = max(0.0, 1 - max(0.0, done - self.warmup) / (1 - self.warmup))
            factor *= 0.5 * (1 - math.cos(math.pi * left))
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor


class BestWeights:
    """The weights of the epoch with the lowest loss, and whether it is time to stop.

    Parameters
    ----------
    patience : int
        Number of epochs without progress after which to stop.
    tol : float
        By how much the loss must fall to count as progress.
    """

    def __init__(self, patience: int, tol: float) -> None:
        self.patience, self.tol = patience, tol
        self.loss, self.waited, self.state = math.inf, 0, None

    def is_over(self, loss: float, model: torch.nn.Module) -> bool:
        """Take note of the loss after an epoch; tell whether there was no progress for long."""
        self.waited = 0 if loss < self.loss - self.tol else self.waited + 1
        if loss < self.loss:
            self.loss, self.state = loss, copy.deepcopy(model.state_dict())
        return self.waited >= self.patience

    def restore(self, model: torch.nn.Module) -> None:
        """Give the model its best weights back."""
        if self.state is not None:
            model.load_state_dict(self.state)


def mean_log_prob(model, sequences: Sequence[np.ndarray], precision: str) -> float:
    """Return the mean logarithm of the probability of each token of sequences but their first.

    Each sequence begins at rest. Sequences of similar length are read side by side.
    """
    model.eval()
    total, count = 0.0, 0
    for inputs, targets in _padded(sequences):
        device, state = model.softmax.biases[0].device, None
        length = max(1, _CHUNK // inputs.shape[1])
        for x, y in zip(inputs.split(length), targets.split(length), strict=True):
            with torch.inference_mode(), autocast(device, precision):
                h, state = model.stream_features(x.to(device), state)
                seen = y != _PAD
                total += float(model.softmax(h[seen], y[seen].to(device)).double().sum())
            count += int(seen.sum())
    return -total / count


def firing_rates(model, numbers: np.ndarray, precision: str) -> tuple[np.ndarray, float]:
    """Return the spikes of a neuron in a step, of each block, and the share of those that rest."""
    rates: list[float] = []
    rests: list[float] = []

    def measure(_, args) -> None:
        rates.append(float(args[0].float().mean()))
        rests.append(float((args[0] == 0).float().mean()))

    hooks = [block.mix.register_forward_pre_hook(measure) for block in model.eval().blocks]
    device = model.softmax.biases[0].device
    with torch.inference_mode(), autocast(device, precision):
        model.stream_features(torch.from_numpy(numbers)[:, None].to(device))
    for hook in hooks:
        hook.remove()
    return np.array(rates), float(np.mean(rests)) if rests else 0.0


@torch.no_grad()
def _move(averaging: float, average: list, weights: list, n: Tensor) -> None:
    """Move an average towards the present weights; the first steps, of which it knows few, more."""
    kept = min(averaging, (int(n) + 1) / (int(n) + 10))
    for a, w in zip(average, weights, strict=True):
        a.lerp_(w, 1 - kept)


def _groups(model, lr: float, ssm_lr: float, weight_decay: float) -> list[dict]:
    """Divide the parameters: the slow ones and vectors do not decay."""
    slow = model.slow_parameters()
    others = [p for p in model.parameters() if not any(p is q for q in slow)]
    return [
        {"params": slow, "lr": min(lr, ssm_lr), "weight_decay": 0.0},
        {"params": [p for p in others if p.ndim < 2], "lr": lr, "weight_decay": 0.0},
        {"params": [p for p in others if p.ndim >= 2], "lr": lr, "weight_decay": weight_decay},
    ]


def _lanes(numbers: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """Cut a stream into lanes (n_steps, n_lanes), and the same one token later."""
    n_lanes = min(batch_size, len(numbers) - 1)
    length = (len(numbers) - 1) // n_lanes
    shape, used = (n_lanes, length), n_lanes * length
    return numbers[:used].view(shape).T, numbers[1 : used + 1].view(shape).T


def _cuts(n_steps: int, segment_length: int, rng: np.random.RandomState) -> list[int]:
    """Return where segments begin and end; the first one has a random length."""
    first = rng.randint(1, segment_length + 1)
    return [0, *range(first, n_steps, segment_length), n_steps]


def _padded(sequences: Sequence[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs and targets of sequences of similar length, (n_steps, n_sequences)."""
    order = sorted((s for s in sequences if len(s) > 1), key=len)
    while order:
        n = max(1, min(64, _CHUNK // len(order[-1])))
        group, order = order[-n:], order[:-n]
        padded = torch.full((len(group[-1]), len(group)), _PAD)
        for i, sequence in enumerate(group):
            padded[: len(sequence), i] = torch.from_numpy(sequence)
        yield padded[:-1].clamp(min=0), padded[1:]
