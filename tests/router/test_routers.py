"""Both routers, compared with the patch-wise definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cleanplate.router import Coarse, Refine, Router
from cleanplate.router.numpy_router import NumpyRouter
from cleanplate.router.torch_router import TorchRouter

KINDS = ("numpy", "torch")


def run(kind: str, scene: Any, refine: Refine) -> tuple[Any, Any]:
    router: Router[Any] = NumpyRouter() if kind == "numpy" else TorchRouter(torch.device("cpu"))
    coarse = scene.coarse
    if kind == "torch":
        maps = (coarse.alpha, coarse.residual, coarse.error, coarse.hidden)
        coarse = Coarse(*(torch.from_numpy(x) for x in maps))
    source, plate = router.upload(scene.source), router.upload(scene.plate)
    network = scene.call_on_numpy if kind == "numpy" else scene.network
    return router.refine(source, plate, coarse, refine, network, scene.kernel)


def check(kind: str, scene: Any, refine: Refine, define: Any) -> None:
    alpha, foreground = run(kind, scene, refine)
    expected_alpha, expected_foreground = define(scene, refine)
    assert alpha.dtype == np.float32
    assert alpha.shape == scene.source.shape[:3]
    assert foreground.dtype == scene.source.dtype
    assert foreground.shape == scene.source.shape
    np.testing.assert_allclose(alpha, expected_alpha, atol=1e-5, rtol=0)
    # half a code value of rounding, and 1e-5 of the full range for the sums behind it
    np.testing.assert_allclose(
        foreground, expected_foreground, atol=0.5 + 1e-5 * np.iinfo(foreground.dtype).max, rtol=0
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["sampling:900", "threshold:0.6", "full", "off"])
def test_maps_have_the_refined_cells_and_errors(kind: str, text: str, make_scene: Any) -> None:
    scene, refine = make_scene(48, 72, (12, 18)), Refine.parse(text)
    router: Router[Any] = NumpyRouter() if kind == "numpy" else TorchRouter(torch.device("cpu"))
    coarse = scene.coarse
    if kind == "torch":
        maps = (coarse.alpha, coarse.residual, coarse.error, coarse.hidden)
        coarse = Coarse(*(torch.from_numpy(x) for x in maps))
    error, refined = router.show_maps(coarse, (48, 72), refine)
    assert (error.shape, error.dtype, refined.shape, refined.dtype) == (
        (1, 48, 72), np.float32, (1, 48, 72), np.bool_
    )  # fmt: skip
    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(scene.coarse.error), (48, 72), mode="bilinear"
    )
    np.testing.assert_allclose(error, enlarged[:, 0].numpy(), atol=1e-5)
    changed = run(kind, scene, refine)[1] != run(kind, scene, Refine("off"))[1]
    assert np.array_equal(refined, _whole_cells(changed))


def _whole_cells(changed: Any) -> Any:
    """The pixels of all cells in which anything was changed."""
    cells = changed.any(axis=3).reshape(1, 12, 4, 18, 4).any(axis=(2, 4))
    return cells.repeat(4, axis=1).repeat(4, axis=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel", [3, 1])
@pytest.mark.parametrize(
    "text", ["sampling:900", "threshold:0.6", "full", "off", "sampling:0", "threshold:1"]
)
def test_the_router_equals_the_patch_wise_definition(
    kind: str, kernel: int, text: str, make_scene: Any, define: Any
) -> None:
    check(kind, make_scene(48, 72, (12, 18), kernel=kernel), Refine.parse(text), define)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("size", "coarse_size"),
    [
        ((64, 64), (16, 16)),  # the tiles' grid ends with the picture
        ((36, 100), (9, 25)),  # it does not
        ((52, 44), (17, 13)),  # no integer fraction of the picture
        ((40, 60), (39, 61)),  # hardly smaller, and larger
        ((32, 32), (1, 1)),
        ((32, 196), (3, 50)),
        ((140, 132), (70, 33)),
    ],
)
def test_every_size_equals_the_definition(
    kind: str, size: tuple[int, int], coarse_size: tuple[int, int], make_scene: Any, define: Any
) -> None:
    check(kind, make_scene(*size, coarse_size, seed=3), Refine.parse("threshold:0.7"), define)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel", [3, 1])
def test_batches_are_selected_picture_by_picture(
    kind: str, kernel: int, make_scene: Any, define: Any
) -> None:
    scene = make_scene(40, 56, (10, 14), kernel=kernel, batch=3)
    scene.coarse.error[1] *= 0.01
    scene.coarse.error[2] = 0
    check(kind, scene, Refine.parse("sampling:320"), define)
    check(kind, scene, Refine.parse("threshold:0.5"), define)


@pytest.mark.parametrize("kind", KINDS)
def test_one_plate_serves_a_batch(kind: str, make_scene: Any) -> None:
    scene = make_scene(40, 56, (10, 14), batch=2)
    scene.plate = scene.plate[:1].repeat(2, axis=0)
    expected = run(kind, scene, Refine("full"))
    scene.plate = scene.plate[:1]
    np.testing.assert_array_equal(run(kind, scene, Refine("full"))[0], expected[0])


@pytest.mark.parametrize("kind", KINDS)
def test_sixteen_bits_equal_the_definition(kind: str, make_scene: Any, define: Any) -> None:
    check(kind, make_scene(40, 56, (10, 14), dtype=np.uint16), Refine.parse("sampling:800"), define)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [8, 16, 32])
def test_every_tile_size_gives_the_same_numbers(
    kind: str, side: int, make_scene: Any, define: Any, monkeypatch: Any
) -> None:
    module = "numpy_router" if kind == "numpy" else "torch_router"
    if kind == "numpy":
        from cleanplate.router import cells

        plan: Callable[..., Any] = cells.plan_tiles
        monkeypatch.setattr(
            f"cleanplate.router.{module}.plan_tiles", lambda selected: plan(selected, (side,))
        )
    else:
        monkeypatch.setattr(f"cleanplate.router.{module}.TILE_SIDES", (side,))
    check(kind, make_scene(76, 84, (19, 21)), Refine.parse("sampling:2000"), define)
    check(kind, make_scene(76, 84, (20, 30), kernel=1), Refine.parse("sampling:2000"), define)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_do_not_change_the_numbers(kind: str, make_scene: Any, define: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("cleanplate.router.numpy_router._CHUNK_PIXELS", 5 * 8 * 8)
    monkeypatch.setattr("cleanplate.router.torch_router._CHUNK_PIXELS", {"cpu": 5 * 8 * 8})
    check(kind, make_scene(64, 96, (16, 24), batch=2), Refine.parse("sampling:3000"), define)


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_more_cells_than_the_picture_has_refines_all(kind: str, make_scene: Any) -> None:
    scene = make_scene(36, 52, (9, 13))
    everywhere = run(kind, scene, Refine("full"))
    sampled = run(kind, scene, Refine("sampling", 10**9))
    np.testing.assert_array_equal(sampled[0], everywhere[0])
    np.testing.assert_array_equal(sampled[1], everywhere[1])


@pytest.mark.parametrize("kind", KINDS)
def test_cells_without_error_are_never_sampled(kind: str, make_scene: Any, define: Any) -> None:
    scene = make_scene(32, 32, (8, 8))
    scene.coarse.error[...] = 0
    scene.coarse.error[0, 0, 2, 3] = 0.5
    check(kind, scene, Refine("sampling", 10_000), define)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_errors_sample_the_requested_number_at_most(kind: str, make_scene: Any) -> None:
    scene = make_scene(40, 40, (10, 10))
    scene.coarse.error[...] = 1
    untouched = run(kind, scene, Refine("off"))[0]
    changed = np.abs(run(kind, scene, Refine("sampling", 7 * 16 + 15))[0] - untouched) > 1e-6
    cells = changed.reshape(10, 4, 10, 4).any((1, 3))
    assert cells.sum() == 7


def test_numpy_and_torch_agree(make_scene: Any) -> None:
    scene = make_scene(100, 148, (31, 40), batch=2, seed=9)
    for text in ("sampling:5000", "threshold:0.8"):
        on_numpy, on_torch = (run(kind, scene, Refine.parse(text)) for kind in KINDS)
        np.testing.assert_allclose(on_numpy[0], on_torch[0], atol=1e-5, rtol=0)
        assert np.abs(on_numpy[1].astype(int) - on_torch[1]).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_call_does_not_overwrite_the_result(kind: str, make_scene: Any) -> None:
    router: Router[Any] = NumpyRouter() if kind == "numpy" else TorchRouter(torch.device("cpu"))
    results = []
    for seed in (1, 2):
        scene = make_scene(40, 40, (10, 10), seed=seed)
        coarse = scene.coarse
        if kind == "torch":
            maps = (coarse.alpha, coarse.residual, coarse.error, coarse.hidden)
            coarse = Coarse(*(torch.from_numpy(x) for x in maps))
        network = scene.call_on_numpy if kind == "numpy" else scene.network
        source, plate = router.upload(scene.source), router.upload(scene.plate)
        before = scene.source.copy()
        results.append(router.refine(source, plate, coarse, Refine("full"), network, 3))
        np.testing.assert_array_equal(scene.source, before)
        if seed == 1:
            kept = [x.copy() for x in results[0]]
    np.testing.assert_array_equal(results[0][0], kept[0])
    np.testing.assert_array_equal(results[0][1], kept[1])
