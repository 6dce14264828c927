from __future__ import annotations

import pytest
import torch

from skspike.augment import EventMix
from skspike.augment._draws import Draws
from skspike.augment._event_mix import _densest, _gaussians
from skspike.augment._mix import event_share
from tests.augment.common import counts, seeded


def numbered(n: int, *shape: int) -> torch.Tensor:
    """Return samples that hold nothing but their number, from 1 on."""
    return torch.arange(1.0, n + 1).reshape(n, *[1] * len(shape)).expand(n, *shape).contiguous()


def test_the_blob_fills_the_drawn_share(monkeypatch):
    monkeypatch.setattr(Draws, "beta", lambda draws, alpha: torch.full((draws.n,), 0.7))
    x = numbered(40, 6, 2, 9, 7)
    mixed, label = EventMix(label="volume")(x, torch.eye(40), seeded())
    pasted = mixed != x
    assert torch.equal(pasted, pasted[:, :, :1].expand_as(pasted))  # both polarities
    mixed_samples = pasted.flatten(1).any(dim=1)
    share = pasted[mixed_samples].float().flatten(1).mean(dim=1)
    assert share.min() * 378 > 112.99  # 0.3 * 378, rounded
    assert share.max() < 0.32  # places as far from a centre are as dense
    torch.testing.assert_close(1 - label.diagonal()[mixed_samples], share)


def test_what_is_pasted_is_the_partners():
    x = counts(20, 6, 2, 9, 7, high=200)
    mixed, label = EventMix()(x, torch.eye(20), seeded())
    partner = label.clone().fill_diagonal_(0).argmax(dim=1)
    own = label.diagonal() == 1
    partner[own] = torch.arange(20)[own]
    assert ((mixed == x) | (mixed == x[partner])).all()


def test_the_label_is_the_share_of_events():
    x = counts(20, 6, 2, 9, 7, high=200)
    y = torch.eye(20)
    mixed, volume = EventMix(label="volume")(x, y, seeded())
    same, events = EventMix()(x, y, seeded())
    assert torch.equal(mixed, same)
    partner = volume.clone().fill_diagonal_(0).argmax(dim=1)
    marked, _ = EventMix()(numbered(20, 6, 2, 9, 7), y, seeded())
    mask = marked != numbered(20, 6, 2, 9, 7)
    expected = event_share(x, x[partner], mask, 1 - volume.diagonal())
    torch.testing.assert_close(1 - events.diagonal(), expected)


@pytest.mark.parametrize("n_gaussians", [None, 1, 6])
def test_blobs_are_where_the_density_is_highest(n_gaussians):
    draws = Draws(torch.empty(30, 6, 2, 9, 7), seeded())
    density = EventMix(n_gaussians=n_gaussians)._density(torch.empty(30, 6, 2, 9, 7), draws)
    assert density.shape == (30, 6, 9, 7)
    blob = _densest(density, torch.full((30,), 0.3))
    inside = density.masked_fill(~blob, torch.inf).flatten(1).min(dim=1).values
    outside = density.masked_fill(blob, -torch.inf).flatten(1).max(dim=1).values
    assert (inside >= outside).all()
    assert (density > 0).all()


def test_one_gaussian_is_an_ellipsoid_about_a_place_of_the_map():
    curves = _gaussians(20, 1, Draws(torch.empty(500, 0), seeded()))[0]
    peak = curves.argmax(dim=1)
    assert torch.equal(curves.gather(1, peak[:, None]), torch.ones(500, 1, dtype=torch.float64))
    assert peak.unique().tolist() == list(range(20))
    nearest = torch.where(peak < 10, peak + 1, peak - 1)
    # ln of the height one pixel off the centre: -1 / (2 deviation^2)
    deviation = (-0.5 / curves.gather(1, nearest[:, None]).log()).sqrt()
    assert 1 - 1e-6 <= deviation.min() < 1.1
    assert 9 < deviation.max() <= 10


@pytest.mark.parametrize(("share", "number"), [(0.0, 0), (0.5, 2), (1.0, 4)])
def test_nothing_a_half_or_everything(share, number):
    density = torch.tensor([[[[0.1, 0.4], [0.3, 0.2]]]])
    blob = _densest(density, torch.tensor([share]))
    assert blob.sum() == number
    if number == 2:
        assert blob.flatten().tolist() == [False, True, True, False]
