"""How the C library gives memory back, for programs that make and free large arrays all the time."""

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

    By default glibc maps each large array anew, and the system clears every page on first touch. The setting
    holds for the whole process, and for those that it forks: it is for programs, not for libraries.

    Args:
        share_among_threads: Give what one thread frees to another, as in a pipeline. The areas that threads
            have of their own are too small for frames of 4K, which are then mapped anew after all. To be
            asked for before there are threads.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
        if share_among_threads:
            libc.mallopt(_M_ARENA_MAX, 1)


def give_back_memory() -> None:
    """Give the system back what nobody uses any more.

    The C library of Linux keeps what an encoder has freed, in pieces: with every segment some more.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:
        return  # another C library than glibc
