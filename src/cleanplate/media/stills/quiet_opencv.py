"""Decode and encode with OpenCV without its messages on stderr: the caller reports the error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from cleanplate.frame import AnyArray

_SILENT = 0

_lock = threading.Lock()
_inside = 0
_before = _SILENT


def decode_unchanged(encoded: bytes) -> AnyArray | None:
    """Samples of a picture in OpenCV's type and order of channels; None if they cannot be decoded."""
    with silenced():
        try:
            return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None


@contextmanager
def silenced() -> Iterator[None]:
    """Silence OpenCV's log, which is global to the process; the last thread to leave restores it."""
    global _inside, _before
    level: Any = cv2.utils.logging
    with _lock:
        if _inside == 0:
            _before = level.getLogLevel()
            level.setLogLevel(_SILENT)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                level.setLogLevel(_before)
