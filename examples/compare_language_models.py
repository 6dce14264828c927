"""
Language models: spikes, a GRU, and counts
==========================================

Perplexity of models of the same words: :class:`skspike.estimators.SpikingSSMLanguageModel` with a
block that is told by each word what to forget, a GRU of the same size, embedding, softmax and
optimizer, both with and without the same :class:`skspike.nn.TokenMemory`, and a trigram model with
modified Kneser-Ney smoothing (Chen and Goodman, 1999). The folder holds ``valid.txt``, which they
learn from, and ``test.txt``, such as the two smaller files of WikiText-2. Progress goes to stderr,
a table to stdout::

    python examples/compare_language_models.py --data wikitext-2

With the 217,646 words of that ``valid.txt``, the spiking network has a perplexity of 93.1, and of
88.1 with the memory, the GRU 90.0 and 85.2, the trigram model 136.0. One thread takes seven minutes
where the processor has instructions for bfloat16; where it has none, ``--precision auto`` takes
float32: twelve minutes, and 92.8, 88.3, 89.9 and 85.2.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from argparse import RawDescriptionHelpFormatter
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from skspike import SpikingSSMLanguageModel
from skspike.nn import AdaptiveEmbedding, AdaptiveSoftmax, Dropout, TokenMemory


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="folder of valid.txt, test.txt")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("auto", "bfloat16", "float32"), default="auto")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


class GRUDecoder(nn.Module):
    """Layers of GRU between an adaptive embedding and the softmax tied to it."""

    blocks = ()  # none of them spikes

    def __init__(self, vocabulary_size: int, n_layers: int, width: int, **options) -> None:
        super().__init__()
        self.embedding = AdaptiveEmbedding(
            vocabulary_size,
            width,
            options["cutoffs"],
            options["division"],
            dropout=options["embedding_dropout"],
        )
        self.layers = nn.ModuleList(nn.GRU(width, width) for _ in range(n_layers))
        self.dropout = Dropout(options["dropout"])
        self.softmax = AdaptiveSoftmax(self.embedding, dropout=options["softmax_dropout"])
        self.memory = TokenMemory(vocabulary_size, width) if options["memory"] else None

    def stream_features(self, tokens, state=None):
        """Return what the softmax is given, and the state after the tokens."""
        e = x = self.embedding(tokens)
        before, after = state or [(None,)] * (len(self.layers) + 1), []
        for layer, held in zip(self.layers, before, strict=False):
            x, now = layer(x, *held)
            x = self.dropout(x)
            after.append((now,))
        if self.memory is None:
            return x, after
        y, sums = self.memory.stream(tokens, e, *before[-1])
        return x + y, [*after, (sums,)]

    def slow_parameters(self) -> list:
        """Return the rates of the memory: all else has the same learning rate."""
        return [] if self.memory is None else [self.memory.log_rate]


class GRULanguageModel(SpikingSSMLanguageModel):
    """The same language model around another network."""

    def _make_model(self) -> GRUDecoder:
        """Build the network."""
        params = self.get_params()
        names = ("n_layers", "width", "cutoffs", "division", "dropout", "embedding_dropout")
        options = {name: params[name] for name in (*names, "softmax_dropout", "memory")}
        return GRUDecoder(len(self.vocabulary_), **options)


class KneserNey:
    """Trigram probabilities, interpolated with those of bigrams, words and the vocabulary.

    Parameters
    ----------
    numbers : list of int
        The words to learn from.
    n_words : int
        Size of the vocabulary.
    """

    def __init__(self, numbers: list[int], n_words: int) -> None:
        self.n_words = n_words
        counts = Counter(zip(numbers, numbers[1:], numbers[2:], strict=False))
        self.orders = []
        for _ in range(3):
            self.orders.insert(0, self._discounted(counts))
            # below the highest order: in how many contexts, not how often
            counts = Counter(gram[1:] for gram in counts)

    def probability(self, context: tuple[int, ...], word: int) -> float:
        """Return the probability of a word after two."""
        p = 1 / self.n_words
        for length, (kept, left, total) in enumerate(self.orders):
            seen = context[len(context) - length :]
            if seen in total:
                p = (kept.get((*seen, word), 0.0) + left[seen] * p) / total[seen]
        return p

    def perplexity(self, numbers: list[int]) -> float:
        """Return the perplexity of all words behind the first two."""
        grams = Counter(zip(numbers, numbers[1:], numbers[2:], strict=False))
        loss = -sum(n * math.log(self.probability(gram[:2], gram[2])) for gram, n in grams.items())
        return math.exp(loss / grams.total())

    def check(self, contexts: list[tuple[int, ...]]) -> None:
        """Raise unless the probabilities of all words sum to one after each context."""
        for context in contexts:
            total = sum(self.probability(context, word) for word in range(self.n_words))
            if abs(total - 1) > 1e-9:
                raise RuntimeError(f"The probabilities after {context} sum to {total}.")

    @staticmethod
    def _discounted(counts: Counter) -> tuple[dict, dict, dict]:
        """Return counts less discounts and, of each context, the discounts and the total."""
        n = Counter(counts.values())
        y = n[1] / (n[1] + 2 * n[2])
        discounts = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
        kept, left, total = {}, defaultdict(float), defaultdict(float)
        for gram, count in counts.items():
            discount = discounts[min(count, 3) - 1]
            kept[gram] = count - discount
            left[gram[:-1]] += discount
            total[gram[:-1]] += count
        return kept, dict(left), dict(total)


def make_models(args: argparse.Namespace) -> dict[str, SpikingSSMLanguageModel]:
    """Return the networks: equal in size and recipe, but for what was best for each."""
    shared = {
        "tokenizer": "word",
        "min_freq": 3,  # as WikiText does with its training text
        "n_layers": 1,
        "width": 192,
        "dropout": 0.0,
        "cutoffs": (1000, 3000),
        "embedding_dropout": 0.1,
        "softmax_dropout": 0.6,
        "weight_decay": 0.3,
        "precision": args.precision,
        "max_epochs": args.epochs,
        "random_state": args.seed,
        "verbose": 1,
    }
    # nothing but spikes leaves the block, as nothing but its state leaves a GRU
    of_ssm = {"block": "selective", "residual": False, "final_norm": False, "project": False}
    of_ssm |= {"dt_min": 0.05, "dt_max": 2.0}
    return {
        "spiking SSM": SpikingSSMLanguageModel(**shared, **of_ssm),
        "spiking SSM with the memory": SpikingSSMLanguageModel(**shared, **of_ssm, memory=True),
        "GRU": GRULanguageModel(**shared),
        "GRU with the memory": GRULanguageModel(**shared, memory=True),
    }


def fit_and_score(model, train: str, test: str) -> tuple[float, float]:
    """Return the perplexity of the test text and the CPU seconds of the fit."""
    start = time.process_time()
    model.fit(train)
    seconds = time.process_time() - start
    return model.perplexity(test), seconds


def fit_and_score_trigrams(vocabulary: list, train: str, test: str) -> tuple[float, float]:
    """Return the perplexity and the CPU seconds of the trigram model, with the same vocabulary."""
    start = time.process_time()
    index = {word: number for number, word in enumerate(vocabulary)}
    numbers = [[index.get(w, index["<unk>"]) for w in words(text)] for text in (train, test)]
    end = index["<eos>"]
    model = KneserNey([end, end, *numbers[0]], len(vocabulary))
    rng = np.random.default_rng(0)
    places = rng.integers(2, len(numbers[1]), 20)
    model.check([tuple(numbers[1][i - 2 : i]) for i in places])
    seconds = time.process_time() - start
    return model.perplexity([end, end, *numbers[1]]), seconds


def words(text: str) -> list[str]:
    """Return the words of a text as ``tokenizer="word"`` does."""
    return text.replace("\n", " <eos> ").split()


def main() -> None:
    """Fit the models and print a table."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    train, test = ((args.data / name).read_text("utf-8") for name in ("valid.txt", "test.txt"))
    rows, fire = [], []
    for name, model in make_models(args).items():
        perplexity, seconds = fit_and_score(model, train, test)
        size = sum(p.numel() for p in model.model_.parameters())
        rows.append((name, size, seconds, perplexity))
        print(f"{name}: perplexity {perplexity:.1f}, {seconds:.0f} CPU s", file=sys.stderr)
        if len(model.firing_rates_) > 0:
            fire.append(f"{100 * (1 - model.sparsity_):.1f} % ({name})")
    perplexity, seconds = fit_and_score_trigrams(model.vocabulary_, train, test)
    rows.append(("trigrams (Kneser-Ney)", 0, seconds, perplexity))
    print(f"{len(words(train)):,} words to learn from, {len(words(test)):,} to test on,", end=" ")
    print(f"{len(model.vocabulary_):,} different ones")
    print(f"{'model':28}{'parameters':>12}{'CPU s':>10}{'perplexity':>12}")
    for name, size, seconds, perplexity in rows:
        print(f"{name:28}{size or '':>12}{seconds:>10.0f}{perplexity:>12.1f}")
    print(f"neurons that fire in a step: {', '.join(fire)}")


if __name__ == "__main__":
    main()
