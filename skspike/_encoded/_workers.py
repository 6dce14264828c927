"""Worker processes that answer in order, and never outlive the work that they were started for."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO

from joblib import wrap_non_picklable_objects

from ..exceptions import ProcessLostError

_LENGTH = struct.Struct("<Q")
# tasks given to each worker ahead of the one whose result is awaited
_AHEAD = 2
# each worker computes in one thread: there are as many workers as were asked for
_THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
_START = "import sys; sys.path[:] = {path}; from skspike._encoded._workers import serve; serve()"


class WorkerPool:
    """Processes that start with the first task and end with :meth:`close`, or with this process.

    Each is served by a thread that hands it one task at a time through a pipe. They import no main
    module, so scripts need no guard around theirs, and a process that dies is noticed at once.
    """

    def __init__(self, owner: str, n_workers: int) -> None:
        self.owner, self.n_workers = owner, n_workers
        self._threads: ThreadPoolExecutor | None = None
        self._workers: list[subprocess.Popen] = []
        self._idle: queue.SimpleQueue = queue.SimpleQueue()

    def map(self, function: Callable, tasks: Iterable[tuple]) -> Iterator:
        """Yield ``function(*task)`` of each task, in order, working a few tasks ahead."""
        pending: deque[Future] = deque()
        try:
            for task in tasks:
                self._start()
                pending.append(self._threads.submit(self._ask, function, task))
                if len(pending) > _AHEAD * self.n_workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        threads, self._threads = self._threads, None
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.kill()
        if threads is not None:
            threads.shutdown(cancel_futures=True)
        for worker in workers:
            worker.wait()
            with contextlib.suppress(OSError):  # what was not sent cannot be any more
                worker.stdin.close()
            worker.stdout.close()
        self._idle = queue.SimpleQueue()

    def _start(self) -> None:
        """Start processes and threads, unless they run."""
        if self._threads is not None:
            return
        self._threads = ThreadPoolExecutor(self.n_workers, "skspike-worker")
        command = [sys.executable, "-c", _START.format(path=sys.path)]
        options = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "env": os.environ | _THREADS,
        }
        for _ in range(self.n_workers):
            self._workers.append(subprocess.Popen(command, **options))
            self._idle.put(self._workers[-1])

    def _ask(self, function: Callable, task: tuple):
        """Have an idle process compute a task; return the result, or raise what it raised."""
        request = _pickled((function, task))
        idle = self._idle
        worker = idle.get()
        try:
            _send(worker.stdin, request)
            answer = _receive(worker.stdout)
        except (OSError, ValueError):  # ValueError: the pipe was closed meanwhile
            answer = None
        finally:
            idle.put(worker)
        if answer is None:
            raise ProcessLostError(
                f"A worker process of {self.owner} ended before its work was done, perhaps killed "
                "for want of memory. Choose a smaller n_jobs, or n_jobs=1 to see what happens."
            )
        result, error = pickle.loads(answer)
        if error is not None:
            raise error
        return result


def serve() -> None:
    """Compute the tasks that arrive, until the process that sends them has none, or has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is left to the process that sends
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a task prints is no answer
    while (request := _receive(sys.stdin.buffer)) is not None:
        answer = _answer(request)
        try:
            content = _pickled(answer)
        except Exception as error:
            sentence = f"What a worker computed cannot be pickled: {error}"
            content = _pickled((None, TypeError(sentence)))
        _send(answers, content)


def _answer(request: bytes) -> tuple:
    """Return what the function of a request returns, or what it raises."""
    try:
        function, task = pickle.loads(request)
        return function(*task), None
    except Exception as error:
        error.add_note(f"It was raised in a worker process:\n{traceback.format_exc()}")
        return None, error


def _send(pipe: IO[bytes], content: bytes) -> None:
    """Write a message, its length first."""
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """Read a message; return None if the other end closes before it is complete."""
    head = pipe.read(_LENGTH.size)
    size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
    content = pipe.read(size)
    return content if len(head) == _LENGTH.size and len(content) == size else None


def _pickled(pair: tuple) -> bytes:
    """Pickle a pair of objects, of which the main module may have defined some."""
    return pickle.dumps(wrap_non_picklable_objects(pair, keep_wrapper=False))
