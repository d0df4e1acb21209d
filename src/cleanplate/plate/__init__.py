"""The clean plate: loading, checking, and fitting to the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.plate.building.plate_builder import BuiltPlate, build_plate
    from cleanplate.plate.checking.check import check_plate
    from cleanplate.plate.checking.diagnosis import Diagnosis, Finding
    from cleanplate.plate.fit import Fit, FittedPlate, fit_plate
    from cleanplate.plate.mixing.plate_set import PlateSet, load_plates
    from cleanplate.plate.moving.moving_plate import MovingPlate
    from cleanplate.plate.photometry.shadow import measure_shadow
    from cleanplate.plate.picture import Plate, load_plate
    from cleanplate.plate.tracking.plate_tracker import PlateTracker

__all__ = [
    "BuiltPlate",
    "Diagnosis",
    "Finding",
    "Fit",
    "FittedPlate",
    "MovingPlate",
    "Plate",
    "PlateSet",
    "PlateTracker",
    "build_plate",
    "check_plate",
    "fit_plate",
    "load_plate",
    "load_plates",
    "measure_shadow",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "BuiltPlate": "building.plate_builder",
            "build_plate": "building.plate_builder",
            "check_plate": "checking.check",
            "Diagnosis": "checking.diagnosis",
            "Finding": "checking.diagnosis",
            "Fit": "fit",
            "FittedPlate": "fit",
            "fit_plate": "fit",
            "PlateSet": "mixing.plate_set",
            "load_plates": "mixing.plate_set",
            "MovingPlate": "moving.moving_plate",
            "measure_shadow": "photometry.shadow",
            "Plate": "picture",
            "load_plate": "picture",
            "PlateTracker": "tracking.plate_tracker",
        },
    )
