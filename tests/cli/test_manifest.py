"""Manifest of clips: values of its cells, and errors in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleanplate.cli import build_parser
from cleanplate.cli.commands.video import add_arguments
from cleanplate.cli.manifest import read_manifest
from cleanplate.errors import CleanplateError, InputError


def read(path, *options):
    given = build_parser().parse_args(["video", str(path), *options])
    return read_manifest(path, given, add_arguments)


def write(folder, text, name="shots.csv", encoding="utf-8"):
    (folder / name).write_text(text, encoding=encoding)
    return folder / name


def test_a_row_has_the_command_lines_options_and_its_own(tmp_path):
    text = """\
        clip,  plate, output,    save,         matte-choke, follow, no-align
        a.mov, p.png, out/a.mov, cutout alpha, -0.5,        ,       yes
        b.mov, ,      ,          ,             ,            no,
    """
    first, second = read(write(tmp_path, text), "--plate", "all.png", "--scale", "auto", "--follow")
    assert (first.number, first.name) == (2, "a.mov")
    assert first.arguments.source == tmp_path / "a.mov"
    assert first.arguments.output == str(tmp_path / "out/a.mov")
    assert first.arguments.save == ["cutout", "alpha"]
    assert first.arguments.matte_choke == -0.5
    assert (first.arguments.follow, first.arguments.no_align) == (True, True)
    assert (second.arguments.follow, second.arguments.no_align) == (False, False)
    assert second.arguments.plate == Path("all.png")
    assert second.arguments.scale == "auto"


def test_paths_are_relative_to_the_manifest(tmp_path):
    (tmp_path / "p.png").touch()
    text = 'clip,plate,background,keep\na.mov,p.png,#00b140,"rect:0,0,1,1"\nb.mov,auto,p.png,roto_%04d.png\n'
    first, second = read(write(tmp_path, text))
    assert first.arguments.plate == tmp_path / "p.png"
    assert first.arguments.background == "#00b140"
    assert first.arguments.keep == "rect:0,0,1,1"
    assert second.arguments.plate == Path("auto")
    assert second.arguments.background == str(tmp_path / "p.png")
    assert second.arguments.keep == str(tmp_path / "roto_%04d.png")


def test_folders_and_absolute_paths_are_kept(tmp_path):
    (shot,) = read(write(tmp_path, f"clip,output\n{tmp_path}/x/a.mov,out/\n"))
    assert shot.arguments.source == tmp_path / "x/a.mov"
    assert shot.arguments.output == f"{tmp_path}/out/"


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("a.csv", "Clip;Out\r\nä b.mov;x.mov\r\n", "utf-8-sig"),
        ("a.tsv", "source\tout\nä b.mov\tx.mov\n", "utf-8"),
        ("a.CSV", "\n\nclip,output\n\nä b.mov,x.mov\n,,\n", "utf-8"),
    ],
)
def test_files_of_spreadsheets_are_read(tmp_path, name, text, encoding):
    (shot,) = read(write(tmp_path, text, name, encoding))
    assert shot.name == "ä b.mov"
    assert shot.arguments.output == str(tmp_path / "x.mov")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",p.png,", "has no clip"),
        ("a.mov,p.png,maybe", "Expected yes or no in column follow, got 'maybe'"),
        ("a.mov,p.png,yes,more", "4 cells for 3 columns"),
    ],
)
def test_a_bad_row_leaves_the_others_good(tmp_path, row, message):
    bad, good = read(write(tmp_path, f"clip,plate,follow\n{row}\nb.mov,p.png,\n"))
    assert isinstance(bad.arguments, CleanplateError)
    assert message in bad.arguments.message
    assert good.arguments.source == tmp_path / "b.mov"


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("alpha", "wavy", "invalid choice"),
        ("quality", "best", "invalid int"),
        ("save", "cutout mask", "mask"),
    ],
)
def test_a_cell_is_parsed_like_the_option(tmp_path, column, cell, message):
    (bad,) = read(write(tmp_path, f"clip,{column}\na.mov,{cell}\n"))
    assert isinstance(bad.arguments, CleanplateError)
    assert message in bad.arguments.message


def test_two_rows_may_not_write_the_same_file(tmp_path):
    text = "clip,output,save\na.mov,x.mov,\nb.mov,x.alpha.mov,alpha\nc.mov,x.mov,cutout alpha\nd.mov,x.mov,\n"
    first, second, third, fourth = read(write(tmp_path, text))
    assert first.arguments.output == str(tmp_path / "x.mov")
    assert second.arguments.output == str(tmp_path / "x.alpha.mov")
    assert third.arguments.message == f"{tmp_path}/x.mov is the result of row 2."
    assert fourth.arguments.message == f"{tmp_path}/x.mov is the result of row 2."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'clip'"),
        ("plate,output\np.png,x.mov\n", "no column 'clip'"),
        ("clip,colour\na.mov,red\n", "column 'colour', which is no option"),
        ("clip,jobs\na.mov,2\n", "column 'jobs', which is no option"),
        ("clip,source\na.mov,b.mov\n", "two columns of the same name"),
        ("clip,output\n", "no rows"),
        ('clip\n"a.mov\n', "not a table"),
    ],
)
def test_a_file_without_a_table_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, text))


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        read(tmp_path / "gone.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "folder.csv")
    (tmp_path / "old.csv").write_bytes(b"clip\n\xe4.mov\n")
    with pytest.raises(InputError, match="UTF-8"):
        read(tmp_path / "old.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('clip,plate\na.mov,p.png\nb.mov,"p.png\nc.mov,q.png\n', "row 3 opens a quote and does not close it"),
        ('clip,plate\na.mov,"p"x.png\n', "row 2 is wrong"),
    ],
)
def test_an_error_names_the_row_with_the_wrong_quote(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, text))


def test_a_nul_byte_fails_its_row_only(tmp_path):
    good, bad = read(write(tmp_path, "clip,plate\na.mov,p.png\nb.mov,p\0.png\n"))
    assert not isinstance(good.arguments, CleanplateError)
    assert bad.arguments.message == "The cell in column plate has a NUL character."


def test_an_error_names_the_line_of_invalid_utf8(tmp_path):
    (tmp_path / "shots.csv").write_bytes(b"clip\na.mov\n\xe4.mov\n")
    with pytest.raises(InputError, match="line 3 has the byte 0xe4"):
        read(tmp_path / "shots.csv")


def test_results_over_inputs_of_other_rows_are_refused(tmp_path):
    text = "clip,output\na.mov,x.mov\nb.mov,a.mov\nx.mov,y.mov\nc.mov,../{0}/a.mov\nd.mov,shots.csv\n"
    rows = read(write(tmp_path, text.format(tmp_path.name)))
    assert [row.arguments.message for row in rows if isinstance(row.arguments, CleanplateError)] == [
        f"{tmp_path}/x.mov would overwrite an input of row 4.",
        f"{tmp_path}/a.mov would overwrite an input of row 2.",
        f"{tmp_path}/../{tmp_path.name}/a.mov would overwrite an input of row 2.",
        f"{tmp_path}/shots.csv would overwrite an input of the manifest.",
    ]
