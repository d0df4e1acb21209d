"""A plate built from the clip itself, for clips without a plate in which the subject moves.

The clip is read twice. The first pass takes small samples, and measures from them the camera's motion, the
change of light and the background. The second pass averages the frames of those samples at full size: only
their background, registered with the reference and matched to its light. Memory does not grow with the
clip: the samples, some 45 MB, one frame, and 28 bytes for each pixel of a frame (230 MB at 3840x2160).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cleanplate.errors import PlateError
from cleanplate.frame import BoolArray, ByteArray, Float32Array, Frame, Pixels
from cleanplate.media import open_source, write_image
from cleanplate.media.files import check_writable
from cleanplate.media.stills.image_writer import check_image_suffix
from cleanplate.plate.building.background_model import ENOUGH_SAMPLES, Background, find_background
from cleanplate.plate.building.clip_samples import MEMORY_FRAMES, Sample, Samples, look_over
from cleanplate.plate.building.occupancy import find_occupied
from cleanplate.plate.photometry.exposure import Gain, estimate_gain
from cleanplate.plate.photometry.illumination import round_to
from cleanplate.plate.picture import SURE_CONFIDENCE, Plate, confidence_path
from cleanplate.plate.registration.alignment import align, covered, warp
from cleanplate.plate.registration.homography import Matrix, displacement, invert, normalise, scale_matrix
from cleanplate.plate.structure import Structure, find_structure

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

STILL_PIXELS = 0.2
"""Motion, in pixels of the search copies, below which a frame is not warped."""

LEAST_SAMPLES = 3
"""Least samples: of two that differ, either may show the background."""

NOTEWORTHY_SHARE = 0.001
"""Share of the frame, never seen without a subject, from which a note is given: 45 pixels square in HD."""

LEAST_MOVED = 0.002
"""Share of the frame in which something must have moved: 64 pixels square in HD."""

MOST_UNSEEN = 0.2
"""Largest share of the area covered by the subject that may never have been seen empty. In 56 made clips and
two others (docs/plate.md) it was 0.11 at most where the subject leaves its place, and 0.29 at least where it
does not, or for a tenth of the time only; in 12 fresh ones all answers were right."""

TELLING_FRAMES = 2 * MEMORY_FRAMES
"""Least frames of a clip that can tell whether the subject leaves: motion is remembered for half as many
before and after it."""

SHORT_CLIP, MOST_UNSEEN_SHORT = 40, 0.45
"""Frames below which the second limit holds: motion is remembered for ten frames, much of such a
clip. In a made clip of 10 frames that a subject crosses, 0.34 is unseen."""

BAND = 128
"""Rows averaged at a time, which bounds the memory."""


@dataclass(frozen=True)
class BuiltPlate:
    """A plate built from a clip.

    Attributes:
        pixels: Type and size of the clip's frames, in the position and light of most of them. The best guess
            where no background was seen.
        confidence: float32 in [0, 1], ``(height, width)``: how surely this is the background.
        seen: float32 in [0, 1], ``(height, width)``: share of the clip in which the background showed.
        notes: Notes for the user, in sentences.
    """

    pixels: Pixels
    confidence: Float32Array
    seen: Float32Array
    notes: tuple[str, ...] = ()

    @property
    def plate(self) -> Plate:
        """The plate to key with; pixels of low confidence are unknown, not background."""
        return Plate(self.pixels, known=self.confidence >= SURE_CONFIDENCE)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> tuple[Path, Path]:
        """Write the plate, and its confidence map beside it under the name that ``load_plate`` expects.

        Returns:
            The paths of both.

        Raises:
            OutputError: They cannot be written.
        """
        plate, beside = built_paths(path, overwrite=overwrite)
        write_image(plate, self.pixels, overwrite=overwrite)
        write_image(beside, np.rint(self.confidence * 255).astype(np.uint8), overwrite=overwrite)
        return plate, beside


def built_paths(path: str | os.PathLike[str], *, overwrite: bool) -> tuple[Path, Path]:
    """Paths of a built plate and its confidence, checked to be writable.

    Raises:
        OutputError: They cannot.
    """
    plate = Path(path)
    check_image_suffix(plate, alpha=False)
    for each in (plate, confidence_path(plate)):
        check_writable(each, overwrite=overwrite)
    return plate, confidence_path(plate)


@dataclass(frozen=True)
class _Pose:
    """Motion of a sample to the reference, in pixels of the search copies, and its light."""

    motion: Matrix
    gain: Gain


def build_plate(
    source: str | os.PathLike[str] | Sequence[Pixels],
    *,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> BuiltPlate:
    """Build a plate from a clip in which the subject moves.

    Args:
        source: A video file, a numbered sequence such as ``name_%05d.png``, or the frames themselves, in
            order and at the clip's rate: uint8 or uint16 RGB of one size.
        on_progress: Called with frames read so far and how many there will be, both passes counted.

    Raises:
        InputError: The clip cannot be read.
        PlateError: It has too few frames, nothing moves, or the subject hardly leaves its place.
    """
    clip = Path(source) if isinstance(source, (str, os.PathLike)) else source
    name = clip.name if isinstance(clip, Path) else "the clip"
    samples = look_over(_read(clip, on_progress, done=0))
    if samples is None or samples.frames < LEAST_SAMPLES:
        frames = "no frames" if samples is None else f"{samples.frames} frame(s)"
        raise PlateError(
            f"{name} has {frames}: a plate is built from a clip in which the subject moves.",
            "shoot a plate, or give a longer clip",
        )
    poses = _find_poses(samples.samples)
    views, known, restless = _lay_together(samples.samples, poses)
    occupied = find_occupied(views, restless, samples.frames)
    background = find_background(views, known, restless, occupied)
    _refuse_guesses(name, background, samples.frames)
    pixels, seen = _average(_read(clip, on_progress, done=samples.frames), samples, poses, background)
    size = (samples.width, samples.height)
    confidence = cv2.resize(1 - np.exp(-background.sure / ENOUGH_SAMPLES), size)
    confidence = np.where(seen > 0, np.clip(confidence, 0, 1), 0).astype(np.float32)
    return BuiltPlate(pixels, confidence, seen, _describe(name, confidence, samples.frames))


def _read(
    clip: Path | Sequence[Pixels], on_progress: Callable[[int, int | None], None] | None, done: int
) -> Iterator[Frame]:
    """Read the clip from the start; ``done`` is the number of frames read in earlier passes."""
    with contextlib.ExitStack() as opened:
        if isinstance(clip, Path):
            file = opened.enter_context(open_source(clip))
            source: Iterable[Frame] = file
            count = file.info.frame_count
        else:
            source = (Frame(pixels, index=number) for number, pixels in enumerate(clip))
            count = len(clip)
        for number, frame in enumerate(source, 1):
            yield frame
            if on_progress is not None:
                on_progress(done + number, 2 * (done or count or 0) or None)


def _find_poses(samples: list[Sample]) -> list[_Pose]:
    """Register every sample with one reference, and measure its light relative to the median."""
    first = _structure(samples[0].search)
    tolerance = STILL_PIXELS
    motions = [np.eye(3)]
    motions += [align(_structure(sample.search), first, tolerance).motion for sample in samples[1:]]
    height, width = samples[0].search.shape
    # The reference is the sample nearest to the median position: the others lose least of their borders.
    corners = np.array([motion[:2, 2] for motion in motions])
    middle = np.median(corners, axis=0)
    back = invert(motions[int(np.argmin(np.linalg.norm(corners - middle, axis=1)))])
    motions = [normalise(back @ motion) for motion in motions]
    motions = [np.eye(3) if displacement(m, height, width) < tolerance else m for m in motions]
    gains = _compare_light(samples, motions)
    return [_Pose(motion, gain) for motion, gain in zip(motions, gains, strict=True)]


def _compare_light(samples: list[Sample], motions: list[Matrix]) -> list[Gain]:
    """Gain of each sample relative to the median gain."""
    views = [_lay(sample, motion)[0] for sample, motion in zip(samples, motions, strict=True)]
    reference = find_structure(views[len(views) // 2])
    gains = np.stack([estimate_gain(reference, find_structure(view)) for view in views])
    usual = np.exp(np.median(np.log(gains), axis=0))
    return list(gains / usual)


def _lay(sample: Sample, motion: Matrix) -> tuple[Float32Array, BoolArray, BoolArray]:
    """Warp a sample to the reference: its view, the mask of known pixels, the mask of motion."""
    height, width = sample.view.shape[:2]
    view = (sample.view / np.float32(255)).astype(np.float32)
    if np.array_equal(motion, np.eye(3)):
        return view, np.ones((height, width), bool), sample.restless
    small = scale_matrix(motion, width / sample.search.shape[1], height / sample.search.shape[0])
    view, restless = (
        warp(each, small, interpolation=cv2.INTER_LINEAR) for each in (view, sample.restless.astype(np.uint8))
    )
    return view, covered(small, height, width), restless > 0


def _lay_together(samples: list[Sample], poses: list[_Pose]) -> tuple[Float32Array, BoolArray, BoolArray]:
    """All views registered and in one light, their masks of known pixels and of motion."""
    laid = [_lay(sample, pose.motion) for sample, pose in zip(samples, poses, strict=True)]
    gains = [pose.gain.astype(np.float32) for pose in poses]
    views = np.stack([view / gain for (view, _, _), gain in zip(laid, gains, strict=True)]).astype(np.float32)
    return views, np.stack([known for _, known, _ in laid]), np.stack([restless for _, _, restless in laid])


def _structure(grey: ByteArray) -> Structure:
    colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB) / np.float32(255)
    return find_structure(colour.astype(np.float32))


def _average(
    frames: Iterator[Frame], samples: Samples, poses: list[_Pose], background: Background
) -> tuple[Pixels, Float32Array]:
    """Average the background of the samples' frames at full size; count how often each pixel was seen."""
    height, width = samples.height, samples.width
    top = 255 if samples.dtype == np.uint8 else 65535
    sums = np.zeros((height, width, 3), np.float32)
    weights = np.zeros((height, width), np.float32)
    chosen = {sample.index: number for number, sample in enumerate(samples.samples)}
    for frame in frames:
        number = chosen.get(frame.index)
        if number is None:
            continue
        search = samples.samples[number].search.shape
        pose, pixels = poses[number], frame.pixels
        visible = cv2.resize(background.visible[number].astype(np.float32), (width, height))
        if not np.array_equal(pose.motion, np.eye(3)):
            motion = scale_matrix(pose.motion, width / search[1], height / search[0])
            pixels = warp(pixels, motion)
            visible *= covered(motion, height, width)
        factors = (1 / (top * pose.gain)).astype(np.float32)
        for start in range(0, height, BAND):
            band = slice(start, start + BAND)
            weight = visible[band]
            sums[band] += pixels[band] * (weight[..., None] * factors)
            weights[band] += weight
    guess = background.picture
    result = np.empty((height, width, 3), samples.dtype)
    for start in range(0, height, BAND):
        band = slice(start, min(start + BAND, height))
        weight = weights[band]
        mean = sums[band] / np.maximum(weight, 1e-6)[..., None]
        rest = _enlarge_band(guess, band, height, width)
        result[band] = round_to(np.where(weight[..., None] > 0, mean, rest) * np.float32(top), samples.dtype)
    weights /= len(samples.samples)
    return result, np.minimum(weights, 1, out=weights)


def _enlarge_band(picture: Float32Array, band: slice, height: int, width: int) -> Float32Array:
    """Some rows of the small picture at full size."""
    y = (np.arange(band.start, band.stop, dtype=np.float32) + 0.5) * picture.shape[0] / height - 0.5
    x = (np.arange(width, dtype=np.float32) + 0.5) * picture.shape[1] / width - 0.5
    columns, rows = np.meshgrid(x, y)
    enlarged = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(enlarged, dtype=np.float32)


def _refuse_guesses(name: str, background: Background, frames: int) -> None:
    """Raise if the subject would be a part of the plate.

    Raises:
        PlateError: Nothing moves, or most of the area covered by the subject is a guess.
    """
    if background.moved < LEAST_MOVED:
        raise PlateError(
            f"Nothing moves in {name}: a subject in it would become a part of the plate.",
            "shoot a clip in which the subject leaves its place; if this one shows the empty set, give it "
            "as the plate itself",
        )
    limit = MOST_UNSEEN if frames >= SHORT_CLIP else MOST_UNSEEN_SHORT
    if frames >= TELLING_FRAMES and background.unseen > limit:
        raise PlateError(
            f"The subject hardly leaves its place in {name}: {background.unseen:.0%} of the area that "
            "it covers was never seen empty.",
            "shoot a clean plate, or a clip in which the subject leaves its place for a third of the time",
        )


def _describe(name: str, confidence: Float32Array, frames: int) -> tuple[str, ...]:
    notes = []
    if frames < TELLING_FRAMES:
        notes.append(
            f"{name} has {frames} frames, too few to tell whether the subject leaves its place: "
            "check that it is not on the plate."
        )
    unknown = float(np.mean(confidence < SURE_CONFIDENCE))
    if unknown >= NOTEWORTHY_SHARE:
        notes.append(
            f"{unknown:.1%} of the frame was never surely seen without the subject in {name}; "
            "the plate is unknown there."
        )
    return tuple(notes)
