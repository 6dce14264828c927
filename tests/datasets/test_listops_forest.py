import numpy as np
import pytest

from skspike.datasets._listops_forest import MAX, MED, MIN, SM, Forest, Level, draw_forest


def level(n_args, label, tree):
    return Level(*map(np.array, (n_args, label, tree)))


@pytest.fixture
def forest():
    """[MED 7 [SM 6 9 ] 2 8 ] and [MAX 4 [MIN 3 1 ] ]."""
    return Forest(
        [
            level([4, 2], [MED, MAX], [0, 1]),
            level([0, 2, 0, 0, 0, 2], [7, SM, 2, 8, 4, MIN], [0, 0, 0, 0, 1, 1]),
            level([0, 0, 0, 0], [6, 9, 3, 1], [0, 0, 1, 1]),
        ]
    )


def test_values_by_hand(forest):
    whole, inner, digits = forest.values()
    assert inner.tolist() == [7, 5, 2, 8, 4, 1]
    assert whole.tolist() == [6, 4]
    assert digits.tolist() == [6, 9, 3, 1]


def test_places_by_hand(forest):
    lengths = forest.lengths()
    assert [length.tolist() for length in lengths] == [[9, 7], [1, 4, 1, 1, 1, 4], [1] * 4]
    places = [place.tolist() for place in forest.places(lengths)]
    assert places == [[0, 9], [1, 2, 6, 7, 10, 11], [3, 4, 12, 13]]


def test_choices_have_the_probabilities_of_the_grammar():
    forest = draw_forest(np.random.default_rng(0), 20_000, 1, 10**9, 4, 6)
    roots, second, _, last = forest.levels
    assert roots.inner.all()
    assert not last.inner.any()
    assert abs(second.inner.mean() - 0.25) < 0.01
    for counts in (
        np.bincount(roots.n_args)[2:],
        np.bincount(roots.label),
        np.bincount(second.label[~second.inner]),
    ):
        np.testing.assert_allclose(counts, counts.mean(), rtol=0.1)


def test_only_trees_of_permitted_length_are_left_and_the_rest_is_as_without_limits():
    every = draw_forest(np.random.default_rng(1), 3000, 1, 10**9, 6, 5)
    some = draw_forest(np.random.default_rng(1), 3000, 30, 60, 2, 5)
    assert not len(some.levels[0].label)
    drawn = draw_forest(np.random.default_rng(1), 3000, 30, 60, 6, 5).lengths()[0]
    assert ((drawn > 30) & (drawn < 60)).all()
    lengths = every.lengths()[0]
    expected = lengths[(lengths > 30) & (lengths < 60)]
    # Other draws, for trees that are given up take no more numbers; the same distribution.
    assert abs(len(drawn) - len(expected)) < 4 * np.sqrt(2 * len(expected))
    assert abs(drawn.mean() - expected.mean()) < 4 * 9 * np.sqrt(2 / len(expected))
