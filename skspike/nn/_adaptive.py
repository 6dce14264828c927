"""Vectors for the words of a large vocabulary, and the softmax over it, rare words in clusters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._validation import check_number


class AdaptiveEmbedding(nn.Module):
    r"""Vectors for tokens, the rarer the fewer numbers.

    Tokens are numbered by falling frequency. `cutoffs` divide them into clusters; the token w of
    cluster i has :math:`d_i = d / q^i` numbers :math:`e_w` in a table, where d is `width` and q
    `division`, and the vector

    .. math::
        x_w = \sqrt d \, P_i e_w.

    Parameters
    ----------
    vocabulary_size : int in [1, inf)
        Number of tokens.
    width : int in [1, inf)
        Length of a vector.
    cutoffs : sequence of int, default=()
        First token of each cluster after the first one, ascending. Without any, all tokens are in
        one.
    division : int in [1, inf), default=4
        By how much the numbers of a token are fewer in each next cluster. With 1, and where there
        is but one cluster, there are no matrices :math:`P_i`.
    init_scale : float in [0, inf), default=1.0
        Tables are drawn with the standard deviation ``init_scale / sqrt(d_i)``, projections with
        ``init_scale / sqrt(width)``.
    dropout : float in [0, 1], default=0.0
        Probability that a number :math:`e_w` is dropped where a token occurs.

    Notes
    -----
    Input of any shape, of tokens; output has one more axis, of length `width`.

    References
    ----------
    .. [1] Baevski, A. and Auli, M., "Adaptive input representations for neural language modeling",
       ICLR 2019.
    .. [2] Dai, Z. et al., "Transformer-XL: attentive language models beyond a fixed-length
       context", ACL 2019.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import AdaptiveEmbedding
    >>> embedding = AdaptiveEmbedding(1000, width=16, cutoffs=(100, 400))
    >>> [tuple(table.shape) for table in embedding.tables]
    [(100, 16), (300, 4), (600, 1)]
    >>> embedding(torch.tensor([[0, 250], [999, 3]])).shape
    torch.Size([2, 2, 16])
    """

    def __init__(
        self,
        vocabulary_size: int,
        width: int,
        cutoffs: Sequence[int] = (),
        division: int = 4,
        init_scale: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        owner = "AdaptiveEmbedding"
        for name, value in (
            ("vocabulary_size", vocabulary_size), ("width", width), ("division", division)
        ):  # fmt: skip
            check_number(owner, name, value, 1, integer=True)
        check_number(owner, "init_scale", init_scale, 0.0)
        check_number(owner, "dropout", dropout, 0.0, 1.0)
        check_cutoffs(owner, cutoffs, vocabulary_size)
        _check_widths(owner, width, division, len(cutoffs))
        self.vocabulary_size, self.width, self.division = vocabulary_size, width, division
        self.cutoffs = tuple(cutoffs)
        self.dropout = nn.Dropout(dropout)
        self.tables, self.projections = nn.ParameterList(), nn.ParameterList()
        for i, (first, end) in enumerate(self.ranges()):
            d = width // division**i
            self.tables.append(init_scale * d**-0.5 * torch.randn(end - first, d))
            if division > 1 and cutoffs:
                self.projections.append(init_scale * width**-0.5 * torch.randn(width, d))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the vectors of tokens, (..., width)."""
        if not self.cutoffs:
            return self._vectors(tokens, 0)
        vectors = self.tables[0].new_empty(*tokens.shape, self.width)
        cluster = self.cluster(tokens)
        for i, (first, _) in enumerate(self.ranges()):
            where = cluster == i
            vectors[where] = self._vectors(tokens[where] - first, i).to(vectors.dtype)
        return vectors

    def ranges(self) -> list[tuple[int, int]]:
        """Return the first token of each cluster, and the one after its last.

        Returns
        -------
        ranges : list of tuple of int
            A pair for each cluster.
        """
        bounds = (0, *self.cutoffs, self.vocabulary_size)
        return list(pairwise(bounds))

    def cluster(self, tokens: Tensor) -> Tensor:
        """Return the number of the cluster of each token.

        Parameters
        ----------
        tokens : Tensor of int
            Tokens.

        Returns
        -------
        cluster : Tensor of int
            Numbers from 0, of the shape of `tokens`.
        """
        bounds = torch.tensor(self.cutoffs, dtype=tokens.dtype, device=tokens.device)
        return torch.bucketize(tokens.contiguous(), bounds, right=True)

    def _vectors(self, places: Tensor, i: int) -> Tensor:
        """Return the vectors of tokens of a cluster, by their places in its table."""
        e = self.dropout(F.embedding(places, self.tables[i]))
        return self.width**0.5 * (F.linear(e, self.projections[i]) if self.projections else e)

    def extra_repr(self) -> str:
        """Show the sizes in the module's repr."""
        return f"{self.vocabulary_size}, width={self.width}, cutoffs={self.cutoffs}"


class AdaptiveSoftmax(nn.Module):
    r"""Softmax over a large vocabulary, tied to an embedding, in two steps for rare tokens.

    The first softmax is over the tokens of the first cluster and the other clusters; each of these
    has a softmax over its tokens,

    .. math::
        p(w \mid h) = p(i \mid h) \, p(w \mid i, h), \qquad
        p(w \mid i, h) \propto \exp(e_w \cdot P_i^T h + b_w),

    where :math:`e_w` and :math:`P_i` are those of the :class:`AdaptiveEmbedding`, and a cluster has
    a vector and a bias in place of a token's. Without cutoffs this is the ordinary softmax with
    tied weights.

    Parameters
    ----------
    embedding : AdaptiveEmbedding
        Where tables and projections are.
    bias_scale : float in [0, inf), default=0.0
        The biases of tokens are drawn uniformly up to ``bias_scale / sqrt(width)``.
    dropout : float in [0, 1], default=0.0
        Probability that a number of :math:`P_i^T h` is dropped.

    Notes
    -----
    Called with `h` of shape (..., width) and targets of shape (...), it returns the loss
    :math:`-\log p` of each. A cluster is computed for those of its targets only, which costs about
    ``len(h)`` times the size of the first cluster where the others are rare, in place of `len(h)`
    times that of the vocabulary.

    References
    ----------
    .. [1] Grave, E. et al., "Efficient softmax approximation for GPUs", ICML 2017.
    .. [2] Dai, Z. et al., "Transformer-XL: attentive language models beyond a fixed-length
       context", ACL 2019.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import AdaptiveEmbedding, AdaptiveSoftmax
    >>> softmax = AdaptiveSoftmax(AdaptiveEmbedding(1000, width=16, cutoffs=(100, 400)))
    >>> h, targets = torch.randn(5, 16), torch.tensor([0, 99, 100, 400, 999])
    >>> loss = softmax(h, targets)
    >>> log_p = softmax.log_prob(h)
    >>> torch.allclose(loss, -log_p[range(5), targets], atol=1e-5)
    True
    """

    def __init__(
        self, embedding: AdaptiveEmbedding, bias_scale: float = 0.0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_number("AdaptiveSoftmax", "bias_scale", bias_scale, 0.0)
        check_number("AdaptiveSoftmax", "dropout", dropout, 0.0, 1.0)
        self.embedding = embedding
        self.dropout = nn.Dropout(dropout)
        n_rare, width = len(embedding.cutoffs), embedding.width
        bound = bias_scale * width**-0.5
        self.biases = nn.ParameterList(
            bound * (2 * torch.rand(end - first) - 1) for first, end in embedding.ranges()
        )
        self.cluster_weight = nn.Parameter(torch.zeros(n_rare, width)) if n_rare else None
        self.cluster_bias = nn.Parameter(torch.zeros(n_rare)) if n_rare else None

    def forward(self, h: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each target."""
        shape, h, targets = targets.shape, h.reshape(-1, h.shape[-1]), targets.reshape(-1)
        cluster = self.embedding.cluster(targets)
        n_first = len(self.biases[0])
        in_first = torch.where(cluster == 0, targets, n_first + cluster - 1)
        loss = _losses(self._logits(h, 0), in_first)
        for i, (first, _) in enumerate(self.embedding.ranges()[1:], start=1):
            rows = (cluster == i).nonzero().flatten()
            within = _losses(self._logits(h[rows], i), targets[rows] - first)
            loss = loss.index_add(0, rows, within)
        return loss.reshape(shape)

    def log_prob(self, h: Tensor) -> Tensor:
        """Return the logarithm of the probability of every token.

        Parameters
        ----------
        h : Tensor of shape (..., width)
            What the network gives.

        Returns
        -------
        log_p : Tensor of shape (..., vocabulary_size)
            Logarithms of probabilities.
        """
        head = self._logits(h, 0).log_softmax(-1)
        n_first = len(self.biases[0])
        parts = [head[..., :n_first]]
        for i in range(1, len(self.biases)):
            of_cluster = head[..., n_first + i - 1, None]
            parts.append(of_cluster + self._logits(h, i).log_softmax(-1))
        return torch.cat(parts, -1)

    def _logits(self, h: Tensor, i: int) -> Tensor:
        """Return the logits of a cluster: of its tokens and, in the first, of other clusters."""
        projections = self.embedding.projections
        z = self.dropout(h @ projections[i] if projections else h)
        logits = F.linear(z, self.embedding.tables[i], self.biases[i])
        if i or self.cluster_weight is None:
            return logits
        return torch.cat([logits, F.linear(z, self.cluster_weight, self.cluster_bias)], -1)


def check_cutoffs(owner: str, cutoffs: Sequence[int], vocabulary_size: int) -> None:
    """Raise unless cutoffs are ascending whole numbers inside the vocabulary."""
    bounds = [0, *cutoffs, vocabulary_size]
    whole = all(isinstance(c, Integral) for c in cutoffs)
    if not whole or any(a >= b for a, b in pairwise(bounds)):
        raise ValueError(
            f"The 'cutoffs' parameter of {owner} must be ascending ints in the range "
            f"[1, {vocabulary_size}), the size of the vocabulary. Got {cutoffs!r} instead."
        )


def _check_widths(owner: str, width: int, division: int, n_rare: int) -> None:
    """Raise unless tokens of the rarest cluster have a number left."""
    if width < division**n_rare:
        raise ValueError(
            f"The 'width' parameter of {owner} must be at least 'division' to the number of "
            f"'cutoffs', {division**n_rare}. Got {width!r} instead."
        )


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each row, in float32 at least."""
    logits = logits.float() if logits.dtype == torch.bfloat16 else logits
    return F.cross_entropy(logits, targets, reduction="none")
