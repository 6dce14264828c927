"""What one spiking neuron does: the part of an operator's arguments that all backends share."""

from __future__ import annotations

from dataclasses import dataclass

CHARGES = ("integrate", "decay_input", "leak", "decay")

# The fields of NeuronSpec in order, as arguments of a torch.library operator.
SPEC_SCHEMA = (
    "float threshold, float? v_reset, str charge, bool strict, bool detach_reset, "
    "str surrogate, float alpha, float beta, bool through_time, int max_spikes"
)


@dataclass(frozen=True)
class NeuronSpec:
    """The settings of a neuron after checking, apart from those that may be tensors.

    `charge` says how a step integrates its input, with ``v_r`` the resting potential and ``k`` the
    tensor that every function here calls `leak`:

    * ``"integrate"``: h = v + x
    * ``"decay_input"``: h = v + (x - (v - v_r)) k, with k = 1 / tau
    * ``"leak"``: h = v - (v - v_r) k + x, with k = 1 / tau
    * ``"decay"``: h = v_r + (v - v_r) k + x, with k the decay factor itself

    `strict` decides whether a neuron on its threshold stays silent. A `beta` other than zero adds
    ``beta * a`` to the threshold, where ``a`` decays by `rho` and grows by one with every spike.
    Without `through_time`, no gradient passes from a step to the one before it; a neuron with a
    `beta` always has it.

    With `max_spikes` :math:`n`, a neuron fires once for each of the thresholds
    ``threshold, ..., n * threshold`` that its potential reaches; a neuron with a `beta` has one.
    """

    threshold: float
    v_reset: float | None
    charge: str
    strict: bool
    detach_reset: bool
    surrogate: str
    alpha: float
    beta: float = 0.0
    through_time: bool = True
    max_spikes: int = 1

    @property
    def v_rest(self) -> float:
        """Potential that the membrane leaks to and starts from."""
        return 0.0 if self.v_reset is None else self.v_reset

    @property
    def adaptive(self) -> bool:
        """Whether the threshold moves."""
        return self.beta != 0.0

    def args(self) -> tuple:
        """Return the fields in the order of :data:`SPEC_SCHEMA`."""
        return tuple(vars(self).values())
