"""The program without streams, home, permissions or memory, and with odd file names."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import pytest
from tests.waiting import wait_until

import cleanplate
from cleanplate.cli import main

SAMPLES = Path(__file__).parents[2] / "samples"
ROOT = Path(cleanplate.__file__).parents[1]
PHOTO = ("image", "photo.png", "--plate", "plate.png")

needs_a_shell = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")


def write_clip(path, picture, frames):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for name in ("photo", "plate"):
        picture = cv2.imread(str(SAMPLES / f"{name}.jpg"))
        cv2.imwrite(str(folder / f"{name}.png"), cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA))
    write_clip(folder / "clip.mp4", cv2.imread(str(folder / "photo.png")), 4)
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A working directory with a photo, its plate, and a clip."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, shell="", prefix=(), **environment):
    """Run the real program in a separate process; ``shell``: redirections."""
    command = [*prefix, sys.executable, "-m", "cleanplate", *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {shell}', "sh", *command],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        timeout=600,
        check=False,
    )


@needs_a_shell
@pytest.mark.skipif(sys.platform == "darwin", reason="its names are text")
def test_names_outside_of_the_encoding_are_escaped(here):
    (here / "shots").mkdir()
    shutil.copy("photo.png", "shots/ö→.png")
    shutil.copy(b"photo.png", b"shots/\xff.png")  # bytes that are not text are printed unchanged
    done = run("image", "shots", "--plate", "plate.png", PYTHONIOENCODING="ascii:strict")
    lines = {rb"shots/\xf6\u2192.cleanplate.png", b"shots/\xff.cleanplate.png"}
    assert (done.returncode, set(done.stdout.split()), done.stderr) == (0, lines, b"")


@needs_a_shell
@pytest.mark.usefixtures("here")
def test_closed_standard_streams():
    done = run(*PHOTO, shell="2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"photo.cleanplate.png\n", b"")
    for command, code in (("models", 0), ("nosuch", 2)):
        done = run(command, shell=">&- 2>&-")
        assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_to_a_full_device(here):
    for command in (("models",), ("video", "clip.mp4", "--plate", "plate.png", "-o", "cut.mov", "--json")):
        done = run(*command, shell=">/dev/full")
        assert done.returncode == 2
        assert done.stderr.decode().endswith(
            "error: Standard output cannot be written: no space left on device.\n"
        )
        assert b"Traceback" not in done.stderr
    done = run(*PHOTO, shell="2>/dev/full")
    assert (done.returncode, done.stdout) == (0, b"photo.cleanplate.png\n")
    assert (here / "photo.cleanplate.png").exists()


@pytest.fixture
def without_home(monkeypatch):
    """Environment of an unknown user id without HOME."""
    pwd = pytest.importorskip("pwd")

    def fail(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", fail)
    for name in ("HOME", "CLEANPLATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("here", "without_home")
def test_a_missing_home_folder(capsys):
    assert main(["models", "--json"]) == 0
    assert "lite" in {model["name"] for model in json.loads(capsys.readouterr().out)}
    assert main(list(PHOTO)) == 0
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["problems"] == []
    for command in ((*PHOTO, "--model", "nosuch"), ("models", "remove", "nosuch")):
        assert main([*command]) == 2
        assert "error: " in capsys.readouterr().err
    pytest.importorskip("torch")
    assert main(["models", "get", "mobilenetv2", "--yes"]) == 2
    assert capsys.readouterr().err.endswith("hint: set CLEANPLATE_HOME to a folder\n")


@pytest.fixture
def unprivileged():
    """Command that removes root's right to ignore permissions."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs POSIX permissions")
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, as root")
    rights = "-dac_override,-dac_read_search"
    return ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}")


LOCKED = [
    ("image", "locked/photo.png", "--plate", "plate.png"),
    ("image", "locked", "--plate", "plate.png"),
    ("image", "photo.png", "--plate", "locked/photo.png"),
    (*PHOTO, "-o", "locked/cut.png"),
    (*PHOTO, "--background", "locked/photo.png"),
    (*PHOTO, "--keep", "locked/photo.png"),
    ("video", "clip.mp4", "--plate", "plate.png", "-o", "cut.mov", "--report", "locked/report.json"),
    ("video", "locked/clip.mp4", "--plate", "plate.png"),
    ("plate", "check", "locked/clip.mp4", "--plate", "plate.png"),
]


def test_a_folder_without_search_permission(here, unprivileged):
    locked = here / "locked"
    locked.mkdir()
    shutil.copy("photo.png", locked)
    shutil.copy("clip.mp4", locked)
    script = (
        "import json, sys\n"
        "from cleanplate.cli import main\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    print(main(command), file=sys.stderr)\n"
    )
    locked.chmod(0o600)
    try:
        done = subprocess.run(
            [*unprivileged, sys.executable, "-c", script, json.dumps(LOCKED)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        locked.chmod(0o700)
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith(("hint: ", "note: "))]
    assert len(said) == 2 * len(LOCKED)
    for command, line, code in zip(LOCKED, said[::2], said[1::2], strict=True):
        assert (code, line[:14], line[-19:]) == ("2", "error: locked/", " permission denied."), command


def test_names_with_a_colon(here, capsys):
    shutil.copy("clip.mp4", "take:1.mp4")
    shutil.copy("plate.png", "plate:1.png")
    arguments = ["--plate", "plate:1.png", "--background", "take:1.mp4", "--keep", "take:1.mp4"]
    assert main(["video", "take:1.mp4", *arguments, "-o", "cut:1.mov", "--save", "cutout", "composite"]) == 0
    assert capsys.readouterr().out.split() == ["cut:1.mov", "cut:1.composite.mov"]
    with av.open(str(here / "cut:1.mov")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 4
    assert main(["video", "clip.mp4", "--plate", "take:1.mp4", "-o", "cut:%02d.png"]) == 0
    assert len(list(here.glob("cut:0*.png"))) == 4
    assert main(["image", "photo.png", "--plate", "plate:1.png", "-o", "http:1.png"]) == 0
    assert (here / "http:1.png").exists()


def test_names_with_a_dash(here, capsys):
    shutil.copy("clip.mp4", "-dash.mp4")
    for command in (
        ["video", "-dash.mp4", "--plate", "plate.png"],
        ["video", "clip.mp4", "--plate", "-dash.mp4"],
        ["video", "clip.mp4", "--plate", "plate.png", "-o", "-new.mov"],
    ):
        assert main(command) == 2
        name = next(word for word in command if word.startswith("-") and "." in word)
        assert capsys.readouterr().err == (
            f"error: '{name}' begins with a dash, which makes it an option.\n"
            f"hint: write ./{name}, or -- before CLIP or PHOTO\n"
        )
    assert main(["video", "--plate", "plate.png", "-o", "cut.mov", "--", "-dash.mp4"]) == 0
    assert main(["video", "./-dash.mp4", "--plate", "plate.png", "--range=-0.1", "-o./two.mov"]) == 0
    assert {path.name for path in here.glob("*.mov")} == {"cut.mov", "two.mov"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")
def test_a_lack_of_memory(here):
    script = (
        "import resource, sys\n"
        "from cleanplate.cli import main\n"
        "import cleanplate.jobs.api\n"
        "main(['image', 'photo.png', '--plate', 'plate.png', '-o', 'small.png'])\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + (60 << 20),) * 2)\n"
        "sys.exit(main(['image', 'large.png', '--plate', 'plate.png', '-o', 'cut.png']))\n"
    )
    picture = cv2.resize(cv2.imread("photo.png"), (4800, 2700), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite("large.png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert "memory" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (here / "cut.png").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_a_second_ctrl_c(here):
    write_clip(here / "long.mp4", cv2.imread("photo.png"), 1000)
    # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "cleanplate",
                "video",
                "long.mp4",
                "--plate",
                "plate.png",
                "-o",
                "cut.mov",
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, inherited)
    wait_until(lambda: list(here.glob("cut.mov.partial/*")), "segment", process=process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)  # Ctrl-C pressed twice
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=600)
    assert process.returncode in (130, -signal.SIGINT), said
    assert not (here / "cut.mov").exists()
    assert (here / "long.mp4").exists()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("address", ["https://example.org/a.mp4", "rtsp://127.0.0.1/a", "concat:clip.mp4"])
def test_addresses_are_refused_as_files(capsys, address):
    assert main(["video", address, "--plate", "plate.png", "-o", "cut.mov"]) == 2
    assert "There is no file" in capsys.readouterr().err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
@pytest.mark.parametrize("asked", [None, "2"])
def test_numpy_has_one_thread_unless_the_user_asks_for_more(asked):
    """OpenBLAS starts its threads when it is loaded."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core has one thread in any case")
    code = "import cleanplate.cli, numpy, os; numpy.ones(1); print(len(os.listdir('/proc/self/task')))"
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    environment |= {"PYTHONPATH": str(ROOT)} | ({} if asked is None else {"OPENBLAS_NUM_THREADS": asked})
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == (asked or "1")
