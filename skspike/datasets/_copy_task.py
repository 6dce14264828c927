"""The copy task: to remember symbols over a delay."""

from __future__ import annotations

import numpy as np

from .._validation import check_choice, check_number
from ._camera import draw_seed


def make_copy_task(
    n_samples=100,
    *,
    n_symbols=8,
    n_memorize=10,
    delay=100,
    target="steps",
    one_hot=True,
    random_state=None,
):
    """Invent sequences of symbols that are to be recalled after a delay.

    The copying memory problem [1]_, as stated in [2]_: random symbols, a delay of blanks at whose
    end a delimiter stands, and as many blanks again, during which the symbols are to be told.

    Parameters
    ----------
    n_samples : int, default=100
        Number of sequences.
    n_symbols : int, default=8
        Number of different symbols.
    n_memorize : int, default=10
        Number of symbols to remember.
    delay : int, default=100
        Number of steps between the last symbol and the recall of the first one, at least 1.
    target : {"steps", "first"}, default="steps"
        What `y` tells: what is to be told at each step, or the first symbol of the sequence, as the
        class of a classifier.
    one_hot : bool, default=True
        Whether each step is a vector with a single 1, or a number.
    random_state : int, RandomState instance, Generator or None, default=None
        Determines the symbols. Pass an int for the same ones in every call.

    Returns
    -------
    X : ndarray of shape (n_samples, n_steps, n_symbols + 2) or (n_samples, n_steps)
        The sequences, of ``n_steps = delay + 2 * n_memorize``: one-hot in float32, or numbers in
        int64. Symbols are 0 to ``n_symbols - 1``, the blank is `n_symbols`, the delimiter
        ``n_symbols + 1``.
    y : ndarray of shape (n_samples, n_steps) or (n_samples,)
        With "steps" blanks, and in the last `n_memorize` steps the symbols in their order; with
        "first" the first symbols, as equally frequent as possible.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    Symbols are drawn uniformly and independently, but for the first ones with "first". The
    delimiter is the last of the steps of the delay.

    Without memory, the best that one can do with "steps" is to tell blanks until the delimiter has
    passed and to guess then: a cross-entropy of ``n_memorize * log(n_symbols) / n_steps`` for each
    step [2]_. With "first" it is an accuracy of ``1 / n_symbols``.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation
       9(8):1735-1780, 1997.
    .. [2] M. Arjovsky, A. Shah and Y. Bengio, "Unitary evolution recurrent neural networks",
       International Conference on Machine Learning, 2016.

    Examples
    --------
    >>> from skspike.datasets import make_copy_task
    >>> X, y = make_copy_task(
    ...     1, n_symbols=4, n_memorize=3, delay=5, one_hot=False, random_state=0
    ... )
    >>> X
    array([[3, 2, 2, 4, 4, 4, 4, 5, 4, 4, 4]])
    >>> y
    array([[4, 4, 4, 4, 4, 4, 4, 4, 3, 2, 2]])
    """
    owner = "make_copy_task"
    check_number(owner, "n_samples", n_samples, 1, integer=True)
    check_number(owner, "n_symbols", n_symbols, 2, integer=True)
    check_number(owner, "n_memorize", n_memorize, 1, integer=True)
    check_number(owner, "delay", delay, 1, integer=True)
    check_choice(owner, "target", target, ("steps", "first"))
    rng = np.random.default_rng(draw_seed(owner, random_state))
    symbols = rng.integers(n_symbols, size=(n_samples, n_memorize))
    if target == "first":
        symbols[:, 0] = rng.permutation(np.arange(n_samples) % n_symbols)
    X = np.full((n_samples, delay + 2 * n_memorize), n_symbols)
    y = X.copy()
    X[:, :n_memorize] = symbols
    X[:, n_memorize + delay - 1] = n_symbols + 1
    y[:, -n_memorize:] = symbols
    if one_hot:
        X = np.eye(n_symbols + 2, dtype=np.float32)[X]
    return X, y if target == "steps" else symbols[:, 0]
