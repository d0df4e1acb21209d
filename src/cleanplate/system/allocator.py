"""Settings of the C library's allocator for programs that allocate and free large arrays all the time."""

from __future__ import annotations

import ctypes
import platform
import sys

# Parameters of glibc's mallopt, from malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def keep_freed_memory(*, share_among_threads: bool = False) -> None:
    """Let glibc keep freed memory instead of giving it back to the system; does nothing elsewhere.

    By default glibc maps memory for each large array, and the system clears every page on first touch. The
    setting holds for the whole process and for its forks, so it is for programs and not for libraries.

    Args:
        share_among_threads: Use one arena for all threads, so that a thread can reuse memory that another one
            freed, as in a pipeline. (Arenas of single threads are too small for frames of 4K, which would be
            mapped each time.) Set it before threads start.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
        if share_among_threads:
            libc.mallopt(_M_ARENA_MAX, 1)


def give_back_memory() -> None:
    """Return unused memory to the system.

    Without it glibc keeps fragments that an encoder has freed, a few more with every segment.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:
        return  # another C library than glibc
