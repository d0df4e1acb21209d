"""Answers to requests that fail: a status, one sentence and a hint, without a path of the server."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path

from cleanplate.errors import CleanplateError, OptionError, UnavailableError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""System errors of a full disk, a used-up quota, and a limit of the size of a file."""

NO_ROOM = "The service has no room for more files."

_PATH = re.compile(r"(?<![\w.:/])(?:/|[A-Za-z]:[\\/])[^\s'\",:;()]*[\\/][^\s'\",:;()]*")
_OPTION = re.compile(r"--(?P<name>[a-z][a-z0-9-]*)(?P<value>=\S*\w)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the service
    """A request that gets no result.

    Args:
        status: Status code of HTTP.
        message: One sentence.
        hint: A remedy; may be empty.
        retry_seconds: Time after which another attempt may succeed; 0: unknown.
    """

    def __init__(self, status: int, message: str, hint: str = "", *, retry_seconds: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.hint = status, message, hint
        self.retry_seconds = retry_seconds

    def to_json(self) -> dict[str, object]:
        return {"error": {"message": self.message, "hint": self.hint}}


def refusal_of(error: CleanplateError, names: Mapping[str, str]) -> Refusal:
    """The answer for an error; ``names`` as in :func:`hide_paths`."""
    if is_full(error):
        return Refusal(507, NO_ROOM, "try again later")
    status = 503 if isinstance(error, UnavailableError) else 422
    return Refusal(status, hide_paths(error.message, names), spell_hint(error.hint, names))


def is_full(error: BaseException) -> bool:
    """Tell whether a full disk is the cause of an error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FULL:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def hide_paths(text: str, names: Mapping[str, str]) -> str:
    """Replace the server's paths by the client's names.

    Args:
        text: A message.
        names: The client's name of each file, by its path here. Other files of the same folders are shown
            by their names, and any other absolute path becomes "a file of the service".
    """
    for folder in {str(Path(path).parent) for path in names}:
        text = text.replace(folder + os.sep, "")
    marks: dict[str, str] = {}
    for path, shown in names.items():
        known = Path(path).name
        mark = f"\x00{len(marks)}\x00"
        # A name is replaced as a whole word only.
        text = re.sub(rf"(?<![\w.-]){re.escape(known)}(?![\w-])", mark, text)
        marks[mark] = shown
    text = _PATH.sub("a file of the service", text)
    for mark, shown in marks.items():
        text = text.replace(mark, shown)
    return text


def spell_hint(hint: str, names: Mapping[str, str]) -> str:
    """Spell the options in a hint as they stand in a query: ``scale=auto``, ``follow=true``."""
    hint = hide_paths(hint, names)
    return _OPTION.sub(lambda found: found["name"] + (found["value"] or ""), hint)


def clean_name(name: str) -> str:
    """The last part of a client's file name, for messages and downloads; never the name of a file here."""
    last = re.split(r"[\\/]", _CONTROL.sub("", name))[-1].strip()
    return last[:100] or "file"


def check_words(name: str, value: str, known: frozenset[str] | tuple[str, ...]) -> None:
    """Raise :class:`OptionError` for a value that is not in the list."""
    if value not in known:
        raise OptionError(f"Expected {name} as one of {', '.join(sorted(known))}, got '{value}'.")
