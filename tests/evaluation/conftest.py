from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cleanplate.evaluation.cases import CaseWriter

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SIZE = (480, 270)


def shrink(picture):
    return cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)


def read(name):
    return shrink(cv2.imread(str(SAMPLES / name))[..., ::-1])


def decode(name, layout, wanted):
    with av.open(str(SAMPLES / name)) as clip:
        frames = (frame.to_ndarray(format=layout) for frame in clip.decode(video=0))
        return [shrink(next(frames)) for _ in range(wanted)]


@pytest.fixture(scope="session")
def case_folder(tmp_path_factory):
    """The bundled photo, four frames of the bundled clip, and the photo with a plate of another place."""
    folder = tmp_path_factory.mktemp("cases") / "cases"
    photo, plate, alpha = read("photo.jpg"), read("plate.jpg"), read("photo_alpha.png")[..., 0]
    with CaseWriter(folder, {"from": "samples"}) as writer:
        writer.add("photo", photo, plate, np.ascontiguousarray(alpha), photo, kind="still")
        frames, truths = decode("clip.mp4", "rgb24", 4), decode("clip_alpha.mkv", "gray", 4)
        writer.add("clip", frames, read("clip_plate.jpg"), truths, frames, kind="moving")
        elsewhere = cv2.resize(np.random.default_rng(0).integers(0, 256, (27, 48, 3), np.uint8), SIZE)
        writer.add("elsewhere", photo, elsewhere, np.ascontiguousarray(alpha), photo, kind="still")
    return folder


@pytest.fixture(scope="session")
def cut_outs(tmp_path_factory):
    """Two stills and two clips of six frames as ``fgr`` and ``pha``, RGBA pictures, and three backgrounds."""
    root = tmp_path_factory.mktemp("cut_outs")
    random = np.random.default_rng(1)

    def save(path, picture):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)

    for number in range(2):
        colour = cv2.resize(random.integers(0, 256, (3, 4, 3), np.uint8), (96, 64))
        for frame in range(6):
            alpha = np.zeros((64, 96), np.uint8)
            cv2.circle(alpha, (40 + 2 * frame, 40), 20 + 4 * number, 255, -1, cv2.LINE_AA)
            save(root / "clips" / "fgr" / f"clip{number}" / f"{frame:04d}.png", colour)
            save(root / "clips" / "pha" / f"clip{number}" / f"{frame:04d}.png", alpha)
        save(root / "stills" / "fgr" / f"still{number}.png", colour)
        save(root / "stills" / "alpha" / f"still{number}.jpg", alpha)
        save(root / "rgba" / f"still{number}.png", np.dstack([colour, alpha]))
    for number in range(3):
        small = random.integers(0, 256, (9, 12, 3), np.uint8)
        save(root / "backgrounds" / f"room{number}.png", cv2.resize(small, (160, 120)))
    return root


@pytest.fixture
def video_cut_outs(cut_outs, tmp_path):
    """The first clip as videos; a picture and a video that moves as backgrounds."""

    def film(path, pictures):
        path.parent.mkdir(exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=24, options={"crf": "4"})
            stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
            container.mux(stream.encode())

    for layer in ("fgr", "pha"):
        frames = sorted((cut_outs / "clips" / layer / "clip0").iterdir())
        film(tmp_path / layer / "clip0.mp4", [cv2.imread(str(path)) for path in frames])
    room = cv2.imread(str(cut_outs / "backgrounds" / "room0.png"))
    film(tmp_path / "backgrounds" / "street.mp4", [np.roll(room, 8 * step, axis=1) for step in range(8)])
    cv2.imwrite(str(tmp_path / "backgrounds" / "room0.png"), room)
    return tmp_path
