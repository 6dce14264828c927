from __future__ import annotations

import pytest
import torch
from scipy import stats

from skspike.augment._draws import Draws, per_sample
from tests.augment.common import seeded


def draws(n: int = 4000) -> Draws:
    return Draws(torch.empty(n, 0), seeded())


@pytest.mark.parametrize("alpha", [0.02, 0.2, 1.0, 5.0])
def test_beta_has_its_distribution(alpha):
    sample = draws().beta(alpha)
    assert ((sample >= 0) & (sample <= 1)).all()
    # in float32 small shares and their complements are exact only near 0: test one half of them
    middle = sample[(sample > 1e-6) & (sample < 1 - 1e-6)].double()
    inside = stats.beta(alpha, alpha)
    low, high = inside.cdf(1e-6), inside.cdf(1 - 1e-6)
    assert len(middle) / len(sample) == pytest.approx(high - low, abs=0.03)
    assert stats.kstest(middle, lambda v: (inside.cdf(v) - low) / (high - low)).pvalue > 0.01


def test_integers_reach_both_ends_evenly():
    sample = draws().integers(-2, 3)
    values, number = sample.unique(return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2, 3]
    assert stats.chisquare(number).pvalue > 0.01


def test_uniform_stays_in_its_range():
    sample = draws().uniform(-3, 5)
    assert -3 <= sample.min() < -2.9
    assert 4.9 < sample.max() <= 5


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_happens_never_by_chance_or_always(p):
    share = draws().happens(p).float().mean().item()
    assert share == pytest.approx(p, abs=0.02 if 0 < p < 1 else 0)


def test_partners_are_a_permutation():
    partners = draws().partners()
    assert torch.equal(partners.sort().values, torch.arange(4000))
    assert (partners != torch.arange(4000)).float().mean() > 0.99


def test_one_value_per_sample_is_broadcast():
    assert per_sample(torch.arange(3), torch.empty(3, 4, 5)).shape == (3, 1, 1)
