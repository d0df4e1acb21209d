"""Wrong arguments of ``cleanplate train``."""

from __future__ import annotations

import subprocess
import sys
from importlib import util

import pytest

from cleanplate.cli import main

pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["heavy", "--data", "x"], "no preset 'heavy'"),
        (["lite"], "no data to train on"),
        (["lite", "--data", "missing"], "missing"),
        (["lite", "--data", "x", "--stage", "late"], "no stage 'late'"),
        (["lite", "--data", "x", "--batch", "0"], "--batch is 0"),
        (["lite", "--data", "x", "--minutes", "-1"], "--minutes is -1"),
        (["lite", "--data", "x", "--minutes", "nan"], "--minutes is nan"),
        (["lite", "--data", "x", "--learning-rate", "0"], "--learning-rate is 0"),
        (["lite", "--data", "x", "--device", "tpu"], "Unknown device 'tpu'"),
        (["lite", "--data", "x", "--precision", "int8"], "Unknown precision 'int8'"),
        (["lite", "--data", "x", "--device", "cpu", "--precision", "float16"], "float16"),
        (["lite", "--data", "x", "--start", "a.pt"], "no checkpoint a.pt"),
        (["lite", "--data", "x", "--start", "nothing"], "Unknown model 'nothing'"),
        (["mobilenetv2", "--data", "x", "--start", "lite"], "does not fit the preset 'mobilenetv2'"),
        (["mobilenetv2", "--data", "x", "--init", "a.pth"], "no model file 'a.pth'"),
        (["lite", "--data", "x", "--init", "a.pth"], "no backbone"),
        (["lite", "--data", "x", "--init", "a.pth", "--start", "lite"], "one of them"),
        (["lite", "--resume"], "no run to resume"),
    ],
)
def test_mistakes_end_with_exit_code_2(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


def test_minutes_and_steps_are_exclusive(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "lite", "--data", "x", "--minutes", "1", "--steps", "1"])
    assert stopped.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["train", "lite", "--data", "x"], "train"),
        (["publish", "x.pt", "-o", "m", "--version", "1"], "export"),
    ],
)
def test_without_torch_the_extra_is_named(arguments, extra, monkeypatch, capsys):
    find_spec, commands = util.find_spec, "cleanplate.cli.commands"
    monkeypatch.setattr(f"{commands}.train.find_spec", lambda n: None if n == "torch" else find_spec(n))
    monkeypatch.setattr(f"{commands}.publish.find_spec", lambda n: None if n == "torch" else find_spec(n))
    assert main(arguments) == 2
    assert f"cleanplate[{extra}]" in capsys.readouterr().err


def test_help_is_quick_and_needs_no_torch():
    code = (
        "import sys\nfrom cleanplate.cli import main\n"
        "try:\n    main(['train', '--help'])\nexcept SystemExit:\n    pass\nprint('torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "--checkpoint-minutes" in said
    assert said.splitlines()[-1] == "False"
