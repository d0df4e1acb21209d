from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.media.tiff_files import make_tiff

from cleanplate.errors import InputError, MissingExtraError
from cleanplate.media import list_images, read_image
from cleanplate.media.stills.picture_folders import list_unread

PREVIEW = np.full((90, 160, 3), 90, np.uint8)


def dng(**tags: list[int]) -> bytes:
    """A TIFF whose first directory is a preview, as camera RAW files have it."""
    return make_tiff(PREVIEW, more={254: [1], **{int(tag[1:]): value for tag, value in tags.items()}})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.dng", dng(t50706=[1])),
        ("renamed.tif", dng(t50706=[1])),
        ("a.nef", make_tiff(PREVIEW)),
        ("a.tif", make_tiff(PREVIEW[..., :1], photometric=32803)),
        ("a.cr2", b"II*\0\x10\0\0\0CR\x02\0" + bytes(64)),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(64)),
        ("a.raf", b"FUJIFILMCCD-RAW 0201" + bytes(64)),
        ("a.orf", b"IIRO\x08\0\0\0" + bytes(64)),
        ("a.rw2", b"IIU\0\x18\0\0\0" + bytes(64)),
    ],
)
def test_camera_raw_goes_to_its_developer(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    installed = find_spec("rawpy") is not None
    refused = (InputError, f"{name} cannot be developed") if installed else (MissingExtraError, "extra 'raw'")
    with pytest.raises(refused[0], match=refused[1]):
        read_image(tmp_path / name)


def test_a_tiff_whose_first_picture_is_a_thumbnail_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(dng())
    with pytest.raises(InputError, match="thumbnail of 160x90, not the photo"):
        read_image(tmp_path / "a.tif")


def test_kinds_that_run_a_program_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(InputError, match="is not a picture that cleanplate can read"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".avif", ".gif", ".jp2", ".mpo", ".webp", ".bmp"])
def test_a_folder_lists_every_supported_kind(tmp_path: Path, suffix: str) -> None:
    picture = Image.new("RGB", (40, 32), (200, 40, 40))
    other = Image.new("RGB", (40, 32), (0, 0, 0))
    more = {"save_all": True, "append_images": [other]} if suffix in (".gif", ".mpo", ".avif") else {}
    picture.save(tmp_path / f"a{suffix}", **more)
    assert [path.name for path in list_images(tmp_path)] == [f"a{suffix}"]
    pixels = read_image(tmp_path / f"a{suffix}").pixels
    assert np.abs(pixels.astype(int) - (200, 40, 40)).max() < 6


def test_pictures_of_a_folder_that_are_left_out(tmp_path: Path) -> None:
    for name in ("b.TGA", "a.svg", "c.png", "notes.txt", ".d.tga"):
        (tmp_path / name).touch()
    assert [path.name for path in list_unread(tmp_path)] == ["a.svg", "b.TGA"]
    (tmp_path / "c.png").unlink()
    with pytest.raises(InputError, match=r"has a readable format: it has a\.svg"):
        list_images(tmp_path)
