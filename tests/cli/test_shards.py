"""Shards of a manifest: rows in parts, records beside the results, states, and commands for farms."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tests.waiting import find_children, stopped, wait_until

from cleanplate.cli import build_parser, main
from cleanplate.cli.commands.video import add_arguments
from cleanplate.cli.farm_commands import farm_commands
from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.manifest_run import run_locally
from cleanplate.cli.reporter import Reporter
from cleanplate.cli.shards import Shard, find_shard, select_rows
from cleanplate.errors import OptionError, OutputError
from cleanplate.media.locks import lock_path

HEIGHT, WIDTH = 48, 64


def paint(number=None):
    pixels = cv2.resize(
        np.random.default_rng(1).integers(40, 200, (6, 8, 3), np.uint8), (WIDTH, HEIGHT), interpolation=2
    )
    if number is not None:
        left = 4 + number % 30
        pixels[12:44, left : left + 20] = (230, 40, 30)
    return pixels


def write_clip(path, frames):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(paint(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    cv2.imwrite(str(folder / "plate.png"), paint()[..., ::-1])
    write_clip(folder / "a.mkv", 4)
    write_clip(folder / "long.mkv", 1500)
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name in ("plate.png", "a.mkv"):
        shutil.copy(made / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_manifest(here, rows, name="shots.csv"):
    lines = ["clip,plate,output", *(f"{clip},plate.png,{out}" for clip, out in rows)]
    (here / name).write_text("\n".join(lines) + "\n")


def states(capsys, *arguments):
    """Exit code of --status, and the state of each row."""
    capsys.readouterr()
    code = main(["video", "shots.csv", "--status", "--json", *arguments])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return code, {event["row"]: event for event in events if event["event"] == "row"}


@pytest.mark.parametrize(
    ("text", "environment", "number", "count"),
    [
        ("1/3", {}, 1, 3),
        ("3/3", {}, 0, 3),
        ("0/3", {}, 0, 3),
        ("1/1", {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_COUNT": "9"}, 0, 1),
        ("/16", {"SLURM_ARRAY_TASK_ID": "5"}, 5, 16),
        ("/16", {"JOB_COMPLETION_INDEX": "0"}, 0, 16),
        (None, {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_MAX": "4"}, 0, 4),
        (None, {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_ARRAY_TASK_MAX": "3"}, 0, 4),
        (None, {"SLURM_ARRAY_TASK_ID": "14", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_MAX": "14", "SLURM_ARRAY_TASK_STEP": "2"}, 2, 3),
    ],
)  # fmt: skip
def test_a_shard_comes_from_the_option_or_the_scheduler(text, environment, number, count):
    assert find_shard(text, environment) == Shard(number, count)


def test_without_a_scheduler_all_rows_are_keyed():
    assert find_shard(None, {}) is None
    assert find_shard(None, {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "1"}) is None


@pytest.mark.parametrize(
    ("text", "environment", "sentence"),
    [
        ("4/3", {}, "from 1 to 3 or from 0 to 2, got 4/3"),
        ("1/0", {}, "Expected a shard such as 3/16"),
        ("one", {}, "Expected a shard such as 3/16"),
        ("-1/3", {}, "Expected a shard such as 3/16"),
        ("/3", {}, "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set"),
        ("/3", {"JOB_COMPLETION_INDEX": "x"}, "Expected a number in JOB_COMPLETION_INDEX, got 'x'"),
        (None, {"JOB_COMPLETION_INDEX": "2"}, "does not tell the number of completions"),
        (None, {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_MAX": "9"}, "not evenly spaced"),
    ],
)  # fmt: skip
def test_a_wrong_shard_is_one_sentence(text, environment, sentence):
    with pytest.raises(OptionError, match=sentence):
        find_shard(text, environment)


def make_rows(folder, numbers):
    return [ManifestRow(n + 2, f"{n}.mov", argparse.Namespace(), (folder / f"out/{n}.mov",)) for n in numbers]


def test_shards_are_a_stable_partition(tmp_path):
    rows = make_rows(tmp_path, range(200))
    parts = [select_rows(rows, tmp_path / "shots.csv", Shard(number, 4)) for number in range(4)]
    assert sorted(row.number for part in parts for row in part) == [row.number for row in rows]
    assert min(len(part) for part in parts) > 30
    more = make_rows(tmp_path, range(220))[::-1]
    again = [select_rows(more, tmp_path / "shots.csv", Shard(number, 4)) for number in range(4)]
    for part, later in zip(parts, again, strict=True):
        assert {row.name for row in part} <= {row.name for row in later}
    elsewhere = [
        select_rows(make_rows(tmp_path / "mount", range(200)), tmp_path / "mount/shots.csv", Shard(number, 4))
        for number in range(4)
    ]
    assert [[row.number for row in part] for part in elsewhere] == [
        [row.number for row in part] for part in parts
    ]


@pytest.mark.slow
@pytest.mark.long
def test_a_second_run_keys_missing_rows_only(here, capsys):
    rows = [("a.mkv", f"out/{number}.mkv") for number in range(3)]
    write_manifest(here, [*rows, ("gone.mkv", "out/gone.mkv")])
    code, told = states(capsys)
    assert code == 1
    assert {row: event["state"] for row, event in told.items()} == dict.fromkeys((2, 3, 4, 5), "missing")
    assert main(["video", "shots.csv"]) == 2
    code, told = states(capsys)
    assert {row: event["state"] for row, event in told.items()} == {
        2: "done",
        3: "done",
        4: "done",
        5: "failed",
    }
    assert told[2]["frames"] == 4
    assert "There is no file gone.mkv" in told[5]["detail"]
    times = {number: (here / f"out/{number}.mkv").stat().st_mtime_ns for number in range(3)}
    (here / "out/1.mkv").unlink()
    shutil.copy(here / "a.mkv", here / "gone.mkv")
    capsys.readouterr()
    assert main(["video", "shots.csv"]) == 0
    assert "4 of 4 clips are done, 2 of them before." in capsys.readouterr().err
    for number in (0, 2):
        assert (here / f"out/{number}.mkv").stat().st_mtime_ns == times[number]
    code, told = states(capsys)
    assert (code, {event["state"] for event in told.values()}) == (0, {"done"})


@pytest.mark.slow
def test_a_changed_option_or_result_is_outdated(here, capsys):
    write_manifest(here, [("a.mkv", "out/one.mkv")])
    assert main(["video", "shots.csv"]) == 0
    assert states(capsys)[1][2]["state"] == "done"
    code, told = states(capsys, "--despill", "0.5")
    assert (code, told[2]["state"], told[2]["detail"]) == (1, "outdated", "made with another despill")
    os.utime(here / "a.mkv", (1, 1))
    assert states(capsys)[1][2]["detail"] == "made with another clip"
    assert main(["video", "shots.csv"]) == 2
    assert "out/one.mkv exists already" in capsys.readouterr().err
    assert main(["video", "shots.csv", "--overwrite"]) == 0
    assert states(capsys)[1][2]["state"] == "done"
    with (here / "out/one.mkv").open("ab") as file:
        file.write(b"more")
    assert states(capsys)[1][2]["detail"] == "a result has changed, or is gone"


@pytest.mark.slow
def test_a_result_without_a_record_does_not_count(here, capsys):
    write_manifest(here, [("a.mkv", "one.mkv")])
    (here / "one.mkv").write_bytes(b"of somebody else")
    assert states(capsys)[1][2]["state"] == "outdated"
    assert main(["video", "shots.csv", "--resume"]) == 0
    assert states(capsys)[1][2]["state"] == "outdated"
    (here / ".one.mkv.status.json").write_text('{"format": "cleanplate-status-1", "state": "done", "job": 3}')
    assert states(capsys)[1][2]["state"] == "outdated"


@pytest.mark.slow
def test_a_result_without_record_after_a_kill_counts_with_resume(here, capsys):
    write_manifest(here, [("a.mkv", "one.mkv")])
    assert main(["video", "shots.csv"]) == 0
    record = here / ".one.mkv.status.json"
    entries = json.loads(record.read_text())
    record.write_text(
        json.dumps({**entries, "state": "begun", "results": [], "time": entries["time"] - 2000})
    )
    assert states(capsys)[1][2]["state"] == "outdated"
    assert main(["video", "shots.csv", "--resume"]) == 0
    assert states(capsys)[1][2]["state"] == "done"


@pytest.mark.slow
def test_the_table_of_rows_is_text(here, capsys):
    write_manifest(here, [("a.mkv", "out/cut.mkv"), ("gone.mkv", "out/gone.mkv"), ("", "x.mkv")])
    main(["video", "shots.csv"])
    capsys.readouterr()
    assert main(["video", "shots.csv", "--status"]) == 1
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].split() == ["row", "state", "clip", "result", "detail"]
    assert lines[1].split()[:4] == ["2", "done", "a.mkv", "out/cut.mkv"]
    assert lines[2].split()[:4] == ["3", "failed", "gone.mkv", "out/gone.mkv"]
    assert "The row has no clip." in lines[3]
    assert said.err.splitlines()[-1] == "3 clips: 1 done, 2 failed."


def test_shards_need_a_manifest(here, capsys):
    for option in (["--shard", "1/2"], ["--status"], ["--print-commands", "slurm"]):
        assert main(["video", "a.mkv", "--plate", "plate.png", *option]) == 2
        assert f"{option[0]} needs a manifest, but a.mkv is one clip." in capsys.readouterr().err
    write_manifest(here, [("a.mkv", "one.mkv")])
    assert main(["video", "shots.csv", "--shard", "5/2"]) == 2
    assert main(["video", "shots.csv", "--print-commands", "slurm"]) == 2
    assert "need the number of shards" in capsys.readouterr().err


def test_every_shard_has_its_command(here, capsys):
    write_manifest(here, [("a.mkv", "one.mkv")])
    asked = ["video", "shots.csv", "--shard", "/3", "--despill", "0.5", "--save", "cutout", "alpha"]
    for farm in ("parallel", "cuecmd"):
        assert main([*asked, "--print-commands", farm]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 3
        for number, line in enumerate(lines, 1):
            words = shlex.split(line)
            assert words[:3] == ["cd", str(here), "&&"]
            arguments = build_parser().parse_args(words[4:])
            assert arguments.source == here / "shots.csv"
            assert (arguments.shard, arguments.resume, arguments.despill) == (f"{number}/3", True, 0.5)
            assert arguments.save == ["cutout", "alpha"]


def test_the_slurm_script_runs_its_shard(here, capsys):
    write_manifest(here, [("a.mkv", f"out/{number}.mkv") for number in range(4)])
    assert main(["video", "shots.csv", "--shard", "/2", "--print-commands", "slurm"]) == 0
    script = capsys.readouterr().out
    assert "#SBATCH --array=1-2\n" in script
    assert f"#SBATCH --chdir={here}\n" in script
    last = script.splitlines()[-1].replace("$SLURM_ARRAY_TASK_ID", "2")
    words = shlex.split(last)
    assert words[:3] == ["exec", "cleanplate", "video"]
    assert build_parser().parse_args(words[2:]).shard == "2/2"


def test_the_job_of_kubernetes_is_valid_yaml(here):
    yaml = pytest.importorskip("yaml")
    given = build_parser().parse_args(["video", "shots.csv", "--shard", "/8", "--print-commands", "k8s"])
    job = yaml.safe_load(farm_commands("k8s", given, 8, add_arguments))
    assert (job["kind"], job["spec"]["completionMode"], job["spec"]["completions"]) == ("Job", "Indexed", 8)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == [
        *("cleanplate", "video", str(here / "shots.csv"), "--resume", "--shard", "/8"),
    ]
    assert container["workingDir"] == str(here)


def wait_for_a_beat(arguments, _reporter, _threads):
    lock = Path(arguments.lock)
    os.utime(lock, (1, 1))
    wait_until(lambda: lock.stat().st_mtime > 1, "beat")


def lose_the_lock(arguments, _reporter, _threads):
    lock = Path(arguments.lock)
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "token": "of another", "host": "elsewhere"}))
    time.sleep(600)


@pytest.mark.slow
@pytest.mark.parametrize("work", [wait_for_a_beat, lose_the_lock])
def test_a_manifest_touches_its_locks_and_ends_when_one_is_taken(tmp_path, monkeypatch, work):
    monkeypatch.setattr("cleanplate.media.locks.BEAT_SECONDS", 0.0)
    result = tmp_path / "cut.mov"
    arguments = build_parser().parse_args(["video", "a.mov", "-o", str(result)])
    arguments.lock = str(lock_path(result))
    shots = [ManifestRow(2, "a.mov", arguments, (result,))]
    with Reporter() as reporter:
        if work is wait_for_a_beat:
            assert run_locally(shots, work, 1, reporter) == 0
            assert not lock_path(result).exists()
        else:
            with pytest.raises(OutputError, match=r"cut\.mov was taken over .* on elsewhere"):
                run_locally(shots, work, 1, reporter)
            assert lock_path(result).exists()


def start(here, *arguments):
    command = [sys.executable, "-m", "cleanplate", "video", "shots.csv", *arguments]
    return subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_shards_at_once_key_every_row_once(here, capsys):
    count = 6
    write_manifest(here, [("a.mkv", f"out/{number}.mkv") for number in range(count)])
    both = [start(here, "--shard", f"{number}/2", "--resume") for number in (1, 2)]
    said = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    results = [line for out, _ in said for line in out.splitlines()]
    assert sorted(results) == [f"out/{number}.mkv" for number in range(count)]
    assert states(capsys)[0] == 0
    assert not list((here / "out").glob("*.lock"))
    assert not list((here / "out").glob("*.partial*"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
def test_a_killed_shard_is_resumed(here, made, capsys):
    shutil.copy(made / "long.mkv", here)
    write_manifest(here, [("a.mkv", "out/a.mkv"), ("long.mkv", "out/long.mkv"), ("a.mkv", "out/b.mkv")])
    process = start(here, "--shard", "1/1")
    work = here / "out/long.mkv.partial/checkpoint.json"

    def frames():
        try:
            return json.loads(work.read_text())["frames"]
        except (OSError, ValueError):
            return 0

    wait_until(frames, "finished segment", process=process)
    with stopped(process.pid, *find_children(process.pid)):
        assert states(capsys)[1][3]["state"] == "running"
        second = start(here, "--shard", "1/1", "--resume")
        _, told = second.communicate(timeout=600)
        assert second.returncode == 2
        assert "is being written by another run: process" in told
        process.send_signal(signal.SIGKILL)
        process.wait()
    process.communicate()
    wait_until(lambda: states(capsys)[1][3]["state"] == "interrupted", "end of the clip's process")
    done = (here / "out/a.mkv").stat().st_mtime_ns
    third = start(here, "--shard", "1/1", "--resume")
    _, told = third.communicate(timeout=600)
    assert third.returncode == 0, told
    assert "of an earlier run" in told
    assert "3 of 3 clips are done, 1 of them before." in told
    assert (here / "out/a.mkv").stat().st_mtime_ns == done
    code, told = states(capsys)
    assert (code, told[3]["frames"]) == (0, 1500)
    with av.open(str(here / "out/long.mkv")) as result:
        assert sum(1 for _ in result.demux(video=0)) - 1 == 1500
