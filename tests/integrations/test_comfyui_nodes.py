"""The nodes for ComfyUI against its contract; ``tests/hosts/test_comfyui.py`` runs them in ComfyUI itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.integrations.comfyui_contract import FOLDER, execute, loaded_nodes  # noqa: E402
from tests.integrations.comfyui_prompt import read_prompt  # noqa: E402

import cleanplate  # noqa: E402
from cleanplate.errors import InputError, PlateError  # noqa: E402
from cleanplate.export.parity import read_pair  # noqa: E402
from cleanplate.media import write_image  # noqa: E402

RECORDED = json.loads((Path(__file__).parent / "comfyui_object_info.json").read_text())
SIZE = 96, 128


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[dict[str, Any]]:
    with loaded_nodes(tmp_path) as found:
        yield found


def tensor(*pictures: np.ndarray) -> torch.Tensor:
    values = [each.astype(np.float32) / np.iinfo(each.dtype).max for each in pictures]
    return torch.from_numpy(np.stack(values))


def test_the_nodes_are_those_that_comfyui_described(nodes: dict[str, Any]) -> None:
    described = {name: node.define_schema().describe() for name, node in nodes.items()}
    assert json.loads(json.dumps(described)) == RECORDED


@pytest.mark.parametrize("name", [path.name for path in (FOLDER / "example_workflows").glob("*.json")])
def test_the_nodes_of_an_example_workflow_have_all_their_inputs(name: str) -> None:
    prompt = read_prompt(name, RECORDED)
    assert {node["class_type"] for node in prompt.values()} >= {"CleanplateKeyImages", "CleanplateFinish"}
    for node in prompt.values():
        assert node["inputs"].keys() >= RECORDED[node["class_type"]]["input"]["required"].keys()


def test_a_batch_is_keyed_in_order_with_one_tracked_plate(nodes: dict[str, Any]) -> None:
    frame, plate = read_pair(SIZE)
    frames = [frame, np.roll(frame, 3, axis=1), frame]
    result = execute(nodes["CleanplateKeyImages"], images=tensor(*frames), plate=tensor(plate), scale="auto")
    keyer = cleanplate.Keyer(plate, scale="auto")
    mattes = [keyer(each) for each in frames]
    foreground, alpha, plates = result.args
    np.testing.assert_array_equal(alpha.numpy(), [matte.alpha for matte in mattes])
    assert not np.array_equal(alpha[0], alpha[1])
    np.testing.assert_array_equal(foreground.numpy() * 255, [matte.foreground for matte in mattes])
    np.testing.assert_allclose(plates.numpy() * 255, [matte.plate for matte in mattes], atol=1e-4)


def test_a_plate_from_a_file_or_an_image_gives_the_same_matte(nodes: dict[str, Any], tmp_path: Path) -> None:
    frame, plate = read_pair(SIZE)
    write_image(tmp_path / "set.png", plate)
    loaded, shown = execute(nodes["CleanplateLoadPlate"], file="set.png").args
    np.testing.assert_array_equal(shown.numpy()[0] * 255, plate)
    noise = tensor(plate, plate, 255 - plate)
    mattes = [
        execute(nodes["CleanplateKeyImages"], images=tensor(frame), plate=given, scale="auto").args[1]
        for given in (loaded, shown, noise)
    ]
    np.testing.assert_array_equal(mattes[0], mattes[1])
    np.testing.assert_array_equal(mattes[0], mattes[2], "the median of three, of which two are the set")


def test_images_of_8_bits_stay_so_and_others_keep_16(nodes: dict[str, Any]) -> None:
    frame, plate = read_pair(SIZE)
    key = nodes["CleanplateKeyImages"]
    deep = tensor(frame) * 0.9371
    rgba = torch.cat([tensor(frame), torch.zeros((1, *SIZE, 1))], dim=3)
    assert execute(key, images=rgba, plate=tensor(plate)).args[1].max() == 0, "its own alpha counts"
    colour = execute(key, images=deep, plate=tensor(plate) * 0.9371).args[0]
    steps = colour.numpy() * 65535
    np.testing.assert_allclose(steps, np.rint(steps), atol=0.01)
    assert np.abs(colour.numpy() * 255 - np.rint(colour.numpy() * 255)).max() > 0.1
    with pytest.raises(InputError, match=r"\(B, H, W, 3\), got \(1, 96, 128, 1\)"):
        execute(key, images=deep[..., :1], plate=tensor(plate))


def test_finish_is_that_of_cleanplate_over_a_colour_and_over_images(nodes: dict[str, Any]) -> None:
    frame, plate = read_pair(SIZE)
    keyed = execute(nodes["CleanplateKeyImages"], images=tensor(frame), plate=tensor(plate)).args
    foreground, alpha, fitted = keyed
    result = execute(
        nodes["CleanplateFinish"], foreground=foreground, alpha=alpha, fitted_plate=fitted, despill=1.0,
        choke=1.5, colour="#ff0000",
    ).args  # fmt: skip
    matte = cleanplate.Keyer(plate, scale="fine")(frame)
    expected = cleanplate.compositing.Finish(despill=1.0, choke_pixels=1.5)(matte)
    np.testing.assert_array_equal(result[1].numpy()[0], expected.alpha)
    np.testing.assert_array_equal(np.rint(result[0].numpy()[0] * 255), expected.foreground)
    assert result[2][0, 0, 0].tolist() == [1, 0, 0]
    behind = execute(
        nodes["CleanplateFinish"], foreground=foreground, alpha=alpha, background=tensor(plate)
    ).args[2]
    np.testing.assert_array_equal(np.rint(behind.numpy()[0, 0, 0] * 255), plate[0, 0])
    with pytest.raises(InputError, match="Expected 1 or 1 images as background, got 2"):
        execute(
            nodes["CleanplateFinish"], foreground=foreground, alpha=alpha, background=tensor(plate, plate)
        )


def test_a_check_tells_the_verdict_and_stops_if_asked(nodes: dict[str, Any]) -> None:
    frame, plate = read_pair((270, 480))
    check = nodes["CleanplateCheckPlate"]
    result = execute(check, images=tensor(frame), plate=tensor(plate))
    assert result.args[1] is True
    assert result.args[0].startswith("The plate is usable")
    assert result.ui == {"text": (result.args[0],)}
    other = tensor(np.random.default_rng(2).integers(0, 255, plate.shape, dtype=np.uint8))
    assert execute(check, images=tensor(frame), plate=other).args[1] is False
    with pytest.raises(PlateError, match="not usable"):
        execute(check, images=tensor(frame), plate=other, stop=True)


def test_a_plate_is_built_from_the_frames_of_a_clip(nodes: dict[str, Any]) -> None:
    _, plate = read_pair((90, 160))
    frames = []
    for number in range(24):
        frame = plate.copy()
        frame[20:80, 6 * number : 6 * number + 22] = (200, 30, 60)
        frames.append(frame)
    built, image, confidence = execute(nodes["CleanplateBuildPlate"], images=tensor(*frames)).args
    np.testing.assert_array_equal(image.numpy()[0] * 255, built.pixels)
    sure = confidence.numpy()[0] > 0.9
    assert sure.mean() > 0.5
    assert np.abs(image.numpy()[0] * 255 - plate)[sure].mean() < 2
