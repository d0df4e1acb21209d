"""Records of the rows of a manifest, and the states that follow from them."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from cleanplate.errors import InputError
from cleanplate.jobs.completion import RowRecord, find_state, is_complete, read_record, record_path
from cleanplate.jobs.job import Job
from cleanplate.media.locks import lock_outputs
from cleanplate.vocabulary import FinishOptions, KeyerOptions


@pytest.fixture
def job(tmp_path):
    for name in ("clip.mov", "plate.png"):
        (tmp_path / name).write_bytes(b"some bytes")
    return Job(tmp_path / "clip.mov", tmp_path / "plate.png", tmp_path / "cut.mov")


def results_of(job):
    return (job.out,)


def finish(job, frames=7):
    record = RowRecord(job, results_of(job))
    record.begin()
    job.out.write_bytes(b"a result")
    record.finish(frames, 1.5)
    return record


def state_of(job):
    found = find_state(job, results_of(job))
    return found.state, found.detail


def test_a_finished_row_is_done_while_nothing_changes(job):
    assert state_of(job) == ("missing", "")
    finish(job)
    found = find_state(job, results_of(job))
    assert (found.state, found.facts["frames"], found.facts["seconds"]) == ("done", 7, 1.5)
    assert is_complete(job, results_of(job))
    assert is_complete(replace(job, resume=True, overwrite=True), results_of(job))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"linear": True}, "linear"),
        ({"finish": FinishOptions(despill=0.5)}, "despill"),
        ({"keyer": KeyerOptions(scale=0.5, on_device=None)}, "scale"),
        ({"keyer": KeyerOptions("lite-int8", on_device=None)}, "model"),
        ({"save": ("alpha",)}, "layers"),
    ],
)
def test_another_option_makes_the_row_outdated(job, changes, name):
    finish(replace(job, keyer=KeyerOptions(on_device=None)))
    other = replace(job, **{"keyer": KeyerOptions(on_device=None), **changes})
    state, detail = state_of(other)
    assert state == "outdated"
    assert name in detail
    assert not is_complete(other, results_of(job))


@pytest.mark.parametrize("name", ["clip", "plate"])
def test_another_input_makes_the_row_outdated(job, name):
    finish(job)
    os.utime(getattr(job, name), (1, 1))
    assert state_of(job) == ("outdated", f"made with another {name}")


def test_a_changed_or_missing_result_does_not_count(job):
    finish(job)
    job.out.write_bytes(b"another result")
    assert state_of(job) == ("outdated", "a result has changed, or is gone")
    job.out.unlink()
    assert state_of(job) == ("missing", "")


def test_a_failed_row_stays_failed_until_the_next_run(job):
    record = RowRecord(job, results_of(job))
    record.begin()
    record.fail(InputError("There is no file clip.mov.", "check the spelling"))
    found = find_state(job, results_of(job))
    assert (found.state, found.detail, found.facts["hint"]) == (
        *("failed", "There is no file clip.mov.", "check the spelling"),
    )
    assert state_of(replace(job, linear=True)) == ("missing", "")
    finish(job)
    assert state_of(job)[0] == "done"


def test_a_locked_row_is_waiting_or_running(job):
    with lock_outputs(results_of(job)):
        state, detail = state_of(job)
        assert state == "waiting"
        assert f"process {os.getpid()} on " in detail
    assert state_of(job)[0] == "missing"


def test_an_earlier_result_gets_no_record(job):
    job.out.write_bytes(b"of somebody else")
    record = RowRecord(job, results_of(job))
    record.begin()
    record.finish(0, 0.1)  # --resume finds it in its place
    assert state_of(job) == ("outdated", "cut.mov exists, without a record of a finished run")


def test_a_result_of_a_run_that_was_killed_at_its_end_counts(job):
    RowRecord(job, results_of(job)).begin()
    job.out.write_bytes(b"a result")
    again = RowRecord(job, results_of(job))
    again.begin()
    again.finish(0, 0.1)
    assert state_of(job)[0] == "done"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"format": "cleanplate-status-9"}'])
def test_a_damaged_record_counts_as_missing(job, text):
    finish(job)
    record = record_path(job.out)
    good = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(text, encoding="utf-8")
    assert read_record(job.out) is None
    assert state_of(job)[0] == "outdated"
    for damage in ({"state": "perhaps"}, {"job": 3}, {"more": 1}, {"frames": "many"}, {"seconds": None}):
        record.write_text(json.dumps({**good, **damage}), encoding="utf-8")
        assert read_record(job.out) is None
    record.write_text(json.dumps({**good, "results": 3}), encoding="utf-8")
    assert state_of(job)[0] == "outdated"


def test_a_foreign_file_in_place_of_a_record_is_not_replaced(job):
    record_path(job.out).write_text("my notes", encoding="utf-8")
    finish(job)
    assert record_path(job.out).read_text(encoding="utf-8") == "my notes"
    assert state_of(job)[0] == "outdated"


def test_a_sequence_is_done_with_all_its_pictures(job, tmp_path):
    pictures = replace(job, out=tmp_path / "cut_%03d.png")
    record = RowRecord(pictures, results_of(pictures))
    record.begin()
    for number in range(3):
        (tmp_path / f"cut_{number:03}.png").write_bytes(b"a picture")
    record.finish(3, 0.5)
    assert state_of(pictures)[0] == "done"
    (tmp_path / "cut_001.png").unlink()
    assert state_of(pictures)[0] == "outdated"
