"""Hints in the user's language: options on the command line, keyword arguments in Python."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

import cleanplate
from cleanplate.cli import main
from cleanplate.errors import (
    _OBJECTS,
    _SWITCHES,
    OptionError,
    OutputError,
    command_line_hints,
    spell_for_manifest,
    spell_for_python,
)
from cleanplate.jobs.job import OPTIONS, Job
from cleanplate.vocabulary import Encoding, FinishOptions, KeyerOptions, Reading, flags_of
from cleanplate.vocabulary.flags import default_of

ROOMS = Path(cleanplate.__file__).parent


@pytest.mark.parametrize(
    ("hint", "python"),
    [
        ("choose another name or add --overwrite", "choose another name or add overwrite=True"),
        ("choose another name with -o", "choose another name with out=..."),
        ("add --background='#00b140', blur or a file", "add background='#00b140', blur or a file"),
        ("use --shadow=separate to save it", "use shadow='separate' to save it"),
        ("leave the plate out: --plate=none", "leave the plate out: plate=None"),
        ("leave out --range", "leave out reading=Reading(span=...)"),
        ("add --codec=hevc", "add encoding=Encoding(codec='hevc')"),
        ("try --despill=0.5", "try finish=Finish(despill=0.5)"),
        ("again: cleanplate models add FILE --name x", "again: cleanplate models add FILE --name x"),
        ("a file 'a/--overwrite' or x--resume", "a file 'a/--overwrite' or x--resume"),
    ],
)  # fmt: skip
def test_hints_are_spelt_for_command_line_and_python(hint, python):
    assert spell_for_python(hint) == python
    assert OptionError("Wrong.", hint).hint == python
    with command_line_hints():
        assert OptionError("Wrong.", hint).hint == hint
    assert str(OptionError("Wrong.", hint)) == f"Wrong. ({python})"


@pytest.mark.parametrize(
    ("hint", "row"),
    [
        ("choose another folder with -o", "choose another folder in the column output"),
        ("give -o: a file, or add --overwrite", "give the column output: a file, or add --overwrite"),
        ("make one: cleanplate publish a -o models", "make one: cleanplate publish a -o models"),
    ],
)
def test_hints_are_spelt_for_the_rows_of_a_manifest(hint, row):
    assert spell_for_manifest(hint) == row


OF_OTHER_COMMANDS = {"half", "single-file", "int8", "yes", "loop"}
"""Switches of export, models and live, whose options are no fields."""


def test_the_spelling_in_python_follows_from_the_options():
    objects = {"reading": Reading, "encoding": Encoding, "finish": FinishOptions}
    places = {}
    for argument, kind in objects.items():
        for field, flag in flags_of(kind).items():
            places[flag.column] = f"{argument}={argument.capitalize()}({field}={{}})"
    for kind in (Job, KeyerOptions):
        for field, flag in flags_of(kind).items():
            if flag.attribute != field:
                places[flag.column] = f"{field}=False" if flag.name.startswith("--no-") else f"{field}={{}}"
    del places["hw"]  # one option of two objects; no hint names it
    assert places == _OBJECTS
    switches = {
        flag.column
        for kind in OPTIONS
        for field in dataclasses.fields(kind)
        if (flag := field.metadata.get("flag")) is not None and default_of(field) is False
    }
    assert switches | OF_OTHER_COMMANDS == _SWITCHES


def test_a_result_that_exists(tmp_path, monkeypatch, capsys):
    samples = Path(__file__).parents[1] / "samples"
    monkeypatch.chdir(tmp_path)
    Path("cut.png").write_bytes(b"mine")
    plate = samples / "plate.jpg"
    assert main(["image", str(samples / "photo.jpg"), "--plate", str(plate), "-o", "cut.png"]) == 2
    assert "hint: choose another name or add --overwrite\n" in capsys.readouterr().err
    with pytest.raises(OutputError) as refused:
        cleanplate.matte_video(samples / "clip.mp4", plate=plate, out="cut.png")
    assert "overwriting" not in str(refused.value)
    from cleanplate.media.files import check_writable

    with pytest.raises(OutputError, match="add overwrite=True"):
        check_writable(Path("cut.png"), overwrite=False)
    assert Path("cut.png").read_bytes() == b"mine"


def _error_texts():
    """Every hint that is written out in a call of an error, with its place."""
    for path in sorted(ROOMS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "").endswith("Error")
                and node.args[1:]
            ):
                texts = [part.value for part in ast.walk(node.args[1]) if isinstance(part, ast.Constant)]
                yield f"{path.name}:{node.lineno}", "".join(text for text in texts if isinstance(text, str))


def test_every_option_in_a_hint_has_its_name():
    vague = [place for place, text in _error_texts() if "allow overwriting" in text or text == "leave it out"]
    assert vague == []


def test_values_in_hints_follow_an_equals_sign():
    """``--shadow separate`` could not be told from ``--overwrite`` and a word of the sentence."""
    from cleanplate.cli import build_parser

    commands = build_parser()._subparsers._group_actions[0].choices.values()
    values = {
        (option, str(choice))
        for command in commands
        for option, action in command._option_string_actions.items()
        for choice in action.choices or ()
    } | {("--runtime", "torch"), ("--device", "cpu"), ("--scale", "auto"), ("--plate", "none")}
    wrong = [
        f"{place}: {option} {value}"
        for place, text in _error_texts()
        for option, value in values
        if f"{option} {value}" in text and "cleanplate " not in text
    ]
    assert wrong == []
