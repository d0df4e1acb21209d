"""Check of a shot that was read from a file: every array has the type and shape that the next frame needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cleanplate.plate.mixing import light_mixture
from cleanplate.plate.picture import Plate
from cleanplate.plate.registration import mesh
from cleanplate.plate.structure import reduced_size
from cleanplate.plate.tracking import plate_tracker, plate_update
from cleanplate.plate.tracking.registration_tracker import coarse_size
from cleanplate.plate.tracking.static_objects import Scenery

_ARRAYS = {
    "FittedPlate.pixels": "frame H W 3",
    "FittedPlate.valid": "bool H W",
    "Fit.homography": "float64 3 3",
    "Fit.gain": "float64 3",
    "Mesh.nodes": f"float64 {mesh.ROWS} {mesh.COLUMNS} 2",
    "MixedShot._shown_motion": "float64 3 3",
    "MixedShot._subject": "bool mixed_h mixed_w",
    "LightMixture.weights": "float32 plates rows columns",
    "LightMixture.tint": "float32 3",
    "PlateTracker._gain": "float64 3",
    "PlateTracker._lit": "frame H W 4",
    "PlateTracker._origin": "float64 3 3",
    "PlateTracker._pixels": "frame H W 3",
    "PlateTracker._valid": "bool H W",
    "PlateTracker._pose": "float64 3 3",
    "PlateTracker._first_pose": "float64 3 3",
    "PlateTracker._subject": "bool subject_h subject_w",
    "Watch._rows": "intp n",
    "Watch._columns": "intp n",
    "Watch._values": "float32 n",
    "Watch._slopes": "float32 n 6",
    "Follower._last": "float64 3 3",
    "Follower._before": "float32 coarse_h coarse_w",
    "DensePoints.values": "float32 n",
    "DensePoints.points": "float64 n 2",
    "DensePoints.slopes": "float32 n 2",
    "DensePoints._jacobian": "float32 n 8",
    "DensePoints._to_pixels": "float64 3 3",
    "DensePoints._from_pixels": "float64 3 3",
    "Structure.colour": "float32 view_h view_w 3",
    "Structure.detail": "float32 view_h view_w",
    "Structure.contrast": "float32 view_h view_w",
    "Structure.known": "bool view_h view_w",
    "_Lit.light": "float32 view_h view_w 3",
    "_Lit.shown": "float32 view_h view_w 3",
    "Upkeep._lock": "bool view_h view_w",
    "Upkeep._learned": "float32 H W 3",
    "Upkeep._renewed": "float32 view_h view_w 3",
    "Upkeep._total": "float32 view_h view_w 3 or float32 1 1 3",
    "Scenery._mean": "float32 view_h view_w 3",
    "Scenery._quiet": "float32 view_h view_w",
    "Scenery._witnessed": "float32 view_h view_w",
}
"""By class and attribute: type, then the sides; ``n`` is one number in each object."""


def check_shot(shot: object, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    """Check the arrays of a shot.

    Args:
        shot: A :class:`~cleanplate.plate.tracking.shot.Shot`, or one that is mixed, after its first frame.
        shape: Shape of its frames, ``(height, width, 3)``.
        dtype: Their type.

    Raises:
        ValueError: An array has another type or shape, or is none of a shot.
    """
    height, width, _ = shape
    sides = {"H": height, "W": width}
    for name, (rows, columns) in {
        "subject": reduced_size(height, width, plate_tracker.SUBJECT_SIDE),
        "view": reduced_size(height, width, plate_update.VIEW_SIDE),
        "coarse": coarse_size(height, width),
        "mixed": reduced_size(height, width, light_mixture.VIEW_SIDE),
    }.items():
        sides |= {f"{name}_h": rows, f"{name}_w": columns}
    for owner in _objects_of(shot, set()):
        # Its other arrays are made anew with the mean.
        if not (isinstance(owner, Scenery) and owner._mean is None):
            _check_object(owner, dict(sides), np.dtype(dtype))


def _objects_of(value: object, seen: set[int]) -> Iterator[object]:
    """Objects of the plate's room in a value, each once, without the plate itself."""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _objects_of(part, seen)
        return
    is_ours = type(value).__module__.startswith("cleanplate.plate.") and not isinstance(value, Plate)
    if is_ours and id(value) not in seen:
        seen.add(id(value))
        yield value
        for part in vars(value).values():
            yield from _objects_of(part, seen)


def _check_object(owner: object, sides: dict[str, int], frame: np.dtype[Any]) -> None:
    for name, array in vars(owner).items():
        wanted = _ARRAYS.get(f"{type(owner).__name__}.{name}")
        if isinstance(array, np.ndarray):
            kinds = [] if wanted is None else wanted.split(" or ")
            if not any(_fits(array, kind.split(), sides, frame) for kind in kinds):
                raise ValueError(f"'{name.strip('_')}' is an array of {array.dtype} {array.shape}")
        elif wanted is not None and array is not None:
            raise ValueError(f"'{name.strip('_')}' is no array")


def _fits(array: npt.NDArray[Any], wanted: list[str], sides: dict[str, int], frame: np.dtype[Any]) -> bool:
    kind, *shape = wanted
    if array.ndim != len(shape) or array.dtype != (frame if kind == "frame" else np.dtype(kind)):
        return False
    return all(
        length == (int(side) if side.isdecimal() else sides.setdefault(side, length))
        for side, length in zip(shape, array.shape, strict=True)
    )
