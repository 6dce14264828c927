from __future__ import annotations

import re

import numpy as np
import pytest

from skspike.encoders import RepeatEncoder

X = np.random.default_rng(0).normal(size=(4, 3, 2))


@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_are_repeated_as_they_are(n_steps, dtype):
    currents = RepeatEncoder(n_steps, dtype=dtype).fit_transform(X)
    np.testing.assert_array_equal(currents, np.repeat(X.astype(dtype), n_steps, axis=1))
    table = RepeatEncoder(n_steps, dtype=dtype).fit_transform(X[:, 0])
    np.testing.assert_array_equal(table, np.repeat(X[:, :1].astype(dtype), n_steps, axis=1))


def test_values_too_large_for_the_dtype_raise():
    huge = np.full((2, 2), 1e39)
    with pytest.raises(ValueError, match=re.escape("must hold numbers of float32. Got one of")):
        RepeatEncoder().fit(X[:, 0]).transform(huge)
    np.testing.assert_array_equal(RepeatEncoder(1, dtype="float64").fit_transform(huge)[:, 0], huge)


def test_wrong_parameters_are_named():
    with pytest.raises(ValueError, match="The 'n_steps' parameter of RepeatEncoder must be an int"):
        RepeatEncoder(0).fit(X)
