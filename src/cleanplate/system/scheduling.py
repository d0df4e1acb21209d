"""Scheduling of threads: keep a library from taking real-time priority."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Undo a change to real-time scheduling made inside, for the calling thread and for new threads.

    SVT-AV1 4.1 gives its threads, and the thread that opens it, the policy SCHED_FIFO if it may, as root may
    in a container. Such threads block all other processes, and child processes inherit the policy.
    Linux only; elsewhere nothing is done.
    """
    if not hasattr(os, "sched_getscheduler") or not _TASKS.is_dir():
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    before = set(_TASKS.iterdir())
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)
        for task in set(_TASKS.iterdir()) - before:
            with suppress(OSError):  # it may have ended
                if os.sched_getscheduler(int(task.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                    os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
