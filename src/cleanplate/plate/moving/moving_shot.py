"""The plate of each frame of a shot whose camera repeats its move."""

from __future__ import annotations

from collections.abc import Callable

from cleanplate.errors import PlateError
from cleanplate.frame import Frame
from cleanplate.plate.fit import Fit, FittedPlate, fit_plate
from cleanplate.plate.moving.clip_reader import ClipReader
from cleanplate.plate.moving.moving_plate import MovingPlate
from cleanplate.plate.picture import Plate, match_size


class MovingShot:
    """Gives each frame of a shot its frame of the plate's clip, fitted to it as to a photo.

    The plate of a frame depends on that frame alone, so frames may be asked for in any order.

    Args:
        plate: The clip, and its frame for each frame of the source.
        align: Whether its frames may be moved.
        prepare: Brings a frame of the clip, as a plate, into the colours and shape of a frame of the source.
    """

    def __init__(
        self,
        plate: MovingPlate,
        *,
        align: bool = True,
        prepare: Callable[[Plate, Frame], Plate] | None = None,
    ) -> None:
        self._plate, self._align, self._prepare = plate, align, prepare
        self._reader = ClipReader(plate.path)
        self._early = self._late = False

    @property
    def notes(self) -> list[str]:
        """Sentences for the user about frames without one in the plate's clip."""
        found = []
        if self._early:
            found.append(
                f"{self._plate.title} begins {-self._plate.shift} frames after the clip: its first frame was "
                "held until then."
            )
        if self._late:
            count = self._reader.frame_count or 0
            found.append(
                f"{self._plate.title} has {count} frames: from frame {count - self._plate.shift} of the clip "
                "on, its last one was held."
            )
        return found

    def plate_for(self, frame: Frame) -> FittedPlate:
        """Fit the clip's frame to the source's.

        Raises:
            PlateError: The first frame has none, or its plate cannot serve it.
            InputError: The plate's clip cannot be read.
        """
        number = self._plate.number_for(frame)
        picture = self._reader.frame(number)
        self._early |= number < 0
        if number > picture.index:
            self._late = True
            if frame.index == 0:
                raise PlateError(
                    f"{self._plate.title} has {picture.index + 1} frames, and the clip begins at its frame "
                    f"{number}.",
                    "check --plate-offset",
                )
        plate = Plate(picture.pixels, self._plate.path, space=picture.space)
        if self._prepare is not None:
            plate = self._prepare(plate, frame)
        try:
            return fit_plate(plate, frame, align=self._align)
        except PlateError:
            # A first frame decides whether the plate is of use; later ones may be all subject.
            if frame.index == 0:
                raise
        return _leave(plate, frame)

    def close(self) -> None:
        """Close the plate's clip."""
        self._reader.close()


def _leave(plate: Plate, frame: Frame) -> FittedPlate:
    """The plate as it is, in the frame's size and type."""
    pixels = match_size(plate, frame.height, frame.width, frame.pixels.dtype)
    return FittedPlate(pixels, None, Fit.unmoved())
