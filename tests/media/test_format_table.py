"""docs/media.md says of the formats what is measured here, and ffprobe sees the same files."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cleanplate.media import open_source, sink_formats
from cleanplate.media.formats import CONTAINERS

TABLE = Path(__file__).with_name("format_table.py")


def load_table() -> Any:
    specification = importlib.util.spec_from_file_location("format_table", TABLE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the files that were measured, and the tables."""
    folder = tmp_path_factory.mktemp("formats")
    return folder, load_table().build_tables(folder)


def test_the_page_says_what_is_measured(measured: tuple[Path, str]) -> None:
    if not all(row.available for row in sink_formats() if row.name != "hevc-alpha"):
        pytest.skip("this PyAV lacks encoders that the page tells of")
    table = load_table()
    _, between, _ = table.split_page(table.PAGE.read_text(encoding="utf-8"))
    # A build for macOS has a codec more.
    tables = "\n".join(line for line in measured[1].splitlines() if "`hevc-alpha`" not in line)
    assert tables == between, "run python tests/media/format_table.py"


def test_ffprobe_sees_the_same(measured: tuple[Path, str]) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("needs ffprobe")
    seen = 0
    for row in sink_formats():
        path = measured[0] / f"{row.name}{row.suffix}"
        if row.suffix not in CONTAINERS or not path.exists():
            continue
        command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", path]
        told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        (stream,) = told["streams"]
        with open_source(path) as source:
            info = source.info
        assert (stream["height"], stream["width"]) == (info.height, info.width)
        assert (stream["color_primaries"], stream["color_transfer"]) == ("bt2020", "smpte2084")
        assert ("bt2020nc" if info.colour.matrix != "rgb" else stream.get("color_space")) == stream.get(
            "color_space"
        )
        # "yuv420p10le", "gbrp16le", "rgb48be" of three times 16; eight bits are not named.
        pixel_format = stream["pix_fmt"]
        bits = 16 if "48" in pixel_format else next((b for b in (10, 12, 16) if f"p{b}" in pixel_format), 8)
        assert bits == info.bit_depth >= row.bit_depth
        seen += 1
    assert seen >= 15
