"""Locks of results: one writer each, taken over from the dead."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from cleanplate.errors import OutputError
from cleanplate.media.locks import (
    BEAT_SECONDS,
    LOST_SECONDS,
    adopt,
    beat,
    find_owner,
    is_held,
    lock_outputs,
    lock_path,
    this_process,
)


def test_a_second_writer_is_refused_with_the_owner(tmp_path):
    result = tmp_path / "cut.mov"
    with lock_outputs([result]):
        with pytest.raises(OutputError, match=rf"process {this_process().pid} on .*, since") as caught:
            lock_outputs([result]).__enter__()
        assert str(lock_path(result)) in caught.value.hint
        assert lock_path(result).exists()
    assert not list(tmp_path.iterdir())
    with lock_outputs([result]):
        pass


def test_a_refused_set_of_results_leaves_no_lock(tmp_path):
    one, other = tmp_path / "a.mov", tmp_path / "b.mov"
    with lock_outputs([other]):
        with pytest.raises(OutputError), lock_outputs([one, other]):
            pass
        assert not lock_path(one).exists()
        with lock_outputs([one]):
            pass


def hold(path, ready):
    with lock_outputs([path]):
        ready.set()
        multiprocessing.Event().wait()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    result = tmp_path / "cut.mov"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(result, ready), daemon=True)
    process.start()
    assert ready.wait(600)
    with pytest.raises(OutputError, match=f"process {process.pid}"):
        lock_outputs([result]).__enter__()
    process.kill()
    process.join()
    with lock_outputs([result]):
        assert json.loads(lock_path(result).read_text())["pid"] == this_process().pid


@pytest.mark.parametrize(
    ("change", "may_run"),
    [
        ({"start": "1"}, False),  # the number was given to another process since
        ({"boot": "an earlier one"}, False),
        ({"host": "elsewhere", "pid": 1}, True),  # nobody can see there from here
        ({"space": "another container", "start": "1"}, True),
    ],
)
def test_the_owner_of_a_lock_is_alive_or_dead(change, may_run):
    assert replace(this_process(), **change).may_run is may_run


@pytest.mark.parametrize("text", ["", "garbage", "[1, 2]", '{"host": "x"}'])
def test_a_lock_without_an_owner_is_taken_over(text, tmp_path, monkeypatch):
    monkeypatch.setattr("cleanplate.media.locks.PATIENCE_SECONDS", 0.05)
    result = tmp_path / "cut.mov"
    lock_path(result).write_text(text)
    with lock_outputs([result]):
        assert json.loads(lock_path(result).read_text())["pid"] == this_process().pid


def test_temporary_files_of_killed_runs_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("cleanplate.media.locks.PATIENCE_SECONDS", 0.05)
    result = tmp_path / "cut[1].mov"
    lock_path(result).write_text(json.dumps(asdict(replace(this_process(), start="1"))))
    for suffix in ("0123abcd", "taking"):
        lock_path(result).with_name(f"{lock_path(result).name}.{suffix}").touch()
    (tmp_path / ".cut[1].mov.lock.mine").touch()
    with lock_outputs([result]):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".cut[1].mov.lock.mine"]


def test_a_lock_of_another_run_is_not_removed(tmp_path):
    result = tmp_path / "cut.mov"
    with lock_outputs([result]):
        stranger = json.dumps({**asdict(this_process()), "token": "another"})
        lock_path(result).write_text(stranger)
    assert lock_path(result).read_text() == stranger


ADOPTED = """
import sys
from pathlib import Path
from cleanplate.media.locks import adopt, lock_outputs
adopt(sys.argv[2])
with lock_outputs([Path(sys.argv[1])]):
    print("written")
"""


def test_a_child_process_uses_the_locks_of_its_parent(tmp_path):
    result = tmp_path / "cut.mov"
    with lock_outputs([result]) as token:
        command = [sys.executable, "-c", ADOPTED, str(result)]
        done = subprocess.run([*command, token], capture_output=True, text=True, check=True)
        assert done.stdout == "written\n"
        assert json.loads(lock_path(result).read_text())["pid"] == this_process().pid
        refused = subprocess.run([*command, "a guess"], capture_output=True, text=True, check=False)
        assert "is being written by another run" in refused.stderr
    assert not lock_path(result).exists()


def test_a_missing_folder_gets_no_lock(tmp_path):
    adopt("never used")
    with lock_outputs([tmp_path / "missing" / "cut.mov"]):
        assert not list(tmp_path.iterdir())


def write_foreign_lock(result, *, beats, age):
    """The lock of an owner on another machine, with its last beat so many seconds ago."""
    owner = replace(this_process(), host="elsewhere", token="beats-1" if beats else "1")
    lock_path(result).write_text(json.dumps(asdict(owner)))
    os.utime(lock_path(result), (time.time() - age,) * 2)


@pytest.mark.parametrize(
    ("beats", "age", "is_taken"),
    [(True, LOST_SECONDS + 60, True), (True, LOST_SECONDS - 60, False), (False, 10 * LOST_SECONDS, False)],
)
def test_a_lock_of_another_machine_is_taken_over_without_beats(tmp_path, beats, age, is_taken):
    result = tmp_path / "cut.mov"
    write_foreign_lock(result, beats=beats, age=age)
    assert (find_owner(result) is None) == is_taken
    if is_taken:
        with lock_outputs([result]):
            assert json.loads(lock_path(result).read_text())["host"] == this_process().host
        assert not list(tmp_path.iterdir())
    else:
        with pytest.raises(OutputError, match="on elsewhere, since"):
            lock_outputs([result]).__enter__()
        assert list(tmp_path.iterdir()) == [lock_path(result)]


def test_a_beat_touches_the_locks_and_notices_another_owner(tmp_path):
    one, other = tmp_path / "a.mov", tmp_path / "b.mov"
    assert BEAT_SECONDS < LOST_SECONDS / 5
    with lock_outputs([one, other], beats=True) as token:
        for path in (one, other):
            os.utime(lock_path(path), (1, 1))
        beat([one, other], token)
        assert all(lock_path(path).stat().st_mtime > time.time() - 60 for path in (one, other))
        write_foreign_lock(other, beats=True, age=0)
        with pytest.raises(
            OutputError, match=r"b\.mov was taken over by another run: process .* on elsewhere"
        ):
            beat([one, other], token)
    assert list(tmp_path.iterdir()) == [lock_path(other)]


def test_a_lock_belongs_to_its_token(tmp_path):
    result = tmp_path / "cut.mov"
    assert not is_held(result, "beats-1")
    write_foreign_lock(result, beats=True, age=0)
    assert is_held(result, "beats-1")
    assert not is_held(result, "beats-2")


def test_a_live_process_of_this_machine_keeps_its_lock_without_beats(tmp_path):
    result = tmp_path / "cut.mov"
    with lock_outputs([result], beats=True):
        os.utime(lock_path(result), (1, 1))
        assert find_owner(result) is not None
        with pytest.raises(OutputError):
            lock_outputs([result]).__enter__()
