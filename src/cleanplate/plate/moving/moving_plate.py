"""The plate of a moving camera: a clip of the empty set, and its frame for each frame of the source."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from cleanplate.errors import OptionError, PlateError
from cleanplate.frame import Frame, IndexArray
from cleanplate.media import SourceInfo
from cleanplate.media.timecode import Timecode


@dataclass(frozen=True)
class MovingPlate:
    """A clip of the empty set, shot with the same camera move as the source.

    Attributes:
        path: The clip, or a numbered sequence.
        shift: Number of the clip's frame that belongs to the source's frame 0; below 0 if the clip begins
            later.
        table: Number of the clip's frame for each frame of the source, in place of ``shift``.
        frame_rate: Rate by which a frame's time gives its number; None: frames are numbered by their index.
            For sources that leave numbers out.
    """

    path: Path
    shift: int = 0
    table: IndexArray | None = None
    frame_rate: Fraction | None = None

    @property
    def name(self) -> str:
        """Name in messages."""
        return f"the plate '{self.path.name}'"

    @property
    def title(self) -> str:
        """The same at the start of a sentence."""
        return f"T{self.name[1:]}"

    def number_for(self, frame: Frame) -> int:
        """Number of the clip's frame for a frame of the source; it may lie outside of the clip."""
        place = number_of(frame, self.frame_rate)
        if self.table is None:
            return place + self.shift
        return int(self.table[min(place, len(self.table) - 1)])


def number_of(frame: Frame, frame_rate: Fraction | None) -> int:
    """Number of a frame in its clip: its index, or its time at a rate."""
    return frame.index if frame_rate is None else round(frame.time_seconds * frame_rate)


def match_by_index(
    path: Path, source: SourceInfo, skipped: int, offset: int, frame_rate: Fraction | None
) -> MovingPlate:
    """Match frame n of the source's file with frame n + ``offset`` of the plate's.

    Args:
        path: The plate's clip.
        source: The source.
        skipped: Frames of the source's file before the part that is read.
        offset: In frames.
        frame_rate: As of :class:`MovingPlate`.

    Raises:
        PlateError: The two have no frame in common.
    """
    plate = MovingPlate(path, skipped + offset, frame_rate=frame_rate)
    if source.frame_count is not None and plate.shift <= -source.frame_count:
        raise PlateError(
            f"{plate.title} begins {-plate.shift} frames after the clip, which has {source.frame_count}.",
            "check --plate-offset",
        )
    return plate


def match_by_timecode(
    path: Path, source: SourceInfo, plate: SourceInfo, offset: int, frame_rate: Fraction | None
) -> MovingPlate:
    """Match frames of the same timecode, ``offset`` frames later.

    Args:
        path: The plate's clip.
        source: The source; its timecode is that of the first frame that is read.
        plate: The plate's clip.
        offset: In frames.
        frame_rate: As of :class:`MovingPlate`.

    Raises:
        OptionError: A file has no timecode.
        PlateError: The timecodes count other frames a second, or have no frame in common.
    """
    codes: list[Timecode] = []
    for info, what in ((source, "clip"), (plate, "plate")):
        if info.tags.timecode is None:
            raise OptionError(
                f"The {what} '{info.path.name}' has no timecode.",
                "match by number with --plate-motion=index, or by content with --plate-motion=search",
            )
        codes.append(info.tags.timecode)
    first, other = codes
    if (first.nominal, first.drop) != (other.nominal, other.drop):
        counts = " and ".join(f"{code.nominal}{' (drop frame)' if code.drop else ''}" for code in codes)
        raise PlateError(
            f"The timecodes of the clip and of the plate '{path.name}' count {counts} frames a second.",
            "match by content with --plate-motion=search",
        )
    matched = match_by_index(path, source, first.number - other.number, offset, frame_rate)
    if plate.frame_count is not None and matched.shift >= plate.frame_count:
        raise PlateError(
            f"{matched.title} runs from {other} on and has {plate.frame_count} frames; the clip begins at "
            f"{first}.",
            "give the plate of the same take, or check --plate-offset",
        )
    return matched
