"""Worker processes that answer in order, and never outlive the work that they were started for."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool

from joblib.externals.loky import ProcessPoolExecutor

from .exceptions import ProcessLostError

# tasks given to each worker ahead of the one whose result is awaited
_AHEAD = 2
# each worker computes in one thread: there are as many workers as were asked for
_ENV = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


class WorkerPool:
    """Processes that start with the first task and end with :meth:`close`.

    They are started by loky, joblib's own starter: it needs no guard around the main module, and
    it notices when a process dies.
    """

    def __init__(self, owner: str, n_workers: int) -> None:
        self.owner, self.n_workers = owner, n_workers
        self._executor: ProcessPoolExecutor | None = None

    def map(self, function: Callable, tasks: Iterable[tuple]) -> Iterator:
        """Yield ``function(*task)`` of each task, in order, working a few tasks ahead."""
        pending: deque = deque()
        try:
            for task in tasks:
                pending.append(self._started().submit(function, *task))
                if len(pending) > _AHEAD * self.n_workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            self.close()
            raise ProcessLostError(
                f"A worker process of {self.owner} ended before its work was done, perhaps killed "
                "for want of memory. Choose a smaller n_jobs, or n_jobs=1 to see what happens."
            ) from error
        finally:
            for future in pending:
                future.cancel()

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, kill_workers=True)

    def _started(self) -> ProcessPoolExecutor:
        """Return the executor, made at first use."""
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self.n_workers, initializer=_ignore_interrupts, env=_ENV
            )
        return self._executor


def _ignore_interrupts() -> None:
    """Leave Ctrl-C, which reaches every process of a terminal, to the one that started us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
