"""A plate whose camera moves: matched frame by frame, against the truth of a made move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest

import cleanplate
from cleanplate.errors import CleanplateError, OptionError, PlateError
from cleanplate.frame import Frame, Matte
from cleanplate.jobs.pipeline import Progress
from cleanplate.jobs.run_notes import FitNotes
from cleanplate.media import Reading, Span, open_source
from cleanplate.plate import Fit, load_plate
from cleanplate.plate.moving.clip_reader import ClipReader
from cleanplate.plate.moving.content_search import find_warp, take_thumbnails

SAMPLES = Path(__file__).parents[2] / "samples"
HEIGHT, WIDTH = 180, 320
COUNT = 14
EXTRA = 6  # frames of the plate's clip beyond those of the source
OFFSET = 3


class Set:
    """A camera that moves over the sample's photograph, and the sample's subject before it."""

    def __init__(self) -> None:
        photo = cv2.imread(str(SAMPLES / "photo.jpg"))
        alpha = cv2.imread(str(SAMPLES / "photo_alpha.png"), cv2.IMREAD_GRAYSCALE)
        empty = cv2.imread(str(SAMPLES / "plate.jpg"))
        self.empty = cv2.resize(empty, (960, 540), interpolation=cv2.INTER_AREA)
        size = (WIDTH, HEIGHT)
        self.photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        self.alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255

    def shoot_set(self, place: float, gain: float = 1.0) -> np.ndarray:
        """The empty set at a place of the move, 0 to 1."""
        zoom = 1.3 - 0.2 * place
        view = np.float32([[1 / zoom, 0, 30 + 420 * place], [0, 1 / zoom, 120 + 60 * np.sin(3 * place)]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.clip(cv2.warpAffine(self.empty, view, (WIDTH, HEIGHT), flags=flags) * gain, 0, 255)

    def shoot(self, place: float, gain: float = 1.0) -> np.ndarray:
        """The same with the subject before it."""
        alpha = self.alpha[..., None]
        return alpha * self.photo + (1 - alpha) * self.shoot_set(place, gain)


def write_clip(path: Path, pictures: Sequence[np.ndarray], timecode: str | None = None) -> None:
    with av.open(str(path), "w") as container:
        if timecode is not None:
            container.metadata["timecode"] = timecode
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in pictures:
            rgb = np.ascontiguousarray(np.rint(picture)[..., ::-1].astype(np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate's clip, a clip of the same move, and one whose speed varies."""
    folder, made = tmp_path_factory.mktemp("move"), Set()
    places = np.linspace(0, 1, COUNT + EXTRA)
    write_clip(folder / "plate.mov", [made.shoot_set(place) for place in places], "10:00:00:00")
    same = [made.shoot(place, 1.1) for place in places[OFFSET : OFFSET + COUNT]]
    write_clip(folder / "clip.mov", same, f"10:00:00:{OFFSET:02}")
    write_clip(folder / "slow.mov", [made.shoot(place, 0.9) for place in slow_start(COUNT)])
    cv2.imwrite(str(folder / "plate.png"), made.shoot_set(places[OFFSET]))
    return folder


def slow_start(count: int) -> np.ndarray:
    return 0.05 + 0.9 * np.linspace(0, 1, count) ** 1.5


def key(
    folder: Path, clip: str, plate: str = "plate.mov", **options: Any
) -> tuple[list[np.ndarray], list[str]]:
    """Alpha of each frame, and notes."""
    notes: list[str] = []
    out = folder / "alpha.mkv"
    options = {"save": ["alpha"], **options}
    cleanplate.matte_video(
        folder / clip, folder / plate, out, overwrite=True, on_note=notes.append, **options
    )
    with open_source(out) as source:
        return [frame.pixels[..., 0] / np.iinfo(frame.pixels.dtype).max for frame in source], notes


def error_of(alphas: list[np.ndarray]) -> float:
    """Mean absolute difference from the truth."""
    truth = Set().alpha
    return float(np.mean([np.abs(alpha - truth).mean() for alpha in alphas]))


def test_a_repeated_move_is_keyed_by_index_timecode_and_content_alike(clips: Path) -> None:
    by_index, notes = key(clips, "clip.mov", plate_motion="index", plate_offset=OFFSET)
    assert notes == []
    assert len(by_index) == COUNT
    assert error_of(by_index) < 0.008
    for motion in ("timecode", "search"):
        alphas, _ = key(clips, "clip.mov", plate_motion=motion, workers=2)
        assert all(np.array_equal(*pair) for pair in zip(alphas, by_index, strict=True)), motion
    still, _ = key(clips, "clip.mov", "plate.png")
    assert error_of(still) > 8 * error_of(by_index)


def test_a_move_of_varying_speed_is_found_by_content(clips: Path) -> None:
    alphas, _ = key(clips, "slow.mov", plate_motion="search")
    assert error_of(alphas) < 0.012


def test_a_part_of_the_clip_gets_the_same_plates_as_the_whole(clips: Path) -> None:
    whole, _ = key(clips, "clip.mov", plate_motion="index", plate_offset="0.12s")
    part, _ = key(
        clips, "clip.mov", plate_motion="index", plate_offset=OFFSET, reading=Reading(span=Span.parse("0.2-"))
    )
    assert all(np.array_equal(*pair) for pair in zip(part, whole[5:], strict=True))


def test_the_notes_are_those_of_the_first_frames_fit_however_late_they_are_told() -> None:
    notes: list[str] = []
    keyer: Any = SimpleNamespace(fit=None)
    frame = Frame(np.zeros((32, 32, 3), np.uint8))
    matte = Matte(np.zeros((32, 32), np.float32), frame.pixels, frame)
    with FitNotes(keyer, notes.append, None) as told:
        told.tick(Progress(0, None, 0.0))
        for number in range(3):
            keyer.fit = replace(Fit.unmoved(), notes=(f"note of frame {number}",))
            told.observe(matte)
        told.tick(Progress(3, None, 1.0))
    assert notes == ["note of frame 0"]


def test_a_plate_that_ends_early_is_held_with_a_note(clips: Path) -> None:
    _, notes = key(clips, "clip.mov", plate_motion="index", plate_offset=EXTRA + 2)
    held = COUNT - 2
    assert f"The plate 'plate.mov' has {COUNT + EXTRA} frames: from frame {held} of the clip on" in notes[-1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"plate_motion": "index", "plate_offset": 900}, "begins at its frame 900"),
        ({"plate_motion": "index", "plate_offset": -900}, "begins 900 frames after the clip"),
        (
            {"plate_motion": "timecode", "clip": "slow.mov"},
            "'slow.mov' has no timecode.*plate_motion='index'",
        ),
        ({"plate_motion": "search", "plate_offset": 3}, "needs a plate that is matched by number"),
        ({"plate_motion": "index", "follow": True}, "nothing to follow"),
        ({"plate_motion": "index", "plate": "plate.png"}, "is a clip or a numbered sequence"),
        ({"plate_motion": "index", "background": "blur", "save": None}, "cannot be blurred"),
        ({}, "camera moves in the plate 'plate.mov'.*plate_motion='search'"),
    ],
)
def test_a_plate_that_cannot_be_matched_is_refused(clips: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(CleanplateError, match=said):
        key(clips, **{"clip": "clip.mov", **options})


def test_another_place_is_not_matched_by_content(clips: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    noise = cv2.resize(random.integers(0, 256, (30, 90, 3), np.uint8), (720, 240)).astype(np.float32)
    write_clip(tmp_path / "other.mov", [noise[:HEIGHT, 9 * n : 9 * n + WIDTH] for n in range(20)])
    with pytest.raises(PlateError, match="does not show the places"):
        key(clips, "clip.mov", str(tmp_path / "other.mov"), plate_motion="search")


def test_the_warp_never_goes_back_and_follows_a_longer_clip() -> None:
    made = Set()
    places = slow_start(40)
    frames = [Frame(made.shoot(place).astype(np.uint8), index=n) for n, place in enumerate(places)]
    plate = [
        Frame(made.shoot_set(place).astype(np.uint8), index=n)
        for n, place in enumerate(np.linspace(0, 1, 60))
    ]
    steps, similarity = find_warp(take_thumbnails(frames).pictures, take_thumbnails(plate).pictures)
    assert np.all(np.diff(steps) >= 0)
    assert np.abs(steps - 59 * places).max() < 1.5
    assert similarity > 0.7


def test_a_clip_is_read_by_number_forwards_and_backwards(clips: Path) -> None:
    with open_source(clips / "plate.mov") as source:
        wanted = [frame.pixels for frame in source]
    reader = ClipReader(clips / "plate.mov")
    for number in (-4, 0, 5, 5, 2, 19, 30, 7):
        found = reader.frame(number)
        assert np.array_equal(found.pixels, wanted[min(max(number, 0), len(wanted) - 1)]), number
    assert reader.frame_count == len(wanted)
    reader.close()


def test_pixels_without_a_number_are_refused(clips: Path) -> None:
    from cleanplate.plate.moving.moving_plate import MovingPlate

    keyer = cleanplate.Keyer(MovingPlate(clips / "plate.mov", OFFSET))
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with pytest.raises(CleanplateError, match="pixels alone do not tell"):
        keyer(pixels)
    keyer.close()


def test_a_plate_clip_of_a_still_camera_stays_one_picture(tmp_path: Path) -> None:
    still = Set().shoot_set(0.5)
    write_clip(tmp_path / "still.mov", [still] * 4)
    plate = load_plate(tmp_path / "still.mov")
    assert [note for note in plate.notes if "moves" in note] == []


@pytest.mark.parametrize("offset", ["3f", "s", "0.5m"])
def test_a_wrong_offset_is_refused(offset: str) -> None:
    with pytest.raises(OptionError, match="plate offset"):
        cleanplate.matte_video("clip.mov", "plate.mov", plate_motion="index", plate_offset=offset)


def test_an_offset_in_seconds_is_exact() -> None:
    from cleanplate.vocabulary.options import parse_offset

    assert parse_offset("0.5s") == Fraction(1, 2)
    assert parse_offset("-3") == -3
