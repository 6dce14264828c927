"""The diagonal state space model S4D as a layer: parameters here, computation in kernels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .._validation import check_choice, check_number
from ..kernels import linear_scan, ssm_conv, ssm_kernel
from ._linear_states import FORMS, check_causal, check_channels, draw_logarithms
from ._time import all_steps, own_steps

MIN_FREQUENCY = 1e-4  # of a mode beside a trainable input matrix, as published


class S4D(nn.Module):
    r"""Linear state space model of each channel, with a diagonal state matrix.

    A channel h has `d_state` / 2 complex modes n, each standing for a pair of conjugates. With a
    zero-order hold of the step :math:`\Delta_h`, its response to the input :math:`x` is

    .. math::
        \bar C_{hn} &= C_{hn} B_{hn} (e^{\Delta_h A_{hn}} - 1) / A_{hn} \\
        K_{lh} &= 2 \operatorname{Re} \sum_n \bar C_{hn} e^{l \Delta_h A_{hn}} \\
        y_{th} &= \sum_{l \ge 0} K_{lh} x_{t-l,h} + D_h x_{th},

    with :math:`A = -e^{a} + i \omega`, at first :math:`a = \log \frac12`,
    :math:`\omega = \pi n` (S4D-Lin), :math:`B = 1`, and normal :math:`C` and :math:`D`. A
    bidirectional model adds :math:`\sum_{l \ge 0} K'_{lh} x_{t+1+l,h}` with the same modes.

    Parameters
    ----------
    n_channels : int in [1, inf)
        Number of channels.
    d_state : int in [2, inf), default=64
        Number of real states of a channel, which is even: twice that of its modes.
    bidirectional : bool, default=False
        Whether a step sees those after it, too.
    trainable_input : bool, default=False
        Whether B is learnt. Each :math:`\omega` then begins at :math:`10^{-4}` or above.
    dt_min : float in (0, inf), default=0.001
        Lower end of the steps :math:`\Delta`, which are drawn uniformly in their logarithm.
    dt_max : float in (0, inf), default=0.1
        Upper end of the steps.
    backend : {"auto", "reference", "numba", "triton"}, default="auto"
        Which implementation runs it; see :func:`skspike.kernels.ssm_conv`.

    Raises
    ------
    ValueError
        If a parameter is out of range, or `d_state` odd.

    Notes
    -----
    Input and output of shape (n_steps, n_samples, n_channels). The input must be finite.

    Published models train ``log_dt``, ``log_a_real`` and ``a_imag`` (and ``b`` and ``c`` where B is
    trainable) at a learning rate of their own; :meth:`slow_parameters` returns these.

    References
    ----------
    .. [1] Gu, A. et al., "On the parameterization and initialization of diagonal state space
       models", NeurIPS 2022.

    Examples
    --------
    >>> import torch
    >>> from skspike.nn import S4D
    >>> layer = S4D(n_channels=3, d_state=4)
    >>> x = torch.randn(100, 2, 3)
    >>> y = layer(x)
    >>> torch.allclose(y, layer(x, form="recurrent"), atol=1e-4)
    True
    """

    def __init__(
        self,
        n_channels: int,
        d_state: int = 64,
        bidirectional: bool = False,
        trainable_input: bool = False,
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_number("S4D", "n_channels", n_channels, 1, integer=True)
        check_number("S4D", "d_state", d_state, 2, integer=True)
        if d_state % 2:
            raise ValueError(
                f"The 'd_state' parameter of S4D must be even: states are pairs. Got {d_state} "
                "instead."
            )
        n_modes = d_state // 2
        self.n_channels = n_channels
        self.bidirectional = bidirectional
        self.backend = backend
        log_dt = draw_logarithms("S4D", n_channels, dt_min=dt_min, dt_max=dt_max)
        self.log_dt = nn.Parameter(log_dt)
        self.log_a_real = nn.Parameter(torch.full((n_channels, n_modes), math.log(0.5)))
        frequency = math.pi * torch.arange(n_modes).float().expand(n_channels, n_modes)
        self.a_imag = nn.Parameter(frequency.clamp(min=MIN_FREQUENCY if trainable_input else 0.0))
        directions = 2 if bidirectional else 1
        c = torch.randn(directions, n_channels, n_modes, dtype=torch.complex64)
        self.c = nn.Parameter(torch.view_as_real(c).clone())
        self.b = None
        if trainable_input:
            ones = torch.ones(n_channels, n_modes, dtype=torch.complex64)
            self.b = nn.Parameter(torch.view_as_real(ones).clone())
        self.d = nn.Parameter(torch.randn(n_channels))

    def forward(self, x: Tensor, form: str = "parallel") -> Tensor:
        """Return the response to all steps at once, or step by step with ``form="recurrent"``.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, n_channels)
            The input, time first.
        form : {"parallel", "recurrent"}, default="parallel"
            How to compute it: by convolutions, or by going through time once in each direction.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, n_channels)
            The response.
        """
        check_choice("S4D", "form", form, FORMS)
        check_channels("S4D", x, self.n_channels)
        respond = self._convolve if form == "parallel" else self._scan
        return own_steps(respond(all_steps(x)))

    def stream(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the response to some steps, and the state after them.

        Parameters
        ----------
        x : Tensor of shape (n_steps, n_samples, n_channels)
            The next steps of the input.
        state : Tensor of shape (n_samples, n_channels, d_state / 2), default=None
            What the call for the steps before returned; None starts from zero.

        Returns
        -------
        y : Tensor of shape (n_steps, n_samples, n_channels)
            The response.
        state : Tensor of shape (n_samples, n_channels, d_state / 2)
            The modes after the last step.

        Raises
        ------
        ValueError
            If the model is bidirectional: it cannot answer before the end.
        """
        check_causal("S4D", self.bidirectional)
        check_channels("S4D", x, self.n_channels)
        a, c = self.discretize()
        y, state = linear_scan(x, a.exp(), c[0], state, backend=self.backend)
        return self._pass_on(x, y), state

    def discretize(self) -> tuple[Tensor, Tensor]:
        """Return the modes in steps of the input.

        Returns
        -------
        a : Tensor of shape (n_channels, n_modes)
            Complex logarithm of what a mode is multiplied by at each step.
        c : Tensor of shape (n_directions, n_channels, n_modes)
            Complex contribution of each mode, looking back and, if bidirectional, ahead.
        """
        a = torch.complex(-self.log_a_real.exp(), self.a_imag)
        dt_a = self.log_dt.exp()[:, None] * a
        c = torch.view_as_complex(self.c.contiguous()) * (torch.expm1(dt_a) / a)
        return dt_a, c if self.b is None else c * torch.view_as_complex(self.b)

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that published models train at a lower rate than the others.

        Returns
        -------
        parameters : list of Parameter
            Steps and modes; with a trainable input B and C, too. Weight decay is for C alone.
        """
        slow = [self.log_dt, self.log_a_real, self.a_imag]
        return slow if self.b is None else [*slow, self.b, self.c]

    def _convolve(self, x: Tensor) -> Tensor:
        """Convolve with the responses of one or both directions."""
        a, c = self.discretize()
        kernel, *ahead = (ssm_kernel(a, ways, len(x), backend=self.backend) for ways in c)
        kernel = torch.cat([kernel[:1] + self.d, kernel[1:]])  # D is a response without delay
        return ssm_conv(x, kernel, *ahead, backend=self.backend)

    def _scan(self, x: Tensor) -> Tensor:
        """Go through time once in each direction."""
        a, c = self.discretize()
        y, _ = linear_scan(x, a.exp(), c[0], backend=self.backend)
        if self.bidirectional:  # what looks ahead does not see its own step
            ahead, _ = linear_scan(x.flip(0), a.exp(), c[1], backend=self.backend)
            y = y + nn.functional.pad(ahead[:-1].flip(0), (0, 0, 0, 0, 0, 1))
        return self._pass_on(x, y)

    def _pass_on(self, x: Tensor, y: Tensor) -> Tensor:
        """Add what passes without delay to the response of the modes."""
        return torch.addcmul(y, self.d.to(y.dtype), x)

    def extra_repr(self) -> str:
        """Show the size in the module's repr."""
        d_state = 2 * self.log_a_real.shape[1]
        return f"{self.n_channels}, d_state={d_state}, bidirectional={self.bidirectional}"
