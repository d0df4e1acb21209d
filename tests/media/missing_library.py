"""Reading of a picture in a process that lacks a library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_READ = """
import sys
sys.modules[sys.argv[1]] = None
from cleanplate.errors import MissingExtraError
from cleanplate.media.stills.image_reader import read_image
try:
    read_image(sys.argv[2])
except MissingExtraError as error:
    print(error)
"""


def read_without(library: str, path: Path) -> str:
    """Read ``path`` without this library, and give the text of the error."""
    command = [sys.executable, "-c", _READ, library, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
