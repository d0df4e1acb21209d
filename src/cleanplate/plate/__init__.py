"""The clean plate: loaded, checked, and made to lie on the frame."""

from cleanplate.plate.checking.check import check_plate
from cleanplate.plate.checking.diagnosis import Diagnosis, Finding
from cleanplate.plate.fit import Fit, FittedPlate, fit_plate
from cleanplate.plate.picture import Plate, load_plate

__all__ = [
    "Diagnosis",
    "Finding",
    "Fit",
    "FittedPlate",
    "Plate",
    "check_plate",
    "fit_plate",
    "load_plate",
]
