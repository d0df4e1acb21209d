from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanplate.errors import CleanplateError, InputError, OptionError, OutputError
from cleanplate.evaluation.cases import CaseWriter, read_alpha, read_cases

RNG = np.random.default_rng(5)


def picture(height=40, width=56, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, (height, width, 3), dtype)


def mask(height=40, width=56, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, (height, width), dtype)


@pytest.fixture
def folder(tmp_path):
    """A still with all members and 16-bit alpha, and a clip of three frames."""
    with CaseWriter(tmp_path / "cases", {"seed": 7}) as writer:
        writer.add("one", picture(), picture(), mask(dtype=np.uint16), picture(), kind="figure", room="hall")
        clip = [[make() for _ in range(3)] for make in (picture, mask, picture)]
        writer.add("two", clip[0], picture(), clip[1], clip[2])
    return tmp_path / "cases"


def test_written_cases_are_read_back_exactly(tmp_path):
    source, plate, alpha, foreground = picture(), picture(), mask(dtype=np.uint16), picture()
    frames = [picture() for _ in range(3)], [mask() for _ in range(3)], [picture() for _ in range(3)]
    with CaseWriter(tmp_path / "cases", {"seed": 7}) as writer:
        writer.add("one", source, plate, alpha, foreground, kind="figure", room="hall")
        writer.add("two", frames[0], plate, frames[1], frames[2])
    still, clip = read_cases(tmp_path / "cases")
    assert (still.name, still.kind, still.is_clip) == ("one", "figure", False)
    assert (clip.name, clip.kind, clip.is_clip) == ("two", None, True)
    read_plate, (frame,) = still.read()
    assert np.array_equal(read_plate, plate)
    assert np.array_equal(frame.source, source)
    assert np.array_equal(frame.foreground, foreground)
    assert np.array_equal(frame.alpha, (alpha / 65535).astype(np.float32))
    read = list(clip.read_frames())
    assert all(np.array_equal(x.source, y) for x, y in zip(read, frames[0], strict=True))
    assert all(
        np.array_equal(x.alpha, (y / 255).astype(np.float32)) for x, y in zip(read, frames[1], strict=True)
    )
    index = json.loads((tmp_path / "cases" / "cases.json").read_text())
    assert index["made_by"] == {"seed": 7}
    assert index["cases"][0] == {"name": "one", "kind": "figure", "room": "hall"}
    assert not list(tmp_path.rglob("*.partial*"))


def test_without_an_index_the_sources_are_the_cases(folder):
    (folder / "cases.json").unlink()
    cv2.imwrite(str(folder / "plate" / "one.jpg"), picture())
    (folder / "plate" / "one.png").unlink()
    assert [case.name for case in read_cases(folder)] == ["one", "two"]


def test_a_foreground_may_be_missing(folder):
    shutil.rmtree(folder / "foreground")
    assert [next(case.read_frames()).foreground for case in read_cases(folder)] == [None, None]


@pytest.mark.parametrize(
    "member",
    ["source/one.png", "plate/one.png", "alpha/one.png", "foreground/one.png", "alpha/two/000001.png",
     "foreground/two/000002.png", "plate/two.png"],
)  # fmt: skip
def test_a_missing_member_is_named(folder, member):
    (folder / member).unlink()
    with pytest.raises(InputError, match=member.replace("/", ".")):
        read_cases(folder)


@pytest.mark.parametrize("member", ["alpha/one.png", "foreground/one.png"])
def test_a_member_of_another_size_is_named(folder, member):
    cv2.imwrite(str(folder / member), mask(40, 57))
    with pytest.raises(InputError, match=f"{member} is 57x40, but .*source/one.png is 56x40"):
        list(read_cases(folder)[0].read_frames())


def test_a_damaged_member_is_named(folder):
    path = folder / "alpha" / "two" / "000001.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"000001\.png"):
        list(read_cases(folder)[1].read_frames())


def test_alpha_in_colour_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), picture())
    with pytest.raises(InputError, match="colour"):
        read_alpha(tmp_path / "a.png")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": "other"}',
        '{"format": "cleanplate-cases-1"}',
        '{"format": "cleanplate-cases-1", "cases": [{"name": "../../etc"}]}',
        '{"format": "cleanplate-cases-1", "cases": [{"name": "a"}, {"name": "a"}]}',
        '{"format": "cleanplate-cases-1", "cases": []}',
    ],
)
def test_a_bad_index_is_refused(folder, content):
    (folder / "cases.json").write_text(content)
    with pytest.raises(InputError, match="cases"):
        read_cases(folder)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "kind", "cases", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cases=json_values)
def test_random_json_as_an_index_is_refused(folder, cases):
    (folder / "cases.json").write_text(json.dumps({"format": "cleanplate-cases-1", "cases": cases}))
    with pytest.raises(InputError):
        read_cases(folder)


def test_a_missing_folder_and_an_empty_one_are_refused(tmp_path):
    for name in ("gone", "."):
        with pytest.raises(InputError):
            read_cases(tmp_path / name)


def test_cases_are_overwritten_on_request_only(folder):
    with pytest.raises(OutputError, match="already"):
        CaseWriter(folder, {})
    mine = folder / "notes.txt"
    mine.write_text("mine")
    with CaseWriter(folder, {}, overwrite=True) as writer:
        writer.add("one", picture(), picture(), mask(), picture())
    assert [case.name for case in read_cases(folder)] == ["one"]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b"])
def test_a_case_needs_a_valid_file_name(tmp_path, name):
    with CaseWriter(tmp_path / "cases", {}) as writer, pytest.raises(OptionError):
        writer.add(name, picture(), picture(), mask())


def test_members_that_differ_are_refused_before_anything_is_written(tmp_path):
    writer = CaseWriter(tmp_path / "cases", {})
    with pytest.raises(OptionError, match="alpha"):
        writer.add("a", picture(), picture(), mask(41))
    with pytest.raises(OptionError, match="alpha"):
        writer.add("a", [picture()] * 3, picture(), [mask()] * 2)
    writer.add("a", picture(), picture(), mask())
    with pytest.raises(CleanplateError, match="taken"):
        writer.add("a", picture(), picture(), mask())
    assert len(list((tmp_path / "cases").rglob("*.png"))) == 3


def test_the_parents_of_a_folder_are_made(tmp_path):
    CaseWriter(tmp_path / "no" / "such", {})
    assert (tmp_path / "no" / "such").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        CaseWriter(tmp_path / "file" / "such", {})
