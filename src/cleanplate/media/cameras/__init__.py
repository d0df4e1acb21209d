"""Cameras, network streams, virtual cameras and the preview window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from cleanplate.media.cameras.camera import Camera
    from cleanplate.media.cameras.camera_modes import CameraInfo, CameraMode
    from cleanplate.media.cameras.discovery import list_cameras, open_camera
    from cleanplate.media.cameras.preview import Window
    from cleanplate.media.cameras.virtual_camera import VirtualCamera, open_virtual_camera

__all__ = [
    "Camera",
    "CameraInfo",
    "CameraMode",
    "VirtualCamera",
    "Window",
    "list_cameras",
    "open_camera",
    "open_virtual_camera",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Camera": "camera",
            "CameraInfo": "camera_modes",
            "CameraMode": "camera_modes",
            "list_cameras": "discovery",
            "open_camera": "discovery",
            "Window": "preview",
            "VirtualCamera": "virtual_camera",
            "open_virtual_camera": "virtual_camera",
        },
    )
