"""The process in which HDF5 may crash or loop."""

import struct
import sys
from pathlib import Path

import pytest

from skspike.exceptions import EventFormatError
from skspike.io import _hdf5_rehearsal, read_events
from tests.io import encoders
from tests.io.common import write

pytest.importorskip("h5py")

# What a process does that plays the part of the library.
CHILD = """
import sys, time, os
print("ready", flush=True)
for line in sys.stdin:
    {what}
    print("done", flush=True)
"""


@pytest.fixture
def rehearse():
    rehearsal = _hdf5_rehearsal._Rehearsal()
    yield rehearsal
    rehearsal.stop()


def test_one_process_serves_many_files(rehearse, tmp_path):
    data = encoders.hdf5(encoders.some_events(), encoders.write_dsec).data
    paths = [write(tmp_path, f"{i}.h5", data) for i in range(3)]
    paths += [write(tmp_path, "cut.h5", data[:500]), write(tmp_path, "a name\nwith ü.h5", data)]
    assert [rehearse(path) for path in paths] == [""] * 5
    child = rehearse._child
    assert rehearse(paths[0]) == ""
    assert rehearse._child is child
    assert child.poll() is None
    rehearse.stop()
    assert child.poll() is not None


@pytest.mark.parametrize(
    ("what", "fault"),
    [("os.abort()", "the library crashes"), ("time.sleep(600)", "the library loops for 0.5 s")],
)
def test_a_lost_process_is_replaced(what, fault, rehearse, tmp_path, monkeypatch):
    script = write(tmp_path, "child.py", CHILD.format(what=what).encode())
    bad, good = write(tmp_path, "bad.h5", b"bad"), write(tmp_path, "good.h5", b"good")
    with monkeypatch.context() as patch:
        patch.setattr(_hdf5_rehearsal, "__file__", str(script))
        patch.setattr(_hdf5_rehearsal, "PATIENCE", 0.5)
        assert rehearse(bad) == fault
    assert rehearse(bad) == fault  # remembered
    assert rehearse(good) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited in Linux's way")
def test_a_text_that_claims_gigabytes_gets_no_memory(rehearse, tmp_path):
    data = encoders.hdf5(encoders.some_events(), encoders.write_prophesee).data
    at = data.index(struct.pack("<I", len("34x30")), data.index(b"geometry"))
    path = write(tmp_path, "long.h5", data[:at] + struct.pack("<I", 2**31 - 1) + data[at + 4 :])
    assert "memory allocation failed" in rehearse(path)
    status = Path(f"/proc/{rehearse._child.pid}/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
    assert peak < 500  # MB
    with pytest.raises(EventFormatError, match=r"HDF5 cannot read it: .*memory allocation failed"):
        read_events(path)
    assert rehearse(write(tmp_path, "good.h5", data)) == ""  # by the same process, without a limit


def test_without_processes_files_are_trusted(rehearse, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError("no processes here")

    monkeypatch.setattr(_hdf5_rehearsal.subprocess, "Popen", refuse)
    assert rehearse(write(tmp_path, "file.h5", b"")) == ""


def test_a_process_that_does_not_start_is_given_up(rehearse, tmp_path, monkeypatch):
    script = write(tmp_path, "child.py", b"raise ImportError")
    monkeypatch.setattr(_hdf5_rehearsal, "__file__", str(script))
    assert rehearse(write(tmp_path, "file.h5", b"")) == ""
