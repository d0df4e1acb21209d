"""Options of a request: the query's parameters, derived from the fields that the command line has."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from cleanplate.cli.manifest import RowParser
from cleanplate.cli.option_arguments import add_job_options
from cleanplate.cli.service.refusals import check_words
from cleanplate.errors import OptionError
from cleanplate.jobs.job import AUTO_PLATE, NO_PLATE, OPTIONS
from cleanplate.vocabulary import Flag, flags_of

OWN_OPTIONS = ("--output", "--report", "--overwrite", "--resume", "--split-seconds")
"""Options that the service sets itself, and those for more processes than one."""

FILE_FIELDS = ("plate", "background", "keep", "ignore", "props", "hint")
"""Options that take a file: as a field of the body, or as a word in the query."""

_TEXT_LENGTH = 1000


def flags_of_request(*, video: bool) -> dict[str, Flag]:
    """Flags of a picture's request, or of a clip's, by the name of the parameter."""
    return {
        flag.column: flag
        for kind in OPTIONS
        for flag in flags_of(kind).values()
        if flag.name not in OWN_OPTIONS and (video or not flag.video)
    }


def make_query_model(name: str, formats: Sequence[str], *, video: bool) -> type[BaseModel]:
    """A model of the query, with one field for each flag; it refuses other parameters.

    Args:
        name: Name of the model in the description of the interface.
        formats: Values of the parameter ``format``.
        video: Whether the request is a clip's.
    """
    entries: dict[str, Any] = {
        "format": _optional(Literal[tuple(formats)], description="format of the results")
    }
    defaults = {
        flag.column: getattr(kind, field) for kind in OPTIONS for field, flag in flags_of(kind).items()
    } | {"scale": "fine"}
    for column, flag in flags_of_request(video=video).items():
        default = defaults[column]
        text = flag.help.format(default=default)
        if column in FILE_FIELDS:
            text += "; a file is sent in the body"
        if column == "plate":
            text = "id of a stored plate, auto (of a clip) or none; a file is sent in the body"
        details: dict[str, Any] = {"alias": column, "description": text}
        if isinstance(default, bool):
            entries[flag.attribute] = (bool, Field(False, **details))
            continue
        value: Any = flag.type if flag.type in (int, float) else str
        if flag.words is not None:
            value = Literal[flag.words]
        elif value is str:
            details["max_length"] = _TEXT_LENGTH
        entries[flag.attribute] = _optional(list[value] if flag.several else value, **details)
    return create_model(name, __config__=ConfigDict(extra="forbid", populate_by_name=False), **entries)


def _optional(kind: Any, **details: Any) -> tuple[Any, Any]:
    return kind | None, Field(None, **details)


def words_of(query: BaseModel, *, video: bool) -> list[str]:
    """The words of a command line for the options that a query gives, without files.

    Raises:
        OptionError: A value names a file or is no word of its option.
    """
    words: list[str] = []
    for column, flag in flags_of_request(video=video).items():
        value = getattr(query, flag.attribute)
        if value is None or value is False or column == "plate":
            continue
        if value is True:
            words.append(flag.name)
        elif flag.several:
            words += [flag.name, *value]
        else:
            _check_text(column, str(value))
            words.append(f"{flag.name}={value}")
    return words


def make_arguments(
    words: Sequence[str], files: Mapping[str, Path], plate: str | None, *, video: bool, **own: Any
) -> argparse.Namespace:
    """Arguments as the command line would have parsed them.

    Args:
        words: From :func:`words_of`.
        files: File of each field, ``source`` among them.
        plate: ``auto``, ``none`` or None; a file of this name wins.
        video: Whether they are a clip's.
        own: Values of options that the service sets.

    Raises:
        OptionError: A value is wrong.
    """
    parser = RowParser(add_help=False, allow_abbrev=False)
    add_job_options(parser, video=video)
    try:
        arguments = parser.parse_args(words)
    except ValueError as error:
        raise OptionError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    arguments.source = files["source"]
    arguments.plate = Path(plate) if plate in (AUTO_PLATE, NO_PLATE) else None
    for column in FILE_FIELDS:
        if column in files:
            # A backdrop or a region by its name is text on the command line.
            setattr(arguments, column, files[column] if column == "plate" else str(files[column]))
    vars(arguments).update(own)
    return arguments


def _check_text(column: str, value: str) -> None:
    """Refuse texts that would name a file here."""
    from cleanplate.compositing import parse_colour
    from cleanplate.keyer.regions import SHAPES
    from cleanplate.models.registry import list_models
    from cleanplate.runtimes.runtime_kinds import runtime_names
    from cleanplate.vocabulary.options import AUTO_MODEL

    if column == "model":
        check_words("the model", value, (AUTO_MODEL, *list_models()))
    elif column == "runtime":
        check_words("the runtime", value, ("auto", *runtime_names()))
    elif column == "background" and value != "blur":
        parse_colour(value)
    elif column == "props":
        raise OptionError(f"Expected props as a file, got '{value}'.", "send a picture as the file props")
    elif column == "hint":
        raise OptionError(
            f"Expected hint as a file, got '{value}'.", "send a picture or a video as the file hint"
        )
    elif column in ("keep", "ignore") and value.partition(":")[0] not in SHAPES:
        raise OptionError(
            f"Expected {column} as rect:... or polygon:..., got '{value}'.",
            f"send a picture or a video as the file {column}",
        )
