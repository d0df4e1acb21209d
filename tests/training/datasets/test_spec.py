"""The user's names of data sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.errors import OptionError
from cleanplate.training.datasets import DataSpec, parse_data_spec


@pytest.mark.parametrize(
    ("text", "path", "name", "weight"),
    [
        ("../shared/data/train", "../shared/data/train", None, 1),
        ("videomatte240k=/d/vm", "/d/vm", "videomatte240k", 1),
        ("AIM=/d/aim:0.5", "/d/aim", "aim", 0.5),
        ("fgr-alpha=/d/x:2", "/d/x", "fgr-alpha", 2),
        ("/d/x:1e2", "/d/x", None, 100),
        (r"C:\vm", r"C:\vm", None, 1),
        (r"rgba=C:\cut outs", r"C:\cut outs", "rgba", 1),
        (r"rgba=C:\cut outs:3", r"C:\cut outs", "rgba", 3),
        ("C:3", "C:3", None, 1),
        ("/d/take:2:1", "/d/take:2", None, 1),
        ("/d/a:b", "/d/a:b", None, 1),
        ("/d/a=b", "/d/a=b", None, 1),
        ("aim=/d/a=b", "/d/a=b", "aim", 1),
    ],
)
def test_valid_specs_parse(text: str, path: str, name: str | None, weight: float) -> None:
    assert parse_data_spec(text) == DataSpec(Path(path), name, weight)


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert parse_data_spec("rgba=~/cut").path == tmp_path / "cut"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("videomat=/d/vm", "no data set 'videomat'"),
        ("", "names no folder"),
        ("aim=", "names no folder"),
        ("aim=:2", "names no folder"),
        ("/d/x:0", "weight from 0.001 to 1000"),
        ("/d/x:-1", "got -1"),
        ("/d/x:1e999", "got 1e999"),
    ],
)
def test_wrong_specs_are_errors(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        parse_data_spec(text)


def test_a_folder_with_an_equals_sign_that_exists_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b").mkdir()
    assert parse_data_spec("a=b") == DataSpec(Path("a=b"))


@given(st.text(st.characters(exclude_characters="\0"), max_size=30))
def test_any_text_is_a_spec_or_an_option_error(text: str) -> None:
    try:
        spec = parse_data_spec(text)
    except OptionError:
        return
    assert 1e-3 <= spec.weight <= 1e3
    assert str(spec.path)
