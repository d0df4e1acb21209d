"""Store of the last plate of each camera on this machine."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from cleanplate.errors import CleanplateError
from cleanplate.media import read_image, write_image
from cleanplate.models.home import data_folder
from cleanplate.plate import Plate


class PlateMemory:
    """Stored plates by camera and size, in the folder ``plates`` of the user's data.

    Args:
        folder: Another folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or data_folder() / "plates"

    def path_for(self, camera: str, height: int, width: int) -> Path:
        """Give the path of a camera's plate: a readable and unique name."""
        words = re.sub(r"[^a-z0-9]+", "-", camera.lower()).strip("-")[:40] or "camera"
        digest = hashlib.sha256(camera.encode()).hexdigest()[:8]
        return self._folder / f"{words}-{digest}-{width}x{height}.png"

    def recall(self, camera: str, height: int, width: int) -> Plate | None:
        """Load the last plate; None if there is none, or it cannot be read."""
        path = self.path_for(camera, height, width)
        try:
            return Plate(read_image(path).pixels, path) if path.is_file() else None
        except CleanplateError:
            return None

    def keep(self, camera: str, plate: Plate) -> Path:
        """Store a plate in place of the last one.

        Raises:
            OutputError: It cannot be written.
        """
        path = self.path_for(camera, *plate.pixels.shape[:2])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, plate.pixels, overwrite=True)
        return path
