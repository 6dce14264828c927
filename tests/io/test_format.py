import numpy as np
import pytest

from skspike.exceptions import EventFormatError
from skspike.io._format import read_records
from skspike.io._log import DecodeLog
from tests.io.common import write


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_records_come_with_their_offsets(tmp_path, chunk, n):
    path = write(tmp_path, "a", b"head" + bytes(range(3 * n)))
    parts = list(read_records(path, 4, 3, DecodeLog(path, False), chunk))
    offsets = [offset + 3 * k for offset, data in parts for k in range(len(data))]
    assert offsets == [4 + 3 * k for k in range(n)]
    assert all(len(data) <= chunk for _, data in parts)
    records = np.concatenate([np.empty((0, 3), np.uint8), *(data for _, data in parts)])
    assert records.ravel().tolist() == list(range(3 * n))


@pytest.mark.parametrize("chunk", [1, 2, 100])
@pytest.mark.parametrize("n", [0, 2])
def test_half_a_record_at_the_end_is_a_damage(tmp_path, chunk, n):
    path = write(tmp_path, "a", bytes(3 * n + 2))
    with pytest.raises(EventFormatError, match=r"it ends after 2 of the 3 bytes") as caught:
        list(read_records(path, 0, 3, DecodeLog(path, False), chunk))
    assert caught.value.offset == 3 * n
    log = DecodeLog(path, True)
    assert sum(len(data) for _, data in read_records(path, 0, 3, log, chunk)) == n
    assert (log.n_bytes, log.n_damages) == (2, 1)


def test_a_file_that_ends_before_the_records_has_none(tmp_path):
    path = write(tmp_path, "a", b"he")
    assert list(read_records(path, 4, 3, DecodeLog(path, False), 10)) == []
