"""Several clips in one command, each in a separate process."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import cv2
import pytest
from tests.waiting import stopped, wait_until

import cleanplate
from cleanplate.cli import main, manifest_run
from cleanplate.cli.executors import processes
from cleanplate.cli.reporter import Reporter

SAMPLES = Path(__file__).parents[2] / "samples"
SIZE = (160, 90)


def write_clip(path, frames):
    """Write the sample clip, reduced and repeated."""
    with av.open(str(SAMPLES / "clip.mp4")) as source:
        pictures = [f.reformat(*SIZE, format="yuv420p") for f in itertools.islice(source.decode(video=0), 12)]
    with av.open(str(path), "w") as result:
        stream = result.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(frames):
            picture = pictures[number % len(pictures)]
            picture.pts = None
            result.mux(stream.encode(picture))
        result.mux(stream.encode(None))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A plate, and clips of half a second, four seconds and two minutes."""
    folder = tmp_path_factory.mktemp("made")
    plate = cv2.resize(cv2.imread(str(SAMPLES / "clip_plate.jpg")), SIZE, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "plate.png"), plate)
    for name, frames in (("a", 12), ("short", 100), ("long", 3000)):
        write_clip(folder / f"{name}.mp4", frames)
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    for name in ("plate.png", "a.mp4"):
        shutil.copy(made / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def events_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_good_rows_are_keyed_and_bad_ones_reported(here, capsys):
    (here / "out").mkdir()
    (here / "shots.csv").write_text(
        "clip,output,background\na.mp4,out/cut.mov,\ngone.mp4,out/gone.mov,\na.mp4,out/comp.mp4,white\na.mp4,out/x.avi,\n"
    )
    assert main(["video", "shots.csv", "--plate", "plate.png", "--jobs", "2"]) == 2
    said = capsys.readouterr()
    assert sorted(said.out.split()) == ["out/comp.mp4", "out/cut.mov"]
    records = {".comp.mp4.status.json", ".cut.mov.status.json", ".gone.mov.status.json", ".x.avi.status.json"}
    assert {path.name for path in (here / "out").iterdir()} == {"comp.mp4", "cut.mov", *records}
    assert "error: Row 3 (gone.mp4): There is no file gone.mp4." in said.err
    assert "error: Row 5 (a.mp4): x.avi has no suffix" in said.err
    assert "a.mp4: 12 frames in" in said.err
    assert said.err.splitlines()[-1] == "2 of 4 clips are done; 2 failed: rows 3, 5."
    with av.open("out/comp.mp4") as result:
        assert sum(1 for _ in result.decode(video=0)) == 12


def test_a_manifest_as_json(here, capsys):
    (here / "shots.csv").write_text("clip,output\na.mp4,cut.mov\ngone.mp4,gone.mov\n")
    assert main(["video", "shots.csv", "--plate", "plate.png", "--json"]) == 2
    said = capsys.readouterr()
    events = events_of(said.out)
    assert {"event": "result", "path": "cut.mov", "row": 2, "clip": "a.mp4"} in events
    error = next(event for event in events if event["event"] == "error")
    assert (error["row"], error["clip"], error["hint"]) == (
        3,
        "gone.mp4",
        "check the spelling and the folder",
    )
    assert events[-1]["event"] == "done"
    assert (events[-1]["clips"], events[-1]["failed_rows"]) == (2, [3])
    assert said.err == ""


@pytest.mark.usefixtures("here")
def test_one_clip_as_json(capsys):
    assert main(["video", "a.mp4", "--plate", "plate.png", "-o", "cut.mov", "--json"]) == 0
    events = events_of(capsys.readouterr().out)
    progress = [event for event in events if event["event"] == "progress"]
    assert progress
    assert progress[0]["doing"] == "keying"
    (done,) = [event for event in events if event["event"] == "done"]  # advice may follow a slow run
    assert done["frames"] == 12
    assert events[-1] == {"event": "result", "path": "cut.mov"}
    assert main(["video", "a.mp4", "--plate", "plate.png", "-o", "cut.mov", "--json"]) == 2
    said = capsys.readouterr()
    (error,) = events_of(said.out)
    assert (error["event"], error["kind"]) == ("error", "OutputError")
    assert said.err.startswith("error: cut.mov exists already.")


def test_jobs_need_a_manifest(here, capsys):
    assert main(["video", "a.mp4", "--plate", "plate.png", "--jobs", "2"]) == 2
    assert "--jobs needs a manifest" in capsys.readouterr().err
    (here / "shots.csv").write_text("clip\na.mp4\n")
    assert main(["video", "shots.csv", "--plate", "plate.png", "--jobs", "0"]) == 2
    assert "Expected --jobs of at least 1, got 0." in capsys.readouterr().err


@pytest.fixture
def start():
    """Start the real program in a separate process, and end it after the test."""
    environment = {**os.environ, "PYTHONPATH": str(Path(cleanplate.__file__).parents[1])}
    with contextlib.ExitStack() as processes:

        def begin(*arguments):
            command = [sys.executable, "-m", "cleanplate", *arguments]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            process = processes.enter_context(subprocess.Popen(command, env=environment, text=True, **pipes))
            processes.callback(process.kill)
            return process

        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield begin
        finally:
            signal.signal(signal.SIGINT, inherited)


def read_until(process, wanted):
    """Read events of a ``--json`` run up to the first wanted one."""
    for line in process.stdout:
        event = json.loads(line)
        if wanted(event):
            return event
    raise AssertionError(process.stderr.read())


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_ends_every_process(here, made, start, number):
    for name in "bc":
        shutil.copy(made / "long.mp4", here / f"{name}.mp4")
    (here / "shots.csv").write_text("clip,output\nb.mp4,b.mov\nc.mp4,c.mov\na.mp4,a.mov\n")
    running = start("video", "shots.csv", "--plate", "plate.png", "--jobs", "2", "--json")
    both = lambda event: len([c for c in event.get("running", []) if c.get("frames")]) == 2  # noqa: E731
    read_until(running, both)
    running.send_signal(number)
    _, err = running.communicate(timeout=600)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert not {"a.mov", "b.mov", "c.mov"} & {path.name for path in here.iterdir()}

    def list_processes():
        return subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout

    wait_until(lambda: str(here) not in list_processes(), "end of the clips' processes")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_dying_process_does_not_end_the_others(here, made, start):
    shutil.copy(made / "long.mp4", here / "b.mp4")
    (here / "shots.csv").write_text("clip,output\nb.mp4,b.mov\na.mp4,a.mov\n")
    running = start("video", "shots.csv", "--plate", "plate.png", "--json")
    read_until(running, lambda event: any(c.get("frames") for c in event.get("running", [])))
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(running.pid)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (child,) = [line.split()[0] for line in found.splitlines() if "spawn_main" in line]
    os.kill(int(child), signal.SIGKILL)
    out, err = running.communicate(timeout=600)
    assert running.returncode == 2, err
    events = events_of(out)
    error = next(event for event in events if event["event"] == "error")
    assert (error["row"], error["message"]) == (2, "Row 2 (b.mp4): Its process ended unexpectedly (code -9).")
    assert events[-1]["failed_rows"] == [2]
    assert (here / "a.mov").exists()


def send_much_when_ended(_arguments, reporter, _threads=None):
    """Clip whose process, when interrupted, sends more than a pipe holds."""
    reporter.progress("begun", frames=1)
    try:
        while True:
            time.sleep(0.05)  # a long clip
    except KeyboardInterrupt:
        for _ in range(200):
            reporter.note("x" * 10_000)
        raise


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupted_process_with_much_to_send_ends():
    run = processes.start_process(2, argparse.Namespace(), send_much_when_ended, None, "")
    assert run.events.recv()[0] == "progress"
    ended = threading.Thread(target=processes.end_processes, args=([run],), daemon=True)
    ended.start()
    ended.join(600)
    assert not ended.is_alive()
    assert run.process.exitcode == 130


def die_within_a_message(arguments, reporter, _threads=None):
    """Kill the first clip's process within a message; the second process is idle."""
    if arguments.dies:
        os.write(reporter._send.__self__.fileno(), struct.pack("!i", 100_000) + b"begun")
        os.kill(os.getpid(), signal.SIGKILL)


def hang_at_the_end(_arguments, reporter, _threads=None):
    """Finish a clip in a process that closes its pipe and does not exit."""
    reporter.done("is done")
    reporter._send.__self__.close()
    time.sleep(600)  # stands for a library that hangs


def rows(**each):
    ((name, values),) = each.items()
    return [
        manifest_run.ManifestRow(number, f"{number}.mp4", argparse.Namespace(**{name: value}))
        for number, value in enumerate(values, 2)
    ]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_process_that_dies_within_a_message_does_not_end_the_others(capsys):
    with Reporter() as reporter:
        assert manifest_run.run_locally(rows(dies=[True, False]), die_within_a_message, 2, reporter) == 2
    err = capsys.readouterr().err
    assert "error: Row 2 (2.mp4): Its process ended unexpectedly (code -9)." in err
    assert err.endswith("1 of 2 clips are done; 1 failed: row 2.\n")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_process_that_does_not_exit_is_ended(capsys, monkeypatch):
    monkeypatch.setattr(processes, "EXIT_SECONDS", 0.2)
    with Reporter() as reporter:
        assert manifest_run.run_locally(rows(clip=[1]), hang_at_the_end, 1, reporter) == 0
    assert capsys.readouterr().err == "2.mp4: is done\n1 of 1 clips are done.\n"


def write_to_the_terminal(*_):
    """Stand for a library that writes to the terminal."""
    os.write(2, b"said by a library")


MANIFEST_IN_A_TERMINAL = """
import termios
from cleanplate.cli.manifest_run import run_locally
from cleanplate.cli.reporter import Reporter
from tests.cli import test_shots
if __name__ == "__main__":
    flags = termios.tcgetattr(2)
    flags[3] |= termios.TOSTOP
    termios.tcsetattr(2, termios.TCSANOW, flags)
    raise SystemExit(run_locally(test_shots.rows(clip=[1]), test_shots.write_to_the_terminal, 1, Reporter()))
"""


@pytest.mark.skipif(os.name != "posix", reason="terminals")
def test_a_terminal_that_stops_background_output_stops_no_clip(tmp_path):
    pty = pytest.importorskip("pty")
    script = tmp_path / "manifest.py"
    script.write_text(MANIFEST_IN_A_TERMINAL)
    path = [str(Path(cleanplate.__file__).parents[1]), str(Path(__file__).parents[2])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, str(script)], environment)
    said = b""
    try:
        with contextlib.suppress(OSError):  # the other end is closed
            while select.select([terminal], [], [], 600)[0]:
                said += os.read(terminal, 4096)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
    assert b"said by a library" in said
    assert b"1 of 1 clips are done." in said


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_second_run_of_a_manifest_is_refused(here, made, start, capsys):
    shutil.copy(made / "short.mp4", here / "b.mp4")
    (here / "shots.csv").write_text("clip,output\nb.mp4,b.mov\na.mp4,a.mov\n")
    first = start("video", "shots.csv", "--plate", "plate.png", "--json")
    read_until(first, lambda event: any(c.get("frames") for c in event.get("running", [])))
    with stopped(first.pid):
        for again in (["shots.csv"], ["a.mp4", "-o", "a.mov"], ["b.mp4", "-o", "b.mov", "--overwrite"]):
            assert main(["video", *again, "--plate", "plate.png", "--resume"]) == 2
            assert ".mov is being written by another run: process" in capsys.readouterr().err
    _, err = first.communicate(timeout=600)
    assert first.returncode == 0, err
    assert sorted(path.name for path in here.iterdir() if path.is_file()) == [
        *(".a.mov.status.json", ".b.mov.status.json"),
        *("a.mov", "a.mp4", "b.mov", "b.mp4", "plate.png", "shots.csv"),
    ]
    assert not [path for path in here.iterdir() if path.is_dir()]


@pytest.mark.usefixtures("here")
def test_a_file_whose_name_looks_like_a_pattern_is_a_file(capsys):
    Path("a.mp4").rename("clip%04d.mp4")
    assert main(["video", "clip%04d.mp4", "--plate", "plate.png", "-o", "cut.mov"]) == 0
    assert capsys.readouterr().out == "cut.mov\n"


@pytest.mark.usefixtures("here")
def test_a_photo_with_the_name_of_a_temporary_file_survives(capsys):
    picture = cv2.circle(cv2.imread("plate.png"), (80, 45), 20, (30, 60, 220), -1)
    for name in ("x.partial.png", "x.alpha.partial.png"):
        cv2.imwrite(name, picture)
    before = Path("x.partial.png").read_bytes()
    command = ["image", "x.partial.png", "--plate", "plate.png", "-o", "x.png", "--save", "cutout", "alpha"]
    assert main(command) == 0, capsys.readouterr().err
    assert Path("x.partial.png").read_bytes() == Path("x.alpha.partial.png").read_bytes() == before
    names = {path.name for path in Path().iterdir()}
    assert names == {"a.mp4", "plate.png", "x.png", "x.alpha.png", "x.partial.png", "x.alpha.partial.png"}
