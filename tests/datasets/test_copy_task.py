import re

import numpy as np
import pytest

from skspike.datasets import make_copy_task


@pytest.mark.parametrize("delay", [1, 2, 30])
def test_what_is_recalled_is_what_was_shown(delay):
    X, y = make_copy_task(50, n_symbols=5, n_memorize=4, delay=delay, one_hot=False, random_state=0)
    assert X.shape == y.shape == (50, delay + 8)
    assert (X[:, :4] == y[:, -4:]).all()
    assert set(X[:, :4].ravel()) == set(range(5))
    assert (X[:, 4 : 3 + delay] == 5).all()
    assert (X[:, 3 + delay] == 6).all()
    assert (X[:, 4 + delay :] == 5).all()
    assert (y[:, :-4] == 5).all()


def test_the_first_symbol_is_told_the_delay_after_the_last_was_shown():
    _, y = make_copy_task(1, n_memorize=3, delay=7, random_state=0)
    last_shown, first_told = 2, np.flatnonzero(y[0] != 8)[0]
    assert first_told - last_shown - 1 == 7


def test_one_hot_and_numbers_are_the_same_sequences():
    X, y = make_copy_task(20, random_state=0)
    numbers, same = make_copy_task(20, one_hot=False, random_state=0)
    assert X.shape == (20, 120, 10)
    assert X.dtype == np.float32
    assert (X.sum(axis=2) == 1).all()
    assert (X.argmax(axis=2) == numbers).all()
    assert numbers.dtype == np.int64
    assert (y == same).all()


def test_the_first_symbols_are_balanced_classes():
    X, y = make_copy_task(42, n_symbols=4, target="first", one_hot=False, random_state=0)
    assert (y == X[:, 0]).all()
    assert np.ptp(np.bincount(y, minlength=4)) <= 1
    assert (np.diff(y) < 0).any()


def test_random_state_decides_and_global_generators_rest():
    state = np.random.mtrand._rand.get_state()[1].copy()
    X, X2, X3 = (make_copy_task(5, random_state=s)[0] for s in (3, 3, 4))
    assert (X == X2).all()
    assert (X != X3).any()
    assert (np.random.mtrand._rand.get_state()[1] == state).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "'n_samples' parameter of make_copy_task must be an int"),
        ({"n_symbols": 1}, "'n_symbols' parameter of make_copy_task must be an int"),
        ({"n_memorize": 0}, "'n_memorize' parameter of make_copy_task must be an int"),
        ({"delay": 0}, "'delay' parameter of make_copy_task must be an int"),
        ({"target": "last"}, "'target' parameter of make_copy_task must be one of"),
    ],
)
def test_wrong_parameters_raise(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_copy_task(**parameters)
