"""Several pictures of one empty set in different light."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cleanplate.errors import OptionError
from cleanplate.frame import Frame, Pixels
from cleanplate.media.stills.decoded_picture import Picture
from cleanplate.plate.picture import Plate, load_plate

if TYPE_CHECKING:
    from PIL import Image

PlateLike: TypeAlias = "str | os.PathLike[str] | Pixels | Image.Image | Plate"

MOST_PLATES = 8
"""Plates at most: each is fitted to the first frame and read for each change of the light."""


@dataclass(frozen=True)
class PlateSet:
    """Plates of one place from one position, each in another light.

    Attributes:
        plates: Two or more, of any sizes with the frame's aspect ratio.

    Raises:
        OptionError: Fewer than two, or more than :data:`MOST_PLATES`.
    """

    plates: tuple[Plate, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.plates) <= MOST_PLATES:
            raise OptionError(f"Expected 2 to {MOST_PLATES} plates to mix, got {len(self.plates)}.")

    @property
    def path(self) -> Path | None:
        """The file of the first plate."""
        return self.plates[0].path

    def map(self, change: Callable[[Plate], Plate]) -> PlateSet:
        """Change each plate; the same object if none changes."""
        changed = tuple(map(change, self.plates))
        same = all(new is old for new, old in zip(changed, self.plates, strict=True))
        return self if same else PlateSet(changed)

    def with_colours_of(self, frame: Frame | Picture) -> PlateSet:
        """Bring all plates into a frame's colours; see :meth:`Plate.with_colours_of`."""
        return self.map(lambda plate: plate.with_colours_of(frame))

    @property
    def pixels(self) -> Pixels:
        """Pixels of the first plate, for a blurred background."""
        return self.plates[0].pixels


def load_plates(given: PlateLike | Sequence[PlateLike] | PlateSet) -> Plate | PlateSet:
    """Load one plate, or several that are mixed.

    Args:
        given: As :func:`cleanplate.plate.load_plate` takes it; or a list or tuple of these.

    Raises:
        InputError: A file is missing or unreadable, or an array is no picture.
        OptionError: More than :data:`MOST_PLATES`.
    """
    if isinstance(given, PlateSet):
        return given
    if not isinstance(given, (list, tuple)):
        return load_plate(given)  # type: ignore[arg-type]  # mypy does not narrow the sequence away
    plates = tuple(map(load_plate, given))
    return plates[0] if len(plates) == 1 else PlateSet(plates)
