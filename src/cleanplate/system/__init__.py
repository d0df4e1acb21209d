"""The operating system: cores, the allocator of the C library, temporary files, errors of the system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.system.allocator import keep_freed_memory
    from cleanplate.system.cores import usable_cores

__all__ = [
    "keep_freed_memory",
    "usable_cores",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "keep_freed_memory": "allocator",
            "usable_cores": "cores",
        },
    )
