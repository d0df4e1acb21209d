"""Kept memory is not mapped again: tested in a separate process, as the setting holds for a whole process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, threading
from cleanplate.system.allocator import keep_freed_memory

if "keep" in sys.argv:
    keep_freed_memory(share_among_threads=True)

def make_and_free():
    for _ in range(20):
        b'1' * (40 << 20)

thread = threading.Thread(target=make_and_free)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is no glibc")
def test_large_arrays_of_a_thread_are_mapped_once() -> None:
    def count_faults(*words: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert count_faults("keep") < 0.3 * count_faults()
