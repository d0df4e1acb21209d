"""Nothing leaves the machine, and nothing is written into the user's home."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import cleanplate

SAMPLES = Path(__file__).parents[1] / "samples"
ROOT = Path(cleanplate.__file__).parents[1]


@pytest.fixture
def here(tmp_path):
    """A small photo with its plate, and an empty home."""
    for name in ("photo", "plate"):
        picture = cv2.imread(str(SAMPLES / f"{name}.jpg"), cv2.IMREAD_REDUCED_COLOR_4)
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    (tmp_path / "home").mkdir()
    return tmp_path


def environment(home, **more):
    """Environment of a user, without traces of a test, which ONNX Runtime would notice."""
    kept = {
        name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ
    }
    return {**kept, "HOME": str(home), "USERPROFILE": str(home), "PYTHONPATH": str(ROOT), **more}


def test_keying_opens_no_connection_and_leaves_no_file(here):
    command = [sys.executable, "-m", "cleanplate", "image", "photo.png", "--plate", "plate.png"]
    trace = here / "trace"
    if strace := shutil.which("strace"):
        calls = "trace=socket,connect,sendto,sendmsg,sendmmsg"
        command = [strace, "-f", "--seccomp-bpf", "-e", calls, "-o", str(trace), *command]
    done = subprocess.run(command, cwd=here, env=environment(here / "home"), capture_output=True, text=True)
    if strace and "ptrace" in done.stderr.lower():
        pytest.skip("strace is not allowed here")
    assert done.returncode == 0, done.stderr
    assert (here / "photo.cleanplate.png").exists()
    assert list((here / "home").rglob("*")) == []
    if strace:
        assert not re.findall(r"AF_INET.*", trace.read_text())


def test_telemetry_is_off_in_every_process_unless_the_user_has_decided(here):
    script = (
        "import cleanplate, multiprocessing as m, os\n"
        "if __name__ == '__main__':\n"
        "    with m.get_context('spawn').Pool(1) as pool:\n"
        "        name = 'ORT_DISABLE_TELEMETRY'\n"
        "        print(os.environ[name], pool.apply(os.getenv, (name,)))\n"
    )
    (here / "script.py").write_text(script)
    for given, seen in (({}, "1 1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0 0")):
        done = subprocess.run(
            [sys.executable, "script.py"],
            cwd=here,
            env=environment(here / "home", **given),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == seen
