"""Rows of a manifest on a Ray cluster of three nodes: death of a node, Ctrl-C, wrong addresses."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import av
import pytest
from tests.cli.test_shards import paint, write_clip
from tests.waiting import wait_until

import cleanplate

ROWS = 4
FRAMES = 1500


START_SECONDS = 600
"""Time for three nodes and the first segments. 10 s on idle cores, over 60 s once beside other tests."""


@contextlib.contextmanager
def run_command(here, *arguments, **more):
    """Start the command; a failed test leaves no process behind."""
    with subprocess.Popen(
        [sys.executable, "-m", "cleanplate", "video", "shots.csv", *arguments],
        cwd=here, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def free_port():
    """A port that no other process gets from the system before it is used: below those, above Ray's own."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a hundred ports are in use")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Clips with a plate, and the results of processes of this machine."""
    import cv2

    folder = tmp_path_factory.mktemp("made")
    cv2.imwrite(str(folder / "plate.png"), paint()[..., ::-1])
    write_clip(folder / "long.mkv", FRAMES)
    write_clip(folder / "short.mkv", 4)
    lines = [f"long.mkv,plate.png,out/{number}.mkv" for number in range(ROWS - 1)]
    lines.append("short.mkv,plate.png,out/short.mkv")
    (folder / "shots.csv").write_text("\n".join(["clip,plate,output", *lines]) + "\n")
    local = folder / "local"
    shutil.copytree(folder, local, ignore=shutil.ignore_patterns("local"))
    rows = (local / "shots.csv").read_text().splitlines()
    (local / "shots.csv").write_text("\n".join([rows[0], rows[1], rows[-1]]) + "\n")
    with run_command(local) as process:
        _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return folder


@pytest.fixture
def here(made, tmp_path):
    for name in ("plate.png", "long.mkv", "short.mkv", "shots.csv"):
        shutil.copy(made / name, tmp_path)
    return tmp_path


@pytest.fixture
def cluster(monkeypatch):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    paths = [str(Path(cleanplate.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # A busy machine starts the process of a client slowly.
    monkeypatch.setenv("RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S", "120")
    port = free_port()
    head = {"num_cpus": 1, "ray_client_server_port": port, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    made.client_port = port
    for _ in range(2):
        made.add_node(num_cpus=1)
    try:
        yield made
    finally:
        made.shutdown()


def hash_pictures(path):
    """Hash of all decoded pictures, and their number."""
    with av.open(str(path)) as container:
        frames = [hash(frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]
    return len(frames), hash(tuple(frames))


def worker_of(result):
    """Process that holds the lock of a result; its parent is the node's raylet."""
    owner = json.loads(result.with_name(f".{result.name}.lock").read_text())
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{owner['pid']}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def finished_frames(result):
    with contextlib.suppress(OSError, ValueError):
        return json.loads((result.parent / f"{result.name}.partial/checkpoint.json").read_text())["frames"]
    return 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.filterwarnings("ignore")
def test_a_killed_node_loses_no_row(here, made, cluster):
    raylets = {
        node.all_processes["raylet"][0].process.pid: node
        for node in cluster.list_all_nodes()
        if not node.head
    }
    results = [here / f"out/{number}.mkv" for number in range(ROWS - 1)]

    found = []

    def find_victim():
        for result in results:
            with contextlib.suppress(OSError, ValueError):
                kept, node = finished_frames(result), raylets.get(worker_of(result))
                if 0 < kept < FRAMES - 300 and node:
                    found.append((result, kept, node))
                    return True
        return False

    address = f"ray://127.0.0.1:{cluster.client_port}"
    with run_command(here, "--on", address, "--num-cpus", "1", "--json") as process:
        what = "finished segment on a node that is no head"
        wait_until(find_victim, what, process=process, seconds=START_SECONDS)
        victim, kept, node = found[0]
        cluster.remove_node(node, allow_graceful=False)
        out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    events = [json.loads(line) for line in out.splitlines()]
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert "long.mkv: Its worker or node died; retry 1 of 3." in notes
    done = {event["row"]: event for event in events if event["event"] == "done" and "row" in event}
    assert sorted(done) == [2, 3, 4, 5]
    assert done[2 + results.index(victim)]["resumed"] >= kept > 0
    assert any(len([row for row in event["running"] if row.get("frames")]) > 1 for event in events
               if event["event"] == "progress")  # fmt: skip
    expected = hash_pictures(made / "local/out/0.mkv")
    assert expected[0] == FRAMES
    assert {hash_pictures(path) for path in results} == {expected}
    assert hash_pictures(here / "out/short.mkv") == hash_pictures(made / "local/out/short.mkv")
    assert not [path for path in (here / "out").iterdir() if path.name.endswith((".lock", ".partial"))]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals")
@pytest.mark.filterwarnings("ignore")
def test_ctrl_c_cancels_the_rows_and_a_second_run_resumes_them(here, made, cluster):
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    results = [here / f"out/{number}.mkv" for number in range(ROWS - 1)]
    with run_command(here, "--on", "ray", "--num-cpus", "1", env=environment) as process:
        wait_until(
            lambda: any(map(finished_frames, results)), "finished segment", process=process,
            seconds=START_SECONDS,
        )  # fmt: skip
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=600)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    kept = {result: finished_frames(result) for result in results}
    assert max(kept.values()) > 0
    assert not list((here / "out").glob(".*.lock"))
    with run_command(here, "--on", "ray", "--num-cpus", "1", "--resume", env=environment) as again:
        _, err = again.communicate(timeout=600)
    assert again.returncode == 0, err
    assert "of an earlier run" in err
    expected = hash_pictures(made / "local/out/0.mkv")
    assert {hash_pictures(path) for path in results} == {expected}
