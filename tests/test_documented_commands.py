"""All commands in README and docs: read from the pages, parsed, and run on small files."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.cli import build_parser, main
from cleanplate.media import Encoding, SourceInfo, open_sink, write_image

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

NOT_RUN = {
    r"live\b": "needs a camera and a window; tests/cli/test_live.py runs it with a clip",
    r"(train|publish)\b": "takes hours; tests/training runs the loop and publishes",
    r"(synthesize|evaluate|datasets)\b": "needs data sets; tests/cli and tests/evaluation make small ones",
    r"serve\b": "runs until it is stopped; tests/cli/service talks to it",
    r"export\b": "needs converters of other environments; tests/export runs each format",
    r"models (add|get|remove)\b": "needs weights of other authors; tests/models makes such files",
    r".*--model hf:": "needs the Hugging Face hub; tests/models/test_hub.py has one on this machine",
    r"video .*--model rvm": "needs weights of other authors; tests/test_recurrent_keyer.py has small ones",
    r".*--runtime (tensorflow|openvino|torchscript)": "needs another environment; tests/runtimes",
    r".*--device cuda": "needs a GPU; tests/device",
    r"video .*--input-colour": "needs a log clip; tests/jobs/test_log_sources.py makes one",
    r"video .*--range 00:10": "needs a clip of a minute; tests/media reads spans",
    r"bench --runtime all": "runs every runtime for minutes; tests/cli/test_bench_all.py runs it with one",
}
"""Commands that are parsed only, and why."""

SLOW = (
    r"doctor",
    r"bench",
    r".*--precision",
    r".*--plate auto",
    r"plate ",
    r".*--jobs",
    r".*--background",
    r".*exr",
    r".*dpx",
)

HEIGHT, WIDTH, FRAMES = 144, 256, 10


def blocks_of(text):
    """Language and content of each block between fences, in pairs: a closing fence opens no block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)


def commands_of(page):
    """The lines of the page's blocks that are shown as commands, and the whole ones within its text."""
    text = page.read_text(encoding="utf-8")
    for language, block in blocks_of(text):
        for line in block.splitlines() if language in ("", "sh") else ():
            yield from line.split(" && ") if re.match(r"[a-z]+ ", line) else [line]
    outside = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for inline in re.findall(r"`((?:cleanplate|make|pip|python) [^`\n]+)`", outside):
        if not re.search(r"\b[A-Z]{3,}|\.\.\.| -o PATH|\[\.\.\.\]", inline):
            yield inline


def find(program):
    """The commands of a program, each once, without its comment."""
    found = dict.fromkeys(
        re.split(r"\s{2,}|\s#", line.strip())[0]
        for page in PAGES
        for line in commands_of(page)
        if line.strip().startswith(f"{program} ")
    )
    return list(found)


def is_whole(command):
    """Tell whether it is complete: ``cleanplate train --init`` names an option and is no command."""
    words = shlex.split(command)[1:]
    return len(words) > 1 or words[0] in ("live", "doctor", "models", "bench")


COMMANDS = [line for line in find("cleanplate") if is_whole(line)]
NAMED_ONLY = ("train --init", "export --to torchscript", "datasets check", "train lite --resume")


def reason_not_to_run(command):
    words = command.removeprefix("cleanplate ")
    return next((reason for pattern, reason in NOT_RUN.items() if re.match(pattern, words)), None)


def mark(command):
    is_slow = any(re.match(pattern, command.removeprefix("cleanplate ")) for pattern in SLOW)
    return pytest.param(command, marks=pytest.mark.slow) if is_slow else command


def test_pages_have_commands():
    assert len(COMMANDS) > 30
    assert any("plate check" in command for command in COMMANDS)
    after_python = "```python\nx = 1\n```\ntext\n```sh\ncleanplate doctor\n```\n"
    assert blocks_of(after_python) == [("python", "x = 1\n"), ("sh", "cleanplate doctor\n")]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_parses(command):
    words = command.removeprefix("cleanplate ")
    if words not in NAMED_ONLY and "--help" not in words:
        build_parser().parse_args(shlex.split(words))


def examples_of_the_help():
    """The commands that the help of each command shows."""
    waiting = [build_parser()]
    while waiting:
        parser = waiting.pop()
        for line in (parser.epilog or "").splitlines():
            if line.startswith("  cleanplate ") and "COMMAND" not in line:
                yield re.split(r"\s{2,}", line.strip())[0]
        for action in parser._subparsers._group_actions if parser._subparsers else ():
            waiting += dict.fromkeys(action.choices.values())


@pytest.mark.parametrize("command", list(dict.fromkeys(examples_of_the_help())))
def test_examples_of_the_help_parse(command):
    build_parser().parse_args(shlex.split(command, comments=True)[1:])


def test_no_reason_is_left_over():
    unused = [p for p in NOT_RUN if not any(re.match(p, c.removeprefix("cleanplate ")) for c in COMMANDS)]
    assert unused == []


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    """Small files under the names that the pages use; the subject is a square that crosses the picture."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(1)
    noise = cv2.resize(
        rng.integers(40, 210, (18, 32, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    empty = np.clip(noise + rng.normal(0, 6, noise.shape), 0, 255).astype(np.uint8)

    def frame(number):
        pixels = empty.copy()
        left = 10 + 18 * number
        pixels[50:120, left : left + 40] = (230, 40, 30)
        return pixels

    frames = [frame(number) for number in range(FRAMES)]
    for name in ("plate.jpg", "p.png", "plates/one.jpg", "cloudy.jpg", "props.jpg"):
        write(folder / name, empty)
    write(folder / "sunny.jpg", np.clip(empty * 1.2, 0, 255).astype(np.uint8))
    write(folder / "lamp.jpg", empty // 2)
    for name in ("photo.jpg", "shots/one.jpg"):
        write(folder / name, frames[4])
    write(folder / "beach.jpg", empty[::-1].copy())
    for name in ("clip.mp4", "clip.mov", "a.mov", "roto.mov"):
        write_clip(folder / name, frames)
    write_clip(folder / "empty.mov", [empty] * FRAMES)
    strokes = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    strokes[60:80, 20:120] = 255
    for name in ("hint.png", "hints/0.png"):
        write(folder / name, strokes)
    write(folder / "plate.exr", empty)
    write(folder / "photo.exr", frames[4])
    write(folder / "plate.dpx", empty)
    for number in range(2):
        write(folder / f"shot_{number + 1:04}.exr", frames[number + 4])
        write(folder / f"plate_{number + 1:04}.exr", empty)
        write(folder / f"scan_{number + 1}.dpx", frames[number + 4])
    (folder / "shots.csv").write_text(
        "clip,plate,output\nclip.mp4,plate.jpg,rows/one.mov\n", encoding="utf-8"
    )
    return folder


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, pixels)


def write_clip(path, frames):
    from fractions import Fraction

    from cleanplate.frame import Frame

    like = SourceInfo(
        Path("clip"), HEIGHT, WIDTH, bit_depth=8, frame_rate=Fraction(25), time_base=Fraction(1, 25)
    )
    codec = "h264" if path.suffix in (".mp4", ".mov") else None
    with open_sink(path, like, layer="composite", encoding=Encoding(codec=codec, crf=12)) as sink:
        for number, pixels in enumerate(frames):
            sink.write(pixels, Frame(pixels, index=number, pts=number, time_base=Fraction(1, 25)))


def scripts_of_the_pages():
    """The blocks that are shown as scripts of bash."""
    for page in PAGES:
        found = blocks_of(page.read_text(encoding="utf-8"))
        blocks = [block for language, block in found if language == "bash"]
        for number, block in enumerate(blocks, 1):
            yield pytest.param(block, id=f"{page.stem}-{number}", marks=pytest.mark.slow)


@pytest.mark.parametrize("script", list(scripts_of_the_pages()))
def test_a_script_of_the_pages_runs(script, small_files, tmp_path):
    bash = shutil.which("bash")
    beside = Path(sys.executable).parent
    path = os.pathsep.join([str(beside), os.environ["PATH"]])
    named = [name for name in ("bash", "ffmpeg", "ffplay", "openjd") if name in script]
    missing = [name for name in named if not shutil.which(name, path=path)]
    if bash is None or missing:
        pytest.skip(f"not installed: {' '.join(missing) or 'bash'}")
    subprocess.run([bash, "-n", "-c", script], check=True)
    for line in re.sub(r"\\\n", " ", script).splitlines():
        for command in re.findall(
            r"(cleanplate (?:video|image) [^|<>&\n]*)", re.sub(r"<\(.*?\)", "x.png", line)
        ):
            build_parser().parse_args(shlex.split(command, comments=True)[1:])
    if script.startswith("# not run: "):
        return
    here, programs = tmp_path / "here", tmp_path / "programs"
    shutil.copytree(small_files, here)
    programs.mkdir()
    (programs / "cleanplate").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m cleanplate "$@"\n'
    )
    (programs / "cleanplate").chmod(0o755)
    before = set(here.iterdir())
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{path}",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "SDL_VIDEODRIVER": "dummy",
    }
    done = subprocess.run(
        [bash, "-e", "-o", "pipefail", "-c", script],
        cwd=here, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr
    for result in [path for path in set(here.iterdir()) - before if path.is_file()]:
        assert result.stat().st_size > 100, result.name


RUN = [mark(command) for command in COMMANDS if reason_not_to_run(command) is None]


@pytest.mark.parametrize("command", RUN)
def test_a_documented_command_runs(command, small_files, tmp_path, monkeypatch, capsys):
    if "exr" in command:
        pytest.importorskip("OpenEXR")
    here = tmp_path / "here"
    shutil.copytree(small_files, here)
    monkeypatch.chdir(here)
    words = shlex.split(command)[1:]
    if words[0] == "bench":
        words += ["--frames", "2", "--size", "320x180"]
    with contextlib.suppress(SystemExit):
        assert main(words) == 0, capsys.readouterr().err
    for output in (words[i + 1] for i, word in enumerate(words) if word == "-o"):
        written = list(here.glob(re.sub(r"%\d*d", "*", output)))
        assert written, f"{output} was not written: {capsys.readouterr().err}"


def options_of_the_table():
    """The options in the table of docs/options.md, to add to a command."""
    text = (ROOT / "docs/options.md").read_text(encoding="utf-8")
    table = text.split("| purpose | options |\n")[1].split("\n\n")[0]
    rows = re.findall(r"^\| .*? \| (.*) \|$", table, re.M)
    found = [code for row in rows for code in re.findall(r"`([^`]+)`", row) if code.startswith(("--", "-o "))]
    return [code for code in found if not re.search(r"\b[A-Z]{3,}", code)]


@pytest.mark.parametrize("options", options_of_the_table())
def test_an_option_of_the_table_makes_a_job(options, small_files, monkeypatch):
    from cleanplate.cli.option_arguments import make_job
    from cleanplate.jobs.plan import plan_job

    monkeypatch.chdir(small_files)
    asked = shlex.split(options)
    if asked[0] == "--runtime" or "pytorch" in options:
        return  # another environment, or a file that the user brings: parsed only
    given = ["video", "clip.mp4", "--plate", "plate.jpg", *asked]
    if "-o" not in asked:
        given += ["-o", "cut.exr" if "exr" in options else "cut.mov"]
    if options in ("--linear",):
        given += ["--background", "white"]
    arguments = build_parser().parse_args(given)
    assert plan_job(make_job(arguments)).paths


def python_of(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    return [block for language, block in blocks_of(text) if language == "python"]


@pytest.mark.parametrize(
    ("page", "results"),
    [("README.md", "cut.png cut.mov"), ("docs/python.md", "loop.mov cut.png cut.mov part.mkv")],
)
def test_the_python_of_the_page_runs(page, results, small_files, tmp_path, monkeypatch):
    from cleanplate import Frame

    here = tmp_path / "here"
    shutil.copytree(small_files, here)
    monkeypatch.chdir(here)
    pixels = cv2.imread("photo.jpg")[..., ::-1].copy()
    names = {"frame": pixels if page == "README.md" else Frame(pixels)}
    for block in python_of(page):
        exec(compile(block, page, "exec"), names)
    assert [name for name in results.split() if not Path(name).is_file()] == []


def test_make_has_the_targets():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    given = (itertools.takewhile(lambda word: word != "&&", shlex.split(line)[1:]) for line in find("make"))
    named = {word for words in given for word in words if "=" not in word}
    assert named
    assert named <= targets


def test_extras_and_scripts_exist():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = {
        name
        for line in find("pip")
        for group in re.findall(r"\[([a-z,]+)\]", line)
        for name in group.split(",")
    }
    assert extras
    assert {name for name in extras if not re.search(rf"^{name} = \[", project, re.M)} == set()
    scripts = {shlex.split(line)[1] for line in find("python")}
    assert {script for script in scripts if not (ROOT / script).is_file()} == set()
