"""Small data sets, in exactly the layouts of the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

Bytes = npt.NDArray[np.uint8]
HEIGHT, WIDTH = 72, 96


def make_cutout(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Bytes:
    """Straight RGBA: an ellipse with a soft edge in a smooth colour, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (2, 3, 3), np.uint8)
    colour = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    alpha = np.zeros((height, width), np.uint8)
    centre = (int(width * rng.uniform(0.4, 0.6)), int(height * rng.uniform(0.4, 0.6)))
    cv2.ellipse(alpha, centre, (width // 4, height // 3), 0, 0, 360, 255, -1)
    return np.dstack([colour, cv2.GaussianBlur(alpha, (7, 7), 0)])


def write(path: Path, picture: Bytes) -> Path:
    """Write RGB, RGBA or grey; JPEG at a quality that looks lossless."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if picture.ndim == 3:
        picture = picture[..., [2, 1, 0, 3][: picture.shape[2]]]
    options = [cv2.IMWRITE_JPEG_QUALITY, 98] if path.suffix.lower() in (".jpg", ".jpeg") else []
    assert cv2.imwrite(str(path), picture, options)
    return path


def write_video(path: Path, pictures: list[Bytes], *, key_every: int = 6, rate: int = 24) -> Path:
    """H.264 in MP4 with B-frames, as the real clips are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"crf": "4", "bf": "2", "x264-params": "scenecut=0"}
        )
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = key_every
        for picture in pictures:
            rgb = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[..., :3]), "rgb24"))
            )
        container.mux(stream.encode())
    return path


def write_pair(root: Path, colour: str, alpha: str, seed: int) -> None:
    cutout = make_cutout(seed)
    write(root / colour, cutout[..., :3])
    write(root / alpha, cutout[..., 3])


@pytest.fixture(scope="session")
def cutout() -> Callable[..., Bytes]:
    return make_cutout


@pytest.fixture(scope="session")
def write_picture() -> Callable[[Path, Bytes], Path]:
    return write


@pytest.fixture(scope="session")
def write_clip() -> Callable[..., Path]:
    return write_video


@pytest.fixture
def videomatte_jpeg(tmp_path: Path) -> Path:
    """VideoMatte240K_JPEG_SD: three training clips and one test clip, as folders of JPEG frames."""
    root = tmp_path / "VideoMatte240K_JPEG_SD"
    for split, clips in (("train", 3), ("test", 1)):
        for clip in range(clips):
            for frame in range(5 + clip):
                name = f"{clip:04}/{frame:05}.jpg"
                seed = 1000 * (split == "test") + 100 * clip + frame
                write_pair(root / split, f"fgr/{name}", f"pha/{name}", seed)
    return root


@pytest.fixture
def videomatte_mp4(tmp_path: Path) -> Path:
    """VideoMatte240K_HD: clips as MP4 files."""
    root = tmp_path / "VideoMatte240K_HD"
    for split, clips in (("train", 2), ("test", 1)):
        for clip in range(clips):
            cutouts = [make_cutout(1000 * (split == "test") + 100 * clip + frame) for frame in range(14)]
            write_video(root / split / "fgr" / f"{clip:04}.mp4", [c[..., :3] for c in cutouts])
            write_video(root / split / "pha" / f"{clip:04}.mp4", [c[..., 3] for c in cutouts])
    return root


@pytest.fixture
def photomatte(tmp_path: Path) -> Path:
    """PhotoMatte85 as it is downloaded: RGBA PNG files in one folder."""
    root = tmp_path / "PhotoMatte85"
    for number in range(21):
        write(root / f"0051115Q_000001_{number:04}.png", make_cutout(800 + number))
    return root


@pytest.fixture
def distinctions(tmp_path: Path) -> Path:
    """Distinctions-646: Train and Test with FG and GT, JPEG beside PNG, brackets in names."""
    root = tmp_path / "Distinctions-646"
    for number in range(4):
        write_pair(root, f"Train/FG/{number}({number}).jpg", f"Train/GT/{number}({number}).png", number)
    for number in range(2):
        write_pair(root, f"Test/FG/test_{number}.png", f"Test/GT/test_{number}.png", 50 + number)
    return root


@pytest.fixture
def adobe(tmp_path: Path) -> Path:
    """Adobe Image Matting: two sources of pictures below each split, trimaps beside the test set's."""
    root = tmp_path / "Combined_Dataset"
    for number in range(3):
        name = f"h_{number}.JPG", f"h_{number}.png"
        write_pair(root / "Training_set/Adobe-licensed images", f"fg/{name[0]}", f"alpha/{name[1]}", number)
        write_pair(root / "Training_set/Other", f"fg/o{number}.jpg", f"alpha/o{number}.jpg", 20 + number)
        write_pair(
            root / "Test_set/Adobe-licensed images", f"fg/t{number}.png", f"alpha/t{number}.png", 40 + number
        )
        write(root / f"Test_set/Adobe-licensed images/trimaps/t{number}_0.png", make_cutout(3)[..., 3])
    return root


@pytest.fixture
def own_material(tmp_path: Path) -> Path:
    """The project's own folders, ten of each and two sequences."""
    root = tmp_path / "material"
    for number in range(10):
        write(root / f"figures/{number:05}.webp", make_cutout(number))
        write(root / f"objects/thing_{number}.png", make_cutout(100 + number))
        write(root / f"garments/{number}.jpg", make_cutout(200 + number)[..., :3])
        write(root / f"backgrounds/room_{number}.jpg", make_cutout(300 + number)[..., :3])
    (root / "figures" / "README.md").write_text("not a picture")
    for name in ("00_walk", "01_wave"):
        for frame in range(4):
            write(root / f"sequences/{name}/{frame:03}.webp", make_cutout(400 + frame))
    return root


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """Background pictures, some in a sub-folder, and a video of three seconds."""
    root = tmp_path / "rooms"
    for number in range(12):
        write(
            root / ("inside" if number % 2 else ".") / f"{number:02}.jpg", make_cutout(600 + number)[..., :3]
        )
    write_video(root / "street.mp4", [make_cutout(700 + i)[..., :3] for i in range(72)], key_every=12)
    return root
