"""What the benchmarks measure with, and that their parity checks can fail."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from tests.benchmarks import bench_training, loops, measure, peer_networks
from tests.benchmarks.measure import bytes_saved, interleave, ratio
from tests.benchmarks.setting import Setting

CPU = torch.device("cpu")


def test_bytes_saved_counts_each_storage_once_and_no_parameters():
    layer = nn.Linear(8, 8, bias=False)
    x = torch.randn(4, 8, requires_grad=True)

    def forward():
        y = layer(x)  # keeps x, and the weight
        return (y * y).sum()  # keeps y, twice

    assert bytes_saved(forward, layer.parameters()) == 4 * (x.numel() + 4 * 8)
    assert bytes_saved(forward) == 4 * (x.numel() + 4 * 8 + 64)


def test_bytes_saved_sees_what_a_custom_operator_keeps():
    with torch.library._scoped_library("skspike_test", "FRAGMENT") as library:
        library.define("double(Tensor x) -> Tensor")
        library.impl("double", lambda x: 2 * x, "CompositeExplicitAutograd")
        torch.library.register_autograd(
            "skspike_test::double",
            lambda ctx, dy: 2 * dy * ctx.saved_tensors[0],
            setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0], output),
            lib=library,
        )
        x = torch.randn(5, 7, requires_grad=True)
        double = torch.ops.skspike_test.double
        assert bytes_saved(lambda: double(x)) == 2 * 4 * 35


def test_bytes_saved_sees_what_our_neurons_keep():
    from skspike.kernels import lif

    x = torch.randn(16, 1000, requires_grad=True)
    assert bytes_saved(lambda: lif(x)) >= x.numel() * 4


def test_arms_are_timed_in_both_orders_on_every_set_of_inputs():
    calls = []
    arms = {name: lambda x, name=name: calls.append((name, x)) for name in "ab"}
    times = interleave(arms, [(1,), (2,)], CPU, seconds=60.0, rounds=4)
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4}
    orders = [[name for name, _ in calls[i : i + 8]] for i in range(16, len(calls), 8)]
    assert [order[0] for order in orders] == ["b", "a", "b", "a"]
    assert all(x == 1 + i % 2 for i, (_, x) in enumerate(calls))


def test_a_turn_that_is_short_is_timed_when_all_are_awake():
    calls = []

    def arm():
        calls.append(None)
        time.sleep(0.04 if len(calls) % 2 else 0.0)

    assert max(interleave({"a": arm}, [()], CPU, seconds=0.0)["a"]) < 0.03


def test_a_long_turn_is_taken_once():
    calls = []

    def arm():
        calls.append(None)
        time.sleep(measure.SHORT)

    assert len(interleave({"a": arm}, [()], CPU, seconds=0.0)["a"]) == 3
    assert len(calls) == 4


def test_rounds_end_with_the_time_but_not_before_the_third():
    times = interleave({"a": lambda: None}, [()], CPU, seconds=0.0)["a"]
    assert len(times) == 3


def test_the_ratio_is_that_of_the_medians():
    assert ratio([4.0, 4.0, 100.0], [2.0, 2.0, 2.0])[0] == 2.0
    assert ratio([4.0, 4.0, 4.0], [2.0, 2.0, 2.0])[1] == 0.0


def test_a_network_without_zoneout_is_not_timed(monkeypatch):
    pytest.importorskip("spikingjelly")
    monkeypatch.setattr(peer_networks.MultiscaleAttention, "zoneout", lambda self, m, wt, wc: m)
    with pytest.raises(AssertionError, match="not close"):
        bench_training.check_vgg(Setting())


def test_a_resnet_with_another_decay_is_not_timed(monkeypatch):
    monkeypatch.setattr(loops, "decaying_step", loops.lif_step)
    with pytest.raises(AssertionError, match="not close"):
        bench_training.check_resnet(Setting())
