"""The options that the commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanplate import vocabulary
from cleanplate.cli import build_parser
from cleanplate.cli.options import KeyerOptions, matting_options
from cleanplate.compositing.finish import Finish
from cleanplate.runtimes import selection as choose


def parse(*arguments):
    return matting_options(build_parser().parse_args([*arguments, "--plate", "plate.jpg"]))


@pytest.mark.parametrize("command", ["image", "video"])
def test_good_defaults(command):
    options = parse(command, "in.x")
    assert options.source == Path("in.x")
    assert options.plate == Path("plate.jpg")
    assert options.save is None
    assert options.alpha is None
    assert options.make_finish() == Finish()
    assert (options.out, options.background, options.overwrite, options.quiet) == (None, None, False, False)
    assert options.keyer == KeyerOptions("lite", "auto", "auto", "fine", "auto", align=True)


@pytest.mark.parametrize("command", ["image", "video"])
def test_everything_given(command):
    options = parse(
        *(command, "in.x", "-o", "out/", "--save", "alpha", "cutout", "alpha", "--background", "blur"),
        *("--model", "lite", "--runtime", "onnx", "--device", "cpu", "--scale", "0.25", "--refine", "full"),
        *("--no-align", "--overwrite", "--quiet", "--alpha", "premultiplied"),
        *("--despill", "0.8", "--matte-choke", "-0.5", "--matte-blur", "1", "--matte-gamma", "1.2"),
    )
    assert options.out == "out/"
    assert options.save == ["alpha", "cutout", "alpha"]
    assert options.background == "blur"
    assert options.alpha == "premultiplied"
    assert options.make_finish() == Finish(0.8, -0.5, 1, 1.2)
    assert options.overwrite
    assert options.quiet
    assert options.keyer == KeyerOptions("lite", "onnx", "cpu", "0.25", "full", align=False)


@pytest.mark.parametrize("command", [[], ["image"], ["video"], ["models"], ["doctor"], ["bench"], ["live"]])
def test_help_is_short_and_has_an_example(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stopped:
        build_parser().parse_args([*command, "--help"])
    text = capsys.readouterr().out
    assert stopped.value.code == 0
    assert len(text.splitlines()) <= (84 if command == ["video"] else 54)
    assert "example" in text
    assert f"cleanplate {command[0]} " in text if command else "cleanplate image photo.jpg" in text


def test_the_runtimes_that_help_names_are_all_there_are():
    assert tuple(choose._KINDS) == vocabulary.RUNTIMES
