import importlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque

import pytest

from skspike._encoded._workers import WorkerPool
from skspike.exceptions import ProcessLostError


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def pool():
    pool = WorkerPool("Owner", 2)
    yield pool
    pool.close()


def test_results_come_in_order_and_tasks_are_taken_as_needed(pool):
    taken = []

    def tasks():
        for i in range(40):
            taken.append(i)
            yield (i,)

    results = pool.map(math.factorial, tasks())
    for i in range(40):
        assert next(results) == math.factorial(i)
        assert len(taken) <= i + 6  # some tasks ahead, and not all of them
    assert not list(results)
    # an error reaches the caller, and the pool goes on
    with pytest.raises(ValueError, match="not defined for negative values"):
        list(pool.map(math.factorial, [(3,), (-1,), (4,)]))
    pids = {pid for pid, _ in zip(pool.map(os.getpid, [()] * 20), range(20), strict=True)}
    assert os.getpid() not in pids
    for pid in pids:
        os.kill(pid, signal.SIGINT)  # Ctrl-C is left to the parent
    assert list(pool.map(math.factorial, [(5,)])) == [120]
    pool.close()
    assert not any(map(is_alive, pids))
    pool.close()  # once more is no error


def test_a_killed_worker_is_an_error_and_no_hang(pool):
    (pid,) = pool.map(os.getpid, [()])
    with pytest.raises(ProcessLostError, match=r"A worker process of Owner ended before its work"):
        list(pool.map(os.kill, [(pid, signal.SIGKILL), *[(os.getpid(), 0)] * 30]))
    pool.close()
    assert not is_alive(pid)


def test_closing_does_not_wait_for_tasks(pool):
    results = pool.map(time.sleep, [(0,), *[(60,)] * 5])
    next(results)
    start = time.monotonic()
    results.close()
    pool.close()
    assert time.monotonic() - start < 20


def test_a_pool_without_work_starts_nothing(pool):
    assert not list(pool.map(math.factorial, []))
    assert not pool._workers


def test_errors_that_cannot_travel_are_errors_all_the_same(pool):
    with pytest.raises(TypeError, match="What a worker computed cannot be pickled"):
        list(pool.map(threading.Lock, [()]))
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        list(pool.map(_Unloadable(), [()]))
    with pytest.raises(TypeError, match="cannot pickle"):
        list(pool.map(len, [([threading.Lock()],)] * 5))
    large = "x" * 300_000
    with pytest.raises(ValueError, match="'x' is not in deque") as caught:
        list(pool.map(deque.index, [(deque(), "x"), (deque(), large)]))
    assert "raised in a worker process" in caught.value.__notes__[0]
    assert list(pool.map(len, [(large,)] * 5)) == [300_000] * 5
    assert list(pool.map(print, [("no answer",)])) == [None]


def test_workers_end_with_the_process_that_started_them(tmp_path):
    code = (
        "import os, signal\n"
        "from skspike._encoded._workers import WorkerPool\n"
        "print(*WorkerPool('Owner', 1).map(os.getpid, [()]), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    deadline = time.monotonic() + 20
    while is_alive(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(int(done.stdout))


class _Unloadable:
    """What a worker cannot load."""

    def __reduce__(self):
        return importlib.import_module, ("no_such_module",)
