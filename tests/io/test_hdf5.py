"""HDF5 in the layouts of cameras and data sets."""

import numpy as np
import pytest

from skspike.exceptions import EventFormatError
from skspike.io import iter_events, read_events
from tests.io import encoders
from tests.io.common import rows, salvage, sample, write

h5py = pytest.importorskip("h5py")
EVENTS = encoders.some_events(n=300)


def file_of(folder, fill, events=EVENTS):
    path = folder / "file.h5"
    with h5py.File(path, "w") as file:
        fill(file, events)
    return path


def columns_in(group, t=lambda t: t, names="xytp"):
    def fill(file, events):
        for key, name in zip("xytp", names, strict=True):
            file[f"{group}/{name}"] = t(events["t"]) if key == "t" else events[key]

    return fill


def test_a_real_file():
    X = read_events(sample("event_vision_library/event.hdf5"))
    assert X.n_events == 17
    assert rows(X[0])[:2] == [(134, 30, 0, False), (59, 158, 780, False)]


def test_dsec(tmp_path):
    path = file_of(tmp_path, encoders.write_dsec)
    expected = EVENTS.copy()
    expected["t"] += 5_000_000
    assert np.array_equal(read_events(path)[0], expected)
    assert np.array_equal(np.concatenate(list(iter_events(path, 70))), expected)


def test_prophesee(tmp_path):
    X = read_events(file_of(tmp_path, encoders.write_prophesee))
    assert X.sensor_size == (34, 30)
    assert np.array_equal(X[0], EVENTS)


@pytest.mark.parametrize(
    "fill",
    [
        columns_in("raw_events", t=lambda t: t / 1e6),
        columns_in("events", names=["xs", "ys", "ts", "ps"]),
        columns_in("/"),
        lambda file, events: file.create_dataset("data/0", data=events, compression="lzf"),
    ],
    ids=["seconds", "plural names", "top level", "tonic"],
)
def test_other_layouts(fill, tmp_path):
    assert np.array_equal(read_events(file_of(tmp_path, fill))[0], EVENTS)


def test_mvsec_and_two_cameras(tmp_path):
    def fill(file, events):
        table = np.column_stack(
            [events["x"], events["y"], events["t"] / 1e6, np.where(events["p"], 1.0, -1.0)]
        )
        file["davis/right/events"] = table[:10]
        file["davis/left/events"] = table

    X = read_events(file_of(tmp_path, fill))
    assert X.lengths.tolist() == [300, 10]  # left, right
    assert np.array_equal(X[0], EVENTS)


def test_recordings_come_in_natural_order(tmp_path):
    def fill(file, events):
        for i in range(12):
            file[f"data/{i}"] = events[: i + 1]

    assert read_events(file_of(tmp_path, fill)).lengths.tolist() == list(range(1, 13))


def test_heidelberg_digits(tmp_path):
    def fill(file, events):
        ragged = h5py.vlen_dtype(np.dtype("f4"))
        times = file.create_dataset("spikes/times", (2,), ragged)
        units = file.create_dataset("spikes/units", (2,), h5py.vlen_dtype(np.dtype("u2")))
        times[0], units[0] = [0.25, 0.5], [699, 3]
        times[1], units[1] = [0.125], [4]
        file["labels"] = [3, 4]

    X = read_events(file_of(tmp_path, fill))
    assert X.sensor_size == (700, 1)
    assert rows(X[0]) == [(699, 0, 250_000, True), (3, 0, 500_000, True)]
    assert rows(X[1]) == [(4, 0, 125_000, True)]


# Damage ---------------------------------------------------------------------------------------


def test_ecf_needs_another_file(tmp_path):
    def fill(file, events):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((16,))
        properties.set_filter(36559, h5py.h5z.FLAG_OPTIONAL, ())
        dtype = h5py.h5t.py_create(np.dtype([(name, "<i8") for name in "xytp"]))
        group = file.create_group("CD")
        space = h5py.h5s.create_simple((16,))
        h5py.h5d.create(group.id, b"events", dtype, space, properties)

    with pytest.raises(EventFormatError, match=r"compressed with ECF, of Prophesee's Metavision"):
        read_events(file_of(tmp_path, fill))


def test_columns_of_different_lengths(tmp_path):
    def fill(file, events):
        columns_in("events")(file, events)
        del file["events/p"]
        file["events/p"] = events["p"][:250]

    path = file_of(tmp_path, fill)
    with pytest.raises(
        EventFormatError, match=r"columns of '/events' are of lengths \[300, 300, 3"
    ):
        read_events(path)
    assert np.array_equal(salvage(path)[0], EVENTS[:250])


def test_chunks_that_were_never_written(tmp_path):
    def fill(file, events):
        data = np.zeros(20, events.dtype)
        dataset = file.create_dataset("events", (2**50,), dtype=events.dtype, chunks=(10,))
        dataset[:20] = data
        dataset[:20] = events[:20]

    path = file_of(tmp_path, fill)
    with pytest.raises(EventFormatError, match="claims 1125899906842624 events and stores 20"):
        read_events(path)
    assert np.array_equal(salvage(path)[0], EVENTS[:20])


def test_a_damaged_chunk_costs_its_block(tmp_path):
    path = file_of(tmp_path, encoders.write_prophesee)
    with h5py.File(path) as file:
        place = file["CD/events"].id.get_chunk_info_by_coord((50,)).byte_offset
    data = bytearray(path.read_bytes())
    data[place : place + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))
    with pytest.raises(EventFormatError, match="HDF5 cannot read it"):
        read_events(path)
    from skspike.io._hdf5 import FORMAT
    from skspike.io._log import DecodeLog

    log = DecodeLog(path, salvage=True)
    found = np.concatenate([block.events for block in FORMAT.decode(path, log, 25)])
    assert np.array_equal(found, np.concatenate([EVENTS[:50], EVENTS[75:]]))
    assert log.n_lost == 25


@pytest.mark.parametrize("size", [0.2, 0.6, 0.95])
def test_a_file_cut_short(size, tmp_path):
    data = file_of(tmp_path, encoders.write_dsec).read_bytes()
    path = write(tmp_path, "cut.h5", data[: int(size * len(data))])
    with pytest.raises(EventFormatError, match="HDF5 cannot open it"):
        read_events(path)
    assert len(salvage(path)[0]) == 0


def test_an_index_of_milliseconds_beyond_the_events(tmp_path):
    def fill(file, events):
        encoders.write_dsec(file, events)
        file["ms_to_idx"][-1] = 301

    with pytest.raises(
        EventFormatError, match="its index names event 301, and 300 events are there"
    ):
        read_events(file_of(tmp_path, fill))


def test_a_file_of_something_else(tmp_path):
    with pytest.raises(EventFormatError, match="it has no group of columns x, y, t, p"):
        read_events(file_of(tmp_path, lambda file, events: file.create_dataset("a/b", data=[1])))


def test_h5py_is_optional(tmp_path, monkeypatch):
    path = file_of(tmp_path, encoders.write_dsec)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match=r"needs the package h5py: pip install .skspike\[io\]"):
        read_events(path)
