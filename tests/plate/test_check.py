"""Check of plates with known faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cleanplate.errors import InputError
from cleanplate.plate import Diagnosis, Plate, check_plate

SAMPLES = Path(__file__).parents[2] / "samples"
HEIGHT, WIDTH = 360, 640
STOP = 2 ** (1 / 2.2)


@pytest.fixture
def check_fault(make_set: type, studio: dict) -> Any:
    """Check a plate with a fault against frames of a walking subject."""

    def check(
        spoil: Any = lambda scene: scene,
        motion: np.ndarray | None = None,
        light: Any = 1.0,
        seed: int = 1,
        count: int = 3,
    ) -> Diagnosis:
        place = make_set(seed)
        seen = place.plate if motion is None else place.seen_from(motion)
        frames = []
        for number in range(count):
            walker = seen.copy()
            left = 40 + 400 * number // (count - 1)
            walker[120:, left : left + 130] = 60 + 90 * (np.arange(130) // 8 % 2)[None, :, None]
            frames.append(studio["shoot"](walker * np.float32(light), seed=number + 1))
        return check_plate(studio["shoot"](spoil(place.plate)), frames)

    return check


def test_a_clean_plate_has_good_findings_only(check_fault: Any) -> None:
    diagnosis = check_fault()
    assert diagnosis.verdict == "usable"
    assert diagnosis.is_usable
    assert [finding.topic for finding in diagnosis.findings] == [
        "size", "place", "motion", "camera", "coverage", "exposure", "colour", "sharpness", "compression",
        "subject",
    ]  # fmt: skip
    assert all(finding.severity == "good" and not finding.advice for finding in diagnosis.findings)
    assert diagnosis.find("place").figures["found_share"] == 1
    assert diagnosis.frames == 3


@pytest.mark.parametrize(
    ("shift", "degrees", "zoom", "severity"),
    [(3.0, 0.2, 1.0, "good"), (10.0, 2.0, 1.0, "good"), (30.0, 0.0, 1.0, "care"), (2, 3.0, 1.04, "care")],
)
def test_motion_is_measured(
    check_fault: Any, studio: dict, shift: float, degrees: float, zoom: float, severity: str
) -> None:
    motion = studio["motion"](HEIGHT, WIDTH, 0.8 * shift, -0.6 * shift, degrees * 0.99, zoom)
    finding = check_fault(motion=motion).find("motion")
    assert finding.figures["shift_pixels"] == pytest.approx(shift, abs=0.2)
    assert finding.figures["rotation_degrees"] == pytest.approx(degrees, abs=0.05)
    assert finding.figures["zoom"] == pytest.approx(zoom, abs=0.002)
    assert finding.severity == severity
    assert f"{shift:.1f} px" in finding.message


def test_a_plate_with_little_overlap_needs_care(check_fault: Any, studio: dict) -> None:
    finding = check_fault(motion=studio["motion"](HEIGHT, WIDTH, 55, 0)).find("coverage")
    assert finding.figures["overlap"] == pytest.approx(1 - 55 / WIDTH, abs=0.005)
    assert finding.severity == "care"


@pytest.mark.parametrize(("stops", "severity"), [(0.1, "good"), (-1.0, "good"), (-1.8, "care")])
def test_exposure_is_measured(check_fault: Any, stops: float, severity: str) -> None:
    finding = check_fault(light=STOP**stops).find("exposure")
    assert finding.figures["exposure_stops"] == pytest.approx(stops, abs=0.1)
    assert finding.severity == severity


@pytest.mark.parametrize(("tint", "severity"), [(0.15, "good"), (0.3, "care")])
def test_white_balance_is_measured(check_fault: Any, tint: float, severity: str) -> None:
    finding = check_fault(light=(1 / (1 + tint), 1 / (1 + tint), 1.0)).find("colour")
    assert finding.figures["tint"] == pytest.approx(tint, abs=0.03)
    assert finding.figures["blue"] > 0 > finding.figures["red"]
    assert finding.severity == severity


@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_blur_is_measured(check_fault: Any, sigma: float) -> None:
    finding = check_fault(lambda scene: cv2.GaussianBlur(scene, (0, 0), sigma)).find("sharpness")
    assert finding.figures["blur_pixels"] == pytest.approx(sigma, rel=0.35)
    assert finding.severity == "care"
    assert "blurrier" in finding.message


@pytest.mark.parametrize(("quality", "severity"), [(92, "good"), (12, "care")])
def test_compression_is_measured(make_set: type, studio: dict, quality: int, severity: str) -> None:
    scene = cv2.GaussianBlur(make_set(2).plate, (0, 0), 1.5)
    shot = studio["shoot"](scene)
    plate = cv2.imdecode(cv2.imencode(".jpg", shot, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    assert check_plate(plate, shot).find("compression").severity == severity


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_subject_in_the_plate_is_found(check_fault: Any, side: str) -> None:
    left = {"left": 60, "right": 480}[side]

    def spoil(scene: np.ndarray) -> np.ndarray:
        scene = scene.copy()
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        inside = ((x - left - 45) / 45) ** 2 + ((y - 250) / 110) ** 2 < 1
        scene[inside] = (210, 60, 40)
        return scene

    diagnosis = check_fault(spoil, count=5)
    finding = diagnosis.find("subject")
    assert finding.severity == "bad"
    assert finding.figures["share"] == pytest.approx(0.065, abs=0.03)
    assert side in finding.message
    assert "plate build" in finding.advice
    assert diagnosis.verdict == "not usable"


def draw_striped_coat(place: Any, x: float, width: int = 90) -> np.ndarray:
    """Draw a person in a striped coat, with the middle at ``x``."""
    scene = place.plate.copy()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    inside = ((columns - x) / width) ** 2 + ((rows - HEIGHT) / 260) ** 2 < 1
    coat = 110 + 70 * np.sin((columns - x) / 5)[..., None] * np.float32([1, 0.3, -0.6])
    scene[inside] = coat[inside]
    return scene


def test_a_frame_of_the_clip_is_no_clean_plate(make_set: type, studio: dict) -> None:
    place = make_set(7)
    frames = [studio["shoot"](draw_striped_coat(place, 300 + x), seed=x) for x in (0, 9, 17, 24, 11)]
    finding = check_plate(studio["shoot"](draw_striped_coat(place, 308), seed=30), frames).find("subject")
    assert finding.severity == "bad"
    assert "in the plate" in finding.message
    assert check_plate(studio["shoot"](place.plate), frames).find("subject").severity == "good"


def test_a_clean_plate_of_a_shaky_clip_is_usable(make_set: type, studio: dict) -> None:
    place = make_set(8)
    place.plate[...] = draw_striped_coat(place, 320)
    cameras = [studio["motion"](HEIGHT, WIDTH, x, y) for x, y in ((-25, 8), (14, -9), (25, 4), (-8, -10))]
    frames = [studio["shoot"](place.seen_from(camera), seed=n) for n, camera in enumerate(cameras)]
    diagnosis = check_plate(studio["shoot"](make_set(8).plate), frames)
    assert diagnosis.find("subject").message == "Nobody is in the plate."
    assert diagnosis.is_usable


def test_a_clip_without_a_subject_gives_no_verdict_on_the_subject(make_set: type, studio: dict) -> None:
    place = make_set(9)
    seen = [studio["shoot"](draw_striped_coat(place, 320), seed=seed) for seed in range(4)]
    finding = check_plate(seen[0], seen[1:]).find("subject")
    assert finding.severity == "care"
    assert "cannot be told from this clip" in finding.message


def test_a_still_subject_in_the_frames_is_not_in_the_plate(make_set: type, studio: dict) -> None:
    scene = make_set(3).plate
    seen = studio["subject"](scene, 0.3)
    frames = [studio["shoot"](seen, seed=number) for number in range(3)]
    assert check_plate(studio["shoot"](scene), frames).find("subject").severity == "good"


def test_a_plate_of_another_room_is_bad(studio: dict) -> None:
    diagnosis = check_plate(studio["shoot"](studio["room"](10)), [studio["shoot"](studio["room"](11))])
    assert diagnosis.verdict == "not usable"
    assert diagnosis.find("place").severity == "bad"
    assert "another place" in diagnosis.find("place").message
    assert diagnosis.find("subject") is None


def test_a_mirrored_plate_is_bad(check_fault: Any) -> None:
    diagnosis = check_fault(lambda scene: scene[:, ::-1])
    assert diagnosis.verdict == "not usable"
    assert "mirrored" in diagnosis.find("mirrored").message


@pytest.mark.parametrize(
    ("size", "severity"), [((1280, 720), "good"), ((320, 180), "care"), ((480, 480), "bad")]
)
def test_a_small_plate_is_noted(make_set: type, studio: dict, size: tuple[int, int], severity: str) -> None:
    shot = studio["shoot"](make_set(4).plate)
    diagnosis = check_plate(cv2.resize(shot, size, interpolation=cv2.INTER_AREA), shot)
    finding = diagnosis.find("size")
    assert finding.severity == severity
    assert f"{size[0]}x{size[1]}" in finding.message
    assert diagnosis.is_usable == (severity != "bad")


def test_a_swaying_camera_is_noted(make_set: type, studio: dict) -> None:
    place = make_set(5)
    frames = [
        studio["shoot"](place.seen_from(studio["motion"](HEIGHT, WIDTH, x, 0)), seed=x + 9)
        for x in (-4, 0, 4)
    ]
    finding = check_plate(studio["shoot"](place.plate), frames).find("camera")
    assert finding.figures["sway_pixels"] == pytest.approx(4, abs=0.2)
    assert "followed" in finding.message


def test_a_bare_wall_gives_no_verdict_on_the_place(studio: dict) -> None:
    wall = np.full((HEIGHT, WIDTH, 3), 140.0)
    diagnosis = check_plate(studio["shoot"](wall), studio["shoot"](wall, seed=1))
    assert diagnosis.verdict == "usable with care"
    assert "cannot be told" in diagnosis.find("place").message


def test_a_finding_names_bgr_frames(make_set: type, studio: dict) -> None:
    scene = make_set(6).plate
    frames = [studio["shoot"](studio["subject"](scene, 0.2), seed=number) for number in range(3)]
    plate = studio["shoot"](scene, seed=9)
    swapped = check_plate(plate, [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]).find("colour")
    assert swapped.severity == "care"
    assert "BGR" in swapped.message
    assert "cvtColor" in swapped.advice
    assert swapped.figures["swapped"] == 1
    assert check_plate(plate, frames).find("colour").figures["swapped"] == 0


def test_a_diagnosis_is_printed_as_text_and_json(check_fault: Any, studio: dict) -> None:
    diagnosis = check_fault(motion=studio["motion"](HEIGHT, WIDTH, 30, 0))
    text = diagnosis.describe()
    assert text.startswith("Usable with care.\n")
    assert "! motion:" in text
    assert "-> lock the tripod" in text
    told = json.loads(json.dumps(diagnosis.to_json()))
    assert told["verdict"] == "usable with care"
    assert told["usable"] is True
    assert {"topic", "severity", "message", "advice", "figures"} == set(told["findings"][0])


def test_files_are_accepted() -> None:
    diagnosis = check_plate(SAMPLES / "plate.jpg", SAMPLES / "photo.jpg")
    assert diagnosis.is_usable
    assert diagnosis.frames == 1


def test_a_photo_is_not_its_own_plate() -> None:
    photo = (np.random.default_rng(1).integers(0, 2, (18, 32, 3)) * 200).astype(np.uint8)
    photo = photo.repeat(10, 0).repeat(10, 1)
    assert check_plate(Plate(photo), [photo]).find("subject").severity == "care"


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "no frames"),
        ([np.zeros((90, 160, 3), np.uint8), np.zeros((90, 161, 3), np.uint8)], "differ"),
        ([np.zeros((90, 160), np.uint8)], "RGB"),
        ("missing.mp4", "missing.mp4"),
        ("missing.png", "missing.png"),
    ],
)
def test_wrong_frames_are_refused(frames: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_plate(Plate(np.zeros((90, 160, 3), np.uint8)), frames)


WHITE = (214, 214, 214)


def draw_plain_coat(scene: np.ndarray, x: float, coat: tuple[int, int, int]) -> np.ndarray:
    """Draw a person in a plain coat, with the middle at ``x``."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    inside = ((columns - x) / 90) ** 2 + ((rows - HEIGHT) / 260) ** 2 < 1
    return np.where(inside[..., None], np.float32(coat), scene).astype(np.float32)


def test_a_coat_in_the_colour_of_the_set_is_no_subject_in_the_plate(make_set: type, studio: dict) -> None:
    scene = make_set(11).plate.copy()
    scene[200:230, 330:] = WHITE
    frames = [studio["shoot"](draw_plain_coat(scene, 320 + x, WHITE), seed=x) for x in (0, 9, 17, 4, 11)]
    finding = check_plate(studio["shoot"](scene, seed=40), frames).find("subject")
    assert "cannot be told" in finding.message


def test_a_window_that_is_clipped_in_the_plate_is_no_subject(make_set: type, studio: dict) -> None:
    place = make_set(12)
    plate = place.plate.copy()
    plate[20:150, 400:600] = 255
    frames = []
    for x in (-60, -30, 0, 30, 60):
        scene = draw_striped_coat(place, 250 + x)
        scene[20:150, 400:600] = 232
        frames.append(studio["shoot"](scene, seed=x + 90))
    finding = check_plate(studio["shoot"](plate, seed=41), frames).find("subject")
    assert finding.message == "Nobody is in the plate."
