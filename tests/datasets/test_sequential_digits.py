import re

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from skspike.datasets import load_sequential_digits
from skspike.datasets._permutation import bit_reversal


def test_pixels_come_row_by_row():
    digits = load_sequential_digits()
    assert digits.data.shape == (1797, 64, 1)
    assert digits.data.dtype == np.float32
    assert (digits.data[:, :, 0] * 16 == load_digits().data).all()
    assert (digits.target == load_digits().target).all()
    assert digits.target_names.tolist() == list("0123456789")
    assert "row by row" in digits.DESCR


def test_enlarged_images_are_those_of_torch():
    torch = pytest.importorskip("torch")
    X, _ = load_sequential_digits(upsample=28, return_X_y=True)
    images = torch.from_numpy(load_digits().images / 16)[:, None]
    expected = torch.nn.functional.interpolate(images, size=28, mode="bilinear")
    np.testing.assert_allclose(X.reshape(-1, 28, 28), expected[:, 0], atol=1e-6)
    assert X.min() == 0
    assert X.max() <= 1


def test_enlarging_to_the_same_size_changes_nothing():
    same, _ = load_sequential_digits(upsample=8, return_X_y=True)
    assert (same == load_sequential_digits().data).all()


def test_permutations_reorder_the_enlarged_pixels():
    plain = load_sequential_digits(upsample=28).data
    reversal = load_sequential_digits(upsample=28, permutation="bit_reversal").data
    assert (reversal == plain[:, bit_reversal(784)]).all()
    random = load_sequential_digits(upsample=28, permutation="random", random_state=5).data
    assert (random == plain[:, np.random.RandomState(5).permutation(784)]).all()


def test_sequences_carry_the_class_in_any_order():
    X, y = load_sequential_digits(permutation="random", return_X_y=True)
    model = LogisticRegression(max_iter=200)
    assert cross_val_score(model, X[:, :, 0], y, cv=3).mean() > 0.85


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"upsample": 7}, "'upsample' parameter of load_sequential_digits must be an int in the"),
        ({"permutation": "snake"}, "'permutation' parameter of load_sequential_digits must be one"),
    ],
)
def test_wrong_parameters_raise(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load_sequential_digits(**parameters)
