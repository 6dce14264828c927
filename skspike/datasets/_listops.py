"""ListOps: nested operations on lists of digits, written as tokens."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from .._validation import check_number
from ._camera import draw_seed
from ._listops_forest import Forest, draw_forest
from ._ragged import split

# The operators in the order of their numbers.
VOCABULARY = ("<pad>", "<unk>", "<eos>", *"0123456789", "[MIN", "[MAX", "[MED", "[SM", "]")

_EOS, _ZERO, _OPERATOR, _END = map(VOCABULARY.index, ("<eos>", "0", "[MIN", "]"))
_BATCH = 1000  # expressions that are drawn at a time
_PATIENCE = 200  # batches without a new expression, after which there seem to be no more

_DESCR = """\
ListOps
-------

Nested operations on lists of digits, as "[MAX 2 9 [MIN 4 7 ] 0 ]", of which the value is a digit.
The grammar is that of N. Nangia and S. R. Bowman, "ListOps: a diagnostic dataset for latent tree
learning", NAACL student research workshop, 2018, with the probabilities and the lengths of Y. Tay
et al., "Long Range Arena: a benchmark for efficient transformers", ICLR 2021.
"""


def make_listops(
    n_samples=100,
    *,
    min_length=500,
    max_length=2000,
    max_depth=10,
    max_args=10,
    append_eos=True,
    return_X_y=True,
    random_state=None,
):
    """Invent nested operations on lists of digits, whose value is the class.

    Expressions such as ``[MAX 2 9 [MIN 4 7 ] 0 ]`` by the grammar of [1]_, drawn as the Long Range
    Arena [2]_ draws them. Its data have the lengths and the depth that are the defaults here.

    Parameters
    ----------
    n_samples : int, default=100
        Number of expressions; no two are the same.
    min_length : int, default=500
        Every expression has more tokens than this.
    max_length : int, default=2000
        Every expression has fewer tokens than this.
    max_depth : int, default=10
        Number of levels, those of the digits included: operators nest up to ``max_depth - 1``
        deep.
    max_args : int, default=10
        Largest number of arguments of an operator.
    append_eos : bool, default=True
        Whether a token ``<eos>`` follows each expression; the limits of the length do not count
        it.
    return_X_y : bool, default=True
        Whether to return ``(data, target)``, or a Bunch.
    random_state : int, RandomState instance, Generator or None, default=None
        Determines the expressions. Pass an int for the same ones in every call.

    Returns
    -------
    (data, target) : tuple
        Expressions and classes:

        data : object ndarray of `n_samples` int64 arrays of shape (n_tokens,)
            The expressions, as numbers of tokens.
        target : ndarray of shape (n_samples,)
            Their values, from 0 to 9; some are more frequent than others.
    data : :class:`~sklearn.utils.Bunch`
        With ``return_X_y=False``: these two as attributes, and in addition

        vocabulary : ndarray of str of shape (18,)
            The tokens by their numbers.
        target_names : ndarray of str of shape (10,)
            The names of the classes.
        DESCR : str
            A description.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or if there are not as many different expressions of
        such lengths.

    Notes
    -----
    The grammar, with the probability of each choice::

        expression, at depth 1 .. max_depth - 1:  1/4 operation, 3/4 digit
        expression, at depth max_depth:           digit
        operation:  operator expression ... expression "]"
                    of 2 .. max_args arguments, each number as likely as the others
        operator:   "[MIN" | "[MAX" | "[MED" | "[SM", equally likely
        digit:      "0" .. "9", equally likely

    ``[MIN``, ``[MAX`` and ``[MED`` are the smallest, the largest and the median argument, ``[SM``
    is the sum modulo 10. The median of an even number of arguments is the mean of the middle two,
    rounded down. Expressions are drawn until enough are of a permitted length and new.

    The tokens are numbered ``<pad>`` 0, ``<unk>`` 1, ``<eos>`` 2, the digits 3 to 12, ``[MIN`` 13,
    ``[MAX`` 14, ``[MED`` 15, ``[SM`` 16 and ``]`` 17. These are the 18 of the code of S4, which
    numbers all after ``<eos>`` by their frequency; only the order of the rows of an embedding
    differs.

    References
    ----------
    .. [1] N. Nangia and S. R. Bowman, "ListOps: a diagnostic dataset for latent tree learning",
       NAACL student research workshop, 2018.
    .. [2] Y. Tay et al., "Long Range Arena: a benchmark for efficient transformers",
       International Conference on Learning Representations, 2021.

    Examples
    --------
    >>> from skspike.datasets import make_listops
    >>> listops = make_listops(3, min_length=5, max_length=20, return_X_y=False, random_state=1)
    >>> print(*listops.vocabulary[listops.data[0]], "is", listops.target[0])
    [MIN 5 4 5 0 0 4 ] <eos> is 0
    """
    owner = "make_listops"
    check_number(owner, "n_samples", n_samples, 1, integer=True)
    check_number(owner, "min_length", min_length, 1, integer=True)
    check_number(owner, "max_length", max_length, min_length + 2, integer=True)
    check_number(owner, "max_depth", max_depth, 2, 100, integer=True)
    check_number(owner, "max_args", max_args, 2, 1000, integer=True)
    rng = np.random.default_rng(draw_seed(owner, random_state))
    found = _draw(n_samples, rng, min_length, max_length, max_depth, max_args)
    tokens = [np.append(t, _EOS) if append_eos else t for t, _ in found]
    data = split(np.concatenate(tokens), [*map(len, tokens)])
    target = np.array([value for _, value in found])
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        vocabulary=np.array(VOCABULARY),
        target_names=np.arange(10).astype(str),
        DESCR=_DESCR,
    )


def _draw(n_samples: int, rng, low: int, high: int, max_depth: int, max_args: int):
    """Return (tokens, value) of as many different expressions."""
    found: dict[bytes, tuple[np.ndarray, int]] = {}
    in_vain = 0
    while len(found) < n_samples:
        before = len(found)
        forest = draw_forest(rng, _BATCH, low, high, max_depth, max_args)
        for tokens, value in zip(_write(forest), forest.values()[0], strict=True):
            found.setdefault(tokens.tobytes(), (tokens, int(value)))
        in_vain = 0 if len(found) > before else in_vain + 1
        if in_vain > _PATIENCE:
            raise ValueError(
                f"The limits of make_listops must leave room for {n_samples} different "
                f"expressions. Got {len(found)} of more than {low} and fewer than {high} tokens "
                f"instead, with max_depth={max_depth} and max_args={max_args}."
            )
    return list(found.values())[:n_samples]


def _write(forest: Forest) -> np.ndarray:
    """Return the tokens of each tree."""
    lengths = forest.lengths()
    tokens = np.empty(lengths[0].sum(), np.int64)
    for begin, length, level in zip(forest.places(lengths), lengths, forest.levels, strict=True):
        tokens[begin] = level.label + np.where(level.inner, _OPERATOR, _ZERO)
        tokens[(begin + length - 1)[level.inner]] = _END
    return split(tokens, lengths[0])
