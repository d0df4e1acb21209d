"""How many cores there are to work on."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/")


def usable_cores() -> int:
    """Cores that this process may use; fewer than the machine has inside a container.

    The affinity mask counts, and the CPU quota of the control group (``docker run --cpus 1.5``), rounded up.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = read_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def quota_threads() -> int | None:
    """Threads for a library that counts cores without the quota; None where its own count is right."""
    return None if read_quota() is None else usable_cores()


def read_quota(root: Path = _ROOT) -> float | None:
    """The CPU time per second that the control groups of this process allow, in cores; None: no limit.

    A group is limited by those above it, too. Inside a container the path of the group may be the host's, of
    which nothing is mounted but the group itself, as the root.

    Args:
        root: Where ``proc`` and ``sys`` lie.
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
    """A group's folder and those above it, up to the mount."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for count in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:count])


def _read_group(folder: Path) -> float | None:
    """The quota of one group: ``cpu.max`` of version 2, ``cpu.cfs_quota_us`` of version 1; None: no limit."""
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
