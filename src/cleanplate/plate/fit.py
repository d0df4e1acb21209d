"""Fit of the plate to a frame: size, position, light, and the mask of unknown parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.errors import PlateError
from cleanplate.frame import AnyArray, BoolArray, Frame, Pixels
from cleanplate.plate.channel_order import SWAPPED_NOTE, are_swapped
from cleanplate.plate.photometry.clipping import restore_burnt
from cleanplate.plate.photometry.exposure import Gain, estimate_gain
from cleanplate.plate.photometry.shading import Shading, find_shading
from cleanplate.plate.picture import Plate, is_clip, match_size
from cleanplate.plate.registration import alignment
from cleanplate.plate.registration.alignment import Alignment, covered, warp
from cleanplate.plate.registration.homography import (
    Matrix,
    centre_shift,
    rotation_degrees,
    scale_matrix,
    zoom,
)
from cleanplate.plate.registration.mesh import Mesh, find_mesh
from cleanplate.plate.registration.same_place import DOUBTFUL_PLACE, OTHER_PLACE, repeated_texture
from cleanplate.plate.structure import Structure, find_structure, reduce_mask, reduce_picture, shrink

# Numbers without a reason are choices; docs/plate-design.md has the effect of half and double.

SEARCH_SIDE = 960
"""Longest side of the reduced copies for measuring motion: half of HD, in which a tenth of a pixel is a fifth
in HD."""

ALIGNED_PIXELS = 0.2
"""Motion, in pixels of the frame, below which the plate is not interpolated. A choice: interpolation blurs,
and so small a shift hardly shows."""

LIGHT_SIDE = 480
"""Longest side of the copies for measuring light: light is smooth, and noise is averaged."""

BLANK = 0.012
"""Distance from one colour, in [0, 1], of a blank plate: three code values of 255, as JPEG leaves."""

BLANK_ALIKE = 0.05
LEAST_ALIKE = 0.1
"""Least share of the frame within ``BLANK_ALIKE`` of a blank plate: chosen so that renders over one colour
pass."""

NOTEWORTHY_OVERLAP = 0.98
"""Covered share of the frame below which, and clipped share of the plate from which, a note is given. A
choice."""

NOTEWORTHY_BURNT = 0.02


@dataclass(frozen=True)
class Fit:
    """Record of the fit, for diagnosis.

    Attributes:
        homography: float64 ``(3, 3)``: takes pixels ``(x, y, 1)`` of the plate, resized to the frame, to the
            frame.
        aligned: Whether enough common points show that the plate lies on the frame, moved or not.
        shift_pixels: Shift of the plate's centre.
        rotation_degrees: Rotation of the plate, clockwise.
        zoom: Magnification of the plate.
        gain: float64 ``(3,)``: factors on red, green and blue, ``plate * gain ~ frame``, of gamma-encoded
            values.
        exposure_stops: The same as a change of light; positive: the frame is brighter.
        overlap: Share of the frame that the plate shows, 0 to 1.
        notes: Notes for the user, in sentences.
        gamma: Exponent on the plate's encoded values, before the gain.
        vignetting: ``(a, b)``: the frame is ``exp(a * r**2 + b * r**4)`` times as bright; r is 1 in the
            corners.
        mesh: Small displacements beyond the homography, or None.
        burnt: Share of the frame where the plate is burnt out and was restored from the frame.
    """

    homography: Matrix
    aligned: bool
    shift_pixels: float
    rotation_degrees: float
    zoom: float
    gain: Gain
    exposure_stops: float
    overlap: float
    notes: tuple[str, ...] = ()
    gamma: float = 1.0
    vignetting: tuple[float, float] = (0.0, 0.0)
    mesh: Mesh | None = None
    burnt: float = 0.0

    @classmethod
    def unmoved(cls) -> Fit:
        """The fit of a plate that is used as it is: not registered, and with its own light."""
        return cls(np.eye(3), False, 0.0, 0.0, 1.0, np.ones(3), 0.0, 1.0)

    @property
    def shading(self) -> Shading:
        """Gain, gamma and vignetting in one object."""
        return Shading(self.gain, self.gamma, self.vignetting)


@dataclass(frozen=True)
class FittedPlate:
    """The plate fitted to a frame.

    Attributes:
        pixels: Size and type of the frame; unknown parts repeat the plate's nearest edge.
        valid: bool ``(height, width)``, False in unknown parts, which are not background. None: all True.
        fit: The record of the fit.
    """

    pixels: Pixels
    valid: BoolArray | None
    fit: Fit


def fit_plate(
    plate: Plate, frame: Frame, *, align: bool = True, mesh: bool = True, photometric: bool = True
) -> FittedPlate:
    """Fit the plate to the frame.

    It is resized and converted to the frame's size and type, registered (a homography, to a fraction of a
    pixel, then a smooth field of small displacements), and matched to the frame's light (a factor per
    channel, then gamma and vignetting). A stage whose result fails its test is left out, with a note in
    :attr:`Fit.notes` where it matters; a plate that fits already keeps its exact pixels.

    Args:
        plate: The clean plate, of any size with the frame's aspect ratio.
        frame: The frame, with or without the subject. Where its alpha is not full, its colour is not
            compared.
        align: Whether the plate may be moved.
        mesh: Whether it may also be bent, if it may be moved.
        photometric: Whether its light may be changed.

    Raises:
        PlateError: The aspect ratios differ, or the plate plainly shows another place.
    """
    height, width = frame.height, frame.width
    pixels = match_size(plate, height, width, frame.pixels.dtype)
    plate_view = find_structure(reduce_picture(pixels, SEARCH_SIDE))
    frame_view = _see_opaque(frame)
    _refuse_blank(plate, plate_view, frame_view)
    found, field = Alignment(np.eye(3), moved=False, supported=False), None
    if align:
        found, field = _register(plate_view, frame_view, width, mesh=mesh)
    supported = found.supported or field is not None
    notes = list(plate.notes)
    if not supported:
        doubts = _doubt_place(plate, plate_view, frame_view)
        if found.reason and not doubts:
            doubts = [f"Kept the plate where it was: {found.reason}."]
        notes += doubts

    homography = np.eye(3)
    if found.moved:
        view_height, view_width = plate_view.detail.shape
        homography = scale_matrix(found.motion, width / view_width, height / view_height)
    pixels, valid = lay_down(pixels, homography, field)
    if found.moved or field is not None:
        plate_view = find_structure(lay_down(plate_view.colour, found.motion, field)[0])
    valid = _leave_out_guesses(plate, valid, homography, field, (height, width))
    overlap = 1.0 if valid is None else float(np.mean(valid))
    if overlap < NOTEWORTHY_OVERLAP:
        notes.append(f"The plate shows {overlap:.0%} of the frame; the rest is unknown.")

    shading = _measure_light(plate_view, frame_view, valid, notes, photometric=photometric)
    shaded, burnt = restore_burnt(pixels, shading.apply(pixels), frame.pixels)
    if burnt > NOTEWORTHY_BURNT:
        notes.append(
            f"{burnt:.0%} of the plate is burnt out: brighter pixels there were taken for background."
        )
    fit = Fit(
        homography=homography,
        aligned=supported,
        shift_pixels=centre_shift(homography, height, width),
        rotation_degrees=rotation_degrees(homography, height, width),
        zoom=zoom(homography, height, width),
        gain=shading.gain,
        exposure_stops=shading.stops,
        overlap=overlap,
        notes=tuple(notes),
        gamma=shading.gamma,
        vignetting=shading.vignetting,
        mesh=field,
        burnt=burnt,
    )
    return FittedPlate(shaded, valid, fit)


def _register(
    plate_view: Structure, frame_view: Structure, width: int, *, mesh: bool
) -> tuple[Alignment, Mesh | None]:
    """Find the homography from plate to frame, and the field of small displacements if ``mesh``.

    A field without a supported homography counts only if the bent plate shows the frame's place: on 1 of 25
    frames of another place it passed its own test by chance.
    """
    tolerance = ALIGNED_PIXELS * plate_view.detail.shape[1] / width
    found = alignment.align(plate_view, frame_view, tolerance)
    field = find_mesh(plate_view, frame_view, found.motion, tolerance) if mesh else None
    if field is not None and not found.supported:
        bent = find_structure(lay_down(plate_view.colour, found.motion, field)[0])
        repeated = repeated_texture(bent, frame_view)
        if repeated is not None and repeated < DOUBTFUL_PLACE:
            field = None
    return found, field


def _see_opaque(frame: Frame) -> Structure:
    """Structure of the frame's opaque part, reduced to the size for measuring motion."""
    colour = reduce_picture(frame.pixels, SEARCH_SIDE)
    if frame.alpha is None:
        return find_structure(colour)
    opaque = frame.alpha == np.iinfo(frame.alpha.dtype).max
    return find_structure(colour, reduce_mask(opaque, *colour.shape[:2]))


def unmoved_plate(plate: Plate, fit: Fit, height: int, width: int, dtype: npt.DTypeLike) -> FittedPlate:
    """Apply a fit without its homography: the base for the homographies of a moving camera."""
    pixels, valid = lay_down(match_size(plate, height, width, dtype), np.eye(3), fit.mesh)
    valid = _leave_out_guesses(plate, valid, np.eye(3), fit.mesh, (height, width))
    return FittedPlate(fit.shading.apply(pixels), valid, moved_fit(fit, np.eye(3), height, width, 1.0))


def place_plate(
    plate: Plate, fit: Fit, height: int, width: int, dtype: npt.DTypeLike
) -> tuple[Pixels, BoolArray | None]:
    """Apply the position of a fit without its light: the pixels, and the mask of known ones (None: all)."""
    pixels, valid = lay_down(match_size(plate, height, width, dtype), fit.homography, fit.mesh)
    return pixels, _leave_out_guesses(plate, valid, fit.homography, fit.mesh, (height, width))


def moved_fit(fit: Fit, homography: Matrix, height: int, width: int, overlap: float) -> Fit:
    """The same fit with another homography."""
    return replace(
        fit,
        homography=homography,
        shift_pixels=centre_shift(homography, height, width),
        rotation_degrees=rotation_degrees(homography, height, width),
        zoom=zoom(homography, height, width),
        overlap=overlap,
    )


def lay_down(pixels: AnyArray, homography: Matrix, mesh: Mesh | None) -> tuple[AnyArray, BoolArray | None]:
    """Warp a picture of the frame's size by a homography and a mesh.

    Returns:
        The picture, with its edge repeated in unknown parts, and the mask of known pixels; None: all. The
        same array if there is no motion.
    """
    height, width = pixels.shape[:2]
    still = np.array_equal(homography, np.eye(3))
    if mesh is not None:
        columns, rows = mesh.maps(homography, height, width)
        pixels = np.asarray(
            cv2.remap(pixels, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        )
        # The plate extends half a pixel beyond its outermost centres.
        valid = (columns >= -0.5) & (columns <= width - 0.5) & (rows >= -0.5) & (rows <= height - 0.5)
    elif still:
        return pixels, None
    else:
        pixels = warp(pixels, homography)
        valid = covered(homography, height, width)
    return pixels, None if valid.all() else valid


def _leave_out_guesses(
    plate: Plate, valid: BoolArray | None, homography: Matrix, mesh: Mesh | None, size: tuple[int, int]
) -> BoolArray | None:
    """Mask of the pixels shown by the plate, without guessed ones."""
    if plate.known is None:
        return valid
    mask = plate.known.astype(np.uint8) * np.uint8(255)
    mask = np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST))
    known: BoolArray = lay_down(mask, homography, mesh)[0] > 127
    return known if valid is None else valid & known


def _refuse_blank(plate: Plate, plate_view: Structure, frame_view: Structure) -> None:
    """Raise if the plate is all of one colour and hardly any of the frame is."""
    level = plate_view.colour.mean(axis=(0, 1))
    if np.abs(plate_view.colour - level).max() > BLANK:
        return
    alike = np.abs(frame_view.colour - level).max(axis=2) < BLANK_ALIKE
    if np.mean(alike if frame_view.known is None else alike[frame_view.known]) >= LEAST_ALIKE:
        return
    name = "black" if level.max() <= BLANK else "white" if level.min() >= 1 - BLANK else None
    if name is None:
        name = "one colour ({}, {}, {})".format(*np.rint(255 * level).astype(int))
    raise PlateError(
        f"{plate.title} is all {name}, but the frame is not: the plate shows no set.",
        "shoot the empty set, or check the file",
    )


def _doubt_place(plate: Plate, plate_view: Structure, frame_view: Structure) -> list[str]:
    """Raise if the frame repeats nothing of the plate; return a note if it repeats next to nothing."""
    repeated = repeated_texture(plate_view, frame_view)
    if repeated is None or repeated >= DOUBTFUL_PLACE:
        return []
    if repeated < OTHER_PLACE:
        raise PlateError(
            f"{plate.title} shows another place than the frame: nothing of it was found there.",
            "shoot the plate from the same spot, without the subject"
            + (", or match a clip with --plate-motion=search" if plate.path and is_clip(plate.path) else ""),
        )
    return [
        f"The plate may show another place: only {repeated:.0%} of it was found in the frame; "
        "cleanplate plate check compares more frames."
    ]


def _reduce_for_light(
    plate_view: Structure, frame_view: Structure, valid: BoolArray | None
) -> tuple[Structure, Structure, BoolArray | None]:
    """Shrink plate, frame and validity to the size at which light is measured."""
    coarse_plate, coarse_frame = shrink(plate_view, LIGHT_SIDE), shrink(frame_view, LIGHT_SIDE)
    if valid is None:
        return coarse_plate, coarse_frame, coarse_frame.known
    height, width = coarse_plate.detail.shape
    small = cv2.resize(valid.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).view(np.bool_)
    return coarse_plate, coarse_frame, small if coarse_frame.known is None else small & coarse_frame.known


def _measure_light(
    plate_view: Structure,
    frame_view: Structure,
    valid: BoolArray | None,
    notes: list[str],
    *,
    photometric: bool,
) -> Shading:
    """Change of light from the plate to the frame, or none; red and blue that are swapped get a note."""
    plate, frame, there = _reduce_for_light(plate_view, frame_view, valid)
    if are_swapped(plate, frame, there):
        notes.append(SWAPPED_NOTE)
    if not photometric:
        return Shading(np.ones(3))
    return find_shading(plate, frame, estimate_gain(plate, frame, there), there)
