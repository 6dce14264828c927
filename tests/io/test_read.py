import tracemalloc

import numpy as np
import pytest

from skspike import EventCollection
from skspike.exceptions import EventFormatError, EventLossWarning
from skspike.io import _read, iter_events, read_events
from tests.io import evt_files as evt
from tests.io.common import salvage, sample, write


def record(x, y, t):
    """Return an event of N-MNIST."""
    return bytes([x, y, t >> 16, t >> 8 & 0xFF, t & 0xFF])


def recording(folder, name, n, *, x=1, rest=b""):
    return write(folder, name, b"".join(record(x, 1, t) for t in range(n)) + rest)


def test_files_are_read_in_the_order_given(tmp_path):
    paths = [recording(tmp_path, f"{n}.bin", n, x=n) for n in (3, 1, 2)]
    X = read_events(paths)
    assert isinstance(X, EventCollection)
    assert X.lengths.tolist() == [3, 1, 2]
    assert [events["x"][0] for events in X] == [3, 1, 2]
    assert X.sensor_size == (4, 2)  # the smallest that holds all events
    assert read_events(str(paths[1])) == read_events(paths[1:2], sensor_size=(2, 2))
    assert read_events(np.array([str(path) for path in paths])) == X
    assert read_events(path for path in paths) == X


def test_files_of_several_formats_are_read_together(tmp_path):
    words = [evt.high(0), evt.row(1), evt.event(1279, 1)]
    paths = [recording(tmp_path, "a.bin", 2), evt.raw_file(tmp_path, "evt3", words)]
    X = read_events(paths)
    assert (X.lengths.tolist(), X.sensor_size) == ([2, 1], (1280, 720))


def test_sensors_of_several_sizes_need_a_word(tmp_path):
    one = evt.raw_file(tmp_path, "evt3", [evt.high(0), evt.row(1), evt.event(1, 1)])
    other = evt.raw_file(tmp_path, "evt2", [evt.high2(0), evt.cd2(1, 1, 1, 0)])
    with pytest.raises(ValueError, match=r"one sensor size.*\[\(640, 480\), \(1280, 720\)\]"):
        read_events([one, other])
    assert read_events([one, other], sensor_size=(1280, 720)).n_events == 2
    small = evt.HEADERS["evt3"].replace(b"1280", b"2").replace(b"720", b"2")
    words = [evt.high(0), evt.row(1), evt.event(1, 1)]
    paths = [evt.raw_file(tmp_path, "evt3", words, header=small)]
    with pytest.raises(ValueError, match=r"Got \[\(2, 2\), \(10, 2\)\] instead"):
        read_events([*paths, recording(tmp_path, "a.bin", 1, x=9)])


def test_the_size_that_the_caller_gives_counts(tmp_path):
    path = evt.raw_file(tmp_path, "evt3", [evt.high(0), evt.row(1), evt.event(9, 1)])
    assert read_events(path, sensor_size=[20, 30]).sensor_size == (20, 30)
    with pytest.raises(EventFormatError, match=r"x=9, y=1 lies off the sensor of size \(9, 9\)"):
        read_events(path, sensor_size=(9, 9))


def test_wrong_calls_raise(tmp_path):
    path = recording(tmp_path, "a.bin", 1)
    for call in (read_events, iter_events):
        with pytest.raises(ValueError, match=r"'errors' parameter of .*_events must be one of"):
            call(path, errors="ignore")
        with pytest.raises(ValueError, match=r"'format' parameter of .*must be one of \['aedat"):
            call(path, format="evt9")
        with pytest.raises(TypeError, match=r"'sensor_size' parameter of .*_events must be a pair"):
            call(path, sensor_size=3)
    with pytest.raises(ValueError, match=r"'path' parameter of read_events must hold a path"):
        read_events([])
    with pytest.raises(ValueError, match=r"'chunk' parameter of iter_events must be an int"):
        iter_events(path, 0)
    with pytest.raises(FileNotFoundError):
        read_events(tmp_path / "none.bin")


def test_a_format_by_name_is_believed(tmp_path):
    path = recording(tmp_path, "without_suffix", 3)
    with pytest.raises(EventFormatError, match=r"is of no known event format"):
        read_events(path)
    assert read_events(path, format="nmnist").n_events == 3
    words = [evt.high(0), evt.row(1), evt.event(9, 1)]
    assert (
        read_events(evt.raw_file(tmp_path, "evt3", words, header=b""), format="evt3").n_events == 1
    )


def test_a_damage_is_found_in_the_file_that_has_it(tmp_path):
    good, bad = recording(tmp_path, "good.bin", 3), recording(tmp_path, "bad.bin", 2, rest=b"x")
    with pytest.raises(EventFormatError, match=r"bad.bin' is damaged at byte 10") as caught:
        read_events([good, bad])
    assert (caught.value.path, caught.value.offset) == (str(bad), 10)
    with pytest.warns(EventLossWarning) as warned:
        X = read_events([good, bad, good], errors="salvage")
    assert X.lengths.tolist() == [3, 2, 3]
    assert len(warned) == 1
    assert "good" not in str(warned[0].message)
    assert warned[0].filename == __file__


def test_an_empty_file_is_a_damage_that_keeps_its_place(tmp_path):
    empty = write(tmp_path, "empty.bin", b"")
    with pytest.raises(EventFormatError, match=r"empty.bin' is damaged: it holds no event"):
        read_events(empty)
    with pytest.warns(EventLossWarning, match=r"it holds no event; 0 events read, nothing left"):
        X = read_events([empty, recording(tmp_path, "a.bin", 2)], errors="salvage")
    assert X.lengths.tolist() == [0, 2]


@pytest.mark.parametrize("block", [1, 7, 64])
@pytest.mark.parametrize("chunk", [1, 5, 64, 99, 100, 10**15])
def test_pieces_make_up_the_whole(tmp_path, monkeypatch, block, chunk):
    monkeypatch.setattr(_read, "_BLOCK", block)
    path = recording(tmp_path, "a.bin", 100)
    pieces = list(iter_events(path, chunk))
    assert np.array_equal(np.concatenate(pieces), read_events(path)[0])
    sizes = [*map(len, pieces)]
    assert sizes == [chunk] * (100 // chunk) + [100 % chunk] * (100 % chunk > 0)


def test_pieces_before_a_damage_come_before_the_error(tmp_path, monkeypatch):
    monkeypatch.setattr(_read, "_BLOCK", 4)
    path = recording(tmp_path, "a.bin", 10, rest=b"x")
    pieces = iter_events(path, 2)
    assert [next(pieces)["t"][0] for _ in range(5)] == [0, 2, 4, 6, 8]
    with pytest.raises(EventFormatError, match=r"damaged at byte 50"):
        next(pieces)
    with pytest.warns(EventLossWarning, match=r"10 events read, 1 byte without") as caught:
        assert sum(map(len, iter_events(path, 3, errors="salvage"))) == 10
    assert len(caught) == 1


def test_a_large_file_is_read_with_little_memory(tmp_path):
    path = tmp_path / "large.raw"
    words = [
        evt.high(0),
        *(word for y in range(99) for word in (evt.row(y), *[evt.event(y, 1)] * 99)),
    ]
    block = np.array(words * 100, "<u2").tobytes()
    with open(path, "wb") as file:
        file.write(evt.HEADERS["evt3"])
        for _ in range(10):
            file.write(block)
    n_events = 99 * 99 * 1000  # 20 MB, 127 MB when decoded
    assert sum(map(len, iter_events(evt.raw_file(tmp_path, "evt3", words)))) == 99 * 99  # compiled
    tracemalloc.start()
    try:
        assert sum(map(len, iter_events(path, 100_000))) == n_events
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


def test_random_bytes_are_damaged_or_unknown(tmp_path):
    content = np.random.default_rng(0).bytes(10_000)
    with pytest.raises(EventFormatError, match=r"is of no known event format"):
        read_events(write(tmp_path, "noise.raw", content))
    for name, header in evt.HEADERS.items():
        path = write(tmp_path, f"{name}.raw", header + content)
        with pytest.raises(EventFormatError, match=r"is damaged at byte"):
            read_events(path)
        events, message = salvage(path)
        assert f"{len(events)} events read" in message
        assert "left out" in message


def test_a_truncated_recording_keeps_what_came_before(tmp_path):
    path = sample("expelliarmus/evt3_sample.raw")
    whole = read_events(path)[0]
    cut = write(tmp_path, "cut.raw", path.read_bytes()[:100_001])
    with pytest.raises(EventFormatError, match=r"it ends after 1 of the 2 bytes"):
        read_events(cut)
    events, _ = salvage(cut)
    assert len(events) > 10_000
    assert np.array_equal(events, whole[: len(events)])
