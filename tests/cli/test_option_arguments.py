"""Options shared by the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanplate import vocabulary
from cleanplate.cli import build_parser
from cleanplate.cli.option_arguments import make_job
from cleanplate.jobs.job import Job
from cleanplate.runtimes import runtime_kinds as choose
from cleanplate.vocabulary import FinishOptions, KeyerOptions


def parse(*arguments):
    return make_job(build_parser().parse_args([*arguments, "--plate", "plate.jpg"]))


@pytest.mark.parametrize("command", ["image", "video"])
def test_good_defaults(command):
    job = parse(command, "in.x")
    assert job == Job(Path("in.x"), Path("plate.jpg"))
    assert job.keyer == KeyerOptions(scale="fine", on_device=None)


@pytest.mark.parametrize("command", ["image", "video"])
def test_every_option_is_parsed(command):
    job = parse(
        *(command, "in.x", "-o", "out/", "--save", "alpha", "cutout", "alpha", "--background", "blur"),
        *("--model", "lite", "--runtime", "onnx", "--device", "cpu", "--scale", "0.25", "--refine", "full"),
        *("--no-align", "--overwrite", "--alpha", "premultiplied"),
        *("--despill", "0.8", "--matte-choke", "-0.5", "--matte-blur", "1", "--matte-gamma", "1.2"),
    )
    assert job.out == "out/"
    assert job.save == ("alpha", "cutout", "alpha")
    assert job.background == "blur"
    assert job.alpha == "premultiplied"
    assert job.finish == FinishOptions(0.8, -0.5, 1, 1.2)
    assert job.overwrite
    assert job.keyer == KeyerOptions(
        "lite", "onnx", "cpu", scale="0.25", refine="full", align=False, on_device=None
    )


@pytest.mark.parametrize("command", [[], ["image"], ["video"], ["models"], ["doctor"], ["bench"], ["live"]])
def test_help_is_short_and_has_an_example(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stopped:
        build_parser().parse_args([*command, "--help"])
    text = capsys.readouterr().out
    assert stopped.value.code == 0
    assert len(text.splitlines()) <= {"video": 130, "image": 85}.get("".join(command), 60)
    assert "example" in text
    assert f"cleanplate {command[0]} " in text if command else "cleanplate image photo.jpg" in text


def test_help_names_every_runtime():
    assert tuple(choose.KINDS) == vocabulary.RUNTIMES


def test_the_first_group_of_the_help_has_the_options_used_most():
    video = list(build_parser()._subparsers._group_actions[0].choices["video"]._optionals._group_actions)
    assert {action.option_strings[-1] for action in video} == {
        "--help", "--plate", "--output", "--save", "--background", "--overwrite", "--resume", "--follow",
        "--shadow", "--range",
    }  # fmt: skip
