"""Instructions of this machine's processor."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_ROOT = Path("/")


def read_cpu_flags(root: Path = _ROOT) -> frozenset[str]:
    """Read the flags of an x86 processor on Linux, such as ``avx512_vnni``.

    Args:
        root: Folder that holds ``proc``.

    Returns:
        Flags of the first core; empty where the system tells none: on other systems, and on ARM, whose line
        has another name.
    """
    with suppress(OSError, ValueError):
        for line in (root / "proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, flags = line.partition(":")
            if name.strip() == "flags":
                return frozenset(flags.split())
    return frozenset()
