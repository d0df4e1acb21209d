"""Exceptions for mistakes of the user and for missing parts of the machine, as one tree.

::

    CleanplateError
    ├── OptionError            a value that is not allowed
    ├── InputError             a file that is missing, unreadable, damaged or of another kind
    ├── PlateError             the plate cannot serve this picture
    ├── OutputError            the result cannot be written: it exists, no folder, no room, no encoder
    ├── ModelError             an unknown, damaged or wrong model
    └── UnavailableError       this machine lacks a runtime, a device or a library
        └── MissingExtraError  ... that ``pip install 'cleanplate[extra]'`` installs

Each has one plain sentence as its message and, if there is a remedy, a hint. The command
line prints both without a traceback and exits with 2.

Hints are written with the options of the command line (``--overwrite``, ``--shadow=separate``: a value
follows an equals sign). In Python they become keyword arguments (``overwrite=True``, ``shadow='separate'``)
when the error is made, unless the process runs the command line.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWITCHES = {
    "overwrite",
    "resume",
    "follow",
    "locked-off",
    "linear",
    "half",
    "single-file",
    "int8",
    "yes",
    "loop",
}
"""Options without a value: ``name=True`` in Python."""

_OBJECTS = {
    "range": "reading=Reading(span={})",
    "fps": "reading=Reading(frame_rate={})",
    "damage": "reading=Reading(damage={})",
    "deinterlace": "reading=Reading(deinterlace={})",
    "codec": "encoding=Encoding(codec={})",
    "crf": "encoding=Encoding(crf={})",
    "pipe-format": "encoding=Encoding(pipe_format={})",
    "odd": "encoding=Encoding(odd={})",
    "quality": "encoding=Encoding(quality={})",
    "exr-channels": "encoding=Encoding(channels={})",
    "exr-compression": "encoding=Encoding(compression={})",
    "despill": "finish=Finish(despill={})",
    "matte-choke": "finish=Finish(choke_pixels={})",
    "matte-blur": "finish=Finish(blur_pixels={})",
    "matte-gamma": "finish=Finish(gamma={})",
    "despeckle": "finish=Finish(despeckle={})",
    "no-align": "align=False",
    "output": "out={}",
}
"""Options whose keyword in Python has another name, or is a field of an options object.

This room imports none, so they are written here; ``tests/test_errors.py`` derives them from the options.
"""

_COMMAND = r"\b(?:cleanplate|train|torchrun|pip|sudo) [a-z-][^,;()]*"
"""A complete command in a hint; it stays as it is in Python, too, because it is meant for a terminal."""

_OPTION = re.compile(
    rf"{_COMMAND}|(?<![\w/.'-])(?:--(?P<name>[a-z][a-z0-9-]*)|(?P<out>-o)\b)(?:=(?P<value>'[^']*'|[\w.:#,-]*\w))?"
)

_OUTPUT = re.compile(rf"{_COMMAND}|(?P<with>\bwith )?(?<![\w/.'-])(?P<out>-o)\b")

_on_command_line = False


@contextlib.contextmanager
def command_line_hints() -> Iterator[None]:
    """Keep hints in the spelling of the command line inside of this block; holds for the whole process."""
    global _on_command_line
    before, _on_command_line = _on_command_line, True
    try:
        yield
    finally:
        _on_command_line = before


def spell(text: str) -> str:
    """Spell the options in a hint or note for its reader: as command line options, or as Python keywords."""
    return text if _on_command_line else spell_for_python(text)


def spell_for_python(hint: str) -> str:
    """Replace the options in a hint by keyword arguments.

    >>> spell_for_python("choose another name or add --overwrite")
    'choose another name or add overwrite=True'
    >>> spell_for_python("use --shadow=separate, or leave out --keep")
    "use shadow='separate', or leave out keep"
    """

    def replace(found: re.Match[str]) -> str:
        if not (found["name"] or found["out"]):
            return found[0]
        name, value = found["name"] or "output", found["value"]
        if value == "none":
            value = "None"
        elif value and not value.startswith("'") and not _is_number(value):
            value = f"'{value}'"
        if name in _OBJECTS:
            return _OBJECTS[name].format(value or "...")
        if value:
            return f"{name.replace('-', '_')}={value}"
        return f"{name}=True".replace("-", "_") if name in _SWITCHES else name.replace("-", "_")

    return _OPTION.sub(replace, hint)


def spell_for_manifest(hint: str) -> str:
    """Replace ``-o`` in a hint by the column of a row's result; the other options hold for all rows.

    >>> spell_for_manifest("choose another name with -o, or add --overwrite")
    'choose another name in the column output, or add --overwrite'
    """

    def replace(found: re.Match[str]) -> str:
        if not found["out"]:
            return found[0]
        return "in the column output" if found["with"] else "the column output"

    return _OUTPUT.sub(replace, hint)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class CleanplateError(Exception):
    """The root of all errors that cleanplate raises on purpose.

    Args:
        message: One sentence that describes the error, with the value or the file's name in it.
        hint: A remedy, with options in the command line's spelling; may be empty.

    Attributes:
        hint: The hint with its options spelt for the reader: keyword arguments outside of the command line.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = spell(hint)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class OptionError(CleanplateError, ValueError):
    """A value that is not allowed."""


class InputError(CleanplateError):
    """A file that is missing, unreadable, damaged or of another kind."""


class PlateError(CleanplateError):
    """The plate cannot serve this picture."""


class OutputError(CleanplateError):
    """The result cannot be written."""


class ModelError(CleanplateError):
    """An unknown, damaged or wrong model."""


class UnavailableError(CleanplateError):
    """This machine lacks a runtime, a device or a library."""


class MissingExtraError(UnavailableError):
    """A library of one of this package's extras is not installed.

    Args:
        extra: Name of the extra, as in ``pip install 'cleanplate[torch]'``.
        purpose: The part that needs it, as the subject of a sentence: "The torch runtime".
    """

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the extra '{extra}'.", f"pip install 'cleanplate[{extra}]'")
        self.extra = extra
