"""The last plate of each camera, kept on this machine."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from cleanplate.errors import CleanplateError
from cleanplate.media import read_image, write_image
from cleanplate.models.home import data_folder
from cleanplate.plate import Plate


class PlateMemory:
    """Plates by camera and size, in the folder ``plates`` of the user's data.

    Args:
        folder: Another folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or data_folder() / "plates"

    def path_for(self, camera: str, height: int, width: int) -> Path:
        """Where the plate of a camera lies: a name that people recognise, and that no two cameras share."""
        words = re.sub(r"[^a-z0-9]+", "-", camera.lower()).strip("-")[:40] or "camera"
        digest = hashlib.sha256(camera.encode()).hexdigest()[:8]
        return self._folder / f"{words}-{digest}-{width}x{height}.png"

    def recall(self, camera: str, height: int, width: int) -> Plate | None:
        """The last plate; None if there is none that can be read."""
        path = self.path_for(camera, height, width)
        try:
            return Plate(read_image(path).pixels, path) if path.is_file() else None
        except CleanplateError:
            return None

    def keep(self, camera: str, plate: Plate) -> Path:
        """Remember a plate instead of the one before.

        Raises:
            OutputError: It cannot be written.
        """
        path = self.path_for(camera, *plate.pixels.shape[:2])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, plate.pixels, overwrite=True)
        return path
