"""Scheduling of a manifest's rows on executors: retries, failures, wrong options, a simulated farm."""

from __future__ import annotations

import importlib.util
import json
import socket
from pathlib import Path

import pytest
from benchmarks.farm_simulation import CountingReporter, Farm, simulate

from cleanplate.cli import build_parser, main
from cleanplate.cli.executors.executor import RowEvent
from cleanplate.cli.executors.ray_address import check_address, check_head
from cleanplate.cli.manifest import ManifestRow
from cleanplate.cli.manifest_run import run_rows
from cleanplate.errors import OptionError, UnavailableError
from cleanplate.media.locks import is_taken, lock_outputs, lock_path


class Mortal:
    """Executor whose rows die a number of times."""

    slots = 2

    def __init__(self, deaths):
        self.deaths, self.given, self.events = deaths, [], []

    def submit(self, row, arguments, _token):
        self.given.append((row.number, arguments.resume))
        if self.deaths.get(row.number, 0) > 0:
            self.deaths[row.number] -= 1
            self.events.append(RowEvent(row.number, "lost", "Its node died.", {"hint": "look at the node"}))
        else:
            self.events += [
                RowEvent(row.number, "progress", "", {"frames": 1}),
                RowEvent(row.number, "ended"),
            ]

    def hear(self):
        self.events, events = [], self.events
        yield from events

    def cancel(self):
        raise AssertionError("nothing is cancelled")

    def close(self):
        self.closed = True


def make_rows(folder, numbers, *options):
    parse = build_parser().parse_args
    return [
        ManifestRow(
            number, f"{number}.mov", parse(["video", f"{number}.mov", *options]), (folder / f"{number}.mkv",)
        )
        for number in numbers
    ]


def test_a_row_of_a_dead_node_is_resumed(tmp_path):
    executor, reporter = Mortal({3: 2}), CountingReporter()
    assert run_rows(make_rows(tmp_path, (2, 3, 4)), executor, reporter, max_retries=2) == 0
    assert [resume for row, resume in executor.given if row == 3] == [False, True, True]
    assert sorted(row for row, _ in executor.given) == [2, 3, 3, 3, 4]
    assert (reporter.counts["retry"], reporter.counts["failed"], executor.closed) == (2, 0, True)


def test_a_row_that_dies_too_often_fails_with_its_reason(tmp_path):
    executor, reporter = Mortal({3: 9}), CountingReporter()
    assert run_rows(make_rows(tmp_path, (2, 3, 4)), executor, reporter, max_retries=2) == 2
    assert (reporter.counts["retry"], reporter.counts["failed"]) == (2, 1)
    assert "Its node died." in (tmp_path / ".3.mkv.status.json").read_text()


def test_a_retry_does_not_take_an_old_result_for_its_own(tmp_path):
    (tmp_path / "3.mkv").write_bytes(b"of an earlier run")
    executor = Mortal({3: 1})
    assert run_rows(make_rows(tmp_path, (3,), "--overwrite"), executor, CountingReporter(), 1) == 0
    assert executor.given == [(3, False), (3, False)]


def test_a_simulated_farm_finishes_every_row_once(tmp_path):
    farm = Farm(nodes=6, failures=4.0, segments=(1, 12))
    figures = simulate(tmp_path, 40, farm)
    assert figures["deaths of nodes"] > 3
    assert figures["retries"] > 0
    assert 0 < figures["done before the interruption"] < 40


@pytest.mark.parametrize(
    "address", ["slurm", "ray:", "ray://", "ray://head", "ray://head:0", "ray://a:70000"]
)
def test_a_wrong_place_is_refused(address):
    with pytest.raises(OptionError, match=f"got '{address}'"):
        check_address(address)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--on", "slurm"], "Expected --on ray or --on ray://HOST:PORT, got 'slurm'."),
        (["--num-cpus", "2"], "--num-cpus is for rows on Ray."),
        (["--max-retries=-1"], "Expected --max-retries of at least 0, got -1."),
    ],
)
def test_a_wrong_option_of_a_farm_is_one_sentence(tmp_path, monkeypatch, capsys, options, sentence):
    monkeypatch.chdir(tmp_path)
    Path("shots.csv").write_text("clip,output\na.mov,b.mov\n")
    assert main(["video", "shots.csv", *options]) == 2
    assert sentence in capsys.readouterr().err


def test_a_process_notices_that_its_lock_is_in_other_hands(tmp_path):
    result = tmp_path / "cut.mov"
    assert not is_taken(result)
    with lock_outputs([result]):
        assert not is_taken(result)
        owner = json.loads(lock_path(result).read_text())
        lock_path(result).write_text(json.dumps({**owner, "host": "another"}))
        assert is_taken(result)
        lock_path(result).write_text(json.dumps({**owner, "pid": owner["pid"] + 1}))
        assert is_taken(result)


def test_ray_is_for_manifests(capsys):
    assert main(["video", "clip.mp4", "--on", "ray"]) == 2
    assert "--on needs a manifest, but clip.mp4 is one clip." in capsys.readouterr().err


def test_without_ray_the_error_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cleanplate.cli.executors.ray_tasks.find_spec", lambda _: None)
    Path("shots.csv").write_text("clip,output\na.mov,b.mov\n")
    assert main(["video", "shots.csv", "--on", "ray"]) == 2
    assert "pip install 'cleanplate[ray]'" in capsys.readouterr().err


def test_a_missing_head_is_one_sentence():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UnavailableError, match=rf"^There is no Ray head at {address}: .*refused"):
            check_head(address)


def test_another_server_is_one_sentence(monkeypatch):
    if importlib.util.find_spec("grpc") is None:
        pytest.skip("needs the extra ray")
    monkeypatch.setattr("cleanplate.cli.executors.ray_address._CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        for place in ("ray", f"ray://{address}"):
            with pytest.raises(UnavailableError, match=f"There is no Ray head at .*{address}: no answer"):
                check_head(place)
