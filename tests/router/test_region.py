"""The changed region: never too small, equal on all routers, and faster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.router import ChangedRegion, Coarse
from cleanplate.router.changed_region import GRAIN, MARGIN, enclose
from cleanplate.router.numpy_router import NumpyRouter
from cleanplate.router.torch_router import TorchRouter

HEIGHT, WIDTH = 240, 400


def make_pair(noise: float = 0.01, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    plate = np.ones((1, 4, HEIGHT, WIDTH), np.float32)
    plate[:, :3] = rng.random((1, 3, HEIGHT, WIDTH), np.float32)
    source = plate[:, :3] + noise * rng.standard_normal((1, 3, HEIGHT, WIDTH)).astype(np.float32)
    return source.clip(0, 1), plate


def covers(region: ChangedRegion, top: int, left: int, bottom: int, right: int) -> bool:
    return (
        region.top <= top
        and region.left <= left
        and bottom <= region.top + region.height
        and right <= region.left + region.width
    )


@settings(max_examples=200)
@given(st.integers(20, 900), st.integers(20, 900), st.lists(st.floats(0, 0.999), min_size=1, max_size=6))
def test_a_region_holds_all_changes_and_stays_inside(height: int, width: int, where: list[float]) -> None:
    rows, columns = np.zeros(height, bool), np.zeros(width, bool)
    rows[[int(x * height) for x in where]] = True
    columns[[int(x * width) for x in reversed(where)]] = True
    region = enclose(rows.tolist(), columns.tolist())
    assert region is not None
    hits = [(int(x.argmax()), int(x.nonzero()[0].max()) + 1) for x in (rows, columns)]
    assert covers(region, hits[0][0], hits[1][0], hits[0][1], hits[1][1])
    assert region.top + region.height <= height
    assert region.left + region.width <= width
    assert region.top % 16 == region.left % 16 == 0
    assert region.height % GRAIN == 0 or region.top + region.height == height


def test_an_unchanged_picture_has_no_region_however_noisy() -> None:
    for noise in (0.0, 0.005, 0.02):
        assert NumpyRouter().find_change(*make_pair(noise)) is None


@pytest.mark.parametrize("strength", [0.08, 0.5])
def test_a_small_subject_is_found_with_room_around_it(strength: float) -> None:
    source, plate = make_pair()
    square = source[:, :, 90:110, 210:230]
    np.copyto(square, np.where(square > 0.5, square - strength, square + strength))
    region = NumpyRouter().find_change(source, plate)
    assert region is not None
    assert covers(region, 90 - MARGIN, 210 - MARGIN, 110 + MARGIN, 230 + MARGIN)
    assert region.height * region.width < 0.6 * HEIGHT * WIDTH


def test_a_subject_that_fills_most_of_the_picture_takes_all_of_it() -> None:
    source, plate = make_pair()
    source[:, :, 10:, 20:380] = 1 - source[:, :, 10:, 20:380]
    assert NumpyRouter().find_change(source, plate) == ChangedRegion(0, 0, HEIGHT, WIDTH)


def test_unknown_pixels_of_the_plate_count_as_changed() -> None:
    source, plate = make_pair()
    plate[:, :, :, :7] = 0
    region = NumpyRouter().find_change(source, plate)
    assert region is not None
    assert (region.top, region.left, region.height) == (0, 0, HEIGHT)


@pytest.mark.parametrize("seed", range(4))
def test_routers_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, plate = make_pair(0.01 * seed, seed)
    top, left = int(rng.integers(0, 180)), int(rng.integers(0, 300))
    source[:, :, top : top + 40, left : left + 60] = 0.5
    numpy_router, torch_router = NumpyRouter(), TorchRouter(torch.device("cpu"))
    region = numpy_router.find_change(source, plate)
    assert region is not None
    assert torch_router.find_change(torch.from_numpy(source), torch.from_numpy(plate)) == region

    part = [rng.random((1, channels, 20, 30), np.float32) for channels in (1, 3, 1, 5)]
    at, size = ChangedRegion(4, 8, 20, 30), (40, 60)
    expanded = numpy_router.expand(Coarse(*part), at, size)
    of_torch = torch_router.expand(Coarse(*map(torch.from_numpy, part)), at, size)
    for name in ("alpha", "residual", "error", "hidden"):
        array = getattr(expanded, name)
        assert np.array_equal(array, getattr(of_torch, name).numpy())
        assert np.array_equal(
            array[:, :, 4:24, 8:38], part[("alpha", "residual", "error", "hidden").index(name)]
        )
        assert array.sum() == pytest.approx(array[:, :, 4:24, 8:38].sum())
    nothing = numpy_router.nothing(2, 5, size)
    assert nothing.hidden.shape == (2, 5, 40, 60)
    assert not nothing.alpha.any()
