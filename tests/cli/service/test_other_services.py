"""Servers with other settings: a full disk, a restart in the middle of a job, no token, two at once."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from tests.cli.service.running import TOKEN, run_service
from tests.waiting import wait_until

from cleanplate.cli import main
from cleanplate.cli.service.access import Access, Caller
from cleanplate.cli.service.clip_job import JobReporter, names_of, run_clip
from cleanplate.cli.service.engine import Engine, Service
from cleanplate.cli.service.job_store import JobRecord, Store
from cleanplate.cli.service.limits import ServiceLimits
from cleanplate.cli.service.refusals import Refusal, hide_paths, spell_hint
from cleanplate.errors import CleanplateError, InputError
from cleanplate.jobs.checkpoint import Work

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


def upload(small, source, plate="plate.png"):
    return {
        "source": (source, (small / source).read_bytes()),
        "plate": (plate, (small / plate).read_bytes()),
    }


def state_of(url, job):
    return httpx.get(f"{url}/v1/jobs/{job}", headers=HEADERS, timeout=300).json()


def alphas(path):
    with av.open(str(path)) as opened:
        return [frame.to_ndarray(format="gray") for frame in opened.decode(video=0)]


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("number", ["TERM", "KILL"])
def test_a_job_resumes_after_a_restart(number, small, tmp_path):
    """The clip is long enough for several checkpoints; the result is that of an uninterrupted run."""
    number = getattr(signal, f"SIG{number}")
    given = upload(small, "slow.mp4")
    asked = {"save": "alpha", "format": "mkv", "scale": "auto"}
    with run_service(tmp_path, "--workers", "1") as running:
        answer = httpx.post(
            f"{running.url}/v1/videos", params=asked, files=given, headers=HEADERS, timeout=300
        )
        job = answer.json()["id"]
        folder = tmp_path / "service/jobs" / job
        work = Work(folder / "result.mkv")
        wait_until(lambda: (left := work.read()) and left.frames, "a checkpoint", process=running.process)
        code = running.stop(number)
        assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL), running.log
    stored = json.loads((folder / "record.json").read_text())
    assert stored["state"] == ("queued" if number == signal.SIGTERM else "running")
    with run_service(tmp_path, "--workers", "1") as running:
        wait_until(lambda: state_of(running.url, job)["state"] in ("done", "failed"), "end")
        ended = state_of(running.url, job)
        assert ended["state"] == "done", ended
        assert ended["frames"] == 160 > ended["resumed_frames"] > 0
        result = httpx.get(f"{running.url}/v1/jobs/{job}/results/alpha", headers=HEADERS, timeout=300)
        (tmp_path / "resumed.mkv").write_bytes(result.content)
    whole = tmp_path / "whole.mkv"
    words = ["--plate", str(small / "plate.png"), "--save", "alpha", "--scale", "auto", "-o", str(whole)]
    assert main(["video", str(small / "slow.mp4"), *words]) == 0
    resumed, expected = alphas(tmp_path / "resumed.mkv"), alphas(whole)
    assert len(resumed) == len(expected) == 160
    assert all(np.array_equal(one, two) for one, two in zip(resumed, expected, strict=True))


@POSIX
def test_a_full_disk_is_507_and_leaves_nothing(small, tmp_path):
    """RLIMIT_FSIZE stands for the full disk: writing fails with EFBIG."""
    with run_service(tmp_path, "--workers", "1", file_bytes=20_000) as running:
        big = upload(small, "photo.png") | {"source": ("big.png", bytes(100_000))}
        answer = httpx.post(f"{running.url}/v1/image", files=big, headers=HEADERS, timeout=300)
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            507,
            "The service has no room for more files.",
        )
        assert list((tmp_path / "service/pictures").iterdir()) == []


@POSIX
@pytest.mark.slow
def test_a_job_on_a_full_disk_fails(small, tmp_path):
    with run_service(tmp_path, "--workers", "1", file_bytes=20_000) as running:
        job = httpx.post(
            f"{running.url}/v1/videos",
            params={"format": "mov"},
            files=upload(small, "short.mp4"),
            headers=HEADERS,
            timeout=300,
        ).json()
        wait_until(lambda: state_of(running.url, job["id"])["finished"], "end of the job")
        ended = state_of(running.url, job["id"])
        assert (ended["state"], ended["error"]["message"]) == (
            "failed",
            "The service has no room for more files.",
        )


def test_without_a_token_only_this_machine_has_access(tmp_path, capsys):
    with run_service(tmp_path, "--workers", "1", tokens=()) as running:
        port = running.url.rpartition(":")[2]
        metrics = f"{running.url}/metrics"
        assert httpx.get(metrics).status_code == 200
        assert httpx.get(metrics, headers={"Host": f"localhost:{port}"}).status_code == 200
        # A name of another site that points to this machine, and a page of another site.
        assert httpx.get(metrics, headers={"Host": f"evil.example:{port}"}).status_code == 403
        assert httpx.get(metrics, headers={"Origin": "http://evil.example"}).status_code == 403
        assert httpx.get(metrics, headers={"Origin": running.url}).status_code == 200
        # A second service cannot take the folder.
        assert main(["serve", "--port", "0", "--folder", str(tmp_path / "service")]) == 2
        assert "is being written by another run" in capsys.readouterr().err
        if os.name == "posix":
            running.process.send_signal(signal.SIGINT)
            wait_until(lambda: not is_open(int(port)), "the start of the shutdown")
            assert running.stop(signal.SIGINT) == 0  # Ctrl-C pressed twice
        assert running.log == ""


def is_open(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_beyond_this_machine_a_token_is_needed(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("CLEANPLATE_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        assert main(["serve", "--host", host]) == 2
        assert f"Listening on {host} is open to other machines and needs a token." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--queue", "0"], "Expected --queue above 0, got 0."),
        (["--keep-hours", "nan"], "Expected --keep-hours above 0, got nan."),
        (["--workers", "0"], "Expected --workers of at least 1, got 0."),
        (["--port", "70000"], "Expected --port from 0 to 65535, got 70000."),
        (["--token-file", "none.txt"], "The tokens in none.txt cannot be read: no such file or directory."),
        (["--token-file", "empty.txt"], "empty.txt has no token."),
        (["--token-file", "short.txt"], "A token in short.txt has 5 characters"),
        (["--folder", "mine"], "mine has files that are not the service's."),
        (["--folder", "short.txt"], "short.txt cannot be made"),
    ],
)
def test_wrong_settings_are_refused(words, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("# none\n")
    Path("short.txt").write_text("short\n")
    Path("mine").mkdir()
    Path("mine/film.mov").touch()
    assert main(["serve", "--port", "0", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_used_port_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be listened on: address already in use." in capsys.readouterr().err


def test_only_old_files_of_the_service_are_removed(tmp_path):
    store = Store(tmp_path / "service")
    (store.folder / "jobs/notes.txt").write_text("mine")
    (store.folder / "jobs/my folder").mkdir()
    records = []
    for age in (10, 10_000):
        folder = store.new_folder("jobs")
        (folder / "source.mkv").write_text("clip")
        record = JobRecord(folder.name, "", "me", [], None, ".mov", {}, {}, 1, created=0.0)
        record.state, record.finished = "done", time.time() - age
        store.save(record)
        records.append(record)
    unfinished = store.new_folder("pictures")
    again = Store(tmp_path / "service")
    assert not unfinished.exists()
    assert set(again.jobs) == {record.id for record in records}
    assert again.remove_old(3600) == 1
    left = sorted(path.name for path in (store.folder / "jobs").iterdir())
    assert left == sorted([records[0].id, "my folder", "notes.txt"])
    with pytest.raises(InputError, match="not the service's"):
        Store(tmp_path / "service/jobs")


def make_job_record(store, **more):
    folder = store.new_folder("jobs")
    (folder / "source.mkv").write_text("clip")
    files = {"source": "source.mkv"}
    return JobRecord(
        folder.name, "", "me", [], None, ".mov", files, {"source": "a.mp4"}, 1, created=0.0, **more
    )


def test_a_damaged_record_is_reported_and_kept(tmp_path):
    store = Store(tmp_path / "service")
    record = make_job_record(store)
    path = store.folder_of("jobs", record.id) / "record.json"
    for text in ("{", "[]", '{"id": "x"}'):
        path.write_text(text)
        with pytest.raises(InputError, match="is no record of the service"):
            Store(tmp_path / "service")
        assert path.read_text() == text


def test_a_job_without_room_for_its_record_fails(tmp_path, monkeypatch):
    """A full disk, by a function that fails: the state in memory must not stay "running"."""
    store = Store(tmp_path / "service")
    record = make_job_record(store)
    store.save(record)

    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        run_clip(record, store, None, 1, threading.Event(), threading.Event())
    assert (record.state, record.error["message"]) == ("failed", "The service has no room for more files.")


def test_a_full_disk_and_too_many_jobs_are_refused(tmp_path):
    store = Store(tmp_path / "service")
    engine = Engine(None, None)
    nearly_full = Service(store, ServiceLimits(free_mb=1e8), Access(frozenset()), 1, engine)
    with pytest.raises(Refusal, match="no room") as refused:
        nearly_full.check_room(Caller("me", ""))
    assert refused.value.status == 507
    service = Service(store, ServiceLimits(stored_jobs=2, free_mb=0.001), Access(frozenset()), 1, engine)
    for _ in range(2):
        service.check_room(Caller("me", ""), job=True)
        store.save(make_job_record(store, state="done"))
    with pytest.raises(Refusal, match="2 jobs of this client are stored") as refused:
        service.check_room(Caller("me", ""), job=True)
    assert refused.value.status == 409
    service.check_room(Caller("me", "another token"), job=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/my folder/jobs/ID/source.mkv is damaged.", "film.mp4 is damaged."),
        ("source.mkv is damaged, not mysource.mkv.", "film.mp4 is damaged, not mysource.mkv."),
        ("/srv/my folder/jobs/ID/result.mov exists.", "result.mov exists."),
        ("No file '/usr/lib/x/y.onnx', see /a/b (C:\\x\\y).", "No file 'HIDDEN', see HIDDEN (HIDDEN)."),
        ("At 3/4, write rect:0,0 or #fff.", "At 3/4, write rect:0,0 or #fff."),
    ],
)
def test_paths_are_hidden(text, shown):
    names = {"/srv/my folder/jobs/ID/source.mkv": "film.mp4"}
    assert hide_paths(text, names) == shown.replace("HIDDEN", "a file of the service")


def test_the_error_of_a_job_has_no_path(tmp_path):
    store = Store(tmp_path / "service")
    record = make_job_record(store, results={"cutout": "result.mp4"})
    folder = store.folder_of("jobs", record.id)
    reporter = JobReporter(record, names_of(record, folder), lambda: None)
    reporter.note(f"a.mp4: {folder}/source.mkv has 2 damaged frames.")
    reporter.error(CleanplateError(f"Row 1 (a.mp4): {folder}/result.mp4 has no alpha.", "add --save=alpha"))
    assert record.notes == ["a.mp4 has 2 damaged frames."]
    assert record.error["message"] == "result.mp4 has no alpha."
    reporter.error(CleanplateError(f"Row 1 (a.mp4): {folder}/x cannot be written: no space left on device."))
    assert record.error["message"] == "The service has no room for more files."


def test_hints_are_spelt_as_parameters():
    hint = "use --scale=auto, or add --follow; choose another name"
    assert spell_hint(hint, {}) == "use scale=auto, or add follow; choose another name"


def test_limits_are_flags():
    assert (ServiceLimits().upload_bytes, ServiceLimits().pixels) == (2_000_000_000, 40_000_000)


def test_without_the_extra_the_error_names_it(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cleanplate.cli.commands.serve.LIBRARIES", ("fastapi", "a_library_that_nobody_has"))
    assert main(["serve"]) == 2
    assert "The service needs the extra 'serve'." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
