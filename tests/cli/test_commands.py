"""The commands as a user runs them, over the bundled samples."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tests.waiting import wait_until

import cleanplate
from cleanplate.cli import main

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a small photo and its plate."""
    for name in ("photo", "plate"):
        picture = cv2.resize(
            cv2.imread(str(SAMPLES / f"{name}.jpg")), (480, 270), interpolation=cv2.INTER_AREA
        )
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(*arguments, **options):
    """Start the real program in a separate process."""
    environment = {**os.environ, "PYTHONPATH": str(Path(cleanplate.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-m", "cleanplate", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.usefixtures("here")
def test_a_photo(capsys):
    assert main(["image", "photo.png", "--plate", "plate.png"]) == 0
    assert capsys.readouterr().out == "photo.cleanplate.png\n"
    assert cv2.imread("photo.cleanplate.png", cv2.IMREAD_UNCHANGED).shape == (270, 480, 4)


def test_every_layer_of_a_photo(here, capsys):
    arguments = ["--save", "composite", "alpha", "cutout", "foreground", "--background", "white"]
    assert main(["image", "photo.png", "--plate", "plate.png", "-o", "out/", *arguments]) == 0
    assert capsys.readouterr().out.split() == [
        f"out/photo.{name}.png" for name in ("composite", "alpha", "cleanplate", "foreground")
    ]
    shapes = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape for path in sorted((here / "out").iterdir())]
    assert shapes == [(270, 480), (270, 480, 4), (270, 480, 3), (270, 480, 3)]


def test_a_folder_with_one_plate(here, capsys):
    (here / "shots").mkdir()
    for name in ("b10.png", "b9.png", "a.png"):
        shutil.copy(here / "photo.png", here / "shots" / name)
    shutil.copy(here / "plate.png", here / "shots" / "plate.png")
    for _ in range(2):  # results are beside the sources now, and are not read as sources
        assert main(["image", "shots", "--plate", "shots/plate.png", "--overwrite"]) == 0
        assert capsys.readouterr().out.split() == [
            f"shots/{name}.cleanplate.png" for name in ("a", "b9", "b10")
        ]
    alone = cv2.imread("shots/a.cleanplate.png", cv2.IMREAD_UNCHANGED)
    assert main(["image", "photo.png", "--plate", "plate.png"]) == 0
    assert np.array_equal(alone, cv2.imread("photo.cleanplate.png", cv2.IMREAD_UNCHANGED))


def test_two_photos_of_one_name(here, capsys):
    (here / "shots").mkdir()
    shutil.copy("photo.png", "shots/a.png")
    cv2.imwrite("shots/a.jpg", cv2.imread("photo.png"))
    assert main(["image", "shots", "--plate", "plate.png", "-o", "out"]) == 2
    said = capsys.readouterr()
    assert said.out == "out/a.cleanplate.png\n"
    assert "a.cleanplate.png is the result of a.jpg" in said.err


def test_a_clip(here, capsys):
    arguments = [
        "--plate",
        str(SAMPLES / "clip_plate.jpg"),
        "-o",
        "comp.mp4",
        "--background",
        "blur",
        "--scale",
        "0.125",
    ]
    shorten(SAMPLES / "clip.mp4", here / "clip.mp4", frames=8)
    assert main(["video", "clip.mp4", *arguments]) == 0
    said = capsys.readouterr()
    assert said.out == "comp.mp4\n"
    assert "8 frames in " in said.err
    with av.open("comp.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == 8


def shorten(source, target, frames):
    """Copy the first frames of a clip without sound."""
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number, frame in enumerate(container.decode(video=0)):
            if number == frames:
                break
            output.mux(stream.encode(frame.reformat(format="yuv420p")))
        output.mux(stream.encode())


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_leaves_a_partial_file_that_plays(here):
    # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        done = start(
            "video", SAMPLES / "clip.mp4", "--plate", SAMPLES / "clip_plate.jpg", "-o", "cut.mov", cwd=here
        )
    finally:
        signal.signal(signal.SIGINT, inherited)
    partial = here / "cut.mov.partial" / "000000.partial.mov"
    wait_until(lambda: partial.exists() and partial.stat().st_size > 200_000, "frames", process=done)
    done.send_signal(signal.SIGINT)
    _, said = done.communicate(timeout=600)
    assert done.returncode == 130, said
    assert str(Path("cut.mov.partial", "000000.partial.mov")) in said
    assert "Traceback" not in said
    assert not (here / "cut.mov").exists()
    with av.open(str(partial)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert 1 <= frames < 100


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGPIPE's cousin EPIPE")
def test_a_closed_pipe_ends_quietly():
    process = start("doctor")
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(600) == 141
    assert said == ""


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"cleanplate {cleanplate.__version__}\n"


def test_models(capsys):
    assert main(["models"]) == 0
    assert "lite" in capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in models if model["default"]] == ["lite"]
    assert "onnx" in models[0]["runtimes"]


def test_doctor(capsys):
    assert main(["doctor", "--json"]) == 0
    diagnosis = json.loads(capsys.readouterr().out)
    assert diagnosis["problems"] == []
    assert [device["runtime"] for device in diagnosis["devices"] if device["auto"]] == ["onnx"]
    assert {row["suffix"] for row in diagnosis["formats"] if row["available"]} >= {
        ".mov",
        ".webm",
        ".mkv",
        ".mp4",
        ".png",
    }
    assert all(diagnosis["libraries"][name] for name in ("numpy", "onnxruntime", "av"))
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "onnx        cpu" in text
    assert "<- auto" in text
    assert "more are missing; cleanplate doctor --all lists them" in text
    assert "tensorrt" not in text
    assert "no problems" in text


def test_doctor_lists_everything_when_asked(capsys):
    assert main(["doctor", "--all"]) == 0
    text = capsys.readouterr().out
    assert "onnx        tensorrt    missing: pip install onnxruntime-gpu" in text
    assert "doctor --all" not in text


def test_a_missing_extra_is_no_problem_for_doctor(monkeypatch, capsys):
    monkeypatch.setattr("cleanplate.media.containers.formats.find_spec", lambda _: None)
    assert main(["doctor", "--json"]) == 0
    diagnosis = json.loads(capsys.readouterr().out)
    assert [row["available"] for row in diagnosis["formats"] if row["suffix"] == ".exr"] == [False]
    assert diagnosis["problems"] == []


def test_doctor_without_a_library_says_how_to_get_it(capsys, monkeypatch):
    from cleanplate.cli.commands import doctor

    monkeypatch.setattr(doctor, "_version", lambda library: None if library == "torch" else "1.0")
    assert main(["doctor"]) == 0
    assert "pip install 'cleanplate[torch]'" in capsys.readouterr().out


def test_bench(capsys):
    assert main(["bench", "--size", "320x180", "--frames", "5", "--workers", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["fps"] == pytest.approx(1000 / report["milliseconds"]["keyer"])
    assert report["size"] == "320x180"
    assert report["frames"] == 5
    assert (report["workers"], report["workers_fps"]) == (1, None)
    parts = sum(spent for stage, spent in report["milliseconds"].items() if stage != "keyer")
    assert 0 < parts < 3 * report["milliseconds"]["keyer"], "medians of five frames"
    assert report["plate_fit_seconds"] > 0
    assert 0.28 < report["subject_share"] < 0.4
    assert main(["bench", "--size", "320x180", "--frames", "5", "--workers", "2"]) == 0
    said = capsys.readouterr().out
    assert " fps at 320x180: lite" in said
    assert " fps with 2 frames at the same time" in said


def write_short_clip(folder):
    """Twelve small frames of a ball before its plate."""
    noise = np.random.default_rng(1).integers(0, 256, (12, 20, 3), np.uint8)
    plate = cv2.resize(noise, (160, 96), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(folder / "plate.png"), plate)
    with av.open(folder / "clip.mp4", "w") as clip:
        stream = clip.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(12):
            picture = cv2.circle(plate.copy(), (60 + 3 * number, 50), 24, (40, 60, 230), -1)
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        clip.mux(stream.encode(None))
    return folder / "clip.mp4", folder / "plate.png"


def test_a_profile_of_a_clip(tmp_path, capsys):
    clip, plate = write_short_clip(tmp_path)
    trace = tmp_path / "trace.json"
    command = ["video", str(clip), "--plate", str(plate), "-o", str(tmp_path / "cut.mov")]
    assert main([*command, "--profile", str(clip)]) == 2
    assert "clip.mp4" in capsys.readouterr().err
    assert main([*command, "--profile", str(trace), "--workers", "2", "--scale", "0.5"]) == 0
    events = json.loads(trace.read_text())["traceEvents"]
    frames = [event["args"]["frame"] for event in events if event["name"] == "writing cut.mov"]
    assert frames == list(range(12))
    assert {event["name"] for event in events} >= {"reading", "keying in order", "networks", "finishing"}
    (tmp_path / "cut.mov").unlink()
    assert main([*command, "--profile", str(trace)]) == 2
    assert "trace.json" in capsys.readouterr().err
    assert not (tmp_path / "cut.mov").exists()


def test_bench_of_a_clip(tmp_path, capsys):
    command = ["bench", "--end-to-end", str(SAMPLES / "clip.mp4")]
    assert main([*command, "--plate", str(tmp_path / "none.png")]) == 2
    assert "none.png" in capsys.readouterr().err
    clip, plate = write_short_clip(tmp_path)
    command = ["bench", "--end-to-end", str(clip), "--plate", str(plate), "--workers", "2"]
    assert main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["frames"] == 12
    assert 0 < report["cores_busy"] <= 1.05
    stages = {stage["name"]: stage for stage in report["stages"]}
    assert {"reading", "keying", "compositing", "writing cut.mov", "2 workers"} <= set(stages)
    assert all(0 <= stage["busy"] <= 1.05 for stage in stages.values())
    known = sum(stage["processor_milliseconds"] for stage in stages.values())
    assert 0 < known < 2 * report["processor_milliseconds"]
    assert main(command) == 0
    assert " cores busy, " in capsys.readouterr().out
    assert not list(tmp_path.glob("*.mov"))


@pytest.mark.parametrize("arguments", [["--size", "HD"], ["--size", "16x16"], ["--frames", "0"]])
def test_bench_refuses_wrong_options(arguments, capsys):
    assert main(["bench", *arguments]) == 2
    assert arguments[1] in capsys.readouterr().err


def test_a_plate_is_built_and_then_used(here, capsys):
    for number in range(12):
        name = "photo" if number % 2 else "plate"
        shutil.copy(here / f"{name}.png", here / f"shot_{number:02}.png")
    assert main(["plate", "build", "shot_%02d.png", "-o", "built.png"]) == 0
    assert capsys.readouterr().out.split() == ["built.png", "built.confidence.png"]
    built, plate = (cv2.imread(name).astype(int) for name in ("built.png", "plate.png"))
    assert np.abs(built - plate).mean() < 4
    assert main(["image", "photo.png", "--plate", "built.png"]) == 0
    assert main(["plate", "build", "shot_%02d.png", "-o", "built.png"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_shadow_regions_and_report_on_the_command_line(here, capsys):
    shutil.copy(here / "photo.png", here / "shot_00.png")
    shutil.copy(here / "photo.png", here / "shot_01.png")
    arguments = ["--plate", "plate.png", "-o", "cut_%02d.png", "--shadow", "separate", "--report", "r.json"]
    regions = ["--keep", "polygon:0,0,0.2,0,0,0.2,feather=8px", "--ignore", "rect:0.9,0,0.1,1"]
    assert main(["video", "shot_%02d.png", *arguments, *regions, "--follow"]) == 0
    assert capsys.readouterr().out.split() == ["cut_%02d.png", "cut_%02d.shadow.png"]
    assert len(json.loads((here / "r.json").read_text())["frames"]) == 2
    assert cv2.imread("cut_01.png", cv2.IMREAD_UNCHANGED)[10, 10, 3] == 255


@pytest.mark.usefixtures("here")
def test_no_plate_is_built_from_a_photo(capsys):
    assert main(["image", "photo.png", "--plate", "auto"]) == 2
    assert "from a clip, but not from photos" in capsys.readouterr().err
