"""Many random expressions at once: trees of operators and digits, level by level.

A level is all nodes of a depth, from left to right. The arguments of its operators, in order, are
the next level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN, MAX, MED, SM = range(4)
_P_OPERATOR = 0.25
_BRACKETS = 2  # tokens of an operator beside its arguments


@dataclass
class Level:
    """The nodes of a depth."""

    n_args: np.ndarray  # of each node; a digit has none
    label: np.ndarray  # the digit, or the operator
    tree: np.ndarray  # the number of the tree

    @property
    def inner(self) -> np.ndarray:
        """Tell which nodes are operators."""
        return self.n_args > 0

    @property
    def starts(self) -> np.ndarray:
        """Return where the arguments of each operator begin, in the next level."""
        n_args = self.n_args[self.inner]
        return np.cumsum(n_args) - n_args

    def take(self, chosen: np.ndarray, tree: np.ndarray) -> Level:
        """Return some of the nodes, with other numbers of trees."""
        return Level(self.n_args[chosen], self.label[chosen], tree[self.tree[chosen]])


class Forest:
    """Trees whose roots are the first of some levels."""

    def __init__(self, levels: list[Level]) -> None:
        self.levels = levels

    def lengths(self) -> list[np.ndarray]:
        """Return the number of tokens of each node and what is below it."""
        lengths = [np.ones(len(level.label), np.int64) for level in self.levels]
        for k in reversed(range(len(lengths) - 1)):
            inner = self.levels[k].inner
            lengths[k][inner] = _BRACKETS + _fold(np.add, lengths[k + 1], self.levels[k])
        return lengths

    def places(self, lengths: list[np.ndarray]) -> list[np.ndarray]:
        """Return the position of the first token of each node, all trees behind each other."""
        places = [np.cumsum(lengths[0]) - lengths[0]]
        for level, length in zip(self.levels, lengths[1:], strict=False):
            before = np.cumsum(length) - length  # tokens of all nodes to the left
            begin = places[-1][level.inner] + 1  # behind the operator
            shift = begin - before[level.starts]
            places.append(before + np.repeat(shift, level.n_args[level.inner]))
        return places

    def values(self) -> list[np.ndarray]:
        """Return the value of each node."""
        values = [level.label.copy() for level in self.levels]
        for k in reversed(range(len(values) - 1)):
            inner = self.levels[k].inner
            values[k][inner] = _operate(values[k + 1], self.levels[k])
        return values


def draw_forest(rng, n_trees: int, low: int, high: int, max_depth: int, max_args: int) -> Forest:
    """Draw trees that begin with an operator; return those of a permitted number of tokens.

    A tree is given up at the level where it gets too long: it can only grow.
    """
    levels = [_draw_level(rng, np.arange(n_trees), 1.0, max_args)]
    length = np.ones(n_trees, np.int64)
    for depth in range(2, max_depth + 1):
        above = levels[-1]
        length += np.bincount(above.tree, _growth(above.n_args), minlength=n_trees).astype(int)
        above.n_args[length[above.tree] >= high] = 0
        tree = np.repeat(above.tree, above.n_args)
        levels.append(_draw_level(rng, tree, _P_OPERATOR * (depth < max_depth), max_args))
    return _select(levels, (low < length) & (length < high))


def _draw_level(rng, tree: np.ndarray, p_operator: float, max_args: int) -> Level:
    """Draw the nodes of a depth."""
    inner = rng.random(len(tree)) < p_operator
    n_args = np.where(inner, rng.integers(2, max_args + 1, len(tree)), 0)
    label = np.where(inner, rng.integers(4, size=len(tree)), rng.integers(10, size=len(tree)))
    return Level(n_args, label, tree)


def _growth(n_args: np.ndarray) -> np.ndarray:
    """Return how many tokens a node adds to its tree beside its own."""
    return np.where(n_args > 0, n_args + _BRACKETS - 1, 0)


def _select(levels: list[Level], chosen: np.ndarray) -> Forest:
    """Return the chosen trees, numbered anew."""
    tree = np.cumsum(chosen) - 1
    return Forest([level.take(chosen[level.tree], tree) for level in levels])


def _fold(ufunc: np.ufunc, below: np.ndarray, level: Level) -> np.ndarray:
    """Reduce the arguments of each operator to a number."""
    starts = level.starts
    return ufunc.reduceat(below, starts) if len(starts) else below[:0]


def _operate(below: np.ndarray, level: Level) -> np.ndarray:
    """Return the value of each operator."""
    every = np.empty((4, level.inner.sum()), np.int64)
    every[MIN] = _fold(np.minimum, below, level)
    every[MAX] = _fold(np.maximum, below, level)
    every[MED] = _median(below, level)
    every[SM] = _fold(np.add, below, level) % 10
    return np.take_along_axis(every, level.label[None, level.inner], axis=0)[0]


def _median(below: np.ndarray, level: Level) -> np.ndarray:
    """Return the median of the arguments of each operator, rounded down."""
    n_args = level.n_args[level.inner]
    operator = np.repeat(np.arange(len(n_args)), n_args)
    ordered = below[np.lexsort((below, operator))]
    starts = level.starts
    return (ordered[starts + (n_args - 1) // 2] + ordered[starts + n_args // 2]) // 2
