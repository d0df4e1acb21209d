"""The OpenFX plug-in in a host without a screen, over the HostSupport library of the OpenFX project."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleanplate.compositing.finish import Finish, choke_alpha

from .conftest import assert_equal, key_in_python, read_pair

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
SIZE = 333, 517
TYPES = {"Byte": np.uint8, "Short": np.uint16, "Float": np.float32}
TOPS = {"Byte": 255, "Short": 65535, "Float": 1}
FAILED = 1
"""kOfxStatFailed."""


def run(*command: object, **keywords: Any) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **keywords)
    assert done.returncode == 0, done.stdout + done.stderr


class OfxHost:
    """Runs the host for one frame."""

    def __init__(self, program: Path, bundles: Path, folder: Path) -> None:
        self._program, self._bundles, self._folder = program, bundles, folder
        self.report: dict[str, str] = {}
        self.actions: list[tuple[str, str]] = []

    def render(
        self,
        source: np.ndarray,
        plate: np.ndarray | None,
        *,
        context: str = "Filter",
        depth: str = "Float",
        layout: str = "packed",
        render_scale: float = 1,
        **values: object,
    ) -> np.ndarray:
        """Render and fill ``report`` and ``actions``; RGBA in [0, 1] of floats, else code values."""
        height, width, channels = source.shape
        for name, pixels in (("source", source), ("plate", plate)):
            if pixels is not None:
                np.ascontiguousarray(pixels.astype(TYPES[depth])).tofile(self._folder / name)
        output = self._folder / "output"
        output.unlink(missing_ok=True)
        given = [
            context,
            depth,
            "RGBA" if channels == 4 else "RGB",
            layout,
            str(render_scale),
            f"{width}x{height}",
        ]
        files = [self._folder / "source", self._folder / "plate" if plate is not None else "-", output]
        done = subprocess.run(
            [self._program, *given, *files, *(f"{name}={value}" for name, value in values.items())],
            env={**os.environ, "OFX_PLUGIN_PATH": str(self._bundles)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.report = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
        # HostSupport's own record of actions and answers.
        self.actions = re.findall(r"Ofx(?:ImageEffect)?Action(\w+)\(.*\)->kOfxStat(\w+)", done.stdout)
        assert self.report["living"] == "0", "an image was not released"
        assert self.report["padding"] == "untouched"
        if not output.exists():
            return np.empty(0)
        return np.fromfile(output, TYPES[depth]).reshape(height, width, 4)


@pytest.fixture(scope="module")
def built(ort_include: Path, openfx: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The host and the folder of the bundle."""
    folder = tmp_path_factory.mktemp("openfx")
    package = importlib.util.find_spec("onnxruntime")
    assert package is not None
    library = next(Path(package.submodule_search_locations[0], "capi").glob("libonnxruntime.so*"))
    settings = {
        "CMAKE_BUILD_TYPE": "Debug",
        "CMAKE_CXX_FLAGS": "-O1 -Wall -Wextra -Werror",
        "OPENFX_INCLUDE": openfx / "include",
        "ORT_INCLUDE": ort_include,
        "ORT_LIB": library,
    }
    source = ROOT / "integrations" / "openfx"
    run("cmake", "-S", source, "-B", folder, *(f"-D{name}={value}" for name, value in settings.items()))
    run("cmake", "--build", folder)
    support = openfx / "HostSupport"
    includes = [f"-I{openfx / 'include'}", f"-I{support / 'include'}"]
    host = Path(__file__).with_name("openfx_host.cpp")
    sources = sorted((support / "src").glob("*.cpp"))
    run(
        "g++",
        "-std=c++17",
        "-O0",
        "-w",
        "-DOFX_DEBUG_ACTIONS",
        *includes,
        host,
        *sources,
        "-lexpat",
        "-ldl",
        "-o",
        folder / "host",
    )
    return folder / "host", folder


@pytest.fixture
def host(built: tuple[Path, Path], tmp_path: Path) -> OfxHost:
    return OfxHost(*built, tmp_path)


def with_alpha(pixels: np.ndarray, top: float) -> np.ndarray:
    return np.dstack([pixels, np.full(pixels.shape[:2], top, pixels.dtype)])


def as_floats(pixels: np.ndarray) -> np.ndarray:
    return with_alpha((pixels / np.iinfo(pixels.dtype).max).astype(np.float32), 1)


@pytest.mark.parametrize(
    ("context", "depth", "channels", "layout"),
    [
        ("Filter", "Float", 4, "negative"),
        ("General", "Float", 4, "padded"),
        ("General", "Byte", 3, "padded"),
        ("Filter", "Byte", 4, "negative"),
        ("General", "Short", 4, "packed"),
    ],
)
def test_result_is_that_of_python(
    host: OfxHost, context: str, depth: str, channels: int, layout: str
) -> None:
    source, plate = read_pair(SIZE, np.uint8 if depth == "Byte" else np.uint16)
    expected = key_in_python(source, plate)
    given = source, plate
    if depth == "Float":
        given = as_floats(source), as_floats(plate)
    elif channels == 4:
        given = with_alpha(source, TOPS[depth]), with_alpha(plate, TOPS[depth])
    result = host.render(*given, context=context, depth=depth, layout=layout, premultiplied=0) / TOPS[depth]
    rounding = 0.5 / TOPS[depth] if depth != "Float" else 0
    assert_equal(result[..., 3], expected.alpha, 1e-4 + rounding)
    assert_equal(result[..., :3], expected.foreground / np.iinfo(source.dtype).max, 1e-4 + 2 * rounding)
    assert host.report["premultiplication"] == "OfxImageAlphaUnPremultiplied"


def test_every_action_of_the_render_sequence_is_answered(host: OfxHost) -> None:
    source, plate = map(as_floats, read_pair((64, 96), np.uint16))
    host.render(source, plate, context="General")
    scan = [("Load", "OK"), ("Describe", "OK"), ("Unload", "OK")]
    assert host.actions == [
        *scan,
        *scan[:2],
        ("DescribeInContext", "OK"),
        ("CreateInstance", "OK"),
        ("GetClipPreferences", "OK"),
        ("GetRegionOfDefinition", "OK"),
        ("GetRegionsOfInterest", "OK"),
        ("IsIdentity", "ReplyDefault"),
        ("BeginSequenceRender", "ReplyDefault"),
        ("Render", "OK"),
        ("EndSequenceRender", "ReplyDefault"),
        ("DestroyInstance", "OK"),
        ("Unload", "OK"),
    ]


def test_a_window_needs_whole_frames_and_is_all_that_is_written(host: OfxHost) -> None:
    source, plate = map(as_floats, read_pair(SIZE, np.uint16))
    whole = host.render(source, plate)
    # Pixels of the render scale; the image's corner is (8, 4), y counts upwards.
    part = host.render(source, plate, window="208,104,308,204")
    everything = f"8,4,{8 + SIZE[1]},{4 + SIZE[0]}"
    assert host.report["tiles"] == "0"
    assert [host.report[name] for name in ("definition", "interest-Source", "interest-Plate")] == [
        everything
    ] * 3
    rows, columns = slice(SIZE[0] - 200, SIZE[0] - 100), slice(200, 300)
    assert np.array_equal(part[rows, columns], whole[rows, columns])
    part[rows, columns] = np.frombuffer(b"\x5a" * 4, np.float32)
    assert (part.view(np.uint8) == 0x5A).all()


def test_half_render_scale_keys_the_half_picture_and_halves_the_choke(host: OfxHost) -> None:
    source, plate = read_pair((270, 480), np.uint16)
    expected = key_in_python(source, plate)
    result = host.render(as_floats(source), as_floats(plate), render_scale=0.5, choke=3, premultiplied=0)
    assert_equal(result[..., 3], choke_alpha(expected.alpha, 1.5))
    assert host.report["definition"] == "16,8,976,548"


def test_scale_and_threshold_reach_the_keyer(host: OfxHost) -> None:
    source, plate = read_pair(SIZE, np.uint16)
    expected = key_in_python(source, plate, scale=0.5, refine="threshold:0.02")
    # The fifth choice of the scale is 1/2.
    result = host.render(as_floats(source), as_floats(plate), scale=4, refineThreshold=0.02)
    assert_equal(result[..., 3], expected.alpha)


def test_colour_is_premultiplied_by_default(host: OfxHost) -> None:
    source, plate = map(as_floats, read_pair(SIZE, np.uint16))
    straight = host.render(source, plate, premultiplied=0)
    result = host.render(source, plate)
    assert host.report["premultiplication"] == "OfxImageAlphaPremultiplied"
    assert np.allclose(result[..., :3], straight[..., :3] * straight[..., 3:], atol=1e-6)
    assert np.array_equal(result[..., 3], straight[..., 3])


def test_despill_is_near_to_that_of_python(host: OfxHost) -> None:
    source, plate = read_pair((540, 960), np.uint16)
    matte = key_in_python(source, plate)
    expected = Finish(despill=1)(matte).foreground / 65535
    result = host.render(as_floats(source), as_floats(plate), despill=1, premultiplied=0)[..., :3]
    edge = (matte.alpha > 0.1) & (matte.alpha < 0.99)
    changed = np.abs(matte.foreground / 65535 - expected)[edge].mean()
    assert np.abs(result - expected)[edge].mean() < min(0.004, changed / 4)


def test_scene_linear_light_is_keyed_as_code_values(host: OfxHost) -> None:
    source, plate = read_pair(SIZE, np.uint16)
    expected = key_in_python(source, plate)
    code = [as_floats(pixels).astype(np.float64) for pixels in (source, plate)]
    light = [np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32) for x in code]
    result = host.render(*light, light=1, premultiplied=0)
    assert_equal(result[..., 3], expected.alpha, 2e-4)
    solid = result[..., 3] == 1
    assert solid.mean() > 0.1
    assert np.array_equal(result[solid][:, :3], light[0][solid][:, :3])


def test_views_show_alpha_and_status(host: OfxHost) -> None:
    source, plate = map(as_floats, read_pair(SIZE, np.uint16))
    alpha = host.render(source, plate)[..., 3]
    shown = host.render(source, plate, view=1)
    assert np.array_equal(shown, np.dstack([alpha, alpha, alpha, np.ones_like(alpha)]))
    assert host.report["premultiplication"] == "OfxImageOpaque"
    status = host.render(source, plate, view=2)
    refined = status[..., 1] - status[..., 2] > 0.2
    assert 0.01 < refined.mean() < 0.3
    assert ((alpha > 0.05) & (alpha < 0.95) & ~refined).mean() < 0.01, "soft edges are refined"


def test_a_missing_plate_is_told_at_the_node(host: OfxHost) -> None:
    source, _ = map(as_floats, read_pair((64, 96), np.uint16))
    assert host.render(source, None).size == 0
    assert host.report["render"] == str(FAILED)
    assert "Connect a picture of the empty set" in host.report["message"]
    assert "interest-Plate" not in host.report
