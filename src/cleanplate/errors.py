"""Everything that a user can do wrong, or that this machine lacks, as one tree.

::

    CleanplateError
    ├── OptionError            a value outside what is allowed
    ├── InputError             a file that is missing, unreadable, damaged or not what was expected
    ├── PlateError             the plate cannot serve this picture
    ├── OutputError            the result cannot be written: it exists, no folder, no room, no encoder
    ├── ModelError             an unknown, damaged or wrong model
    └── UnavailableError       this machine lacks a runtime, a device or a library
        └── MissingExtraError  ... which ``pip install 'cleanplate[extra]'`` would bring

Each carries one plain sentence and, where there is something to do about it, a hint. The command
line prints both without a traceback and exits with 2.
"""

from __future__ import annotations


class CleanplateError(Exception):
    """The root of all errors that cleanplate raises on purpose.

    Args:
        message: One sentence that says what is wrong, with the value or the file's name in it.
        hint: What the user can do about it; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class OptionError(CleanplateError, ValueError):
    """A value outside what is allowed."""


class InputError(CleanplateError):
    """A file that is missing, unreadable, damaged or not what was expected."""


class PlateError(CleanplateError):
    """The plate cannot serve this picture."""


class OutputError(CleanplateError):
    """The result cannot be written."""


class ModelError(CleanplateError):
    """An unknown, damaged or wrong model."""


class UnavailableError(CleanplateError):
    """This machine lacks a runtime, a device or a library."""


class MissingExtraError(UnavailableError):
    """A library is not installed that an extra of this package brings.

    Args:
        extra: Name of the extra, as in ``pip install 'cleanplate[torch]'``.
        purpose: What needs it, as the subject of a sentence: "The torch runtime".
    """

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the extra '{extra}'.", f"pip install 'cleanplate[{extra}]'")
        self.extra = extra
