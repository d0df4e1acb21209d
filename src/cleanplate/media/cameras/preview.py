"""A window of SDL, through pygame, that shows pictures and reads keys."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

import cv2
import numpy as np

from cleanplate.errors import MissingExtraError, UnavailableError
from cleanplate.frame import Pixels

LARGEST_SHARE = 0.85
"""Largest share of each side of the screen for a new window."""

SURROUND = (16, 16, 16)

_HINT = "use --no-window, with --to or --seconds"

CLOSED = "closed"
"""Value of :meth:`Window.read_keys` for the window's own close button."""


class Window:
    """A window on the screen, used only by the thread that makes it; on macOS the main thread.

    Args:
        title: Title in its frame.
        height: Rows of the pictures; the window begins at their size if the screen is large enough.
        width: Columns.

    Raises:
        MissingExtraError: pygame is not installed.
        UnavailableError: There is no display.
    """

    def __init__(self, title: str, height: int, width: int) -> None:
        self._pygame = pygame = _import_pygame()
        if not _has_display():
            raise UnavailableError("No window can be opened: there is no display.", _HINT)
        try:
            pygame.display.init()
            screens = pygame.display.get_desktop_sizes()
            widest, highest = screens[0] if screens else (width, height)
            share = min(1.0, LARGEST_SHARE * widest / width, LARGEST_SHARE * highest / height)
            size = (round(width * share), round(height * share))
            self._surface = pygame.display.set_mode(size, pygame.RESIZABLE)
        except pygame.error as error:
            pygame.display.quit()
            raise UnavailableError(f"No window can be opened: {error}.", _HINT) from error
        pygame.display.set_caption(title)

    def show(self, pixels: Pixels) -> None:
        """Fill the window with a picture, uint8 RGB ``(height, width, 3)``, its aspect kept."""
        surface = self._pygame.display.get_surface()
        columns, rows = surface.get_size()
        height, width = pixels.shape[:2]
        share = min(columns / width, rows / height)
        size = (max(1, round(width * share)), max(1, round(height * share)))
        if size != (width, height):
            way = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=way))
        picture = self._pygame.image.frombuffer(np.ascontiguousarray(pixels), size, "RGB")
        left, top = (columns - size[0]) // 2, (rows - size[1]) // 2
        if left or top:
            surface.fill(SURROUND)
        surface.blit(picture, (left, top))
        self._pygame.display.flip()

    def read_keys(self) -> list[str]:
        """The keys pressed since the last call: characters, and ``escape``, ``tab``; or :data:`CLOSED`."""
        pygame = self._pygame
        keys = []
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                keys.append(CLOSED)
            elif event.type == pygame.KEYDOWN:
                printed = event.unicode.lower()
                keys.append(printed if printed.isprintable() and printed else pygame.key.name(event.key))
        return keys

    def close(self) -> None:
        """Close the window; a second call does nothing."""
        self._pygame.display.quit()


def _has_display() -> bool:
    """Tell whether there is a display. Without one, SDL opens an invisible window."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"))


def _import_pygame() -> ModuleType:
    # It greets on stdout, which is for results.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # By this name, desktops of Linux group windows.
    os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", "cleanplate")
    os.environ.setdefault("SDL_VIDEO_WAYLAND_WMCLASS", "cleanplate")
    try:
        return importlib.import_module("pygame")
    except ImportError as error:
        raise MissingExtraError("live", "The preview window") from error
