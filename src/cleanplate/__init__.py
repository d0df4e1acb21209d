"""Cut the subject out of photos and videos with a picture of the empty set.

Examples:
    >>> import cleanplate  # doctest: +SKIP
    >>> cleanplate.matte_image("photo.jpg", plate="plate.jpg").save("cut.png")  # doctest: +SKIP
    >>> cleanplate.matte_video("clip.mp4", plate="plate.jpg", out="cut.mov")  # doctest: +SKIP
    >>> keyer = cleanplate.Keyer("plate.jpg")  # then, for each frame: matte = keyer(frame)  # doctest: +SKIP

The names below are the public interface. They are imported when first used, so that ``import cleanplate``
itself is quick.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

# ONNX Runtime has telemetry from 1.29 on: a device id and a database in the user's cache, and connections to
# its vendor. It reads this variable at import, in this process and in its child processes.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from cleanplate.errors import (
        CleanplateError,
        InputError,
        MissingExtraError,
        ModelError,
        OptionError,
        OutputError,
        PlateError,
        UnavailableError,
    )
    from cleanplate.frame import Frame, Matte
    from cleanplate.jobs.api import Cutout, matte_image, matte_video
    from cleanplate.keyer.keyer import Keyer
    from cleanplate.keyer.recurrent_keyer import RecurrentKeyer
    from cleanplate.plate.building.plate_builder import BuiltPlate, build_plate
    from cleanplate.plate.checking.check import check_plate
    from cleanplate.plate.checking.diagnosis import Diagnosis

__version__ = "0.1.0"

__all__ = [
    "BuiltPlate",
    "CleanplateError",
    "Cutout",
    "Diagnosis",
    "Frame",
    "InputError",
    "Keyer",
    "Matte",
    "MissingExtraError",
    "ModelError",
    "OptionError",
    "OutputError",
    "PlateError",
    "RecurrentKeyer",
    "UnavailableError",
    "__version__",
    "build_plate",
    "check_plate",
    "matte_image",
    "matte_video",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "CleanplateError": "errors",
            "InputError": "errors",
            "MissingExtraError": "errors",
            "ModelError": "errors",
            "OptionError": "errors",
            "OutputError": "errors",
            "PlateError": "errors",
            "UnavailableError": "errors",
            "Frame": "frame",
            "Matte": "frame",
            "Cutout": "jobs.api",
            "matte_image": "jobs.api",
            "matte_video": "jobs.api",
            "Keyer": "keyer.keyer",
            "RecurrentKeyer": "keyer.recurrent_keyer",
            "BuiltPlate": "plate.building.plate_builder",
            "build_plate": "plate.building.plate_builder",
            "check_plate": "plate.checking.check",
            "Diagnosis": "plate.checking.diagnosis",
        },
    )
