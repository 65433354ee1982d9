"""What keeps a learner's function from hanging a notebook or filling the memory."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

SMALL = 1.0
"""Seconds for a few rows that foretell, where there is no alarm, that many rows take too long."""

PATIENCE = 8
"""How many times its limit a check may take on the wall, the processor busy with it or not."""

GIB = 4
"""GiB that a function may take on top of what the process has, where the system can be asked."""


_SIZE = Path("/proc/self/statm")


class TooLong(BaseException):
    """The time is over. No Exception, so that a learner's ``except Exception`` lets it through."""


class Clock:
    """The seconds that a check's calls may take together, and what the last one took.

    They are the processor's for this thread, never more than those on the wall: what else the
    machine does costs nothing. ``PATIENCE`` times as many on the wall end a sleep or a deadlock.
    """

    def __init__(self, limit: float):
        self.limit, self.spent, self.rows, self.seconds = limit, 0.0, 1, 0.0
        self.waited = 0.0

    def is_over(self, seconds: float = 0.0, waited: float = 0.0) -> bool:
        """Return whether the limit is passed, with so much on top of what has been spent."""
        waited += self.waited
        return self.spent + seconds > self.limit or waited > PATIENCE * self.limit

    def has_alarm(self) -> bool:
        """Return whether a call can be stopped: on a system with alarms, in the main thread."""
        main = threading.current_thread() is threading.main_thread()
        return hasattr(signal, "setitimer") and main

    def foretells_too_long(self, rows: int) -> bool:
        """Return whether a call on so many rows can't be stopped, and would last too long."""
        if self.has_alarm() or self.seconds <= SMALL:
            return False
        return self.seconds * rows / self.rows > self.limit - self.spent

    @contextmanager
    def running(self, rows: int) -> Iterator[None]:
        """Time a call on so many rows, and raise TooLong once the limit is reached."""
        start, begun = time.thread_time(), time.perf_counter()

        def is_over() -> bool:
            return self.is_over(time.thread_time() - start, time.perf_counter() - begun)

        try:
            with _alarm(is_over, min(0.5, self.limit)) if self.has_alarm() else nullcontext():
                with _memory():
                    yield
        finally:
            self.rows, self.seconds = rows, time.thread_time() - start
            self.spent += self.seconds
            self.waited += time.perf_counter() - begun
        if self.is_over():
            raise TooLong


@contextmanager
def _alarm(is_over: Callable[[], bool], every: float) -> Iterator[None]:
    """Raise TooLong once it is over, and each time again: a bare ``except`` may catch it."""
    back = False

    def ring(*_) -> None:
        if not back and is_over():
            raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield
    finally:
        back = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def can_limit_memory() -> bool:
    """Return whether the system tells a process its size, and holds it to a limit: Linux does."""
    return _SIZE.exists()


@contextmanager
def _memory() -> Iterator[None]:
    """Let the process take ``GIB`` more; beyond that Python and torch raise what can be caught."""
    if not can_limit_memory():
        yield
        return
    import resource

    size = int(_SIZE.read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = [size + GIB * 2**30, *(n for n in (soft, hard) if n != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(most), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
