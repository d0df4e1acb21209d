"""Setup of standard output and error, which may be closed, full or of any encoding."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

ENCODING_ERRORS = "cleanplate-escape"


class Nowhere(io.TextIOBase):
    """Replacement for a closed stream."""

    def write(self, text: str) -> int:
        return len(text)


def prepare_streams() -> None:
    """Escape characters that the encoding lacks (cp1252, ascii), and file names that are no text."""
    codecs.register_error(ENCODING_ERRORS, _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors=ENCODING_ERRORS)


def drop_stdout() -> None:
    """Connect stdout to the null device, because Python flushes the rest of its buffer at exit."""
    with suppress(OSError, ValueError, AttributeError):
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, sys.stdout.fileno())
        os.close(number)


def or_nowhere(stream: TextIO | None) -> TextIO:
    """The stream, or a replacement if it is closed."""
    return Nowhere() if stream is None else stream  # type: ignore[return-value]


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Keep the bytes of a file's name; escape any other character as ``\\u1234``."""
    if isinstance(error, UnicodeEncodeError):
        characters = error.object[error.start : error.end]
        if all("\udc80" <= character <= "\udcff" for character in characters):
            return bytes(ord(character) - 0xDC00 for character in characters), error.end
    return codecs.backslashreplace_errors(error)
