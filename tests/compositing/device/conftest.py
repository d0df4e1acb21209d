"""Devices of these tests: the CPU as an accelerator, and a GPU if there is one."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from cleanplate.frame import Frame, Matte

torch = pytest.importorskip("torch")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Any:
    return torch.device(request.param)


@pytest.fixture(scope="session")
def make_matte() -> Any:
    """Make a disc with a soft edge and strands, in smooth colours unlike the plate's."""

    def make(height: int, width: int, dtype: type, *, empty: bool = False) -> Matte:
        rng = np.random.default_rng(0)
        top = np.iinfo(dtype).max
        y, x = np.mgrid[:height, :width].astype(np.float32)
        distance = np.hypot(y - 0.55 * height, x - 0.4 * width) - 0.3 * min(height, width)
        strands = np.clip(np.sin(x / 3), 0, 1) * 0.6 * ((y < height / 3) & (x > width / 2))
        alpha = np.maximum(np.clip(0.5 - distance / 9, 0, 1), strands).astype(np.float32)
        if empty:
            alpha[:] = 0
        smooth = cv2.GaussianBlur(rng.random((height, width, 3)).astype(np.float32), (0, 0), 2)
        frame = Frame(rng.integers(0, top, (height, width, 3), dtype, endpoint=True))
        colour, plate = (smooth * top).astype(dtype), ((1 - smooth) * 0.7 * top).astype(dtype)
        return Matte(alpha, colour, frame, plate=plate)

    return make


@pytest.fixture
def to_device(device: Any) -> Any:
    """Copy a matte from main memory to the device."""
    from cleanplate.compositing.device.device_matte import DeviceMatte
    from cleanplate.router.torch_router import to_planes

    def move(matte: Matte) -> DeviceMatte:
        alpha = torch.from_numpy(matte.alpha).to(device)
        foreground = to_planes(torch.from_numpy(matte.foreground).to(device))
        return DeviceMatte(alpha, foreground, matte.frame, plate=matte.plate)

    return move
