"""Keyword arguments of the one-line calls: an unknown one is refused with the place where it belongs."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import fields

from cleanplate.compositing.finish import Finish
from cleanplate.errors import OptionError
from cleanplate.keyer.keyer import Keyer
from cleanplate.media import Encoding, Reading

# Options of the command line, and what they are in Python.
_ON_THE_COMMAND_LINE = {
    "range": "reading=Reading(span=Span.parse(...))",
    "fps": "reading=Reading(frame_rate=...)",
    "hw": "reading=Reading(hardware=...) to decode, encoding=Encoding(hardware=...) to encode",
    "hardware": "reading=Reading(hardware=...) to decode, encoding=Encoding(hardware=...) to encode",
    "exr_compression": "encoding=Encoding(compression=...)",
    "exr_channels": "encoding=Encoding(channels=...)",
    "matte_choke": "finish=Finish(choke_pixels=...)",
    "matte_blur": "finish=Finish(blur_pixels=...)",
    "matte_gamma": "finish=Finish(gamma=...)",
    "no_align": "align=False",
    "output": "out=...",
}

_OBJECTS = {"reading": Reading, "encoding": Encoding, "finish": Finish}
_OF_RESULTS = ("out", "background", "save", "alpha", "linear", "overwrite", "encoding")


def check_keywords(call: str, given: Mapping[str, object]) -> None:
    """Refuse keywords that are not the keyer's.

    Args:
        call: ``matte_image`` or ``matte_video``.
        given: Its further keyword arguments.

    Raises:
        OptionError: One is unknown; the hint names the object that takes it, or the nearest name.
    """
    known = list(inspect.signature(Keyer).parameters)[1:]
    for name in given:
        if name not in known:
            raise OptionError(f"{call} has no argument '{name}'.", _suggest(call, name, known))


def _suggest(call: str, name: str, known: list[str]) -> str:
    places = {
        field.name: f"{argument}={kind.__name__}({field.name}=...)"
        for argument, kind in _OBJECTS.items()
        for field in fields(kind)
    } | _ON_THE_COMMAND_LINE
    place = places.get(name)
    if call == "matte_image":
        if place is not None and place.startswith("reading"):
            return f"{name}: only clips have it"
        if name in _OF_RESULTS or (place is not None and place.startswith(("encoding", "out"))):
            return f"{name}: pass it to the save() of the Cutout"
    if place is not None:
        return f"{name}: pass {place}"
    near = difflib.get_close_matches(name, [*known, *places, *_OF_RESULTS, *_OBJECTS], 1)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
