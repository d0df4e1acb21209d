"""Contracts of sources and sinks, and the description of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cleanplate.errors import InputError
from cleanplate.frame import AnyArray, Frame
from cleanplate.media.colour.h273 import UNSPECIFIED, Colour
from cleanplate.media.colour.hdr import Hdr
from cleanplate.media.colour.transfer import SRGB
from cleanplate.media.container_tags import Tags
from cleanplate.media.spans import Span
from cleanplate.vocabulary import LAYERS
from cleanplate.vocabulary import Encoding as Encoding
from cleanplate.vocabulary import Reading as Reading

if TYPE_CHECKING:
    from typing_extensions import Self

CHANNELS = dict.fromkeys(LAYERS, 1) | {"cutout": 4, "foreground": 3, "composite": 3}
"""Channels of a layer's pixels; 1 stands for ``(height, width)``."""


@dataclass(frozen=True)
class SourceInfo:
    """Facts about a source, known before its frames are read.

    Attributes:
        path: The file, or the pattern of a sequence.
        height: Rows as shown, after rotation.
        width: Columns as shown, after rotation.
        bit_depth: Bits of a stored sample: 8, 10, 12, 16. Above 8, frames are uint16.
        frame_rate: Average, in frames per second.
        time_base: Seconds per unit of a frame's ``pts``.
        frame_count: An estimate for progress bars; containers are often wrong.
        duration_seconds: Duration according to the container.
        colour: The stream's tags.
        has_audio: Whether there is an audio stream beside the pictures.
        pixel_aspect: Width of a pixel divided by its height, as shown.
        clock_start: Seconds that were taken off every time stamp, because the container has a running clock
            (MPEG transport streams start anywhere) or only a span is read; 0 for all others.
        first_number: Number of the first file of a sequence; None for a video file.
        has_subtitles: Whether there is a subtitle stream beside the pictures.
        sound_span: The part of the sound and of the subtitles that goes with the frames, in seconds of the
            frames' clock; None if all of it does.
        tags: Metadata of the file: timecode, reel, title, chapters.
        full_chroma: Whether a video stores colour for every pixel (4:4:4), not for pairs or blocks of four.
        hdr: Mastering display and content light level of a video; None if unknown.
        has_alpha: Whether pictures come with an alpha channel, as :attr:`cleanplate.frame.Frame.alpha`.
        first_index: Index in the clip of the frame with index 0: numbered pictures count from it.
        chromaticities: x and y of red, green, blue and white, if they differ from those of ``colour``.
        space: Colour space of a log or ACES source, from its metadata, by a name that OpenColorIO knows; None
            if they name none.
        has_light: Whether frames come with linear light, as :attr:`cleanplate.frame.Frame.light`.
    """

    path: Path
    height: int
    width: int
    bit_depth: int = 8
    frame_rate: Fraction | None = None
    time_base: Fraction = Fraction(1, 1000)
    frame_count: int | None = None
    duration_seconds: Fraction | None = None
    colour: Colour = field(default_factory=Colour)
    has_audio: bool = False
    pixel_aspect: Fraction = Fraction(1)
    clock_start: Fraction = Fraction(0)
    first_number: int | None = None
    has_subtitles: bool = False
    sound_span: Span | None = None
    tags: Tags = field(default_factory=Tags)
    full_chroma: bool = False
    hdr: Hdr | None = None
    chromaticities: tuple[float, ...] | None = None
    has_alpha: bool = False
    space: str | None = None
    has_light: bool = False
    first_index: int = 0

    @property
    def transfer(self) -> str:
        """Transfer function: the tagged one; else the players' default for video, sRGB for pictures."""
        if self.first_number is not None and self.colour.transfer == UNSPECIFIED:
            return SRGB
        return self.colour.assumed(self.height, self.width).transfer


class Source(Protocol):
    """Source of frames.

    A source can be iterated once. It yields frames in the order of presentation, with strictly increasing
    ``pts`` in units of ``info.time_base`` and ``index`` counted from 0; every frame has the size, and the
    type, that ``info`` tells, and memory of its own. A damaged or truncated file yields its readable frames,
    and ``notes`` then names the loss. Iterate and close in one thread, or close when the iteration is over.
    """

    info: SourceInfo
    notes: list[str]

    def __iter__(self) -> Iterator[Frame]: ...
    def close(self) -> None: ...

    def start_at(self, index: int, pts: int) -> None:  # noqa: ARG002 - a promise
        """Begin with the frame of this index and pts; called once, before iterating.

        The frames are the same as in a full iteration from there on: the same pixels, indices, times
        and durations.

        Raises:
            InputError: The frame does not exist (any more), or the source can only be read from its start.
        """
        raise InputError(f"{self.info.path.name} can only be read from its start.")

    @property
    def met_damage(self) -> bool:
        """True if damage was met so far that a reader from the start may see in another way.

        A decoder conceals damage with the pictures that it has, and these depend on where it began.
        """
        return False

    def list_times(self) -> list[int]:
        """The ``pts`` of all frames, without decoding where the container tells them.

        Damaged files may show other frames: a reader of a part has to count them.

        Raises:
            InputError: The source can only be read from its start.
        """
        raise InputError(f"{self.info.path.name} can only be read from its start.")

    def end_before(self, pts: int) -> None:  # noqa: ARG002 - a promise
        """End before the frame of this pts; called once, before iterating.

        Raises:
            InputError: The source can only be read whole.
        """
        raise InputError(f"{self.info.path.name} can only be read whole.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Sink(Protocol):
    """Sink of finished pixels.

    As a context manager it closes on success and aborts on an error. Nothing is at ``path`` before ``close``
    has succeeded; a file that is there already survives unless overwriting was allowed. All failures are
    :class:`~cleanplate.errors.OutputError`. Pixels may be reused by the caller as soon as ``write`` returns.

    Attributes:
        path: Path of the result.
        notes: Sentences for the user.
        takes_light: Whether it also takes floats, which it writes unchanged: linear light and data.
        extra_channels: Names of the extra channels after the colour of such floats.
    """

    path: Path
    notes: list[str]
    takes_light: bool = False
    extra_channels: tuple[str, ...] = ()

    def write(self, pixels: AnyArray, at: Frame) -> None:
        """Add one picture, shown at the time of ``at``: uint8 or uint16 of the layer's shape.

        ``(height, width)`` for alpha, shadow, error and refine, ``(height, width, 3)`` for colour,
        ``(height, width, 4)`` for cut-outs.
        """
        ...

    def close(self) -> None:
        """Finish the file and move it into place."""
        ...

    def abort(self) -> Path | None:
        """Finish the part under the temporary name, so that it plays; None if nothing was written."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()


@runtime_checkable
class Interruptible(Protocol):
    """Source or sink that may wait for another program without end."""

    def interrupt(self) -> None:
        """End the wait of another thread; the stream ends there."""
        ...


@runtime_checkable
class Segmented(Protocol):
    """Sink that can also finish a part of its result while it continues."""

    def cut(self) -> Callable[[], None]:
        """End the segment; the next picture begins another.

        Returns a function that finishes the segment on the disk. Call it once; this may be in
        another thread, while pictures of the next segment are written.
        """
        ...
