import re
import statistics

import numpy as np
import pytest

from skspike.datasets import make_listops

OPERATIONS = {
    "[MIN": min,
    "[MAX": max,
    "[MED": lambda values: int(statistics.median(values)),
    "[SM": lambda values: sum(values) % 10,
}


def evaluate(tokens):
    """Return the value, the number of levels and the most arguments of an expression."""
    stack, most, levels = [[]], 0, 1
    for token in tokens:
        if token in OPERATIONS:
            stack.append([token])
            levels = max(levels, len(stack))
        elif token == "]":
            operator, *values = stack.pop()
            most = max(most, len(values))
            assert len(values) >= 2
            stack[-1].append(OPERATIONS[operator](values))
        else:
            stack[-1].append(int(token))
    ((value,),) = stack
    return value, levels, most


@pytest.mark.parametrize(
    ("n_samples", "limits"),
    [(60, {}), (300, {"min_length": 10, "max_length": 50, "max_depth": 4, "max_args": 5})],
)
def test_an_independent_evaluator_agrees(n_samples, limits):
    listops = make_listops(n_samples, **limits, return_X_y=False, random_state=0)
    limits = {"min_length": 500, "max_length": 2000, "max_depth": 10, "max_args": 10} | limits
    assert len(listops.data) == n_samples
    found = []
    for numbers, value in zip(listops.data, listops.target, strict=True):
        *tokens, last = listops.vocabulary[numbers]
        assert last == "<eos>"
        assert limits["min_length"] < len(tokens) < limits["max_length"]
        found.append(evaluate(tokens))
        assert found[-1][0] == value
    assert max(levels for _, levels, _ in found) == limits["max_depth"]
    assert max(most for _, _, most in found) == limits["max_args"]


def test_vocabulary_and_classes():
    listops = make_listops(500, min_length=4, max_length=40, return_X_y=False, random_state=0)
    assert listops.vocabulary.tolist() == [
        *("<pad>", "<unk>", "<eos>"),
        *("0123456789"),
        *("[MIN", "[MAX", "[MED", "[SM", "]"),
    ]
    assert set(np.concatenate(listops.data)) == set(range(2, 18))
    assert set(listops.target) == set(range(10))
    assert listops.target_names.tolist() == list("0123456789")
    assert listops.data[0].dtype == np.int64
    assert "Nangia" in listops.DESCR


def test_no_expression_comes_twice_and_the_last_token_is_optional():
    X, y = make_listops(400, max_args=2, max_depth=2, min_length=3, max_length=5, random_state=0)
    assert len({x.tobytes() for x in X}) == 400
    without, same = make_listops(
        400, max_args=2, max_depth=2, min_length=3, max_length=5, append_eos=False, random_state=0
    )
    assert all((a[:-1] == b).all() for a, b in zip(X, without, strict=True))
    assert (y == same).all()


def test_random_state_decides_and_global_generators_rest():
    state = np.random.mtrand._rand.get_state()[1].copy()
    limits = {"min_length": 10, "max_length": 40}
    X, X2, X3 = (make_listops(5, **limits, random_state=s)[0] for s in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(X, X2, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(X, X3, strict=True))
    assert (np.random.mtrand._rand.get_state()[1] == state).all()


def test_limits_without_enough_expressions_raise():
    with pytest.raises(ValueError, match=r"leave room for 401 different .* Got 400 of more than"):
        make_listops(401, max_args=2, max_depth=2, min_length=3, max_length=5, random_state=0)
    with pytest.raises(ValueError, match=r"Got 0 of more than 99 and fewer than 200 tokens"):
        make_listops(1, max_args=2, max_depth=3, min_length=99, max_length=200)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "'n_samples' parameter of make_listops must be an int"),
        ({"min_length": 0}, "'min_length' parameter of make_listops must be an int"),
        ({"max_length": 501}, "'max_length' parameter of make_listops must be an int in the range"),
        ({"max_depth": 1}, "'max_depth' parameter of make_listops must be an int"),
        ({"max_args": 1}, "'max_args' parameter of make_listops must be an int"),
        ({"random_state": "x"}, "'random_state' parameter of make_listops must be"),
    ],
)
def test_wrong_parameters_raise(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_listops(**parameters)
