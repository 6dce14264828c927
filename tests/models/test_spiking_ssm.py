"""SpikingSSM: the published configurations, and equal results in every form and company."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
import torch
from torch import nn

from skspike.models import SpikingSSM, SpikingSSMMatcher, create_model
from skspike.models._spiking_ssm import pool
from skspike.nn import S4D, BatchNorm1d

T, N, K, WIDTH = 40, 3, 3, 4
LENGTHS = torch.tensor([40, 17, 1])

# task: parameters of a block, of all blocks, of the network
PARAMETERS = {
    "smnist": (374_000, 748_000, 752_810),
    "psmnist": (165_632, 662_528, 665_610),
    "listops": (136_960, 821_760, 828_938),
    "text": (136_960, 821_760, 856_834),
    "retrieval": (182_016, 1_092_096, 1_380_098),
    "image": (626_176, 3_757_056, 3_763_210),
    "pathfinder": (182_016, 1_092_096, 1_093_122),
    "pathx": (198_400, 1_190_400, 1_191_426),
    "speech_commands": (41_856, 251_136, 255_907),
    "dvs_gesture": (560_640, 3_363_840, 3_402_763),
}
# task: layers, width, states, norm, its place, bidirectional, trainable B, dropout, shortest step
PUBLISHED = {
    "smnist": (2, 400, 64, "layer", "unused", False, False, 0.1, 1e-3),
    "psmnist": (4, 256, 64, "layer", "unused", False, False, 0.1, 1e-3),
    "listops": (6, 256, 4, "batch", "unused", True, True, 0.0, 1e-3),
    "text": (6, 256, 4, "batch", "before", True, True, 0.0, 1e-3),
    "retrieval": (6, 256, 64, "batch", "before", True, False, 0.0, 1e-3),
    "image": (6, 512, 64, "layer", "unused", True, False, 0.1, 1e-3),
    "pathfinder": (6, 256, 64, "batch", "before", True, False, 0.0, 1e-3),
    "pathx": (6, 256, 64, "batch", "before", True, True, 0.0, 1e-4),
    "speech_commands": (6, 128, 16, "batch", "before", True, True, 0.0, 1e-3),
    "dvs_gesture": (6, 512, 16, "layer", "unused", True, True, 0.1, 1e-3),
}
CLASSES = {"text": 2, "retrieval": 2, "pathfinder": 2, "pathx": 2, "speech_commands": 35}
BOTH_WAYS = [task for task, row in PUBLISHED.items() if row[5]]
CAUSAL = [task for task in PUBLISHED if task not in BOTH_WAYS]

by_task = pytest.mark.parametrize("task", PUBLISHED)
by_block = pytest.mark.parametrize("block", ["s4d", "selective"])
by_readout = pytest.mark.parametrize("readout", ["mean", "max", "last", "ends", "steps"])


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*(shape or (T, N, 1)), dtype=torch.float64, generator=generator)


def build(task=None, **options):
    """Return a network of small width in double precision, with norms that have seen something."""
    torch.manual_seed(0)
    sizes = {"width": WIDTH} if task else {"n_classes": K, "width": WIDTH}
    if not task:
        sizes |= {"dt_max": 2.0} if options.get("block") == "selective" else {"d_state": 8}
    name = f"spiking_ssm_{task}" if task else "spiking_ssm"
    model = create_model(name, **sizes | options).double().eval()
    for i, norm in enumerate(m for m in model.modules() if isinstance(m, BatchNorm1d)):
        norm.running_mean.copy_(0.3 * draw(WIDTH, seed=i))
        norm.running_var.copy_(draw(WIDTH, seed=50 + i).exp())
    return model


def inputs(task=None, n=N):
    """Return sequences, or tokens of sequences, that go into a published network."""
    generator = torch.Generator().manual_seed(1)
    if task in ("listops", "text", "retrieval"):
        shape = (T, n, 2) if task == "retrieval" else (T, n)
        return torch.randint(18, shape, generator=generator)
    return draw(T, n, 64 if task == "dvs_gesture" else 1)


def recorded(model):
    """Return the list of what the state space models return from now on, in any form."""
    found = []

    def record(function):
        def call(*arguments):
            result = function(*arguments)
            found.append(result[0] if isinstance(result, tuple) else result)
            return result

        return call

    for ssm in (m for m in model.modules() if isinstance(m, S4D)):
        ssm.forward, ssm.stream = record(ssm.forward), record(ssm.stream)
    return found


def stream(model, x, sizes):
    """Return the outputs of a stream in chunks of some sizes."""
    state, parts = None, []
    for chunk in x.split(sizes):
        y, state = model.stream(chunk, state)
        parts.append(y)
    return torch.cat(parts)


def largest(difference):
    return difference.abs().max().item()


# --- the published networks ---


def body(model):
    return model.body if isinstance(model, SpikingSSMMatcher) else model


@by_task
def test_number_of_parameters(task):
    model = create_model(f"spiking_ssm_{task}")
    blocks = [sum(p.numel() for p in block.parameters()) for block in body(model).blocks]
    block, backbone, total = PARAMETERS[task]
    assert blocks == [block] * PUBLISHED[task][0]
    assert sum(blocks) == backbone
    assert sum(p.numel() for p in model.parameters()) == total


@by_task
def test_configuration(task):
    model = create_model(f"spiking_ssm_{task}")
    layers, width, d_state, norm, place, both, trainable, dropout, dt_min = PUBLISHED[task]
    assert len(body(model).blocks) == layers
    for block in body(model).blocks:
        ssm, neuron = block.ssm, block.neuron
        assert (ssm.n_channels, 2 * ssm.a_imag.shape[1]) == (width, d_state)
        assert isinstance(block.norm, {"layer": nn.LayerNorm, "batch": BatchNorm1d}[norm])
        assert (block.norm_place, block.dropout.p) == (place, dropout)
        assert (ssm.bidirectional, ssm.b is not None) == (both, trainable)
        assert (neuron.decay, neuron.ln_threshold.shape) == (0.125, (width,))
        dt = ssm.log_dt.exp()
        assert dt_min * 0.999 <= dt.min().item() < 10 * dt_min
        assert 0.05 < dt.max().item() <= 0.1001
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    assert last.out_features == CLASSES.get(task, 11 if task == "dvs_gesture" else 10)


def test_options_differ_from_what_is_published():
    model = create_model("spiking_ssm_smnist", n_classes=5, in_channels=2, mode="sdn")
    assert model.encoder.in_features == 2
    assert model.decoder.out_features == 5
    assert {block.neuron.mode for block in model.blocks} == {"sdn"}
    assert create_model("spiking_ssm_smnist").decoder.out_features == 10


# --- forms and streams ---


@by_task
def test_the_recurrent_form_is_the_parallel_one(task):
    """Down to the current of each neuron: spikes would hide what passes no threshold."""
    model, x = build(task), inputs(task)
    currents = recorded(model)
    with torch.no_grad():
        y, other = model(x), model(x, form="recurrent")
    n = len(currents) // 2
    assert n == PUBLISHED[task][0]
    for a, b in zip(currents[:n], currents[n:], strict=True):
        assert largest(a - b) < 1e-10
    assert largest(y - other) < 1e-10
    assert len(y.unique()) == y.numel()


@pytest.mark.parametrize("task", CAUSAL)
@pytest.mark.parametrize("sizes", [(1,) * T, (3, 20, T - 23), (T,)], ids=["steps", "parts", "one"])
def test_a_published_network_in_chunks_is_the_whole(sizes, task):
    model, x = build(task), inputs(task)
    currents = recorded(model)
    with torch.no_grad():
        whole, n = model(x), len(currents)
        streamed = stream(model, x, sizes)
    assert largest(streamed[-1:] - whole) < 1e-10
    for i in range(n):  # the calls of a layer
        assert largest(torch.cat(currents[n + i :: n]) - currents[i]) < 1e-10


@pytest.mark.parametrize("task", [task for task in BOTH_WAYS if task != "retrieval"])
def test_a_network_that_looks_ahead_does_not_stream(task):
    with pytest.raises(ValueError, match="The 'bidirectional' parameter of S4D must be False"):
        build(task).stream(inputs(task))


@by_block
def test_blocks_that_are_passed_again_have_the_same_weights(block):
    model, x = build(block=block, n_layers=2, n_repeats=3, readout="steps"), draw()
    once = build(block=block, n_layers=2, readout="steps")
    assert [p.shape for p in model.parameters()] == [p.shape for p in once.parameters()]
    y = model.encoder(x)
    for _ in range(3):
        for part in model.blocks:
            y = part(y)
    with torch.no_grad():
        assert torch.equal(model(x), model.decoder(y))
        assert largest(stream(model, x, (3, 20, T - 23)) - model(x)) < 1e-10
        alone = torch.cat([model(x[:n, i : i + 1]) for i, n in enumerate(LENGTHS)])
        together = model(x, LENGTHS)
        ragged = torch.cat([together[:n, i : i + 1] for i, n in enumerate(LENGTHS)])
        assert largest(ragged - alone) < 1e-10


@by_readout
@by_block
def test_a_final_norm_stands_before_what_is_read(block, readout):
    plain = build(readout=readout, block=block, n_layers=2)
    model, x = build(readout=readout, block=block, n_layers=2, final_norm=True), draw()
    norm = nn.LayerNorm(WIDTH, dtype=torch.float64)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    model.norm.load_state_dict(norm.state_dict())
    with torch.no_grad():
        z = norm(plain.features(x))
        assert torch.equal(model.features(x), z)
        assert torch.equal(model(x), plain.decoder(pool(z, None, readout)))
        assert largest(model(x) - plain(x)) > 0.01
        whole = model(x) if readout == "steps" else model(x)[0]
        streamed = stream(model, x, (3, 20, T - 23))
        assert largest((streamed if readout == "steps" else streamed[-1]) - whole) < 1e-10
        alone = [model(x[:n, i : i + 1]) for i, n in enumerate(LENGTHS)]
        together = model(x, LENGTHS)
        for i, expected in enumerate(alone):
            assert largest(together[: len(expected), i : i + 1] - expected) < 1e-10


@by_readout
@by_block
@pytest.mark.parametrize("mode", ["exact", "sdn", "fixed_point"])
def test_a_stream_answers_after_each_step_as_for_the_steps_so_far(mode, block, readout):
    model, x = build(readout=readout, mode=mode, block=block, n_layers=2), draw()
    with torch.no_grad():
        streamed = stream(model, x, (5, T - 5))
        assert streamed.shape == (T, N, K)
        for t in (0, 4, 5, T - 1):
            assert largest(model(x[: t + 1])[-1] - streamed[t]) < 1e-10


def test_the_state_does_not_grow():
    def size(state):
        if isinstance(state, torch.Tensor):
            return state.numel()
        return 1 if isinstance(state, int) else sum(map(size, state))

    model = build(n_layers=2)
    _, short = model.stream(draw(2, N, 1))
    _, long = model.stream(draw(200, N, 1), short)
    assert size(short) == size(long)
    assert long[2] == 202


@pytest.mark.parametrize("task", CAUSAL)
def test_the_past_does_not_see_the_future(task):
    model, x, s = build(task, readout="steps"), inputs(task), 17
    other = x.clone()
    other[s:] += draw(*x[s:].shape, seed=1)
    with torch.no_grad():
        change = model(other) - model(x)
    assert largest(change[:s]) < 1e-12
    assert change[s].abs().min() > 0


# --- sequences of unequal lengths ---


def filled(x, lengths, other):
    """Return sequences behind which stands something else."""
    steps = torch.arange(T).reshape(-1, *(1 for _ in lengths.shape)) < lengths
    return torch.where(steps.reshape(*steps.shape, *(1,) * (x.ndim - steps.ndim)), x, other)


@by_task
def test_one_by_one_is_together(task):
    model, x = build(task), inputs(task)
    lengths = torch.tensor([[40, 17], [1, 25], [3, 3]]) if task == "retrieval" else LENGTHS
    nothing = torch.nan if x.is_floating_point() else -1
    with torch.no_grad():
        together = model(filled(x, lengths, nothing), lengths)
        recurrent = model(filled(x, lengths, nothing), lengths, form="recurrent")
        if task == "retrieval":
            alone = [pair(model, x[:, i], n) for i, n in enumerate(lengths)]
        else:
            alone = [model(x[:n, i : i + 1]) for i, n in enumerate(lengths)]
    assert largest(together - torch.cat(alone, 1)) < 1e-10
    assert largest(recurrent - together) < 1e-10


def pair(model, x, lengths):
    """Return the output for two sequences of (n_steps, 2), each encoded alone."""
    u, v = (model.body(x[:n, i : i + 1]) for i, n in enumerate(lengths))
    return model.match(torch.cat([u, v, u - v, u * v], -1))


@by_task
def test_what_stands_behind_a_sequence_does_not_matter_in_training(task):
    results = []
    for nothing in (0, 7):
        model, x = build(task), inputs(task)
        lengths = torch.tensor([[40, 17], [1, 25], [3, 3]]) if task == "retrieval" else LENGTHS
        nothing = torch.nan if nothing and x.is_floating_point() else nothing
        torch.manual_seed(1)
        y = model.train()(filled(x, lengths, nothing), lengths)
        y.square().sum().backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        results.append([y, *gradients, *model.buffers()])
    for one, other in zip(*results, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@by_readout
def test_what_the_output_is_read_from(readout):
    model, x = build(readout=readout, n_layers=1), draw()
    z = model.features(x, LENGTHS)
    y = model(x, LENGTHS)
    assert y.shape == (T if readout == "steps" else 1, N, K)
    assert torch.equal(model(x), model(x, torch.full((N,), T)))
    for i, n in enumerate(LENGTHS):
        own = z[:n, i]
        steps = {"mean": own.mean(0)[None], "max": own.amax(0)[None], "last": own[-1:]}
        steps["ends"] = torch.cat([own[:1], own[-1:]], -1)
        expected = model.decoder(steps.get(readout, z[:, i]))
        torch.testing.assert_close(y[:, i], expected, rtol=0, atol=1e-12)


def test_whole_sequences_need_no_masks():
    model, x = build(), draw()
    whole = torch.full((N,), T)
    kept: dict[bool, list] = {False: [], True: []}
    for given, found in kept.items():
        with torch.autograd.graph.saved_tensors_hooks(found.append, lambda i: i):
            y = model(x, whole if given else None)
        found.append(y)
    assert len(kept[True]) == len(kept[False])
    assert torch.equal(kept[True][-1], kept[False][-1])


@pytest.mark.parametrize("lengths", [[40, 17, 0], [41, 17, 1], [40, 17], [[40, 17, 1]]])
def test_lengths_that_do_not_fit(lengths):
    message = (
        "The 'lengths' parameter of SpikingSSM must be 3 ints in the range [1, 40]. "
        f"Got {lengths} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        build()(draw(), torch.tensor(lengths))


# --- selective blocks ---

by_direction = pytest.mark.parametrize("bidirectional", [False, True], ids=["causal", "both"])


@by_direction
@by_readout
def test_selective_networks_agree_with_themselves(readout, bidirectional):
    """Together and one by one, whatever is behind a sequence, and in the recurrent form."""
    model = build(block="selective", readout=readout, bidirectional=bidirectional, n_layers=3)
    x = draw()
    with torch.no_grad():
        y = model(x, LENGTHS)
        assert largest(model(x, LENGTHS, form="recurrent") - y) < 1e-10
        behind = torch.arange(T)[:, None, None] >= LENGTHS[:, None]
        other = model(torch.where(behind, torch.nan, x), LENGTHS)
        for i, n in enumerate(LENGTHS):
            shown = slice(n if readout == "steps" else 1)
            alone = model(x[:n, i : i + 1])
            assert largest(alone - y[shown, i : i + 1]) < 1e-10
            assert torch.equal(other[shown, i], y[shown, i])
    assert len(y[0].unique()) == y[0].numel()


def test_a_selective_network_does_not_see_the_future():
    model, x = build(block="selective", readout="steps", n_layers=3, expand=8), draw()
    other = x.clone()
    other[17:] += 1
    change = model(other) - model(x)
    assert not change[:17].any()
    assert change[17].any()


def test_every_parameter_of_a_selective_network_learns():
    model = build(block="selective", bidirectional=True, expand=8).train()
    model(draw()).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    assert model.slow_parameters() == []


# --- the matcher ---


def test_the_matcher_compares_two_means():
    model = build("retrieval", n_layers=1)
    x = inputs("retrieval")
    y = model(x)
    assert y.shape == (1, N, 2)
    alone = [pair(model, x[:, i], (T, T)) for i in range(N)]
    torch.testing.assert_close(y, torch.cat(alone, 1), rtol=0, atol=1e-12)
    assert not torch.equal(model(x.flip(-1)), y)


@by_readout
@by_block
def test_the_matcher_takes_options(block, readout):
    if readout != "steps":
        model = SpikingSSMMatcher(2, width=4, n_layers=1, block=block, readout=readout)
        assert model(torch.randn(T, N, 2, 1)).shape == (1, N, 2)


def test_the_matcher_takes_sequences_of_numbers():
    model = SpikingSSMMatcher(2, width=4, n_layers=1, in_channels=3).double()
    assert model(draw(T, N, 2, 3)).shape == (1, N, 2)


# --- gradients and parameters ---


@by_task
def test_every_parameter_that_is_used_learns(task):
    model, x = build(task).train(), inputs(task)
    model(x).square().sum().backward()
    for name, p in model.named_parameters():
        used = ".norm." not in name or PUBLISHED[task][4] != "unused"
        assert (p.grad is not None) == used, name
        assert not used or (p.grad.isfinite().all() and p.grad.any()), name


@by_task
def test_slow_parameters(task):
    model = build(task)
    names = {id(p): name for name, p in model.named_parameters()}
    found = [names[id(p)].rpartition("ssm.")[2] for p in model.slow_parameters()]
    slow = ["log_dt", "log_a_real", "a_imag", *(["b", "c"] if PUBLISHED[task][6] else [])]
    assert found == slow * PUBLISHED[task][0]


# --- contract ---


def test_without_a_decoder():
    model = build(n_classes=None, readout="steps")
    assert torch.equal(model(draw()), model.features(draw()))
    assert model(draw()).shape == (T, N, WIDTH)


@pytest.mark.parametrize("task", ["psmnist", "text"])
def test_compiles_without_a_graph_break(task):
    model, x = build(task, n_layers=2, dropout=0.0).train(), inputs(task)
    other = copy.deepcopy(model)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    y, expected = compiled(x), model(x)
    torch.testing.assert_close(y, expected)
    y.sum().backward()
    expected.sum().backward()
    for p, q in zip(other.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_streams(copied):
    model, x = build(), draw()
    with torch.no_grad():
        _, state = model.stream(x[:9])
        expected, _ = model.stream(x[9:], state)
        assert torch.equal(copied(model).stream(x[9:], copied(state))[0], expected)


def test_modes_share_their_parameters():
    exact = build()
    for mode in ("sdn", "fixed_point"):
        other = build(mode=mode)
        other.load_state_dict(exact.state_dict())
        assert largest(other(draw()) - exact(draw())) < 0.2 * largest(exact(draw()))


def test_under_autocast():
    model, x = build().float(), draw().float()
    expected = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        y, (streamed, _) = model(x), model.stream(x)
    assert y.dtype == streamed.dtype == torch.bfloat16
    assert largest(y - expected) < 0.1 * largest(expected)
    assert largest(streamed[-1] - expected) < 0.1 * largest(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_classes", 0),
        ("n_layers", 0),
        ("n_repeats", 0),
        ("width", 0),
        ("in_channels", 0),
        ("vocabulary_size", 0),
    ],
)
def test_value_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of SpikingSSM must be an int"):
        SpikingSSM(**{"n_classes": K} | {name: value})


def test_an_unknown_readout():
    message = (
        "The 'readout' parameter of SpikingSSM must be one of "
        "['ends', 'last', 'max', 'mean', 'steps']. Got 'sum' instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        SpikingSSM(K, readout="sum")


def test_an_unknown_block():
    message = "The 'block' parameter of SpikingSSM must be one of ['s4d', 'selective']. Got 's5'"
    with pytest.raises(ValueError, match=re.escape(message)):
        SpikingSSM(K, block="s5")


def test_an_unknown_option():
    with pytest.raises(TypeError, match="depth"):
        SpikingSSM(K, depth=3)
    with pytest.raises(TypeError, match="d_state"):
        SpikingSSM(K, block="selective", d_state=3)
