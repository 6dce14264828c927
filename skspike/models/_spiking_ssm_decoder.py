"""SpikingSSM as a language model: it predicts each token from those before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .._validation import check_choice, check_number
from ..nn import AdaptiveEmbedding, AdaptiveSoftmax, TokenMemory
from ._registry import register
from ._spiking_ssm import BLOCKS

State = list[tuple[Tensor, ...]]  # of each block, and of the memory


class SpikingSSMDecoder(nn.Module):
    r"""Network of spiking state space models that predicts the next token.

    An adaptive embedding, causal blocks, and an adaptive softmax with the tables and projections of
    the embedding.

    Parameters
    ----------
    vocabulary_size : int in [1, inf)
        Number of tokens, numbered by falling frequency where there are cutoffs.
    n_layers : int in [1, inf), default=16
        Number of blocks.
    width : int in [1, inf), default=1024
        Number of channels of a block.
    cutoffs : sequence of int, default=()
        First token of each cluster of rarer tokens; see :class:`skspike.nn.AdaptiveEmbedding`.
    division : int in [1, inf), default=4
        By how much the numbers of a token are fewer in each next cluster.
    init_scale : float in [0, inf), default=1.0
        Scale of the tables and projections at first.
    bias_scale : float in [0, inf), default=0.0
        Scale of the biases of the softmax at first.
    embedding_dropout : float in [0, 1], default=0.0
        Probability that a number of a token is dropped from the input.
    softmax_dropout : float in [0, 1], default=0.0
        Probability that a number is dropped from what is compared with the tokens.
    final_norm : bool, default=False
        Whether the output of the last block is normalised; the published network has no such norm.
    project : bool, default=False
        Whether a matrix of `width` rows and columns follows. Small networks learn much sooner with
        it: what a block adds to is the token itself, which the softmax, tied to the embedding,
        would take for a prediction.
    memory : bool, default=False
        Whether leaky sums of the tokens so far are added to what the softmax is given, past the
        blocks; see :class:`skspike.nn.TokenMemory`. The published network has none.
    block : {"s4d", "selective"}, default="s4d"
        The published block, :class:`skspike.nn.SpikingSSMBlock`, or one whose state space model is
        told by each step how much to forget, :class:`skspike.nn.SelectiveSSMBlock`.
    **options : dict
        Of the blocks: `dt_min`, `dt_max`, `norm`, `norm_place`, `dropout`, `mode`, `decay`,
        `n_rounds`, `learnable_threshold`, `shared_threshold`, `surrogate`, `alpha`, `max_spikes`
        and `backend`; `d_state` and `trainable_input` of ``"s4d"``, `expand`, `residual` and
        `gated` of ``"selective"``.

    Notes
    -----
    Input of shape (n_steps, n_samples), of tokens; output of shape (n_steps, n_samples,
    vocabulary_size), the logarithms of the probabilities of what follows each step. The loss alone
    costs less: ``model.softmax(model.features(x), targets)`` computes a cluster only where its
    tokens occur.

    The registry has the published configuration as ``"spiking_ssm_wikitext103"``, with its
    74,350,458 parameters.

    References
    ----------
    .. [1] Shen, S. et al., "SpikingSSMs: learning long sequences with sparse and parallel spiking
       state space models", AAAI 2025.

    Examples
    --------
    >>> import torch
    >>> from skspike.models import SpikingSSMDecoder
    >>> model = SpikingSSMDecoder(vocabulary_size=100, n_layers=2, width=16, d_state=4)
    >>> tokens = torch.randint(100, (20, 3))
    >>> log_p = model(tokens)
    >>> log_p.shape
    torch.Size([20, 3, 100])

    Token by token, the state is held by the caller:

    >>> state = None
    >>> for token in tokens.split(1):
    ...     log_p_t, state = model.stream(token, state)
    >>> log_p_t.shape
    torch.Size([1, 3, 100])
    """

    def __init__(
        self,
        vocabulary_size: int,
        n_layers: int = 16,
        width: int = 1024,
        cutoffs: Sequence[int] = (),
        division: int = 4,
        init_scale: float = 1.0,
        bias_scale: float = 0.0,
        embedding_dropout: float = 0.0,
        softmax_dropout: float = 0.0,
        final_norm: bool = False,
        project: bool = False,
        memory: bool = False,
        block: str = "s4d",
        **options: Any,
    ) -> None:
        super().__init__()
        check_number("SpikingSSMDecoder", "n_layers", n_layers, 1, integer=True)
        check_choice("SpikingSSMDecoder", "block", block, BLOCKS)
        if options.get("bidirectional"):
            raise ValueError(
                "The 'bidirectional' parameter of SpikingSSMDecoder must be False: it predicts "
                f"what it may not see. Got {options['bidirectional']!r} instead."
            )
        self.embedding = AdaptiveEmbedding(
            vocabulary_size, width, cutoffs, division, init_scale, embedding_dropout
        )
        self.blocks: Any = nn.ModuleList(  # of which mypy knows no methods
            BLOCKS[block](width, **options) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width) if final_norm else nn.Identity()
        self.project = nn.Linear(width, width) if project else nn.Identity()
        self.softmax = AdaptiveSoftmax(self.embedding, bias_scale, softmax_dropout)
        backend = options.get("backend", "auto")
        self.memory = TokenMemory(vocabulary_size, width, backend=backend) if memory else None

    def forward(self, tokens: Tensor, form: str = "parallel") -> Tensor:
        """Return the logarithms of the probabilities of what follows each step.

        Parameters
        ----------
        tokens : Tensor of int of shape (n_steps, n_samples)
            Sequences, time first.
        form : {"parallel", "recurrent"}, default="parallel"
            How the state space models are computed; see :meth:`skspike.nn.S4D.forward`.

        Returns
        -------
        log_p : Tensor of shape (n_steps, n_samples, vocabulary_size)
            Logarithms of probabilities.
        """
        return self.softmax.log_prob(self.features(tokens, form))

    def features(self, tokens: Tensor, form: str = "parallel") -> Tensor:
        """Return what the softmax is given at each step.

        Parameters
        ----------
        tokens : Tensor of int of shape (n_steps, n_samples)
            Sequences, time first.
        form : {"parallel", "recurrent"}, default="parallel"
            How the state space models are computed.

        Returns
        -------
        h : Tensor of shape (n_steps, n_samples, width)
            The features.
        """
        e = x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, form=form)
        h = self.project(self.norm(x))
        return h if self.memory is None else h + self.memory(tokens, e)

    def stream(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return what ``forward`` does for the next steps, and the state after them.

        Parameters
        ----------
        tokens : Tensor of int of shape (n_steps, n_samples)
            The next steps of sequences.
        state : list of tuple of Tensor, default=None
            What the call for the steps before returned; None starts from rest.

        Returns
        -------
        log_p : Tensor of shape (n_steps, n_samples, vocabulary_size)
            Logarithms of probabilities.
        state : list of tuple of Tensor
            All that the network remembers; it does not grow with the number of steps.
        """
        h, state = self.stream_features(tokens, state)
        return self.softmax.log_prob(h), state

    def stream_features(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return what :meth:`features` does for the next steps, and the state after them.

        Parameters
        ----------
        tokens : Tensor of int of shape (n_steps, n_samples)
            The next steps of sequences.
        state : list of tuple of Tensor, default=None
            What the call for the steps before returned; None starts from rest.

        Returns
        -------
        h : Tensor of shape (n_steps, n_samples, width)
            The features.
        state : list of tuple of Tensor
            The state of each block, and of the memory.
        """
        e = x = self.embedding(tokens)
        before: list = [None] * len(self.blocks) if state is None else state
        after: State = []
        for block, held in zip(self.blocks, before, strict=False):
            x, now = block.stream(x, held)
            after.append(now)
        h = self.project(self.norm(x))
        if self.memory is None:
            return h, after
        y, sums = self.memory.stream(tokens, e, None if state is None else state[-1][0])
        return h + y, [*after, (sums,)]

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that published models train at a lower rate than the others.

        Returns
        -------
        parameters : list of Parameter
            Those of the state space models, and the rates of the memory.
        """
        slow = [p for block in self.blocks for p in block.slow_parameters()]
        return slow if self.memory is None else [*slow, self.memory.log_rate]


@register("spiking_ssm_wikitext103")
def spiking_ssm_wikitext103(**options: Any) -> SpikingSSMDecoder:
    """Return the network for the words of WikiText-103."""
    published: dict[str, Any] = {
        "vocabulary_size": 267_735,
        "cutoffs": (19_997, 39_997, 199_997),
        "init_scale": 0.5,
        "bias_scale": 1.0,
        "embedding_dropout": 0.25,
        "softmax_dropout": 0.25,
        "dropout": 0.1,
    }
    return SpikingSSMDecoder(**(published | options))
