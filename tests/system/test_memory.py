from __future__ import annotations

import pytest

from cleanplate.system.memory import available_memory

MEMINFO = "MemTotal: 9000 kB\nMemFree: 100 kB\nMemAvailable:    5000 kB\n"
V1 = "sys/fs/cgroup/memory/docker/1f"
V2 = "sys/fs/cgroup"


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"proc/meminfo": MEMINFO}, 5000 * 1024),
        # File cache that can be dropped counts as free.
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/\n",
                f"{V2}/memory.max": "1000000\n",
                f"{V2}/memory.current": "700000\n",
                f"{V2}/memory.stat": "anon 1\ninactive_file 200000\n",
            },
            500_000,
        ),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/\n",
                f"{V2}/memory.max": "max\n",
                f"{V2}/memory.current": "700000\n",
                f"{V2}/memory.stat": "inactive_file 200000\n",
            },
            5000 * 1024,
        ),
        (
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "4:memory:/docker/1f\n",
                f"{V1}/memory.limit_in_bytes": "300000\n",
                f"{V1}/memory.usage_in_bytes": "400000\n",
                f"{V1}/memory.stat": "total_inactive_file 0\n",
            },
            0,
        ),
    ],
)
def test_the_smallest_limit_is_the_memory(tmp_path, files, free):
    write(tmp_path, files)
    assert available_memory(tmp_path) == free


def test_this_machine_has_memory():
    assert available_memory() > 1 << 20
