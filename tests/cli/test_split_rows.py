"""Rows in spans: scheduling, retries, states, processes of this machine."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import pytest
from tests.cli.test_ray import cluster, free_port, hash_pictures, run_command  # noqa: F401 - a fixture
from tests.cli.test_shards import paint, states, write_clip
from tests.waiting import wait_until

import cleanplate
from cleanplate.cli import main
from cleanplate.cli.commands.video import add_arguments, key_row
from cleanplate.cli.executors.executor import EventReporter, RowEvent
from cleanplate.cli.manifest import read_manifest
from cleanplate.cli.manifest_run import run_rows
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError
from cleanplate.jobs.checkpoint import SpanFiles
from cleanplate.media import locks

FRAMES = 300
LENGTHS = [125, 125, 50]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A clip, a plate, and the result of a whole run."""
    folder = tmp_path_factory.mktemp("made")
    cv2.imwrite(str(folder / "plate.png"), paint()[..., ::-1])
    write_clip(folder / "long.mkv", FRAMES)
    write_clip(folder / "a.mkv", 4)
    cleanplate.matte_video(
        folder / "long.mkv", folder / "plate.png", folder / "whole.mkv", locked_off=True, on_note=len
    )
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    for name in ("plate.png", "a.mkv", "long.mkv"):
        shutil.copy(made / name, tmp_path)
    rows = ["long.mkv,plate.png,out/s.mkv,5", "a.mkv,plate.png,out/a.mkv,"]
    (tmp_path / "shots.csv").write_text("\n".join(["clip,plate,output,split-seconds", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Remarks(Reporter):
    """Reporter that keeps the notes and errors."""

    def __init__(self):
        super().__init__(quiet=True)
        self.notes, self.errors, self.shown = [], [], []

    def note(self, text, **_):
        self.notes.append(text)

    def error(self, error, **_):
        self.errors.append(error.message)

    def progress(self, text, **facts):
        self.shown.append((text, facts))


class InThisProcess:
    """Executor that keys each task when it is submitted.

    Args:
        dies: Tasks whose first try dies, by the order of their submission.
        stops: Task at which Ctrl-C comes.
    """

    slots = 1

    def __init__(self, dies=(), stops=None):
        self.dies, self.stops = set(dies), stops
        self.sent, self.events = [], []
        self.cancelled = False

    def submit(self, row, arguments, token):
        locks.adopt(token)
        number = len(self.sent)
        self.sent.append(getattr(arguments, "split_step", None))
        if number == self.stops:
            raise KeyboardInterrupt
        if number in self.dies:
            self.events.append(RowEvent(row.number, "lost", "Its node died.", {"hint": ""}))
            return
        told = []
        try:
            key_row(arguments, EventReporter(told.append), None)
        except CleanplateError as error:
            told.append(("error", error.message, {"hint": error.hint}))
        assert all(locks.is_taken(path) is False for path in row.results)
        self.events += [RowEvent(row.number, *event) for event in told] + [RowEvent(row.number, "ended")]

    def hear(self):
        # The last event comes later, as from a process.
        events, self.events = self.events[:-1] or self.events, self.events[-1:] if self.events[1:] else []
        yield from events

    def cancel(self):
        self.cancelled = True

    def close(self):
        pass


def rows_of(*options):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = parser.parse_args(["shots.csv", *options])
    return read_manifest(given.source, given, add_arguments)


def test_the_spans_of_a_row_are_tasks_with_retries_and_one_join(here, made, capsys):
    executor, reporter = InThisProcess(dies={2}), Remarks()
    assert run_rows(rows_of(), executor, reporter, max_retries=1) == 0
    assert executor.sent == ["plan", 0, 1, 1, 2, "join", None]
    assert "long.mkv 2/3: Its node died; retry 1 of 1." in reporter.notes
    assert "0 of 2 clips, long.mkv 2/3 100%" in {text for text, _ in reporter.shown}
    assert {clip.get("spans") for _, facts in reporter.shown for clip in facts["running"]} == {3, None}
    assert hash_pictures(here / "out/s.mkv") == hash_pictures(made / "whole.mkv")
    assert sorted(path.name for path in (here / "out").iterdir()) == [
        ".a.mkv.status.json", ".s.mkv.status.json", "a.mkv", "s.mkv",
    ]  # fmt: skip
    code, rows = states(capsys)
    assert (code, rows[2]["state"], rows[2]["frames"]) == (0, "done", FRAMES)
    again = InThisProcess()
    assert run_rows(rows_of(), again, Remarks()) == 0
    assert again.sent == []


def test_ctrl_c_leaves_spans_that_a_second_run_does_not_key_again(here, made, capsys):
    with pytest.raises(KeyboardInterrupt):
        run_rows(rows_of(), executor := InThisProcess(stops=3), Remarks())
    assert executor.cancelled
    assert not list((here / "out").rglob(".*.lock"))
    _, rows = states(capsys)
    assert rows[2]["detail"] == "250 of 300 frames, 2 of 3 spans are done; continue with --resume"
    assert (rows[2]["state"], rows[2]["spans_done"]) == ("interrupted", 2)
    refused = Remarks()
    assert run_rows(rows_of(), InThisProcess(), refused) == 2
    assert refused.errors == ["Row 2 (long.mkv): 250 frames of s.mkv are done already, in spans."]
    second = InThisProcess()
    assert run_rows(rows_of("--resume"), second, Remarks()) == 0
    assert second.sent == ["plan", 2, "join"]
    assert hash_pictures(here / "out/s.mkv") == hash_pictures(made / "whole.mkv")


@pytest.mark.usefixtures("here")
def test_a_span_that_fails_ends_its_row_alone(capsys):
    executor, reporter = InThisProcess(dies={2}), Remarks()
    assert run_rows(rows_of(), executor, reporter) == 2
    assert executor.sent == ["plan", 0, 1, None]
    assert reporter.errors == ["Row 2 (long.mkv): Its node died."]
    assert {row: found["state"] for row, found in states(capsys)[1].items()} == {2: "failed", 3: "done"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--follow"], "--follow updates the plate from frame to frame"),
        (["--shard", "1/2"], "--shard needs a manifest, but long.mkv is one clip."),
        (["--split-seconds=-1"], "Expected --split-seconds above 0, got -1."),
        (["--jobs", "0"], "Expected --jobs of at least 1, got 0."),
    ],
)
def test_a_wrong_option_of_a_clip_in_spans_is_one_sentence(here, capsys, options, sentence):
    command = ["video", "long.mkv", "--plate", "plate.png", "-o", "s.mkv", "--split-seconds", "5", *options]
    assert main(command) == 2
    assert sentence in capsys.readouterr().err
    assert not list(here.glob("*.partial"))


def spans_of(result):
    return SpanFiles(result).count()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals, /proc")
def test_processes_key_the_spans_of_one_clip_at_the_same_time(here, made):
    command = [
        "video",
        "long.mkv",
        "--plate",
        "plate.png",
        "-o",
        "s.mkv",
        "--split-seconds",
        "5",
        "--jobs",
        "2",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "cleanplate", *command, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    spans = {
        event["span"]: event["frames"] for event in events if event["event"] == "done" and "span" in event
    }
    assert [spans[number] for number in (1, 2, 3)] == LENGTHS
    assert [event["path"] for event in events if event["event"] == "result"] == ["s.mkv"]
    assert Counter(event["event"] for event in events)["error"] == 0
    assert hash_pictures(here / "s.mkv") == hash_pictures(made / "whole.mkv")
    assert not list(here.glob("*.partial"))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals, /proc")
def test_ctrl_c_ends_the_processes_of_spans_and_a_second_run_resumes_them(here):
    write_clip(here / "long.mkv", 1500)
    command = ["--jobs", "2", "--json"]
    process = run_command(here, *command, start_new_session=True)
    result = here / "out/s.mkv"
    wait_until(lambda: spans_of(result).done >= 2, "finished span", process=process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    kept = spans_of(result)
    assert 2 <= kept.done < kept.spans == 12
    assert not list((here / "out").rglob(".*.lock"))
    again = run_command(here, *command, "--resume")
    out, err = again.communicate(timeout=600)
    assert again.returncode == 0, out + err
    keyed = [line for line in map(json.loads, out.splitlines()) if line["event"] == "done" and "span" in line]
    assert len(keyed) == kept.spans - kept.done
    cleanplate.matte_video(
        here / "long.mkv", here / "plate.png", here / "w.mkv", locked_off=True, on_note=len
    )
    assert hash_pictures(result) == hash_pictures(here / "w.mkv")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.filterwarnings("ignore")
def test_spans_on_ray_survive_a_killed_node(here, cluster):  # noqa: F811 - a fixture
    write_clip(here / "long.mkv", 3000)
    (here / "shots.csv").write_text("clip,plate,output,split-seconds\nlong.mkv,plate.png,out/s.mkv,20\n")
    process = run_command(here, "--on", f"ray://127.0.0.1:{cluster.client_port}", "--num-cpus", "1", "--json")
    raylets = {
        node.all_processes["raylet"][0].process.pid: node
        for node in cluster.list_all_nodes()
        if not node.head
    }
    result = here / "out/s.mkv"

    def victims():
        found = []
        for lock in result.parent.glob("s.mkv.partial/.*.lock"):
            try:
                owner = json.loads(lock.read_text())["pid"]
                parent = int(Path(f"/proc/{owner}/stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            found += [parent] * (parent in raylets)
        return found

    wait_until(victims, "span on a node that is no head", process=process)
    cluster.remove_node(raylets[victims()[0]], allow_graceful=False)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    events = [json.loads(line) for line in out.splitlines()]
    assert any("died; retry 1 of 3." in event.get("text", "") for event in events)
    cleanplate.matte_video(
        here / "long.mkv", here / "plate.png", here / "w.mkv", locked_off=True, on_note=len
    )
    assert hash_pictures(result) == hash_pictures(here / "w.mkv")
    assert sorted(path.name for path in (here / "out").iterdir()) == [".s.mkv.status.json", "s.mkv"]
