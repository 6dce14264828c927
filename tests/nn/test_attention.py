"""SMA and AZO against their written equations; a test for each trap of the published code."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch.nn import functional as F

from skspike import config_context
from skspike.kernels import lif
from skspike.nn import SMA, SMALite, attention_zoneout
from skspike.nn._attention import zoneout_indices, zoneout_source

T, N, C, H, W = 8, 3, 8, 5, 4


def draw(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def make(cls=SMA, channels=C, n_steps=T, **options):
    """Return a module in double precision whose scales all spike, and differ."""
    torch.manual_seed(0)
    module = cls(channels, n_steps, **options).double()
    for branch in module.branches:
        branch[1].weight.data.uniform_(1, 2)
        branch[1].bias.data.uniform_(0, 1)
    return module


def scales_by_equation(sma, x, activation):
    """1.1, S_i = activation(BN_i(Conv_i(X))), statistics over time, batch and map jointly."""
    scales = []
    for branch in sma.branches:
        conv, norm = branch[0], branch[1]
        z = torch.stack([F.conv2d(s, conv.weight, conv.bias, padding="same") for s in x])
        mean = torch.einsum("tbchw->c", z) / z[:, :, 0].numel()
        d = z - mean[:, None, None]
        variance = torch.einsum("tbchw,tbchw->c", d, d) / z[:, :, 0].numel()
        scale = norm.weight / (variance + norm.eps).sqrt()
        scales.append(activation(d * scale[:, None, None] + norm.bias[:, None, None]))
    return torch.stack(scales)


def softmax_by_equation(attention, descriptor):
    """1.3 and 1.4: exp(A_i relu(A f + a) + a_i), normalised across the scales."""
    squeeze = attention.squeeze
    z = torch.einsum("hc,...c->...h", squeeze.weight, descriptor) + squeeze.bias
    z = torch.where(z > 0, z, 0)
    u = torch.stack(
        [torch.einsum("ch,...h->...c", e.weight, z) + e.bias for e in attention.expand]
    ).exp()
    return u / torch.einsum("i...->...", u)


def weights_by_equation(sma, scales):
    """1.2 to 1.4: the time weights (i, t, b) and the channel weights (i, t, b, c)."""
    f = torch.einsum("itbchw->tbc", scales) / scales[0, 0, 0, 0].numel()
    g = torch.einsum("tbc->bt", f) / f.shape[2]
    if isinstance(sma, SMALite):  # 1.7
        fc = torch.einsum("tbc->bc", f) / f.shape[0]
        wc = softmax_by_equation(sma.channel_attention, fc)[:, None].expand(-1, f.shape[0], -1, -1)
    else:
        wc = softmax_by_equation(sma.channel_attention, f)
    return torch.einsum("ibt->itb", softmax_by_equation(sma.time_attention, g)), wc


def zoneout_by_equation(m, wt, wc, n_steps, n_channels):
    """1.6 entry by entry, for one scale; returns the map and what was replaced."""
    tau_t = sorted(range(len(m)), key=lambda t: wt[t].sum().item())[:n_steps]
    statistic = [sum(wc[t, b, c].item() for t in tau_t for b in range(m.shape[1]))
                 for c in range(m.shape[2])]  # fmt: skip
    tau_c = sorted(range(m.shape[2]), key=statistic.__getitem__)[:n_channels]
    replaced = {(t, c) for t in tau_t if t != 0 for c in tau_c}
    rows = [
        [m[t - 1, :, c] if (t, c) in replaced else m[t, :, c] for c in range(m.shape[2])]
        for t in range(m.shape[0])
    ]
    return torch.stack([torch.stack(row, 1) for row in rows]), replaced


def sma_by_equation(sma, x, activation):
    """Section 1 of the method from input to output, in training."""
    scales = scales_by_equation(sma, x, activation)
    wt, wc = weights_by_equation(sma, scales)
    maps = torch.einsum("itb,itbc,itbchw->itbchw", wt, wc, scales)
    if sma.zoneout:
        n = (sma.n_zoneout_steps, sma.n_zoneout_channels)
        maps = torch.stack(
            [zoneout_by_equation(*each, *n)[0] for each in zip(maps, wt, wc, strict=True)]
        )
    return torch.einsum("itbchw->tbchw", maps)


def spiking(x):
    return lif(x, backend="reference")[0]


# --- the equations ---


@pytest.mark.parametrize("zoneout", [False, True])
@pytest.mark.parametrize(("kind", "activation"), [("lif", spiking), ("relu", torch.relu)])
@pytest.mark.parametrize("cls", [SMA, SMALite])
def test_output_and_gradients_equal_the_written_equations(cls, kind, activation, zoneout):
    sma = make(cls, kind=kind, zoneout=zoneout, zoneout_channels=3, zoneout_steps=3)
    x = draw(T, N, C, H, W)
    y, expected = sma(x), sma_by_equation(sma, x, activation)
    assert (y != 0).any()
    torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-11)
    inputs, upstream = [x, *sma.parameters()], torch.randn_like(y)
    for ours, theirs in zip(
        *(torch.autograd.grad(out, inputs, upstream, allow_unused=True) for out in (y, expected)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("zoneout", [False, True])
def test_gradients_of_the_relu_kind_equal_finite_differences(zoneout):
    sma = make(channels=4, n_steps=4, scales=(1, 3), kind="relu", zoneout=zoneout, time_reduction=2)
    x = draw(4, 2, 4, 3, 2)
    assert torch.autograd.gradcheck(sma, x, eps=1e-7, atol=1e-4)


def test_weights_sum_to_one_over_the_scales_and_their_product_does_not():
    """Trap: each softmax is across the scales; the output is about 1/4 of a spike map."""
    sma = make()
    x = draw(T, N, C, H, W)
    scales = [branch(x) for branch in sma.branches]
    wt, wc = sma._attend(scales)
    assert wt.shape == (4, T, N)
    assert wc.shape == (4, T, N, C)
    torch.testing.assert_close(wt.sum(0), torch.ones_like(wt[0]))
    torch.testing.assert_close(wc.sum(0), torch.ones_like(wc[0]))
    assert sma(x).max() < 0.6


def test_one_scale_has_nothing_to_weigh():
    sma = make(scales=(3,))
    x = draw(T, N, C, H, W)
    assert torch.equal(sma(x), sma.branches[0](x))


# --- AZO: laws ---


@pytest.fixture
def scale():
    """Return an attended map, its time weights and its channel weights, all different."""
    torch.manual_seed(0)
    return draw(T, N, C, H, W), torch.rand(T, N).double(), torch.rand(T, N, C).double()


@pytest.mark.parametrize("n_steps", [1, 2, 5, T])
@pytest.mark.parametrize("n_channels", [1, 3, C])
def test_zoneout_replaces_exactly_the_selected_entries(n_channels, n_steps, scale):
    m, wt, wc = scale
    y = attention_zoneout(m, wt, wc, n_steps=n_steps, n_channels=n_channels)
    expected, replaced = zoneout_by_equation(m, wt, wc, n_steps, n_channels)
    assert torch.equal(y, expected)
    changed = {tuple(index) for index in (y != m).all((1, 3, 4)).nonzero().tolist()}
    assert changed == replaced
    assert (y == m).all((1, 3, 4)).sum() == T * C - len(replaced)
    upstream = torch.randn_like(y)
    gradients = (torch.autograd.grad(out, m, upstream)[0] for out in (y, expected))
    torch.testing.assert_close(*gradients, rtol=1e-14, atol=1e-14)
    first_selected = wt.sum(1).argsort()[:n_steps].eq(0).any().item()
    assert len(replaced) == (n_steps - first_selected) * n_channels


def test_the_first_step_is_never_replaced(scale):
    m, wt, wc = scale
    y = attention_zoneout(m, wt, wc, n_steps=T, n_channels=C)
    assert torch.equal(y[0], m[0])
    assert torch.equal(y[1:], m[:-1])


def test_the_first_step_counts_for_the_selection_and_the_statistic(scale):
    """Trap: t = 0 takes one of the n_T places, and its channel weights are summed with the rest."""
    m, wt, _ = scale
    wt[0], wt[3] = 0.0, 0.01
    wc = torch.ones(T, N, C).double()
    wc[3, :, 1] = 0.5  # the least attended at step 3 alone ...
    wc[0, :, 6] = 0.1  # ... but not together with step 0
    y = attention_zoneout(m, wt, wc, n_steps=2, n_channels=1)
    assert (y != m).all((1, 3, 4)).nonzero().tolist() == [[3, 6]]


def test_channels_of_steps_that_are_not_selected_do_not_count(scale):
    m, wt, _ = scale
    wt[3] = 0.0
    wc = torch.ones(T, N, C).double()
    wc[3, :, 1] = 0.5
    wc[4:, :, 6] = 0.0
    y = attention_zoneout(m, wt, wc, n_steps=1, n_channels=1)
    assert (y != m).all((1, 3, 4)).nonzero().tolist() == [[3, 1]]


@pytest.mark.parametrize("version", ["tensor", "loop"])
def test_the_gradient_of_replaced_entries_goes_to_the_step_before(version, scale):
    m, wt, wc = scale
    wt[2], wc[2, :, 5] = 0.0, 0.0
    y = attention_zoneout(m, wt, wc, n_steps=1, n_channels=1, version=version)
    upstream = torch.randn_like(y)
    (dm,) = torch.autograd.grad(y, m, upstream)
    expected = upstream.clone()
    expected[1, :, 5] += upstream[2, :, 5]
    expected[2, :, 5] = 0
    assert torch.equal(dm, expected)


def test_the_selection_passes_no_gradient(scale):
    m, wt, wc = scale
    wt.requires_grad_(), wc.requires_grad_()
    y = attention_zoneout(m, wt, wc, n_steps=2, n_channels=2)
    assert torch.autograd.grad(y.sum(), (wt, wc), allow_unused=True) == (None, None)


@pytest.mark.parametrize("version", ["tensor", "loop"])
def test_zoneout_leaves_its_input_as_it_was(version, scale):
    m, wt, wc = scale
    before = m.detach().clone()
    attention_zoneout(m, wt, wc, n_steps=4, n_channels=4, version=version)
    assert torch.equal(m, before)


@pytest.mark.parametrize("version", ["tensor", "loop"])
def test_the_steps_read_are_those_of_replacing_in_turn(version):
    """For several scales at once; a map that holds its own step shows what it has read."""
    torch.manual_seed(0)
    wt, wc = torch.rand(3, T, N), torch.rand(3, T, N, C)
    steps, channels = zoneout_indices(wt, wc, 5, 3)
    source = zoneout_source(steps, channels, (T, C), version)
    for i in range(3):
        alone = zoneout_indices(wt[i], wc[i], 5, 3)
        assert torch.equal(steps[i], alone[0])
        assert torch.equal(channels[i], alone[1])
        expected = torch.arange(T)[:, None].repeat(1, C)
        original = expected.clone()
        for t in steps[i].tolist():
            if t > 0:
                before = original if version == "tensor" else expected
                expected[t, channels[i]] = before[t - 1, channels[i]]
        assert torch.equal(source[i], expected)


# --- the kernels ---


@pytest.mark.parametrize("version", ["tensor", "loop"])
@pytest.mark.parametrize("kind", ["lif", "relu"])
def test_compiled_kernels_equal_the_reference(kind, version):
    options = {"kind": kind, "zoneout": True, "zoneout_version": version, "zoneout_steps": 2}
    x, results = draw(T, N, C, H, W), []
    upstream = torch.randn_like(x)
    for backend in ("reference", "numba"):
        sma = make(backend=backend, **options)
        y = sma(x)
        results.append([y, *torch.autograd.grad(y, [x, *sma.parameters()], upstream)])
    for reference, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, reference, rtol=1e-10, atol=1e-10)


def test_nothing_but_scales_and_weights_is_kept_for_their_sum():
    sma = make(kind="relu", zoneout=True, backend="numba")
    scales = [draw(T, N, C, H, W) for _ in range(4)]
    sma._scales = lambda x: scales
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        sma(scales[0])
    for s in scales:
        assert kept.pop(s.untyped_storage().data_ptr()) == s.numel()
    assert max(kept.values()) <= 4 * T * N * C


@pytest.mark.parametrize("version", ["tensor", "loop"])
def test_zoneout_compiles_without_a_graph_break(version, scale):
    def run(m, wt, wc):
        return attention_zoneout(m, wt, wc, n_steps=3, n_channels=3, version=version)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*scale), run(*scale))


@pytest.mark.parametrize("version", ["tensor", "loop"])
def test_training_compiles_without_a_graph_break(version):
    x, results = draw(T, N, C, H, W), []
    upstream = torch.randn_like(x)
    for compiled in (False, True):
        sma = make(zoneout=True, zoneout_version=version)
        y = (torch.compile(sma, fullgraph=True, backend="aot_eager") if compiled else sma)(x)
        results.append([y, *torch.autograd.grad(y, [x, *sma.parameters()], upstream)])
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-10, atol=1e-12)


def test_sixteen_bits():
    x = draw(T, N, C, H, W).detach()
    sma = make(zoneout=True).float()
    with torch.autocast("cpu", torch.bfloat16):
        sma(x.float()).float().sum().backward()
    sma.bfloat16()
    y = sma(x.bfloat16())
    assert y.dtype == torch.bfloat16
    assert (y != 0).any()
    y.sum().backward()


# --- traps 4 to 14 of the published code ---


def test_trap_4_lif_and_relu_kind():
    x = draw(T, N, C, H, W)
    spikes, rates = make(kind="lif").branches[0](x), make(kind="relu").branches[0](x)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert (rates >= 0).all()
    assert len(rates.unique()) > 100


@pytest.mark.parametrize(("n_steps", "hidden"), [(6, 4), (5, 3), (4, 2)])
def test_trap_5_time_reduction_of_one_and_a_half_floors(n_steps, hidden):
    sma = SMA(4, n_steps, time_reduction=1.5)
    assert sma.time_attention.squeeze.weight.shape == (hidden, n_steps)
    assert sma(torch.randn(n_steps, 2, 4, 3, 3)).isfinite().all()


@pytest.mark.parametrize("version", ["tensor", "loop"])
def test_trap_6_a_scale_that_selects_only_the_first_step_is_unchanged(version, scale):
    m, wt, wc = scale
    wt[0] = 0.0
    y = attention_zoneout(m, wt, wc, n_steps=1, n_channels=C, version=version)
    assert torch.equal(y, m)
    (dm,) = torch.autograd.grad(y.sum(), m)
    assert torch.equal(dm, torch.ones_like(m))


@pytest.mark.parametrize("version", ["tensor", "loop"])
@pytest.mark.parametrize(("n_steps", "n_channels"), [(0, 3), (3, 0), (0, 0)])
def test_trap_6_nothing_to_select_changes_nothing(n_steps, n_channels, version, scale):
    m, wt, wc = scale
    options = {"n_steps": n_steps, "n_channels": n_channels, "version": version}
    assert torch.equal(attention_zoneout(m, wt, wc, **options), m)


@pytest.mark.parametrize("divisors", [{"zoneout_steps": T + 1}, {"zoneout_channels": C + 1}])
def test_trap_6_divisors_above_the_sizes_are_no_zoneout(divisors):
    x = draw(T, N, C, H, W)
    assert torch.equal(make(zoneout=True, **divisors)(x), make(zoneout=False)(x))


@pytest.mark.parametrize("seed", range(20))
def test_trap_6_four_steps_of_which_one_is_selected_always_train(seed):
    """The published code crashed here in 164 of 200 random initialisations."""
    torch.manual_seed(seed)
    sma = SMA(8, 4, zoneout=True)
    sma(torch.randn(4, 2, 8, 3, 3)).sum().backward()


def test_trap_6_a_reduction_above_the_size_leaves_one_hidden_unit():
    sma = SMA(4, 3, channel_reduction=5, time_reduction=4)
    assert sma.channel_attention.squeeze.out_features == 1
    assert sma.time_attention.squeeze.out_features == 1
    assert sma(torch.randn(3, 2, 4, 3, 3)).isfinite().all()


def test_trap_7_loop_and_tensor_differ_for_adjacent_steps(scale):
    """Least attended first: after step 3, step 4 receives what step 3 has received from step 2."""
    m, wt, wc = scale
    wt[3], wt[4] = 0.0, 0.1
    tensor, loop = (
        attention_zoneout(m, wt, wc, n_steps=2, n_channels=C, version=version)
        for version in ("tensor", "loop")
    )
    assert torch.equal(tensor[4], m[3])
    assert torch.equal(loop[4], m[2])
    assert torch.equal(loop[3], tensor[3])

    wt[3], wt[4] = 0.1, 0.0  # in the other order both read step 3 before it is replaced
    loop = attention_zoneout(m, wt, wc, n_steps=2, n_channels=C, version="loop")
    assert torch.equal(loop[4], m[3])


def test_trap_8_statistics_are_summed_over_the_batch():
    """What one sample loses depends on the others that it is trained with."""
    m = draw(3, 2, 2, 1, 1)
    wt = torch.tensor([[0.9, 0.9], [0.1, 0.8], [0.4, 0.1]]).double()
    wc = torch.rand(3, 2, 2).double()
    together = attention_zoneout(m, wt, wc, n_steps=1, n_channels=2)
    alone = attention_zoneout(m[:, :1], wt[:, :1], wc[:, :1], n_steps=1, n_channels=2)
    assert torch.equal(together[2], m[1])  # 0.4 + 0.1 is the smallest sum
    assert torch.equal(alone[1], m[0, :1])  # 0.1 is the smallest of sample 0
    assert torch.equal(together[1], m[1])


def test_trap_9_training_is_the_flag_of_each_module():
    one, other = make(zoneout=True), make(zoneout=True)
    plain = make(zoneout=False)
    x = draw(T, N, C, H, W)
    for module in (one, other, plain):
        module(x)  # equal running statistics
    one.eval(), plain.eval()
    assert torch.equal(one(x), plain(x))
    plain.train()
    assert not torch.equal(other(x), plain(x))
    assert not one.training


def test_trap_9_evaluation_is_the_identity_and_training_the_default(scale):
    m, wt, wc = scale
    assert attention_zoneout(m, wt, wc, n_steps=3, n_channels=3, training=False) is m
    assert not torch.equal(attention_zoneout(m, wt, wc, n_steps=3, n_channels=3), m)


@pytest.mark.parametrize(("n_steps", "hidden"), [(16, 4), (10, 2), (14, 3)])
def test_trap_10_time_hidden_width_is_the_steps_divided(n_steps, hidden):
    """Not the divisor itself, as in an older version: for 10 and 14 steps they differ."""
    sma = SMA(4, n_steps, time_reduction=4)
    assert sma.time_attention.squeeze.weight.shape == (hidden, n_steps)
    assert all(e.weight.shape == (n_steps, hidden) for e in sma.time_attention.expand)


def test_trap_11_sma_lite_honours_its_zoneout():
    """The published SMA-L never sets AZO, and takes 16 and 4 whatever is asked for."""
    assert SMALite(32, T).n_zoneout_channels == 2
    assert SMALite(32, T, zoneout_channels=4, zoneout_steps=2).n_zoneout_channels == 8
    assert SMALite(32, T, zoneout_channels=4, zoneout_steps=2).n_zoneout_steps == 4
    x = draw(T, N, C, H, W)
    plain, regularised = make(SMALite), make(SMALite, zoneout=True, zoneout_channels=2)
    assert not torch.equal(plain(x), regularised(x))


def test_sma_lite_has_one_channel_attention_for_all_steps():
    sma = make(SMALite)
    _, wc = sma._attend([draw(T, N, C, H, W) for _ in range(4)])
    assert wc.shape == (4, T, N, C)
    assert (wc == wc[:, :1]).all()
    assert sum(p.numel() for p in sma.parameters()) == sum(p.numel() for p in make().parameters())


def test_trap_12_biases_before_the_norms_exist_and_get_no_gradient():
    sma = make(kind="relu")
    sma(draw(T, N, C, H, W)).square().sum().backward()
    for branch in sma.branches:
        assert branch[0].weight.grad.abs().max() > 1e-3
        assert branch[0].bias.grad.abs().max() < 1e-11


def test_trap_13_the_descriptor_is_the_sum_of_scales_then_the_spatial_mean():
    """Not the mean of the scales, not a maximum over the map."""
    sma = make()
    seen = {}
    for name in ("channel_attention", "time_attention"):
        module = getattr(sma, name)
        module.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0]}))
    scales = [draw(T, N, C, H, W) for _ in range(4)]
    sma._attend(scales)
    f = torch.einsum("itbchw->tbc", torch.stack(scales)) / (H * W)
    torch.testing.assert_close(seen["channel_attention"], f)
    torch.testing.assert_close(seen["time_attention"], f.mean(2).t())


@pytest.mark.parametrize("cls", [SMA, SMALite])
def test_trap_14_another_number_of_steps_raises(cls):
    message = (
        f"Input of {cls.__name__} must have 16 steps, to which its time attention is tied. "
        "Got shape (10, 2, 4, 3, 3) instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        cls(4, 16)(torch.randn(10, 2, 4, 3, 3))


def test_trap_15_the_neurons_are_those_of_the_published_vgg():
    neuron = SMA(4, 4).branches[0][2]
    found = neuron.tau, neuron.threshold, neuron.v_reset, neuron.decay_input, neuron.surrogate
    assert found == (2.0, 1.0, 0.0, True, "atan")


# --- invariants and contract ---


def test_evaluation_of_a_sample_does_not_depend_on_its_batch():
    sma = make(zoneout=True)
    x = draw(T, N, C, H, W)
    sma(x)
    sma.eval()
    alone = torch.cat([sma(x[:, i : i + 1]) for i in range(N)], 1)
    torch.testing.assert_close(alone, sma(x), rtol=1e-12, atol=1e-14)


def test_samples_of_a_training_batch_may_be_permuted():
    sma = make(zoneout=True)
    x, order = draw(T, N, C, H, W), [2, 0, 1]
    torch.testing.assert_close(copy.deepcopy(sma)(x[:, order]), sma(x)[:, order])


@pytest.mark.parametrize("kind", ["lif", "if", "plif", "relu"])
def test_every_parameter_gets_a_gradient(kind):
    sma = make(kind=kind, zoneout=True)
    with config_context(backend="reference"):  # no need to compile every kind
        sma(draw(T, N, C, H, W)).square().sum().backward()
    for name, parameter in sma.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any() or name.endswith(".0.bias"), name
    assert sum(
        "branches" in name and name.endswith(".w") for name, _ in sma.named_parameters()
    ) == (4 if kind == "plif" else 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_maps_smaller_than_a_kernel(size):
    x = torch.randn(4, 2, 4, *size)
    assert SMA(4, 4)(x).shape == x.shape


KINDS, VERSIONS = ["if", "lif", "plif", "relu"], ["loop", "tensor"]


@pytest.mark.parametrize(
    ("name", "value", "error", "must"),
    [
        ("scales", (1, 2), ValueError, "odd kernel sizes, at least one"),
        ("scales", (), ValueError, "odd kernel sizes, at least one"),
        ("kind", "qif", ValueError, f"one of {KINDS}"),
        ("zoneout_version", "fast", ValueError, f"one of {VERSIONS}"),
        ("zoneout_steps", 0, ValueError, "an int in the range [1, inf]"),
        ("zoneout_channels", 2.0, TypeError, "an int in the range [1, inf]"),
        ("channel_reduction", 0, ValueError, "a float in the range (0, inf)"),
        ("time_reduction", "4", TypeError, "a float in the range (0, inf)"),
    ],
)
def test_argument_out_of_range(name, value, error, must):
    message = f"The {name!r} parameter of SMA must be {must}. Got {value!r} instead."
    with pytest.raises(error, match=re.escape(message)):
        SMA(4, 4, **{name: value})


@pytest.mark.parametrize("name", ["n_steps", "n_channels"])
@pytest.mark.parametrize("value", [-1, 1000])
def test_zoneout_of_more_than_there_is(scale, name, value):
    message = rf"The '{name}' parameter of attention_zoneout must be an int .* Got {value} instead"
    with pytest.raises(ValueError, match=message):
        attention_zoneout(*scale, **({"n_steps": 1, "n_channels": 1} | {name: value}))


def test_unknown_zoneout_version(scale):
    message = "The 'version' parameter of attention_zoneout must be one of ['loop', 'tensor']."
    with pytest.raises(ValueError, match=re.escape(message)):
        attention_zoneout(*scale, n_steps=1, n_channels=1, version="fast")
