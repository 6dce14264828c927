"""The permutation by which torch splits data at random, without torch."""

from __future__ import annotations

import numpy as np


def torch_permutation(n: int, seed: int) -> np.ndarray:
    """Return ``torch.randperm(n)`` of a generator on the CPU with a seed.

    It exchanges each position with one from there on, drawn by a Mersenne Twister, whose 32 bits
    are taken modulo the number of these.
    """
    draws = np.random.RandomState(seed).randint(0, 2**32, size=n, dtype=np.uint32)
    order = list(range(n))
    for i, step in enumerate((draws % np.arange(n, 0, -1)).tolist()):
        order[i], order[i + step] = order[i + step], order[i]
    return np.array(order, np.int64)
