import contextlib
import json
import shutil
import threading

import numpy as np
import pytest

from skspike._encoded._row_store import RowStore, _signed, narrowed

KEYS = [bytes([i]) * 16 for i in range(1, 6)]


def make_rows(dtype="float32", n=5):
    rows = np.random.default_rng(0).normal(size=(n, 2, 3)) * 100
    return rows.astype(dtype)


def fill(folder, rows, keys=KEYS, note=""):
    store = RowStore(folder)
    with store.writing():
        store.append(keys, rows, np.arange(len(rows), dtype=np.uint64) + 2**63, note)
    return store


def same(row, expected):
    return row.values.dtype == expected.dtype and row.values.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int16", "bool", ">f4", "f2"])
def test_rows_come_back_bit_by_bit(dtype, tmp_path):
    rows = make_rows(dtype)
    written = fill(tmp_path / "a", rows, note="schön")
    for store in (written, RowStore(tmp_path / "a")):
        assert len(store) == 5
        assert store.row_type() == (rows.dtype, (2, 3))
        for i, key in enumerate(KEYS):
            row = store.get(key)
            assert same(row, rows[i])
            assert (row.digest, row.note) == (2**63 + i, "schön")
            assert store.digest(key) is None  # a note must be read
        assert store.get(b"?" * 16) is store.digest(b"?" * 16) is None


def test_small_whole_numbers_take_a_byte_each(tmp_path):
    rows = np.floor(np.abs(make_rows()))
    store = fill(tmp_path, rows)
    (file,) = tmp_path.glob("*.rows")
    assert file.stat().st_size == rows.size
    assert all(same(store.get(key), row) for key, row in zip(KEYS, rows, strict=True))
    assert store.digest(KEYS[1]) == 2**63 + 1


@pytest.mark.parametrize("odd", [-0.0, -1, 0.5, 256, np.nan, np.inf])
def test_only_what_loses_nothing_is_narrowed(odd):
    values = np.array([0.0, 1, 255, 7], np.float32)
    np.testing.assert_array_equal(narrowed(values), values)
    assert narrowed(values).dtype == np.uint8
    values[2] = odd
    assert narrowed(values) is None
    assert narrowed(values.astype(np.longdouble)) is None
    assert narrowed(values.astype(bool)) is None


def test_an_empty_store(tmp_path):
    store = RowStore(tmp_path / "none")
    assert len(store) == 0
    assert store.row_type() is None
    assert not (tmp_path / "none").exists()


def test_stores_of_one_folder_see_each_other(tmp_path):
    rows = make_rows()
    one, other = RowStore(tmp_path), RowStore(tmp_path)
    for i, store in enumerate((one, other, one)):
        with store.writing():
            store.append(KEYS[i : i + 1], rows[i : i + 1], np.zeros(1, np.uint64), "")
    assert len(list(tmp_path.glob("*.rows"))) == 2  # each writes its own
    for store in (one, other):
        store.refresh()
        assert all(same(store.get(KEYS[i]), rows[i]) for i in range(3))


def test_one_writes_at_a_time(tmp_path):
    one, other = RowStore(tmp_path), RowStore(tmp_path)
    entered = threading.Event()

    def wait():
        with other.writing():
            entered.set()

    with one.writing():
        thread = threading.Thread(target=wait)
        thread.start()
        assert not entered.wait(0.2)
        one.append(KEYS[:1], make_rows(n=1), np.zeros(1, np.uint64), "")
    thread.join()
    assert len(other) == 1  # what was written meanwhile is seen


def test_a_torn_tail_is_ignored_and_read_when_it_is_whole(tmp_path):
    rows = make_rows()
    fill(tmp_path / "a", rows)
    (index,) = (tmp_path / "a").glob("*.index")
    content = index.read_bytes()
    header = content.index(b"\n") + 1
    size = (len(content) - header) // 5
    for length in [*range(0, header + 2, 9), *range(header, len(content))]:
        index.write_bytes(content[:length])
        store = RowStore(tmp_path / "a")
        assert len(store) == max(length - header, 0) // size
        if length in (header - 1, header + size, header + 3 * size + 5):
            index.write_bytes(content)
            store.refresh()
            assert len(store) == 5
            assert same(store.get(KEYS[4]), rows[4])


def test_rows_that_were_never_written_are_not_there(tmp_path):
    rows = make_rows()
    fill(tmp_path, rows)
    (data,) = tmp_path.glob("*.rows")
    data.write_bytes(data.read_bytes()[:-1])
    store = RowStore(tmp_path)
    assert same(store.get(KEYS[3]), rows[3])
    assert store.get(KEYS[4]) is None
    assert len(store) == 4
    data.unlink()
    assert store.get(KEYS[3]) is None


@pytest.mark.parametrize("suffix", [".rows", ".index"])
def test_no_flipped_byte_gives_a_wrong_row(suffix, tmp_path):
    rows = make_rows(n=2)
    fill(tmp_path / "good", rows, KEYS[:2], note="n")
    (file,) = (tmp_path / "good").glob(f"*{suffix}")
    good = file.read_bytes()
    found = 0
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 0x41
        file.write_bytes(bad)
        store = RowStore(tmp_path / "good")
        for key, row in zip(KEYS[:2], rows, strict=True):
            stored = store.get(key)
            if stored is not None:
                assert same(stored, row)
                assert stored.note == "n"
                found += 1
    header = good.index(b"\n") + 1 if suffix == ".index" else 0
    assert found == len(good) - header  # a damaged entry or row hides itself alone


def test_what_was_damaged_is_replaced(tmp_path):
    rows = make_rows()
    fill(tmp_path, rows)
    (data,) = tmp_path.glob("*.rows")
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    store = RowStore(tmp_path)
    assert store.get(KEYS[0]) is None
    with store.writing():
        store.append(KEYS[:1], rows[:1], np.zeros(1, np.uint64), "")
    assert same(store.get(KEYS[0]), rows[0])
    assert same(RowStore(tmp_path).get(KEYS[0]), rows[0])  # whichever segment is read first


@pytest.mark.parametrize(
    "header",
    [
        *(b"", b"{}\n", b"[]\n", b'{"format": "other"}\n', b"\xff\xfe\n", b'"text"\n'),
        *(_signed(b""), _signed(b"{}"), _signed(b"[]"), _signed(b'{"format": "other"}')),
        b"[" * 100_000 + b" 0\n",  # too deep for a parser
    ],
    ids=range(11),
)
def test_files_of_others_are_left_alone(header, tmp_path):
    (tmp_path / "1-a.index").write_bytes(header + bytes(200))
    store = fill(tmp_path, make_rows())
    assert len(store) == len(RowStore(tmp_path)) == 5


def test_a_segment_of_another_shape_is_left_alone(tmp_path):
    fill(tmp_path, make_rows())
    (index,) = tmp_path.glob("*.index")
    header, _, entries = index.read_bytes().partition(b"\n")
    text = json.dumps({**json.loads(header.rpartition(b" ")[0]), "shape": [6]}).encode()
    (tmp_path / "z.index").write_bytes(_signed(text) + entries)
    assert RowStore(tmp_path).row_type()[1] == (2, 3)


def test_only_a_short_line_of_a_strange_file_is_read(tmp_path, monkeypatch):
    fill(tmp_path, make_rows())
    (index,) = tmp_path.glob("*.index")
    monkeypatch.setattr(
        "skspike._encoded._row_store._LONGEST_HEADER", index.read_bytes().index(b"\n")
    )
    assert len(RowStore(tmp_path)) == 0


@pytest.mark.parametrize(
    "rows", [make_rows("int32"), make_rows("float64"), make_rows().reshape(5, 6)], ids=range(3)
)
def test_rows_of_another_type_are_refused(rows, tmp_path):
    store = fill(tmp_path, make_rows())
    for other in (store, RowStore(tmp_path)):
        with (
            other.writing(),
            pytest.raises(
                ValueError,
                match=r"rows of a store must be of shape \(2, 3\) and dtype float32\. Got ",
            ),
        ):
            other.append(KEYS, rows, np.zeros(5, np.uint64), "")
    assert same(RowStore(tmp_path).get(KEYS[0]), make_rows()[0])


def test_a_folder_may_be_deleted_at_any_time(tmp_path):
    rows = make_rows()
    store = fill(tmp_path / "a", rows)
    shutil.rmtree(tmp_path / "a")
    assert store.get(KEYS[0]) is None
    store.refresh()
    assert len(store) == 0
    with store.writing():
        store.append(KEYS, rows, np.zeros(5, np.uint64), "")
    assert same(RowStore(tmp_path / "a").get(KEYS[2]), rows[2])


def test_a_folder_that_cannot_be_written_can_be_read(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = RowStore(tmp_path / "file" / "folder")
    with store.writing():
        assert store.get(KEYS[0]) is None
        with pytest.raises(OSError, match="Not a directory"):
            store.append(KEYS, make_rows(), np.zeros(5, np.uint64), "")


def test_a_write_that_fails_leaves_no_entry(tmp_path, monkeypatch):
    store = fill(tmp_path, make_rows()[:2], KEYS[:2])
    monkeypatch.setattr("skspike._encoded._row_store._packed", lambda *_: 1 / 0)
    with store.writing(), contextlib.suppress(ZeroDivisionError):
        store.append(KEYS[2:3], make_rows()[2:3], np.zeros(1, np.uint64), "")
    monkeypatch.undo()
    assert len(store) == len(RowStore(tmp_path)) == 2
    with store.writing():
        store.append(KEYS[3:4], make_rows()[3:4], np.zeros(1, np.uint64), "")
    assert same(RowStore(tmp_path).get(KEYS[3]), make_rows()[3])
    assert len(list(tmp_path.glob("*.index"))) == 2  # nobody knows where the first one ends
