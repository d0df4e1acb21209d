"""Wrong arguments: the error names the word, the hint the nearest valid one."""

from __future__ import annotations

import pytest

from cleanplate.cli import main

ONE_PHOTO = (
    "give one PHOTO (picture, - for standard input, or a folder of pictures); "
    "put a name with spaces in quotes"
)


def refuse(*arguments, capsys):
    """Error message for these arguments; the exit code is 2."""
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()[1:]


@pytest.mark.parametrize("command", [[], ["plate"], ["datasets"]])
def test_a_command_alone_prints_its_help(command, capsys):
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out.startswith(" ".join(["usage: cleanplate", *command]))
    assert "examples:" in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["vidoe", "clip.mp4"], "unknown command vidoe", "did you mean video?"),
        (["plate", "chek"], "unknown command chek", "did you mean check?"),
        (["models", "ad", "x.pth"], "unknown command ad", "did you mean add?"),
        (["image", "a.jpg", "--overwite"], "unknown option --overwite", "did you mean --overwrite?"),
        (["video", "a.mov", "--matte-chok=1"], None, None),
        (["image", "a.jpg", "--zzzz"], "unknown option --zzzz", "see cleanplate image --help"),
        (["--verson"], "unknown option --verson", "did you mean --version?"),
        (["plate", "build", "a.mp4", "-o", "p", "--quit"], "unknown option --quit", "did you mean --quiet?"),
        (["image", "a.jpg", "b.jpg"], "unexpected argument b.jpg", ONE_PHOTO),
        (["live", "--seconds", "x"], "--seconds takes a number, not 'x'", "see cleanplate live --help"),
        (["image", "a.jpg", "--plate"], "--plate needs a value", "see cleanplate image --help"),
        (["plate", "check"], "SOURCE and --plate are missing", "see cleanplate plate check --help"),
        (["image"], "PHOTO is missing", "see cleanplate image --help"),
    ],
)  # fmt: skip
def test_the_nearest_word_is_suggested(arguments, message, hint, capsys):
    if message is None:  # an unambiguous abbreviation
        from cleanplate.cli import build_parser

        assert build_parser().parse_args(arguments).matte_choke == 1
        return
    assert refuse(*arguments, capsys=capsys) == [f"error: {message}.", f"hint: {hint}"]


def test_a_value_outside_of_the_choices_is_refused(capsys):
    error, hint = refuse("video", "a.mov", "--alpha", "straigt", capsys=capsys)
    assert error == "error: --alpha does not take straigt."
    assert hint == "hint: did you mean straight? known: straight, premultiplied"


def test_an_error_says_that_the_photo_was_read_as_a_layer(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"x")
    error, hint = refuse("image", "--save", "cutout", "alpha", "photo.jpg", capsys=capsys)
    assert error.startswith("error: photo.jpg is a file, but --save takes cutout, alpha,")
    assert hint == "hint: put photo.jpg before --save"


def test_an_error_says_that_an_argument_was_read_as_part_of_a_list(capsys):
    error, hint = refuse("train", "--data", "material", "lite", capsys=capsys)
    assert error == "error: PRESET is missing."
    assert hint == "hint: --data takes every word up to the next option: put PRESET before it"
