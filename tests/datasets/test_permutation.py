import numpy as np
import pytest

from skspike.datasets._permutation import bit_reversal, check_permutation, permute

X = np.arange(2 * 784).reshape(2, 784, 1)


@pytest.mark.parametrize(("length", "digits"), [(1, 1), (2, 1), (64, 6), (784, 10), (1000, 10)])
def test_bit_reversal_sorts_by_the_digits_backwards(length, digits):
    expected = sorted(range(length), key=lambda i: format(i, f"0{digits}b")[::-1])
    assert bit_reversal(length).tolist() == expected


def test_bit_reversal_of_mnist_begins_as_that_of_s4():
    assert bit_reversal(784)[:8].tolist() == [0, 512, 256, 768, 128, 640, 384, 64]


def test_every_sequence_is_permuted_alike():
    for permutation in ("bit_reversal", "random"):
        first, second = permute(X, permutation, 0)[..., 0]
        assert sorted(first) == list(range(784))
        assert (second == first + 784).all()
        assert (first != np.arange(784)).mean() > 0.9
    assert permute(X, None, 0) is X


def test_an_int_draws_the_published_random_permutation():
    published = np.random.RandomState(92916).permutation(784)
    assert (permute(X, "random", 92916)[0, :, 0] == published).all()


def test_generators_draw():
    a, b = (permute(X, "random", np.random.default_rng(s))[0, :, 0] for s in (1, 1))
    assert (a == b).all()
    assert sorted(a) == list(range(784))


def test_unknown_permutations_raise():
    check_permutation("f", None)
    with pytest.raises(ValueError, match=r"'permutation' parameter of f must be one of"):
        check_permutation("f", "hilbert")
