"""Contract of :class:`cleanplate.runtimes.Runtime`, for every runtime and device of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cleanplate
from cleanplate.models.registry import Model
from cleanplate.router import Clock, Refine
from cleanplate.runtimes import Runtime, available_runtimes, open_runtime

PLACES = [(row.runtime, row.device) for row in available_runtimes() if row.available]
TOLERANCE = {"cpu": 1e-4}
HALF_PRECISION = 2e-2

Open = Callable[[], Runtime[Any]]


@pytest.fixture(params=PLACES, ids=["-".join(place) for place in PLACES])
def runtime(request: pytest.FixtureRequest, tiny_model: Model) -> Runtime[Any]:
    request.getfixturevalue("torch_loads_tiny")
    return open_runtime(tiny_model, *request.param)


def to_numpy(array: Any) -> Any:
    return array if isinstance(array, np.ndarray) else array.float().cpu().numpy()


def make_pictures(seed: int, height: int = 48, width: int = 80, dtype: type = np.uint8) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    plate = rng.integers(0, top, (height, width, 3), dtype)
    source = plate.copy()
    source[8:30, 10:-10] = rng.integers(0, top, (22, width - 20, 3), dtype)
    return source, np.dstack([plate, np.full((height, width), top, dtype)])


def key(runtime: Runtime[Any], source: Any, plate: Any, refine: Refine) -> tuple[Any, Any]:
    router, size = runtime.router, (24, 40)
    picture, background = router.upload(source), router.upload(plate)
    coarse = runtime.coarse(router.shrink(picture, size, "area"), router.shrink(background, size, "area"))
    return router.refine(picture, router.upload(plate[..., :3]), coarse, refine, runtime.refine, 3)


def test_a_runtime_has_name_device_and_description(runtime: Runtime[Any]) -> None:
    assert (runtime.name, runtime.device) in PLACES
    assert runtime.device in runtime.description
    assert runtime.model.config.name == "tiny"


@pytest.mark.parametrize("place", [place for place in PLACES if place[0] == "onnx"])
def test_a_runtime_keeps_the_floating_point_mode_of_the_caller(
    place: tuple[str, str], tiny_model: Model
) -> None:
    """Run in a process of its own, as the first session decides the state of a thread's registers."""
    code = (
        "from cleanplate.models.registry import find_model\n"
        "from cleanplate.runtimes import open_runtime\n"
        f"open_runtime(find_model({str(tiny_model.coarse_onnx)!r}), *{place!r})\n"
        "assert 5e-324 * 1.0 > 0, 'subnormal numbers are flushed to zero'\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(cleanplate.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_a_runtime_equals_the_network(runtime: Runtime[Any], tiny_network: Any) -> None:
    import torch

    source, plate = make_pictures(0)
    router = runtime.router
    small = router.shrink(router.upload(source), (24, 40), "area")
    small_plate = router.shrink(router.upload(plate), (24, 40), "area")
    with torch.inference_mode():
        expected = tiny_network.coarse(*(torch.from_numpy(to_numpy(x)) for x in (small, small_plate)))
    coarse = runtime.coarse(small, small_plate)
    tolerance = TOLERANCE.get(runtime.device, HALF_PRECISION)
    for got, want in zip((coarse.alpha, coarse.residual, coarse.error, coarse.hidden), expected, strict=True):
        np.testing.assert_allclose(to_numpy(got), want.numpy(), atol=tolerance, rtol=0)


@pytest.mark.parametrize("text", ["threshold:0.2", "sampling:640", "full", "off"])
def test_a_runtime_agrees_with_onnx_runtime(runtime: Runtime[Any], text: str, tiny_model: Model) -> None:
    source, plate = make_pictures(1)
    refine = Refine.parse(text)
    alpha, foreground = key(runtime, source, plate, refine)
    expected_alpha, expected_foreground = key(open_runtime(tiny_model, "onnx", "cpu"), source, plate, refine)
    tolerance = TOLERANCE.get(runtime.device, HALF_PRECISION)
    # One router rounds its averages to 8 bits and the other does not, so a few cells may be chosen otherwise.
    assert np.abs(alpha - expected_alpha).mean() < tolerance + 1 / 255
    assert np.abs(foreground.astype(int) - expected_foreground).mean() < 1 + 255 * tolerance


def test_equal_inputs_give_equal_outputs_and_are_unchanged(runtime: Runtime[Any]) -> None:
    source, plate = make_pictures(2)
    before = source.copy(), plate.copy()
    first = key(runtime, source, plate, Refine("full"))
    second = key(runtime, source, plate, Refine("full"))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(source, before[0])
    np.testing.assert_array_equal(plate, before[1])


def test_sizes_types_and_batches_may_change(runtime: Runtime[Any]) -> None:
    for seed, (height, width, dtype) in enumerate(
        [(48, 80, np.uint8), (96, 52, np.uint16), (32, 32, np.uint8)]
    ):
        source, plate = make_pictures(seed, height, width, dtype)
        pair = np.stack([source, source[::-1]])
        alpha, foreground = key(runtime, source, plate, Refine("full"))
        alphas, foregrounds = key(runtime, pair, np.stack([plate, plate[::-1]]), Refine("full"))
        tolerance = TOLERANCE.get(runtime.device, HALF_PRECISION)
        np.testing.assert_allclose(alphas[0], alpha[0], atol=tolerance)
        assert foregrounds.dtype == foreground.dtype == dtype
        assert alphas.shape == (2, height, width)


def test_a_runtime_measures_its_steps(runtime: Runtime[Any]) -> None:
    runtime.router.clock = Clock()
    key(runtime, *make_pictures(3), Refine("full"))
    stages = runtime.router.clock.seconds
    assert set(stages) == {"shrink", "select", "cut", "refine", "paste", "foreground"}
    assert min(stages.values()) >= 0
