"""Scaling of samples to another number of bits."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.media.colour.bit_depth import scale


@pytest.mark.parametrize("target", [np.uint8, np.uint16])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("top", [219, 255, 876, 1023, 1023.984375, 65535])
def test_every_value_is_rounded_to_the_nearest_and_clipped(dtype: type, target: type, top: float) -> None:
    white = np.iinfo(dtype).max
    values = np.arange(white + 1, dtype=dtype).reshape(16, -1)
    plane = np.zeros((16, values.shape[1] + 5), target)  # rows of a frame are padded
    scale(values, top / white, out=plane[:, : values.shape[1]])
    exact = np.clip(values * (top / white), 0, np.iinfo(target).max)
    assert np.abs(plane[:, : values.shape[1]] - exact).max() <= 0.5 + 1e-3
    assert not plane[:, values.shape[1] :].any()
