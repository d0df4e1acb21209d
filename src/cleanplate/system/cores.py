"""Number of cores that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/")

MOST_CODEC_THREADS = 8


def usable_cores() -> int:
    """Count the cores that this process may use; inside a container there can be fewer than the machine has.

    The limits are the affinity mask and the CPU quota of the control group (``docker run --cpus 1.5``),
    rounded up.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = read_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def codec_threads() -> int:
    """Number of threads of a decoder or an encoder: the cores, at most 8, as each holds a frame in memory."""
    return min(MOST_CODEC_THREADS, usable_cores())


def quota_threads() -> int | None:
    """Number of threads for a library that ignores the CPU quota; None where its own count is right."""
    return None if read_quota() is None else usable_cores()


def read_quota(root: Path = _ROOT) -> float | None:
    """Read the CPU time per second that the control groups of this process allow, in cores; None: no limit.

    Limits of parent groups hold, too. Inside a container the path of the group may be that of the host, where
    only the group itself is mounted, as the root.

    Args:
        root: Folder that holds ``proc`` and ``sys``.
    """
    quotas = [_read_group(folder) for name in ("cpu", "") for folder in group_folders(root, name)]
    return min((quota for quota in quotas if quota is not None), default=None)


def group_folders(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups that this process is in, and of those above them.

    Args:
        root: Where ``proc`` and ``sys`` lie.
        controller: ``cpu`` or ``memory``, of version 1; ``""``: of version 2, which has one tree for all.
    """
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in groups:
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controller and hierarchy == "0" and not controllers:
            mounts = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif controller and controller in controllers.split(","):
            mounts = [root / "sys/fs/cgroup" / name for name in dict.fromkeys((controllers, controller))]
        else:
            continue
        for mount in mounts:
            yield from _folders(mount, path)


def _folders(mount: Path, path: str) -> Iterator[Path]:
    """List a group's folder and its parents, up to the mount."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for count in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:count])


def _read_group(folder: Path) -> float | None:
    """Read one group's quota: ``cpu.max`` in version 2, ``cpu.cfs_quota_us`` in version 1; None: no limit."""
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else _divide(int(quota), int(period))
    with suppress(OSError, ValueError):
        quota, period = (
            (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
        )
        return _divide(int(quota), int(period))
    return None


def _divide(quota: int, period: int) -> float | None:
    return quota / period if quota > 0 and period > 0 else None
