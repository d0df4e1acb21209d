"""The clean plate: loaded, checked, and made to lie on the frame."""

from cleanplate.plate.fit import Fit, FittedPlate, fit_plate
from cleanplate.plate.picture import Plate, load_plate

__all__ = ["Fit", "FittedPlate", "Plate", "fit_plate", "load_plate"]
