"""Search for the next packet."""

import io

import pytest

from skspike.io._packets import _WINDOW, find_mark, size_of


@pytest.mark.parametrize("at", [0, 1, 100, _WINDOW - 2, _WINDOW - 1, _WINDOW, 2 * _WINDOW - 5])
def test_a_mark_is_found_wherever_windows_end(at):
    file = io.BytesIO(bytes(at) + b"MARK" + bytes(50))
    assert find_mark(file, b"MARK", 0, size_of(file)) == at
    assert find_mark(file, b"MARK", at + 1, size_of(file)) is None


def test_a_mark_must_lie_before_the_stop():
    file = io.BytesIO(b"....MARK")
    assert find_mark(file, b"MARK", 0, 7) is None
    assert find_mark(file, b"MARK", 4, 8) == 4
    assert find_mark(file, b"MARK", 9, 8) is None
    assert find_mark(io.BytesIO(), b"MARK", 0, 100) is None
