"""Keyword arguments of the one-line calls: an unknown one is refused with the place where it belongs."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping

from cleanplate.errors import OptionError
from cleanplate.jobs.job import Job
from cleanplate.vocabulary import Encoding, FinishOptions, KeyerOptions, Reading, flags_of

_OBJECTS: dict[str, tuple[str, type]] = {
    "reading": ("Reading", Reading),
    "encoding": ("Encoding", Encoding),
    "finish": ("Finish", FinishOptions),
}
_OF_RESULTS = ("out", "background", "save", "alpha", "linear", "overwrite", "encoding")
_HARDWARE = "reading=Reading(hardware=...) to decode, encoding=Encoding(hardware=...) to encode"


def check_keywords(call: str, given: Mapping[str, object]) -> None:
    """Refuse keywords that are no options of the call.

    Args:
        call: ``matte_image`` or ``matte_video``.
        given: Its further keyword arguments.

    Raises:
        OptionError: One is unknown; the hint names the object that takes it, or the nearest name.
    """
    known = [field.name for field in dataclasses.fields(KeyerOptions)]
    if call == "matte_video":
        known += [field.name for field in dataclasses.fields(Job) if field.name != "keyer"]
    for name in given:
        if name not in known:
            raise OptionError(f"{call} has no argument '{name}'.", _suggest(call, name, known))


def python_places() -> dict[str, str]:
    """The place in Python of each option, by its field and by its name on the command line."""
    places: dict[str, str] = {}
    for argument, (title, kind) in _OBJECTS.items():
        for field in dataclasses.fields(kind):
            places[field.name] = f"{argument}={title}({field.name}=...)"
    for argument, (title, kind) in _OBJECTS.items():
        for name, flag in flags_of(kind).items():
            value = "..." if flag.parse is None else f"{flag.parse.partition(':')[2]}(...)"
            places[flag.attribute] = f"{argument}={title}({name}={value})"
    for kind in (Job, KeyerOptions):
        for name, flag in flags_of(kind).items():
            if flag.attribute != name:
                places[flag.attribute] = f"{name}={'False' if flag.name.startswith('--no-') else '...'}"
    return places | {"hw": _HARDWARE, "hardware": _HARDWARE}


def _suggest(call: str, name: str, known: list[str]) -> str:
    places = python_places()
    place = places.get(name)
    if call == "matte_image":
        if place is not None and place.startswith("reading"):
            return f"{name}: only for clips"
        if name in _OF_RESULTS or (place is not None and place.startswith(("encoding", "out"))):
            return f"{name}: pass it to the save() of the Cutout"
    if place is not None:
        return f"{name}: pass {place}"
    near = difflib.get_close_matches(name, [*known, *places, *_OF_RESULTS, *_OBJECTS], 1)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
