"""Mistakes on the command line: a clear sentence, exit code 2, and no loss of files."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import wave
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import cleanplate
from cleanplate.cli import main
from cleanplate.media.containers import formats
from cleanplate.models.registry import EMBEDDED

HEIGHT, WIDTH = 120, 160


def paint(seed, height=HEIGHT, width=WIDTH, things=40):
    """Paint a picture with structure; another seed gives another place."""
    random = np.random.default_rng(seed)
    picture = np.full((height, width, 3), random.integers(60, 200, 3), np.uint8)
    for _ in range(things):
        corner = random.integers(0, (width, height))
        opposite = corner + random.integers(5, 40, 2)
        colour = random.integers(0, 256, 3).tolist()
        cv2.rectangle(picture, corner.tolist(), opposite.tolist(), colour, -1)
    return picture


def add_subject(picture):
    picture = picture.copy()
    cv2.ellipse(picture, (WIDTH // 2, HEIGHT), (30, 70), 0, 0, 360, (200, 40, 40), -1)
    return picture


def write_clip(path, frames):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A photo, a clip and the plate of both."""
    folder = tmp_path_factory.mktemp("good")
    plate = paint(1)
    cv2.imwrite(str(folder / "plate.png"), plate[..., ::-1])
    cv2.imwrite(str(folder / "photo.png"), add_subject(plate)[..., ::-1])
    write_clip(folder / "clip.mp4", [add_subject(plate)] * 12)
    return folder


@pytest.fixture
def here(good, tmp_path, monkeypatch):
    """The working directory of a user, with a copy of the good files."""
    shutil.copytree(good, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(here, capsys):
    """Run a command that must be refused; check its form, and return its message."""

    def run(*arguments, leaves=()):
        before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
        code = main(list(map(str, arguments)))
        said = capsys.readouterr()
        assert code == 2, said.err
        first = next(line for line in said.err.splitlines() if not line.startswith("note: "))
        assert first.startswith("error: ")
        assert first.endswith((".", ".)"))
        assert "Traceback" not in said.err
        after = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
        assert {path: after.get(path) for path in before} == before, "a file of the user's was changed"
        assert {path.name for path in set(after) - set(before)} == set(leaves)
        return said.err

    return run


@pytest.mark.parametrize("command", ["image", "video"])
def test_missing_source(refused, command):
    assert "gone.mp4" in refused(command, "gone.mp4", "--plate", "plate.png")


@pytest.mark.parametrize("arguments", [("image", "photo.png"), ("video", "clip.mp4")])
def test_missing_plate(refused, arguments):
    assert "gone.png" in refused(*arguments, "--plate", "gone.png")


def test_a_folder_of_plates_for_one_photo(here, refused):
    (here / "plates").mkdir()
    assert "plates" in refused("image", "photo.png", "--plate", "plates")
    assert "plates" in refused("video", "clip.mp4", "--plate", "plates")


@pytest.mark.parametrize("content", [b"", b"not a picture\n" * 100, b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_unreadable_photo(here, refused, content):
    (here / "broken.png").write_bytes(content)
    assert "broken.png" in refused("image", "broken.png", "--plate", "plate.png")
    assert "broken.png" in refused("image", "photo.png", "--plate", "broken.png")


def test_a_folder_without_pictures(here, refused):
    (here / "shots").mkdir()
    (here / "shots" / "notes.txt").write_text("hello")
    assert "shots" in refused("image", "shots", "--plate", "plate.png")


def test_a_folder_given_as_a_clip(here, refused):
    (here / "shots").mkdir()
    assert "shots" in refused("video", "shots", "--plate", "plate.png")


def test_a_photo_without_a_plate_is_reported_and_the_others_are_keyed(here, capsys):
    (here / "shots").mkdir()
    (here / "plates").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy(here / "photo.png", here / "shots" / name)
    shutil.copy(here / "plate.png", here / "plates" / "a.png")
    shutil.copy(here / "plate.png", here / "plates" / "c.png")
    assert main(["image", "shots", "--plate", "plates", "-o", "out"]) == 2
    said = capsys.readouterr()
    assert "b.png" in said.err
    assert sorted(path.name for path in (here / "out").iterdir()) == ["a.cleanplate.png", "c.cleanplate.png"]


def test_a_text_file_as_a_clip(here, refused):
    (here / "clip.mov").write_text("not a video" * 200)
    assert "clip.mov" in refused("video", "clip.mov", "--plate", "plate.png")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("image", "clip.mp4"), "key a clip with cleanplate video"),
        (("video", "photo.png"), "key a picture with cleanplate image"),
        (("video", "photo.jpg"), "key a picture with cleanplate image"),
    ],
)
def test_a_photo_and_a_clip_in_each_others_place(here, refused, arguments, hint):
    (here / "photo.jpg").write_bytes(cv2.imencode(".jpg", paint(1))[1].tobytes())
    assert f"hint: {hint}" in refused(*arguments, "--plate", "plate.png")


def test_a_folder_of_photos_with_the_name_of_one_result(here, refused):
    (here / "two").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(here / "photo.png", here / "two" / name)
    assert "two is a folder" in refused("image", "two", "--plate", "plate.png", "-o", "cut.png")
    assert refused("image", "two", "--plate", "gone.png").count("gone.png") == 1


def test_an_address_in_the_place_of_a_file(refused):
    assert "download it first" in refused("video", "https://example.com/a.mp4", "--plate", "plate.png")


@pytest.mark.usefixtures("here")
def test_a_note_tells_that_the_photo_is_its_own_plate(capsys):
    assert main(["image", "photo.png", "--plate", "photo.png", "-o", "cut.png"]) == 0
    assert "note: The cut-out is empty: nothing in photo.png differs" in capsys.readouterr().err
    assert main(["image", "photo.png", "--plate", "plate.png", "-o", "other.png"]) == 0
    assert "empty" not in capsys.readouterr().err


def test_a_file_without_a_video_stream(here, refused):
    with wave.open(str(here / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    said = refused("video", "sound.wav", "--plate", "plate.png")
    assert "sound.wav" in said
    assert "video" in said


def test_a_clip_with_no_frames(here, refused):
    (here / "empty.y4m").write_bytes(b"YUV4MPEG2 W160 H120 F25:1 Ip C420mpeg2\n")
    said = refused("video", "empty.y4m", "--plate", "plate.png")
    assert "empty.y4m" in said
    assert "frame" in said


def test_a_truncated_clip_keeps_its_frames_and_names_the_loss(here, capsys):
    random = np.random.default_rng(5)
    noisy = [
        random.integers(0, 30, (HEIGHT, WIDTH, 3), np.uint8) + add_subject(paint(1)) // 2 for _ in range(20)
    ]
    write_clip(here / "long.mkv", noisy)
    whole = (here / "long.mkv").read_bytes()
    (here / "cut_off.mkv").write_bytes(whole[: len(whole) // 2])
    assert main(["video", "cut_off.mkv", "--plate", "plate.png", "-o", "cut.mov"]) == 0
    with av.open(str(here / "cut.mov")) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert 2 <= frames < 20
    assert "cut_off.mkv" in capsys.readouterr().err


def test_a_truncated_mp4_without_its_index(here, refused):
    whole = (here / "clip.mp4").read_bytes()
    (here / "cut_off.mp4").write_bytes(whole[: len(whole) // 2])
    assert "cut_off.mp4" in refused("video", "cut_off.mp4", "--plate", "plate.png")


@pytest.mark.parametrize("arguments", [("image", "photo.png"), ("video", "clip.mp4")])
def test_a_plate_of_another_aspect_ratio(here, refused, arguments):
    cv2.imwrite(str(here / "square.png"), paint(1, 120, 120))
    assert "120x120" in refused(*arguments, "--plate", "square.png")


@pytest.mark.parametrize("command", ["image", "video"])
def test_a_plate_of_another_place(here, refused, command):
    """In the size of a real camera: the check needs texture."""
    this_place, another_place = (paint(seed, 360, 640, things=1200) for seed in (1, 2))
    cv2.imwrite(str(here / "here.png"), this_place)
    cv2.imwrite(str(here / "elsewhere.png"), another_place)
    source = "here.png"
    if command == "video":
        source = "here_%03d.png"
        for number in range(3):
            cv2.imwrite(str(here / f"here_{number:03}.png"), this_place)
    said = refused(
        command, source, "--plate", "elsewhere.png", "-o", "cut.png" if command == "image" else "cut.mov"
    )
    assert "elsewhere.png" in said


def test_a_picture_under_32_pixels(here, refused):
    cv2.imwrite(str(here / "tiny.png"), paint(1, 31, 40))
    said = refused("image", "tiny.png", "--plate", "plate.png")
    assert "40x31" in said
    assert "32" in said


def test_a_picture_over_the_memory_budget(here, refused):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 50000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    (here / "huge.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    said = refused("image", "huge.png", "--plate", "plate.png")
    assert "huge.png" in said
    assert "60000x50000" in said


def test_a_missing_hint(refused):
    assert "gone.png" in refused("image", "photo.png", "--plate", "plate.png", "--hint", "gone.png")


def test_a_wrong_area_of_specks(refused):
    assert "-3" in refused("image", "photo.png", "--plate", "plate.png", "--despeckle=-3px")


@pytest.mark.parametrize(
    ("arguments", "result"),
    [(("image", "photo.png"), "photo.cleanplate.png"), (("video", "clip.mp4"), "clip.cleanplate.mov")],
)
def test_a_result_that_exists(here, refused, arguments, result):
    (here / result).write_text("precious")
    said = refused(*arguments, "--plate", "plate.png")
    assert result in said
    assert "overwrit" in said


@pytest.mark.parametrize("arguments", [("image", "photo.png"), ("video", "clip.mp4")])
def test_the_source_is_never_overwritten(refused, arguments):
    assert "overwrite" in refused(*arguments, "--plate", "plate.png", "-o", arguments[1])
    refused(*arguments, "--plate", "plate.png", "-o", arguments[1], "--overwrite")


@pytest.mark.parametrize(
    "arguments",
    [("image", "photo.png", "-o", "photo.png/cut.png"), ("video", "clip.mp4", "-o", "clip.mp4/a/cut.mov")],
)
def test_the_output_folder_is_a_file(refused, arguments):
    assert f"{arguments[1]}" in refused(*arguments, "--plate", "plate.png")


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="needs a folder that nobody can write to")
@pytest.mark.parametrize(
    "arguments", [("image", "photo.png", "-o", "/sys/cut.png"), ("video", "clip.mp4", "-o", "/sys/cut.mov")]
)
def test_the_output_folder_is_read_only(refused, arguments):
    assert "/sys" in refused(*arguments, "--plate", "plate.png")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize(
    "arguments", [("image", "photo.png", "-o", "cut.png"), ("video", "clip.mp4", "-o", "cut.mov")]
)
def test_the_disk_is_full(here, arguments):
    """Writing fails after 4 KB, as it does on a full disk."""
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    package = Path(cleanplate.__file__).parents[1]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(package)}
    done = subprocess.run(
        [sys.executable, "-m", "cleanplate", *arguments, "--plate", "plate.png"],
        cwd=here,
        env=environment,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (here / arguments[3]).exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("image", "photo.png", "-o", "cut.xyz"),
        ("video", "clip.mp4", "-o", "cut.xyz"),
        ("video", "clip.mp4", "-o", "cut"),
    ],
)
def test_an_unknown_suffix(refused, arguments):
    refused(*arguments, "--plate", "plate.png")


def test_a_format_without_alpha_for_the_cutout(refused):
    assert "--background" in refused("video", "clip.mp4", "--plate", "plate.png", "-o", "cut.mp4")
    said = refused("video", "clip.mp4", "--plate", "plate.png", "-o", "-", "--pipe-format", "y4m")
    assert "--pipe-format=nut" in said
    refused("image", "photo.png", "--plate", "plate.png", "-o", "cut.jpg")


@pytest.mark.parametrize("command", [("image", "photo.png"), ("video", "clip.mp4")])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--model", "nosuch"),
        ("--model", "nosuch.onnx"),
        ("--runtime", "nosuch"),
        ("--device", "nosuch"),
        ("--scale", "2"),
        ("--scale", "half"),
        ("--scale", "nan"),
        ("--refine", "sampling:-1"),
        ("--refine", "nosuch"),
        ("--workers", "0"),
        ("--workers", "several"),
        ("--input-colour", "slog"),
    ],
)
def test_an_unknown_value(refused, command, option, value):
    assert value.split(":")[-1] in refused(*command, "--plate", "plate.png", option, value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--plate-motion", "index"], "'plate.png'"),
        (["--plate-motion", "index", "--plate-offset", "3f"], "'3f'"),
        (["--plate", *["plate.png"] * 9], "got 9"),
        (["--props", "gone.png"], "gone.png"),
    ],
)
def test_a_plate_that_cannot_move_or_be_mixed(refused, options, said):
    assert said in refused("video", "clip.mp4", "--plate", "plate.png", *options)


def test_a_missing_device(refused):
    said = refused("image", "photo.png", "--plate", "plate.png", "--device", "cuda")
    assert "cuda" in said
    assert "hint: " in said


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_a_damaged_model_file(here, refused, suffix):
    (here / f"model{suffix}").write_bytes(bytes(range(256)) * 40)
    assert f"model{suffix}" in refused(
        "image", "photo.png", "--plate", "plate.png", "--model", f"model{suffix}"
    )


def test_a_wrong_model_file(here, refused):
    for part in ("coarse", "refiner"):
        shutil.copy(EMBEDDED / "lite.refiner.onnx", here / f"model.{part}.onnx")
    said = refused("image", "photo.png", "--plate", "plate.png", "--model", "model.coarse.onnx")
    assert "model.coarse.onnx" in said


def test_a_missing_encoder(refused, monkeypatch):
    monkeypatch.setattr(formats.Encoder, "available", property(lambda encoder: encoder.codec == "ffv1"))
    said = refused("video", "clip.mp4", "--plate", "plate.png", "-o", "cut.mov")
    assert "prores" in said
    assert ".mkv" in said


@pytest.mark.parametrize("background", ["#12", "nosuchcolour", "gone.jpg", "gone.mp4"])
@pytest.mark.parametrize(
    "command", [("image", "photo.png", "-o", "o.png"), ("video", "clip.mp4", "-o", "o.mp4")]
)
def test_an_unusable_background(refused, command, background):
    assert background in refused(*command, "--plate", "plate.png", "--background", background)


@pytest.mark.parametrize("arguments", [("image", "photo.png"), ("video", "clip.mp4")])
def test_a_model_that_needs_a_plate(refused, arguments):
    assert "needs a plate" in refused(*arguments)


@pytest.mark.parametrize(
    ("option", "needed"),
    [
        (("--background-colour", "slog3"), "--background"),
        (("--props-mode", "drop"), "--props"),
    ],
)
@pytest.mark.parametrize("source", [("image", "photo.png"), ("video", "clip.mp4")])
def test_an_option_without_the_one_that_it_needs(refused, source, option, needed):
    said = refused(*source, "--plate", "plate.png", *option)
    assert f"error: {option[0]} has no effect without {needed}.\n" in said
    assert f"hint: give {needed}, or leave out {option[0]}\n" in said


def test_a_composite_without_a_background(refused):
    assert "--background" in refused("image", "photo.png", "--plate", "plate.png", "--save", "composite")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["image"],
        ["video", "clip.mp4", "--plate", "p.png", "--save", "nosuch"],
    ],
)
def test_a_wrong_command_line(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: cleanplate" in capsys.readouterr().err
