"""Layers and finish on tensors, compared with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from cleanplate.compositing import over as composite
from cleanplate.compositing.device.device_finish import finish_matte
from cleanplate.compositing.device.device_over import alpha_picture, cutout, over
from cleanplate.compositing.finish import Finish
from cleanplate.errors import InputError
from cleanplate.frame import Matte
from cleanplate.router.torch_router import to_planes

SIZES = [(96, 160), (101, 67), (270, 482)]
EMPTY = [False, True]
TYPES = [np.uint8, np.uint16]

every_kind = pytest.mark.parametrize(
    ("size", "dtype", "empty"),
    [(size, dtype, False) for size in SIZES[:2] for dtype in TYPES]
    + [pytest.param(SIZES[2], dtype, False, marks=pytest.mark.slow) for dtype in TYPES]
    + [(SIZES[1], dtype, True) for dtype in TYPES],
)


def off(pixels: Any, expected: Any) -> int:
    """Largest difference in code values."""
    assert pixels.dtype == expected.dtype
    assert pixels.shape == expected.shape
    return int(np.abs(pixels.astype(int) - expected).max())


@every_kind
def test_layers(size: Any, dtype: type, empty: bool, make_matte: Any, to_device: Any) -> None:
    matte: Matte = make_matte(*size, dtype, empty=empty)
    there = to_device(matte)
    backdrop = make_matte(*size, dtype).frame.pixels
    straight = composite.straight_rgba(matte)
    behind = to_planes(torch.from_numpy(backdrop).to(there.alpha.device))
    composed = over(there.foreground, there.alpha, behind).cpu().numpy()
    assert off(cutout(there).cpu().numpy(), straight) == 0
    assert off(alpha_picture(there).cpu().numpy(), composite.alpha_picture(matte)) == 0
    assert off(cutout(there, premultiplied=True).cpu().numpy(), composite.premultiply(straight)) <= 1
    assert off(composed, composite.over(matte.foreground, matte.alpha, backdrop)) <= 1
    if empty:
        np.testing.assert_array_equal(composed, backdrop)


@every_kind
@pytest.mark.parametrize(
    ("finish", "codes"),
    [
        (Finish(), 1),
        (Finish(choke_pixels=1.4, blur_pixels=1.2, gamma=1.3), 1),
        (Finish(choke_pixels=-3, blur_pixels=4), 1),
        # Along the way to the plate, a code value of the subject's colour may count for two.
        (Finish(despill=0.8, gamma=0.7), 2),
        (Finish(despeckle=300), 1),
    ],
    ids=["plain", "inward", "outward", "despill", "despeckle"],
)
def test_finish(
    finish: Finish, codes: int, size: Any, dtype: type, empty: bool, make_matte: Any, to_device: Any
) -> None:
    matte: Matte = make_matte(*size, dtype, empty=empty)
    there = to_device(matte)
    plate = to_planes(torch.from_numpy(matte.plate).to(there.alpha.device))
    expected, finished = finish(matte), finish_matte(there, finish, plate).to_host()
    np.testing.assert_allclose(finished.alpha, expected.alpha, atol=1e-5, rtol=0)
    difference = np.abs(finished.foreground.astype(int) - expected.foreground)
    assert np.quantile(difference, 0.9999) <= codes
    assert difference.max() <= codes + 1
    if not empty:
        assert not np.array_equal(finished.foreground, matte.foreground)
    np.testing.assert_array_equal(to_device(matte).to_host().foreground, matte.foreground)


def test_specks_become_transparent_or_the_frame(make_matte: Any, to_device: Any) -> None:
    from dataclasses import replace

    matte: Matte = make_matte(101, 140, np.uint16)
    alpha = matte.alpha.copy()
    alpha[50:60, 50:60], alpha[5:9, 5:9] = 0, 1
    matte, finish = replace(matte, alpha=alpha), Finish(despeckle=150, bleed=False)
    expected, finished = finish(matte), finish_matte(to_device(matte), finish).to_host()
    assert (expected.alpha != alpha).sum() > 80
    np.testing.assert_array_equal(finished.alpha, expected.alpha)
    np.testing.assert_array_equal(finished.foreground, expected.foreground)


def test_an_edge_can_move_by_more_than_the_height(make_matte: Any, to_device: Any) -> None:
    matte: Matte = make_matte(34, 200, np.uint8)
    for pixels in (-60, 60):
        finish = Finish(choke_pixels=pixels)
        finished = finish_matte(to_device(matte), finish).to_host()
        np.testing.assert_allclose(finished.alpha, finish(matte).alpha, atol=1e-5, rtol=0)


def test_a_wrong_device_matte_is_refused(make_matte: Any, to_device: Any) -> None:
    from dataclasses import replace

    there = to_device(make_matte(96, 160, np.uint8))
    with pytest.raises(InputError, match=r"alpha of shape \(96, 160\), got \(96, 159\)"):
        replace(there, alpha=there.alpha[:, 1:])
    with pytest.raises(InputError, match=r"foreground of shape \(3, 96, 160\), got \(2, 96, 160\)"):
        replace(there, foreground=there.foreground[1:])
