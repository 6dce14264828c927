"""Leaky sums of the tokens so far, the frequent ones less: what a text is about."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._validation import check_number
from ..kernels import linear_scan
from ._linear_states import draw_logarithms

GAIN = 0.05  # at first; of a token that has just been read
FREQUENT = 0.001  # share of all tokens at which one counts half


class TokenMemory(nn.Module):
    r"""Leaky sums of the tokens so far, in which each token has a weight.

    .. math::
        m_{th} = \gamma_h \sum_{l \ge 0} e^{-l r_h} \sigma(a_{w_{t-l}}) x_{t-l,h},

    where :math:`x_t` is the vector of the token :math:`w_t`, and the gains :math:`\gamma`, rates
    :math:`r` and weights :math:`a` are learnt. Added to what a softmax tied to the embedding is
    given, it makes those tokens likely that have occurred before, and those like them: a cache that
    does not grow [1]_, with the slow units of [2]_.

    Parameters
    ----------
    vocabulary_size : int in [1, inf)
        Number of tokens.
    width : int in [1, inf)
        Length of their vectors.
    rate_min : float in (0, inf), default=0.002
        Lower end of the rates, which are drawn uniformly in their logarithm: about ``1 / rate``
        tokens are remembered.
    rate_max : float in (0, inf), default=0.05
        Upper end of the rates.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.linear_scan`.

    References
    ----------
    .. [1] Clarkson, P. and Robinson, A., "Language model adaptation using mixtures and an
       exponentially decaying cache", ICASSP 1997.
    .. [2] Mikolov, T. et al., "Learning longer memory in recurrent neural networks", ICLR
       workshop 2015.
    .. [3] Arora, S. et al., "A simple but tough-to-beat baseline for sentence embeddings", ICLR
       2017.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import TokenMemory
    >>> memory = TokenMemory(vocabulary_size=50, width=8)
    >>> tokens, x = torch.randint(50, (20, 3)), torch.randn(20, 3, 8)
    >>> y, state = memory.stream(tokens, x)
    >>> y.shape
    torch.Size([20, 3, 8])
    """

    def __init__(
        self,
        vocabulary_size: int,
        width: int,
        rate_min: float = 0.002,
        rate_max: float = 0.05,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        owner = "TokenMemory"
        check_number(owner, "vocabulary_size", vocabulary_size, 1, integer=True)
        check_number(owner, "width", width, 1, integer=True)
        self.backend = backend
        log_rate = draw_logarithms(owner, width, rate_min=rate_min, rate_max=rate_max)
        self.log_rate = nn.Parameter(log_rate)
        self.gain = nn.Parameter(torch.full((width,), GAIN))
        self.weight = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, tokens: Tensor, x: Tensor) -> Tensor:
        """Return the sums at every step of whole sequences.

        Parameters
        ----------
        tokens : Tensor of int of shape (n_steps, n_samples)
            Sequences, time first.
        x : Tensor of shape (n_steps, n_samples, width)
            The vectors of the tokens.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, width)
            The sums.
        """
        return self.stream(tokens, x)[0]

    def stream(
        self, tokens: Tensor, x: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the sums at some steps, and the state after them.

        Parameters
        ----------
        tokens : Tensor of int of shape (n_steps, n_samples)
            The next steps of sequences.
        x : Tensor of shape (n_steps, n_samples, width)
            The vectors of the tokens.
        state : Tensor of shape (n_samples, width, 1), default=None
            What the call for the steps before returned; None starts from zero.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, width)
            The sums.
        state : Tensor of shape (n_samples, width, 1)
            The sums after the last step, without their gains.
        """
        weighted = x * self.weight[tokens].sigmoid()[..., None]
        # the kernel takes pairs of conjugates, which are twice the same number here
        decay, half = (-self.log_rate.exp()).exp(), self.gain / 2
        zero = torch.zeros_like(half)
        decay, half = torch.complex(decay, zero)[:, None], torch.complex(half, zero)[:, None]
        return linear_scan(weighted, decay, half, state, backend=self.backend)

    @torch.no_grad()
    def set_frequencies(self, counts: Tensor) -> None:
        r"""Let the weights begin at :math:`10^{-3} / (10^{-3} + p)`, p the share of a token.

        Parameters
        ----------
        counts : Tensor of shape (vocabulary_size,)
            How often each token occurs, above zero.
        """
        self.weight.copy_((FREQUENT * counts.sum() / counts).log())

    def extra_repr(self) -> str:
        """Show the sizes in the module's repr."""
        return f"{len(self.weight)}, width={len(self.gain)}"
