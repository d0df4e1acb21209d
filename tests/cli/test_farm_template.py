"""Template of the Open Job Description: its tasks are the rows. The page's test runs one with openjd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleanplate.cli import build_parser, main
from cleanplate.cli.commands.farm_template import write_ranges


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    Path("shots.csv").write_text("clip,output\na.mov,out/1.mov\n\nb.mov,out/2.mov\nc.mov,out/3.mov\n")
    return tmp_path


def template(capsys, *options):
    assert main(["farm-template", "shots.csv", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_each_row_is_a_task_whose_command_is_understood(here, capsys):
    Path("plate.png").touch()
    made = template(capsys, "--plate", "plate.png", "--despill", "0.5", "--num-gpus", "1")
    (step,) = made["steps"]
    assert step["parameterSpace"]["taskParameterDefinitions"] == [
        {"name": "Row", "type": "INT", "range": "2,4-5"}
    ]
    assert step["hostRequirements"] == {"amounts": [{"name": "amount.worker.gpu", "min": 1.0}]}
    action = step["script"]["actions"]["onRun"]
    values = {"{{Param.Manifest}}": "shots.csv", "{{Task.Param.Row}}": "4"}
    asked = build_parser().parse_args([values.get(word, word) for word in action["args"]])
    assert (action["command"], asked.row, asked.resume, asked.despill) == ("cleanplate", 4, True, 0.5)
    assert asked.plate == here / "plate.png"
    assert made["parameterDefinitions"][0]["default"] == "shots.csv"


@pytest.mark.usefixtures("here")
def test_the_template_passes_the_checks_of_the_standard(capsys):
    model = pytest.importorskip("openjd.model")
    model.decode_job_template(template=template(capsys))


def test_ranges_are_short():
    assert write_ranges([*range(2, 10_002)]) == "2-10001"
    assert write_ranges([2, 4, 5, 9]) == "2,4-5,9"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["farm-template", "a.mov"], "A template needs a manifest, but a.mov is one clip."),
        (["farm-template", "shots.csv", "--plate", "{{x}}.png"], "'{{' begins a parameter."),
        (["video", "shots.csv", "--row", "3"], "There is no row 3 among the 3 rows of the manifest."),
        (["video", "a.mov", "--row", "3"], "--row needs a manifest, but a.mov is one clip."),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_mistake_is_one_sentence(capsys, command, sentence):
    assert main(command) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_one_row_is_keyed_alone(capsys):
    assert main(["video", "shots.csv", "--row", "4"]) == 2
    err = capsys.readouterr().err
    assert "Row 4 (b.mov): There is no file" in err
    assert "0 of 1 clips are done; 1 failed: row 4." in err
