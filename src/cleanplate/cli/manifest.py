"""A manifest: a table of clips, one row each, whose columns are options of ``cleanplate video``.

::

    clip,        plate,       output,        background, follow
    a/shot1.mov, a/plate.png, out/shot1.mov,           , yes
    a/shot2.mov, a/plate.png, out/shot2.mp4, #00b140   ,

Every option may be a column, without its dashes. An empty cell takes the value of the command line. Paths are
relative to the manifest. Switches are on for ``yes``, ``true``, ``on``, ``1`` or ``x``. The text is UTF-8;
the separator is a comma, a semicolon or a tab.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from cleanplate.cli.option_arguments import flags_by_column, make_job
from cleanplate.errors import CleanplateError, InputError, OptionError
from cleanplate.jobs.job import Job
from cleanplate.system.pipes import is_standard
from cleanplate.system.system_errors import reason_of

SUFFIXES = (".csv", ".tsv")
"""Suffix that marks a source as a manifest."""

_SPELLINGS = {"source": "clip", "out": "output"}
_WHOLE_RUN = (
    *("jobs", "json", "quiet", "shard", "status", "print-commands"),
    *("on", "num-cpus", "num-gpus", "max-retries", "row"),
)
"""Options of the whole run, which are no columns."""

_NUL = "\N{SYMBOL FOR NULL}"
"""Placeholder for NUL, which some versions of Python refuse in a table."""

_YES = ("yes", "y", "true", "on", "1", "x")
_NO = ("no", "n", "false", "off", "0")


@dataclass(frozen=True)
class ManifestRow:
    """One row.

    Attributes:
        number: Its line in the file, the heading being 1.
        name: The clip as written.
        arguments: The command line's, overridden by the row's; or the error of the row.
        results: The files that it writes.
    """

    number: int
    name: str
    arguments: argparse.Namespace | CleanplateError
    results: tuple[Path, ...] = ()


def read_manifest(
    path: Path, given: argparse.Namespace, add_arguments: Callable[[argparse.ArgumentParser], None]
) -> list[ManifestRow]:
    """Read every row; an error in one row does not stop the others.

    Args:
        path: The table.
        given: The arguments of the command line, as defaults for each row.
        add_arguments: Adds the arguments of one clip to a parser.

    Raises:
        InputError: The table cannot be read, has no rows, or has a column that is no option.
    """
    table = _read_table(path)
    heading = next((cells for _, cells in table), [])
    columns = [_SPELLINGS.get(name, name) for name in (cell.strip().lstrip("-").lower() for cell in heading)]
    options = {name.replace("_", "-") for name in vars(given)} - {"source", "command", "run", *_WHOLE_RUN}
    unknown = [column for column in columns if column not in options | {"clip"}]
    if unknown or "clip" not in columns or len(set(columns)) < len(columns):
        what = (
            f"has a column '{unknown[0]}', which is no option of a clip"
            if unknown
            else "has no column 'clip'"
            if "clip" not in columns
            else "has two columns of the same name"
        )
        raise InputError(f"{path} {what}.", "the columns are clip, plate, output, or any option's name")
    rows = [_read_row(path, number, columns, cells, given, add_arguments) for number, cells in table[1:]]
    if not rows:
        raise InputError(f"{path} has a heading but no rows.", "write one clip per row")
    return _guard_files(path, rows)


def _read_table(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its last line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.", "check the spelling and the folder") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path} is not a table in UTF-8: line {line} has the byte 0x{error.object[error.start]:02x}.",
            "save it as CSV in UTF-8",
        ) from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max("\t;,", key=first.count)
    # A NUL becomes an error of its row; some versions of Python would refuse the whole table.
    lines = io.StringIO(text.replace("\0", _NUL), newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    rows: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        # A quote that is not closed takes all lines to the end of the file into its cell.
        is_open = "unexpected end" in str(error) or "field limit" in str(error)
        what = "opens a quote and does not close it" if is_open else f"is wrong: {error}"
        raise InputError(
            f"{path} is not a table: row {begins} {what}.", 'quote cells as "...", a quote in them as ""'
        ) from error
    return rows


class RowParser(argparse.ArgumentParser):
    """Parser that raises an error instead of ending the program."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message[0].upper()}{message[1:]}.")


def _read_row(
    path: Path,
    number: int,
    columns: list[str],
    cells: list[str],
    given: argparse.Namespace,
    add_arguments: Callable[[argparse.ArgumentParser], None],
) -> ManifestRow:
    values = {column: cell.strip() for column, cell in zip(columns, cells, strict=False) if cell.strip()}
    name = values.get("clip", "")
    try:
        if len(cells) > len(columns):
            raise InputError(
                f"The row has {len(cells)} cells for {len(columns)} columns.",
                "quote cells that contain commas",
            )
        for column, value in values.items():
            if _NUL in value:
                raise InputError(
                    f"The cell in column {column} has a NUL character.", "save it as CSV in UTF-8"
                )
        if not name:
            raise InputError("The row has no clip.")
        parser = RowParser(add_help=False, allow_abbrev=False)
        add_arguments(parser)
        parser.set_defaults(**vars(given))
        words = [locate(path.parent, "clip", name)]
        switches: dict[str, bool] = {}
        flags = flags_by_column()
        for column, value in values.items():
            option = column.replace("-", "_")
            if isinstance(getattr(given, option, None), bool):
                switches[option] = _is_yes(column, value)
            elif column in flags and flags[column].several:
                words += [f"--{column}", *value.replace(",", " ").split()]
            elif column in flags and flags[column].one_or_several and "|" in value:
                words += [f"--{column}", *(locate(path.parent, column, each) for each in value.split("|"))]
            elif column != "clip":
                words.append(f"--{column}={locate(path.parent, column, value)}")
        arguments = parser.parse_args(words)
        if is_standard(arguments.output) or "-" in (name, values.get("plate")):
            raise OptionError("A row of a manifest cannot use stdin or stdout (-).", "name files")
        vars(arguments).update(switches)
        return ManifestRow(number, name, arguments)
    except CleanplateError as error:
        return ManifestRow(number, name, error)


def _is_yes(column: str, value: str) -> bool:
    if value.lower() not in _YES + _NO:
        raise OptionError(f"Expected yes or no in column {column}, got '{value}'.")
    return value.lower() in _YES


def locate(folder: Path, column: str, value: str) -> str:
    """Resolve an option's path from a folder; keep a trailing slash, and every value that is no path."""
    there = os.path.join(folder, value)  # noqa: PTH118 - pathlib drops the slash
    kind = (
        "always"
        if column == "clip"
        else flags_by_column()[column].path
        if column in flags_by_column()
        else None
    )
    if kind == "always":
        return there
    is_file = kind == "if it exists" and ("%" in value or os.path.exists(there))  # noqa: PTH110 - a string
    return there if is_file else value


def _guard_files(manifest: Path, rows: list[ManifestRow]) -> list[ManifestRow]:
    """Refuse rows whose results are inputs of any row, or results of an earlier one."""
    from cleanplate.jobs.plan import list_inputs
    from cleanplate.media.guard import FileGuard

    guard = FileGuard()
    guard.read([manifest], "the manifest")
    for row in rows:
        if not isinstance(row.arguments, CleanplateError):
            job = _try_job(row.arguments)
            inputs = [] if job is None else list_inputs(job)
            guard.read([row.arguments.source, *inputs], f"row {row.number}")
    checked: list[ManifestRow] = []
    for row in rows:
        if not isinstance(row.arguments, CleanplateError):
            try:
                results = name_results(row.arguments)
                guard.write(results, f"row {row.number}")
                row = replace(row, results=results)
            except CleanplateError as error:
                row = replace(row, arguments=error)
        checked.append(row)
    return checked


def name_results(wanted: argparse.Namespace) -> tuple[Path, ...]:
    """All files that a row writes."""
    from cleanplate.jobs.naming import VIDEO_SUFFIXES, name_outputs
    from cleanplate.jobs.plan import list_layers

    job = make_job(wanted)
    named = name_outputs(wanted.source, list_layers(job), wanted.output, VIDEO_SUFFIXES)
    return (*named.values(), *([] if wanted.report is None else [Path(wanted.report)]))


def _try_job(wanted: argparse.Namespace) -> Job | None:
    """The job of a row; None if an option is wrong."""
    try:
        return make_job(wanted)
    except CleanplateError:
        return None
