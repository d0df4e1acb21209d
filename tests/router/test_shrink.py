"""Shrinking of pictures for the coarse network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cleanplate.router import Router
from cleanplate.router.numpy_router import NumpyRouter
from cleanplate.router.torch_router import TorchRouter


@pytest.fixture(params=["numpy", "torch"])
def router(request: pytest.FixtureRequest) -> Router[Any]:
    return NumpyRouter() if request.param == "numpy" else TorchRouter(torch.device("cpu"))


def make_picture(height: int, width: int, channels: int = 3, dtype: type = np.uint8) -> Any:
    rng = np.random.default_rng(5)
    return rng.integers(0, np.iinfo(dtype).max, (2, height, width, channels), dtype, endpoint=True)


def cover(size: int, smaller: int) -> Any:
    """Compute the share of each old pixel in each new one, in plain loops."""
    weights = np.zeros((smaller, size))
    for new in range(smaller):
        for old in range(size):
            top, bottom = new * size / smaller, (new + 1) * size / smaller
            weights[new, old] = max(0.0, min(bottom, old + 1) - max(top, old)) * smaller / size
    return weights


SIZES = [((64, 96), (32, 48)), ((64, 96), (16, 24)), ((64, 96), (8, 12)), ((60, 84), (20, 28))]
ODD_SIZES = [((64, 100), (28, 44)), ((52, 72), (48, 64)), ((40, 56), (40, 56)), ((36, 36), (1, 1))]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("size", "small"), SIZES)
def test_area_averages_the_pixels_below_each_pixel(
    router: Router[Any], size: tuple[int, int], small: tuple[int, int], dtype: type
) -> None:
    picture = make_picture(*size, dtype=dtype)
    got = np.asarray(router.shrink(router.upload(picture), small, "area"))
    expected = np.einsum("ih,bhwc,jw->bcij", cover(size[0], small[0]), picture, cover(size[1], small[1]))
    # half a code value of rounding per step, of which there are three at most
    np.testing.assert_allclose(got * np.iinfo(dtype).max, expected, atol=1.501, rtol=1e-6)
    assert got.dtype == np.float32


@pytest.mark.parametrize(("size", "small"), ODD_SIZES)
def test_area_of_odd_ratios_is_the_same_for_both(size: tuple[int, int], small: tuple[int, int]) -> None:
    picture = make_picture(*size, channels=4)
    on_numpy, on_torch = (
        np.asarray(router.shrink(router.upload(picture), small, "area"))
        for router in (NumpyRouter(), TorchRouter(torch.device("cpu")))  # type: ignore[attr-defined]
    )
    assert on_numpy.shape == (2, 4, *small)
    # Sums of floats may fall on either side of a half.
    np.testing.assert_allclose(on_numpy * 255, on_torch * 255, atol=1.001)
    assert np.mean(np.abs(on_numpy - on_torch) > 1e-4) < 0.01


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("size", "small"), SIZES + ODD_SIZES)
def test_bilinear_is_exact(
    router: Router[Any], size: tuple[int, int], small: tuple[int, int], dtype: type
) -> None:
    picture = make_picture(*size, dtype=dtype)
    got = np.asarray(router.shrink(router.upload(picture), small, "bilinear"))
    scaled = torch.from_numpy(picture.astype(np.float32)).permute(0, 3, 1, 2) / np.iinfo(dtype).max
    expected = F.interpolate(scaled, small, mode="bilinear", align_corners=False).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_views_of_arrays_give_the_numbers_of_copies(router: Router[Any]) -> None:
    picture = make_picture(80, 80)[0]
    view = picture[8:72, 70:6:-1]
    got = router.shrink(router.upload(view), (32, 32), "area")
    expected = router.shrink(router.upload(view.copy()), (32, 32), "area")
    np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
