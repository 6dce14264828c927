"""
Nested lists: spikes and a GRU of equal size
============================================

The value of nested operations on digits (ListOps) hangs on which bracket closes which. A spiking
network whose state space models are told by each token how much to forget, one with the published
models, which are not, and a GRU, all in both directions and read from the first and the last step,
learn it from 96,000 expressions and predict 10,000 others. Progress goes to stderr, a table to
stdout::

    python examples/classify_nested_lists.py
    python examples/classify_nested_lists.py --models GRU --seed 1

@TABLE@
"""

from __future__ import annotations

import argparse
import sys
import time
from argparse import RawDescriptionHelpFormatter

import numpy as np
import torch
from skorch.callbacks import GradientNormClipping
from torch import Tensor, nn

from skspike import SpikingSSMClassifier
from skspike.datasets import make_listops

N_TOKENS, N_TEST = 18, 10_000


class GRU(nn.Module):
    """A GRU of tokens in both directions, read from the last step of each.

    Parameters
    ----------
    n_classes : int
        Number of outputs.
    width : int
        Number of channels of a direction, and of a token.
    """

    def __init__(self, n_classes: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(N_TOKENS, width)
        self.ahead, self.back = nn.GRU(width, width), nn.GRU(width, width)
        self.decoder = nn.Linear(2 * width, n_classes)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the scores of the classes, of shape (1, n_samples, n_classes)."""
        if lengths is None:
            lengths = tokens.new_full(tokens.shape[1:], len(tokens))
        x, samples = self.embedding(tokens), torch.arange(len(lengths))
        ends = [
            layer(given)[0][lengths - 1, samples]
            for layer, given in ((self.ahead, x), (self.back, turned(x, lengths)))
        ]
        return self.decoder(torch.cat(ends, -1))[None]


def turned(x: Tensor, lengths: Tensor) -> Tensor:
    """Return sequences from their end to their beginning, what pads them still behind."""
    step = torch.arange(len(x))[:, None]
    source = torch.where(step < lengths, lengths - 1 - step, step)
    return x.gather(0, source[..., None].expand_as(x))


class GRUClassifier(SpikingSSMClassifier):
    """The same estimator around another network."""

    def _make_model(self, sample_shape: tuple, n_outputs: int) -> GRU:
        """Build the network."""
        return GRU(n_outputs, self.width)

    def _parameter_groups(self) -> list:
        """Return no group: all parameters have the same learning rate."""
        return []

    def _measure(self, X, rows: np.ndarray) -> np.ndarray:
        """Return that all neurons are active: none of them spikes."""
        return np.ones(1)


def make_models(seed: int, epochs: int) -> dict[str, SpikingSSMClassifier]:
    """Return the models, of equal size and each with what was best for its kind."""
    shared = {"n_tokens": N_TOKENS, "max_epochs": epochs, "dropout": 0.0, "random_state": seed}
    shared |= {"verbose": 1, "callbacks": [("clipping", GradientNormClipping(1.0))]}
    ssm = shared | {"bidirectional": True, "readout": "ends", "n_layers": 4, "lr": 0.004}
    ssm |= {"dt_min": 0.02, "dt_max": 2.0}
    selective = {"block": "selective", "width": 25, "expand": 4}
    return {
        "spikes, selective": SpikingSSMClassifier(**ssm, **selective),
        "spikes, S4D": SpikingSSMClassifier(**ssm, width=65, d_state=8),
        "GRU": GRUClassifier(**shared, width=59, lr=0.005),
    }


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=[*make_models(0, 1)], default=None)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--expressions", type=int, default=96_000, help="how many to learn from")
    parser.add_argument("--lengths", type=int, nargs=2, default=(20, 60), help="numbers of tokens")
    parser.add_argument("--depth", type=int, default=6, help="levels, digits included")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def first_token_accuracy(X_train, y_train, X_test, y_test) -> float:
    """Return the accuracy of the most frequent value of expressions that begin alike."""
    first, first_test = (np.array([x[0] for x in X]) for X in (X_train, X_test))
    best = {token: np.bincount(y_train[first == token]).argmax() for token in np.unique(first)}
    return float(np.mean([best[token] for token in first_test] == y_test))


def main() -> None:
    """Fit the models and print a table."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    shortest, longest = args.lengths
    X, y = make_listops(
        args.expressions + N_TEST,
        min_length=shortest,
        max_length=longest,
        max_depth=args.depth,
        random_state=0,
    )
    train, test = slice(N_TEST, None), slice(N_TEST)
    rows = [
        ("first token alone", 0, 0.0, first_token_accuracy(X[train], y[train], X[test], y[test]))
    ]
    for name, model in make_models(args.seed, args.epochs).items():
        if args.models is not None and name not in args.models:
            continue
        start = time.process_time()
        model.fit(X[train], y[train])
        seconds = time.process_time() - start
        size = sum(p.numel() for p in model.model_.parameters())
        rows.append((name, size, seconds, model.score(X[test], y[test])))
        print(f"{name}: accuracy {rows[-1][-1]:.3f}, {seconds:.0f} CPU s", file=sys.stderr)
    print(f"{'model':24}{'parameters':>12}{'CPU s':>8}{'accuracy':>10}")
    for name, size, seconds, accuracy in rows:
        print(f"{name:24}{size or '':>12}{seconds:>8.0f}{100 * accuracy:>8.1f} %")


if __name__ == "__main__":
    main()
