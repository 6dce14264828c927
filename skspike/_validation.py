"""The shared argument checks, and the one form of sentence that they raise."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real

_BRACKETS = {"both": "[]", "left": "[)", "right": "(]", "neither": "()"}


def check_number(
    owner: str,
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    closed: str = "both",
    integer: bool = False,
) -> None:
    """Raise unless `value` is a real (or whole) number in the given range."""
    kind = Integral if integer else Real
    wrong_type = not isinstance(value, kind) or isinstance(value, bool)
    if not wrong_type and _inside(float(value), low, high, closed):  # type: ignore[arg-type]
        return
    left, right = _BRACKETS[closed]
    noun = "an int" if integer else "a float"
    raise (TypeError if wrong_type else ValueError)(
        f"The {name!r} parameter of {owner} must be {noun} in the range "
        f"{left}{low}, {high}{right}. Got {value!r} instead."
    )


def _inside(value: float, low: float, high: float, closed: str) -> bool:
    """Tell whether `value` lies in the interval; NaN never does."""
    above = value >= low if closed in ("both", "left") else value > low
    below = value <= high if closed in ("both", "right") else value < high
    return above and below


def check_choice(owner: str, name: str, value: object, choices: Collection[str]) -> None:
    """Raise unless `value` is one of the strings in `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            f"The {name!r} parameter of {owner} must be one of {sorted(choices)}. "
            f"Got {value!r} instead."
        )
