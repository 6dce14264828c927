"""The weights that ship: their number, and that they are in float32 to the last digit."""

from __future__ import annotations

import torch

from skspike.nn._sdn_weights import WEIGHTS


def test_the_weights_of_the_published_size():
    assert list(WEIGHTS) == [0.125]
    assert len(WEIGHTS[0.125]) == 153
    in_float32 = torch.tensor(WEIGHTS[0.125], dtype=torch.float32).tolist()
    assert [float(f"{number:.9g}") for number in in_float32] == WEIGHTS[0.125]
