"""CPU quotas of containers count as cores."""

from __future__ import annotations

import pytest

from cleanplate.system import cores


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


V1 = "sys/fs/cgroup/cpu,cpuacct"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        # The host's path is not there inside of the container.
        ({"proc/self/cgroup": "0::/docker/1f\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        (
            {
                "proc/self/cgroup": "0::/user/job\n",
                "sys/fs/cgroup/user/job/cpu.max": "max 100000\n",
                "sys/fs/cgroup/user/cpu.max": "300000 100000\n",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/1f\n1:name=systemd:/docker/1f\n",
                f"{V1}/cpu.cfs_quota_us": "200000\n",
                f"{V1}/cpu.cfs_period_us": "100000\n",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/a\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "rubbish\n"}, None),
    ],
)
def test_the_quota_is_read(tmp_path, files, quota):
    write(tmp_path, files)
    assert cores.read_quota(tmp_path) == quota


@pytest.mark.parametrize(("quota", "count"), [(None, 4), (0.5, 1), (1.5, 2), (3.0, 3), (64.0, 4)])
def test_cores_are_the_smaller_of_affinity_and_quota(monkeypatch, quota, count):
    monkeypatch.setattr(cores, "read_quota", lambda: quota)
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert cores.usable_cores() == count
    assert cores.quota_threads() == (None if quota is None else count)


@pytest.mark.parametrize(("count", "threads"), [(1, 1), (4, 4), (64, 8)])
def test_decoders_and_encoders_have_eight_threads_at_most(monkeypatch, count, threads):
    monkeypatch.setattr(cores, "usable_cores", lambda: count)
    assert cores.codec_threads() == threads
