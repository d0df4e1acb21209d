"""What is asked for of one clip."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cleanplate.compositing.finish import Finish
from cleanplate.compositing.layers import Background, PathLike
from cleanplate.frame import Pixels
from cleanplate.media import AS_IT_IS, AS_USUAL, Encoding, Reading
from cleanplate.plate import Plate

AUTO_PLATE = "auto"
"""In the plate's place: build it from the clip."""

NO_PLATE = "none"
"""In the plate's place: there is none, and the model needs none."""

FILES = {"scale": "fine"}
"""What the keyer of files does by default: they can wait, and quality is what they are for."""


@dataclass(frozen=True)
class VideoJob:
    """What is asked for of one clip; the fields are the arguments of :func:`cleanplate.matte_video`.

    Attributes:
        keyer: The keyword arguments of :class:`cleanplate.Keyer`.
    """

    clip: PathLike
    plate: PathLike | Pixels | Plate | None = None
    out: PathLike | None = None
    background: Background | None = None
    save: Sequence[str] | None = None
    shadow: str = "remove"
    alpha: str | None = None
    linear: bool = False
    finish: Finish = field(default_factory=Finish)
    report: PathLike | None = None
    overwrite: bool = False
    resume: bool = False
    reading: Reading = AS_IT_IS
    encoding: Encoding = AS_USUAL
    keyer: Mapping[str, Any] = field(default_factory=dict)


def is_word(plate: object, word: str) -> bool:
    """Whether the plate is one of the words that may stand in its place."""
    return isinstance(plate, (str, os.PathLike)) and os.fspath(plate) == word
