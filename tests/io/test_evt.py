"""RAW files: closed forms, the specification against the compiled twin, and real recordings."""

import itertools

import numpy as np
import pytest

import skspike
from skspike.exceptions import EventFormatError, EventLossWarning
from skspike.io import iter_events, read_events
from skspike.io._evt import FORMATS, _has_swapped_halves
from skspike.io._log import DecodeLog
from skspike.io._prophesee import Header
from tests.io import evt_files as evt
from tests.io.common import RAW, rows, salvage, sample

BY_NAME = {format.name: format for format in FORMATS}
BACKENDS = ("reference", "numba")


@pytest.fixture(params=BACKENDS)
def backend(request):
    with skspike.config_context(backend=request.param):
        yield request.param


# --- What words mean ---


def test_evt3_words(tmp_path, backend):
    words = [
        *(evt.high(1), evt.low(5), evt.row(7), evt.event(3, 1), evt.event(2, 0)),
        *(evt.TRIGGER, evt.CONTINUED_4, evt.OTHERS, evt.CONTINUED_12),
        *(evt.base(10, 1), evt.mask12(0b100000000101), evt.mask8(0b10000001), evt.row(8)),
        *(evt.low(4095), evt.mask12(1), evt.base(1279, 0), evt.mask8(1)),
        *(evt.high(2), evt.event(4, 1), evt.low(9), evt.event(4, 1)),
    ]
    X = read_events(evt.raw_file(tmp_path, "evt3", words))
    assert X.sensor_size == (1280, 720)
    assert rows(X[0]) == [
        *((3, 7, 4101, True), (2, 7, 4101, False)),
        *((10, 7, 4101, True), (12, 7, 4101, True), (21, 7, 4101, True)),
        *((22, 7, 4101, True), (29, 7, 4101, True), (30, 8, 8191, True), (1279, 8, 8191, False)),
        *((4, 8, 8192, True), (4, 8, 8201, True)),  # a new upper part begins at a lower one of 0
    ]


def test_evt2_words(tmp_path, backend):
    words = [evt.high2(3), evt.cd2(5, 6, 1, 63), 0xA0000000, evt.high2(4), evt.cd2(639, 479, 0, 0)]
    X = read_events(evt.raw_file(tmp_path, "evt2", words))
    assert X.sensor_size == (640, 480)
    assert rows(X[0]) == [(5, 6, 255, True), (639, 479, 256, False)]


@pytest.mark.parametrize("endianness", ["little", "legacy", None])
def test_evt21_words(tmp_path, backend, endianness):
    words = np.array(
        [evt.high21(3), evt.cd21(32, 6, 1, 63, 0b101), 0xE << 60, evt.cd21(64, 7, 0, 63, 1 << 31)],
        np.uint64,
    )
    if endianness == "legacy":
        words = words << np.uint64(32) | words >> np.uint64(32)
    stated = f";endianness={endianness}" if endianness else ""
    header = f"% format EVT21{stated};height=720;width=1280\n% end\n".encode()
    X = read_events(evt.raw_file(tmp_path, "evt2.1", words, header=header))
    assert rows(X[0]) == [(32, 6, 255, True), (34, 6, 255, True), (95, 7, 255, False)]


def test_which_half_of_a_word_comes_first_shows_in_the_words():
    words = np.array([evt.high21(5), *(evt.cd21(32, 6, 1, k, 2**k) for k in range(32))], np.uint64)
    swapped = words << np.uint64(32) | words >> np.uint64(32)
    assert not _has_swapped_halves(Header({}, 0), words)
    assert _has_swapped_halves(Header({}, 0), swapped)
    assert not _has_swapped_halves(Header({"endianness": "little"}, 0), swapped)


@pytest.mark.parametrize(
    ("encoding", "half", "whole", "words"),
    [
        ("evt3", 11, 24, lambda h: [evt.high(h), evt.low(0), evt.row(1), evt.event(1, 1)]),
        ("evt2", 27, 34, lambda h: [evt.high2(h), evt.cd2(1, 1, 1, 0)]),
        ("evt2.1", 27, 34, lambda h: [evt.high21(h), evt.cd21(1, 1, 1, 0, 1)]),
    ],
)
def test_time_goes_on_where_its_counter_begins_anew(
    tmp_path, backend, encoding, half, whole, words
):
    last, unit = 2 ** (half + 1) - 1, 2 ** (whole - half - 1)
    path = evt.raw_file(tmp_path, encoding, [*words(last), *words(0), *words(last), *words(1)])
    times = read_events(path)[0]["t"].tolist()
    assert times == [last * unit, 2**whole, 2**whole + last * unit, 2 * 2**whole + unit]
    # A fall by less than half the range is none.
    path = evt.raw_file(tmp_path, encoding, [*words(2**half), *words(1)])
    with pytest.raises(EventFormatError, match=r"time runs backwards"):
        read_events(path)
    path = evt.raw_file(tmp_path, encoding, [*words(2**half), *words(0)])
    assert read_events(path)[0]["t"].tolist() == [2**half * unit, 2**whole]


def test_a_lower_time_that_is_overwritten_is_no_step_backwards(tmp_path, backend):
    # Cameras of generation 4.1 write the rounded time after the exact one.
    words = [evt.high(1), evt.low(811), evt.low(800), evt.row(0), evt.event(0, 1)]
    assert read_events(evt.raw_file(tmp_path, "evt3", words))[0]["t"].tolist() == [4896]


# --- What is wrong with a file ---


@pytest.mark.parametrize(
    ("encoding", "good", "bad"),
    [
        ("evt3", [evt.high(0), evt.row(1), evt.event(1, 1)], 0x9000),
        ("evt3", [evt.high(0), evt.row(1), evt.event(1, 1)], 0x1000),
        ("evt2", [evt.high2(0), evt.cd2(1, 1, 1, 0)], 0x90000000),
        ("evt2.1", [evt.high21(0), evt.cd21(1, 1, 1, 0, 1)], 0xB << 60),
    ],
)
def test_a_reserved_type_is_a_damage(tmp_path, backend, encoding, good, bad):
    path = evt.raw_file(tmp_path, encoding, [*good, bad, bad, good[-1]])
    with pytest.raises(EventFormatError, match=r"the type of a word is a reserved one") as caught:
        read_events(path)
    assert caught.value.offset == evt.offset_of(encoding, len(good))
    assert caught.value.path == str(path)
    events, message = salvage(path)
    assert rows(events) == [(1, 1, 0, True)] * 2
    size = np.dtype(evt.DTYPES[encoding]).itemsize
    assert "damaged in 2 places" in message
    assert f"2 events read, {2 * size} bytes without a readable event left out" in message


@pytest.mark.parametrize(
    ("encoding", "words", "at", "lost"),
    [
        ("evt3", [evt.high(0), evt.row(1), evt.base(2040, 1), evt.mask12(0xF0F)], 3, 4),
        ("evt3", [evt.high(0), evt.row(1), evt.base(2047, 1), *[evt.mask12(0xFFF)] * 40], 3, 479),
        ("evt2.1", [evt.high21(0), evt.cd21(2046, 1, 1, 0, 0x80000003)], 1, 1),
    ],
)
def test_a_group_beyond_the_last_column_is_a_damage(tmp_path, backend, encoding, words, at, lost):
    header = evt.HEADERS[encoding].replace(b"1280", b"2048")
    path = evt.raw_file(tmp_path, encoding, words, header=header)
    with pytest.raises(EventFormatError, match=r"reaches beyond column 2047") as caught:
        read_events(path)
    size = np.dtype(evt.DTYPES[encoding]).itemsize
    assert caught.value.offset == len(header) + size * at
    events, message = salvage(path)
    assert events["x"].max() <= 2047
    assert f"{lost} event" in message


@pytest.mark.parametrize("encoding", list(evt.HEADERS))
def test_a_part_of_a_word_at_the_end_is_a_damage(tmp_path, encoding):
    words = {
        "evt2": [evt.high2(0), evt.cd2(1, 1, 1, 0)],
        "evt2.1": [evt.high21(0), evt.cd21(1, 1, 1, 0, 1)],
        "evt3": [evt.high(0), evt.row(1), evt.event(1, 1)],
    }[encoding]
    path = evt.raw_file(tmp_path, encoding, words, rest=b"\x00")
    with pytest.raises(EventFormatError, match=r"it ends after 1 of the [248] bytes") as caught:
        read_events(path)
    assert caught.value.offset == evt.offset_of(encoding, len(words))
    events, message = salvage(path)
    assert rows(events) == [(1, 1, 0, True)]
    assert "1 event read, 1 byte without a readable event left out" in message


def test_events_before_the_first_time_warn_and_do_not_raise(tmp_path, backend):
    words = [evt.event(1, 1), evt.high(0), evt.event(2, 1), evt.mask8(7), evt.row(5)]
    words += [evt.mask12(3), evt.event(3, 0)]
    path = evt.raw_file(tmp_path, "evt3", words)
    with pytest.warns(EventLossWarning, match=r"^7 events of file .* left out: they come before"):
        X = read_events(path)
    assert rows(X[0]) == [(3, 5, 0, False)]
    path = evt.raw_file(tmp_path, "evt2", [evt.cd2(1, 1, 1, 0), evt.high2(1), evt.cd2(2, 2, 1, 0)])
    with pytest.warns(EventLossWarning, match=r"^1 event of file"):
        assert rows(read_events(path)[0]) == [(2, 2, 64, True)]
    words = [evt.cd21(1, 1, 1, 0, 7), evt.high21(1), evt.cd21(2, 2, 1, 0, 1)]
    with pytest.warns(EventLossWarning, match=r"^3 events of file"):
        assert rows(read_events(evt.raw_file(tmp_path, "evt2.1", words))[0]) == [(2, 2, 64, True)]


def test_an_event_off_the_sensor_is_found_at_its_word(tmp_path, backend):
    words = [evt.high(0), evt.row(1), evt.event(1, 1), evt.base(1278, 1), evt.mask8(0b101)]
    path = evt.raw_file(tmp_path, "evt3", words)
    with pytest.raises(
        EventFormatError, match=r"an event at x=1280, y=1 lies off .*\(1280, 720\)"
    ) as caught:
        read_events(path)
    assert caught.value.offset == evt.offset_of("evt3", 4)
    assert rows(salvage(path)[0]) == [(1, 1, 0, True), (1278, 1, 0, True)]
    assert read_events(path, sensor_size=(1281, 720)).n_events == 3


# --- The twin, blocks and offsets ---


def random_words(encoding, n, seed):
    """Return words of all types, the frequent ones more often, with a few plausible times."""
    rng = np.random.default_rng(seed)
    if encoding == "evt3":
        kinds = rng.choice(16, n, p=np.array([4, 1, 8, 3, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1]) / 33)
        return (kinds << 12 | rng.integers(0, 2**12, n)).tolist()
    kinds = rng.choice(16, n, p=np.array([6, 6, 0, 0, 0, 0, 0, 0, 3, 1, 1, 1, 1, 1, 1, 1]) / 22)
    words = kinds << 28 | rng.integers(0, 2**28, n)
    if encoding == "evt2":
        return words.tolist()
    masks = rng.integers(0, 2**32, n) & rng.integers(0, 2**32, n)
    return [int(word) << 32 | int(mask) for word, mask in zip(words, masks, strict=True)]


def decoded(path, encoding, backend, chunk):
    """Decode a file in salvage mode; return the blocks' events and offsets, and the log."""
    log = DecodeLog(path, True)
    with skspike.config_context(backend=backend):
        blocks = list(BY_NAME[encoding].decode(path, log, chunk))
    return blocks, log


@pytest.mark.parametrize("encoding", list(evt.HEADERS))
@pytest.mark.parametrize("seed", range(3))
def test_the_twin_equals_the_specification(tmp_path, encoding, seed):
    path = evt.raw_file(tmp_path, encoding, random_words(encoding, 3000, seed), rest=b"\x01")
    expected, expected_log = decoded(path, encoding, "reference", 10**6)
    expected = np.concatenate([block.events for block in expected])
    assert len(expected) > 500
    for backend, chunk in itertools.product(BACKENDS, (1, 50, 10**6)):
        blocks, log = decoded(path, encoding, backend, chunk)
        assert np.array_equal(np.concatenate([block.events for block in blocks]), expected)
        assert max(len(block.events) for block in blocks) <= chunk + 31 or chunk == 10**6
        faults = (log.n_damages, log.n_lost, log.n_bytes, log.n_early, log.first)
        assert faults == (
            *(expected_log.n_damages, expected_log.n_lost, expected_log.n_bytes),
            *(expected_log.n_early, expected_log.first),
        )


@pytest.mark.parametrize("encoding", list(evt.HEADERS))
def test_each_event_is_located_at_its_word(tmp_path, encoding):
    path = evt.raw_file(tmp_path, encoding, random_words(encoding, 400, 5))
    blocks, _ = decoded(path, encoding, "numba", 40)
    offsets = [block.locate(k) for block in blocks for k in range(len(block.events))]
    assert offsets == sorted(offsets)
    size = np.dtype(evt.DTYPES[encoding]).itemsize
    content = path.read_bytes()
    for k in (0, 17, len(offsets) // 2, len(offsets) - 1):
        for stop, has_it in ((offsets[k], False), (offsets[k] + size, True)):
            path.write_bytes(content[:stop])
            n = sum(len(block.events) for block in decoded(path, encoding, "numba", 10**6)[0])
            assert (n > k) == has_it


# --- Real recordings ---


@pytest.mark.parametrize(
    ("name", "n_events", "sensor_size"),
    [
        ("expelliarmus/evt2_sample.raw", 539_481, (640, 480)),
        ("faery/evt2.raw", 521_252, (640, 480)),
        ("expelliarmus/evt3_sample.raw", 219_596, (1280, 720)),
    ],
)
def test_a_real_recording_is_read_whole(name, n_events, sensor_size):
    X = read_events(sample(name))
    assert (X.n_events, X.sensor_size) == (n_events, sensor_size)
    assert (np.diff(X[0]["t"]) >= 0).all()
    assert np.array_equal(np.concatenate([*iter_events(sample(name), 77_777)]), X[0])


def test_evt3_equals_the_reference_decode():
    path = sample("expelliarmus/evt3_sample.raw")
    events = read_events(path)[0]
    reference = np.load(RAW / "expelliarmus/evt3_sample.npy")
    for name in "xyp":
        assert np.array_equal(events[name], reference[name])
    # The reference takes each fall of the lower 12 bits of time for a carry of 4,096 µs, though the
    # upper bits, which the camera repeats every 16 µs, say that there was none, or say it too.
    stop = path.read_bytes().index(b"% system_ID 48\n") + len(b"% system_ID 48\n")
    words = np.frombuffer(path.read_bytes(), "<u2", offset=stop)
    kinds, contents = words >> 12, (words & 0xFFF).astype(int)
    is_low = np.flatnonzero(kinds == 0x6)
    falls = is_low[1:][np.diff(contents[is_low]) < 0]
    n_events = np.where(kinds == 0x2, 1, 0)
    for kind, width in ((0x4, 12), (0x5, 8)):
        masks = contents & 2**width - 1
        n_events += np.where(kinds == kind, sum(masks >> j & 1 for j in range(width)), 0)
    carries = np.searchsorted(falls, np.repeat(np.arange(len(words)), n_events))
    assert len(falls) == 11
    assert np.array_equal(events["t"] + 4096 * carries, reference["t"])
