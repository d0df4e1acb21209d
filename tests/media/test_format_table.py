"""docs/media.md says of the formats what is measured here, and ffprobe sees the same files."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cleanplate.media import open_source, sink_formats
from cleanplate.media.containers.formats import CONTAINERS

HERE = str(Path(__file__).parent)


@pytest.fixture(scope="module")
def table() -> Iterator[Any]:
    """The script that writes the tables: it and its neighbour are no modules for pytest."""
    sys.path.insert(0, HERE)
    try:
        yield importlib.import_module("format_table")
    finally:
        sys.path.remove(HERE)


@pytest.fixture(scope="module")
def measured(table: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of the files that were measured, and the tables."""
    folder = tmp_path_factory.mktemp("formats")
    return folder, table.build_tables(folder)


@pytest.mark.parametrize("name", ["formats", "pictures", "beside"])
def test_the_page_equals_the_measured_table(
    table: Any, measured: tuple[Path, dict[str, str]], name: str
) -> None:
    if not all(row.available for row in sink_formats() if row.name != "hevc-alpha"):
        pytest.skip("something is missing here that the page tells of: encoders, or OpenEXR")
    _, between, _ = table.split_page(table.PAGE.read_text(encoding="utf-8"), name)
    # A build for macOS has a codec more.
    lines = [line for line in measured[1][name].splitlines() if "`hevc-alpha`" not in line]
    assert "\n".join(lines) == between, "run python tests/media/format_table.py"


def probe_with_ffprobe(path: Path) -> Any:
    command = [
        "ffprobe",
        "-v",
        "error",
        "-show_format",
        "-show_streams",
        "-show_chapters",
        "-of",
        "json",
        path,
    ]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def test_ffprobe_confirms_the_table(measured: tuple[Path, dict[str, str]]) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("needs ffprobe")
    seen = 0
    for row in sink_formats():
        path = measured[0] / f"{row.name}{row.suffix}"
        if row.suffix not in CONTAINERS or not path.exists():
            continue
        (stream,) = probe_with_ffprobe(path)["streams"]
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


def test_ffprobe_confirms_the_table_of_side_streams(
    table: Any, measured: tuple[Path, dict[str, str]]
) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("needs ffprobe")
    for suffix in CONTAINERS:
        files = table.write_subtitle_clips(suffix, measured[0])
        row = table.describe_beside(suffix, [probe_with_ffprobe(path) for path in files])
        if suffix in (".mov", ".mp4") and row["their titles"] == "–":
            row["their titles"] = "kept"  # older ones (5.1) do not look for them there
        assert table.as_table([row])[-1] in measured[1]["beside"].splitlines()
