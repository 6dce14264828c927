from __future__ import annotations

import pytest
import torch

from skspike.augment import CutMix, EventMix, Mixup
from skspike.augment import _mix as mix_module
from skspike.augment._draws import Draws
from skspike.augment._mix import event_share
from tests.augment.common import counts, one_hot, seeded

MIXES = [Mixup(alpha=1.0), CutMix(), CutMix(label="events"), EventMix(), EventMix(label="volume")]
each_mix = pytest.mark.parametrize("mix", MIXES, ids=repr)


@each_mix
def test_a_batch_of_one_is_mixed_with_itself(mix):
    x, y = counts(1, 4, 2, 6, 5), torch.tensor([[0.3, 0.7]])
    for seed in range(20):
        mixed, label = mix(x, y, seeded(seed))
        assert torch.equal(mixed, x.to(mixed.dtype))
        assert torch.equal(label, y)


@each_mix
def test_with_p_0_nothing_is_mixed(mix):
    x, y = counts(9, 4, 2, 6, 5), one_hot(9)
    mixed, label = type(mix)(**{**mix.get_params(), "p": 0.0})(x, y, seeded())
    assert torch.equal(mixed, x.to(mixed.dtype))
    assert torch.equal(label, y)


@each_mix
@pytest.mark.parametrize(("share", "own"), [(1.0, True), (0.0, False)])
def test_the_whole_of_one_of_the_two(mix, share, own, monkeypatch):
    monkeypatch.setattr(Draws, "beta", lambda draws, alpha: torch.full((draws.n,), share))
    monkeypatch.setattr(Draws, "partners", lambda draws: torch.arange(draws.n).roll(1))
    # boxes of the whole map about its middle
    monkeypatch.setattr(
        Draws, "integers", lambda draws, low, high: torch.full((draws.n,), high // 2 + 1)
    )
    x, y = counts(6, 4, 2, 6, 6), torch.eye(6)
    mixed, label = mix(x, y, seeded())
    assert torch.equal(mixed, (x if own else x.roll(1, 0)).to(mixed.dtype))
    assert torch.equal(label, y if own else y.roll(1, 0))


@each_mix
def test_labels_are_shares_of_two_samples(mix):
    x, y = counts(40, 4, 2, 6, 5), torch.eye(40)
    _, label = mix(x, y, seeded())
    assert (label >= 0).all()
    torch.testing.assert_close(label.sum(dim=1), torch.ones(40))
    assert (label > 0).sum(dim=1).max() == 2
    # every sample is somebody's partner, once
    assert ((label > 0).sum(dim=0) <= 2).all()


@each_mix
@pytest.mark.parametrize(
    "y", [None, torch.arange(4), torch.eye(4).long(), torch.eye(5)[:, :4], torch.eye(4)[0]]
)
def test_labels_that_are_not_soft_are_refused(mix, y):
    with pytest.raises(
        ValueError, match=r"must hold floating soft labels of shape \(4, n_classes\)"
    ):
        mix(counts(4, 4, 2, 6, 5), y, seeded())


def test_mixup_is_its_formula():
    x, y = counts(30, 3, 2, 4, 4).float(), torch.eye(30)
    mixed, label = Mixup(alpha=1.0)(x, y, seeded())
    torch.testing.assert_close(mixed, torch.einsum("ij,jtchw->itchw", label, x))


def test_mixup_shares_follow_the_beta_distribution():
    y = torch.eye(3000)
    own = Mixup(alpha=0.5)(torch.zeros(3000, 1), y, seeded())[1].diagonal()
    assert own.mean().item() == pytest.approx(0.5, abs=0.02)
    assert own.var().item() == pytest.approx(1 / 8, rel=0.06)  # 1 / (4 (2 alpha + 1))


def test_cutmix_pastes_one_box_and_counts_its_area():
    x = torch.arange(50.0).reshape(50, 1, 1, 1, 1).expand(50, 3, 2, 10, 16).contiguous()
    mixed, label = CutMix()(x, torch.eye(50), seeded())
    pasted = mixed != x
    assert torch.equal(pasted, pasted[:, :1, :1].expand_as(pasted))
    rows, columns = pasted[:, 0, 0].any(dim=2), pasted[:, 0, 0].any(dim=1)
    assert torch.equal(pasted[:, 0, 0], rows[:, :, None] & columns[:, None, :])
    torch.testing.assert_close(1 - label.diagonal(), pasted[:, 0, 0].float().mean(dim=(1, 2)))
    partner = label.clone().fill_diagonal_(0).argmax(dim=1)
    assert torch.equal(mixed, torch.where(pasted, x[partner], x))


def test_cutmix_boxes_have_the_sides_of_the_square_root(monkeypatch):
    monkeypatch.setattr(Draws, "beta", lambda draws, alpha: torch.full((draws.n,), 0.75))
    x = torch.arange(200.0).reshape(200, 1, 1, 1).expand(200, 1, 8, 12).contiguous()
    pasted = (CutMix()(x, torch.eye(200), seeded())[0] != x)[:, 0]
    assert pasted.any(dim=2).sum(dim=1).max() == 4
    assert pasted.any(dim=1).sum(dim=1).max() == 6


def by_hand(x, other, mask):
    """The share of the partner's events, of one pair, from the definition."""
    kept = float((x * ~mask).sum()) / float(x.sum())
    pasted = float((other * mask).sum()) / float(other.sum())
    return pasted / (kept + pasted)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_the_share_of_events_is_relative_to_each_recording(dtype):
    x, other = (
        counts(6, 3, 2, 5, 5, dtype=dtype),
        counts(6, 3, 2, 5, 5, high=40, seed=1, dtype=dtype),
    )
    mask = counts(6, 3, 1, 5, 5, high=2).bool()
    share = event_share(x, other, mask, torch.full((6,), 0.5))
    expected = [by_hand(*pair) for pair in zip(x, other, mask, strict=True)]
    torch.testing.assert_close(share, torch.tensor(expected))


@pytest.mark.parametrize(
    ("x", "other", "expected"),
    [
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.25),  # nothing anywhere: the area
        ([0, 0, 0, 0], [8, 0, 0, 0], 1 / 1.75),  # of x the part that the area says
        ([0, 4, 0, 0], [0, 0, 0, 0], 0.25 / 1.25),
        ([5, 0, 0, 0], [0, 3, 0, 0], 0.25),  # the mixture is empty
        ([5, 0, 0, 0], [1, 0, 0, 0], 1.0),
        ([0, 5, 0, 0], [0, 1, 0, 0], 0.0),
        ([-2, 2, 0, 0], [1, 1, 0, 0], 0.5),  # signed counts are events too
    ],
)
def test_recordings_without_events_count_by_area(x, other, expected):
    mask = torch.tensor([[True, False, False, False]])
    share = event_share(torch.tensor([x]), torch.tensor([other]), mask, torch.tensor([0.25]))
    assert share.item() == pytest.approx(expected)


def test_cutmix_by_events_uses_that_share(monkeypatch):
    monkeypatch.setattr(mix_module, "event_share", lambda *args: torch.full((8,), 0.125))
    _, label = CutMix(label="events")(counts(8, 3, 2, 5, 5), torch.eye(8), seeded(3))
    assert set(label.diagonal().tolist()) <= {0.875, 1.0}
