"""Memory that this process can still allocate."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cleanplate.system.cores import group_folders

_ROOT = Path("/")


def available_memory(root: Path = _ROOT) -> int | None:
    """Bytes that can be allocated without swapping, within the limits of this process's control groups.

    Args:
        root: Where ``proc`` and ``sys`` lie.

    Returns:
        None where the system does not say. On systems without ``/proc/meminfo``, the whole memory.
    """
    limits = [
        limit
        for controller, names in (("memory", _VERSION_1), ("", _VERSION_2))
        for folder in group_folders(root, controller)
        if (limit := _read_group(folder, *names)) is not None
    ]
    with suppress(OSError, ValueError, StopIteration):
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        limits.append(int(line.split()[1]) * 1024)
        return min(limits)
    with suppress(AttributeError, OSError, ValueError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)


_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = ("memory.max", "memory.current", "inactive_file")


def _read_group(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> int | None:
    """Bytes that one control group leaves; None for one without a limit. File cache counts as free."""
    with suppress(OSError, ValueError):
        limit = int((folder / limit_name).read_text(encoding="ascii"))  # ValueError for "max"
        usage = int((folder / usage_name).read_text(encoding="ascii"))
        stat = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        cache = sum(int(line.split()[1]) for line in stat if line.split()[0] == cache_name)
        return max(0, limit - usage + cache)
    return None
