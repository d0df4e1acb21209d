"""The training loop in separate processes: parallel, interrupted, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.waiting import wait_until

import cleanplate
from cleanplate.training.loop import read_run, train
from cleanplate.training.presets import Preset
from cleanplate.training.settings import Settings

TINY_RUN = Path(__file__).with_name("tiny_run.py")
ENVIRONMENT = {
    **os.environ, "PYTHONPATH": str(Path(cleanplate.__file__).parents[1]), "OMP_NUM_THREADS": "1"
}  # fmt: skip


def options(data: Path, out: Path, *more: str) -> list[str]:
    """Arguments of the command; one worker, so that its end is tested, too."""
    arguments = ["train", "tiny", "--data", str(data), "--out", str(out), "--precision", "float32"]
    return [*arguments, *more]


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_train_as_one_with_twice_the_batch(
    tiny: Preset, material_folder: Path, tmp_path: Path
) -> None:
    assert tiny
    length = ["--steps", "1", "--batch", "2", "--stage", "coarse", "--workers", "0"]
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            str(TINY_RUN), *options(material_folder, tmp_path / "two", *length),
        ],
        env=ENVIRONMENT, check=True, capture_output=True, timeout=800,
    )  # fmt: skip
    one = Settings(
        "tiny", (str(material_folder),), tmp_path / "one", steps=1, minutes=None, batch=2, accumulate=2,
        stage="coarse", workers=0, precision="float32", trial_batches=1, validate_minutes=1e9,
    )  # fmt: skip
    train(one)
    two_state, one_state = (read_run(tmp_path / name) for name in ("two", "one"))
    differences = torch.cat(
        [
            (two_state["average"][name] - tensor).abs().flatten()
            for name, tensor in one_state["average"].items()
        ]
    )
    # Adam's first steps have one length for any gradient: where it is near zero, rounding decides.
    assert float(differences.quantile(0.99)) < 2e-6
    assert float(differences.max()) < 5e-4
    assert two_state["progress"]["batches"] == one_state["progress"]["batches"] == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_interrupted_and_killed_runs_resume(tiny: Preset, material_folder: Path, tmp_path: Path) -> None:
    assert tiny
    out = tmp_path / "run"
    command = [
        sys.executable, str(TINY_RUN),
        *options(
            material_folder, out, "--minutes", "30", "--workers", "1", "--checkpoint-minutes", "0.001"
        ),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    checkpoint = out / "last.pt"
    wait_until(checkpoint.exists, "checkpoint", process=process)
    first = checkpoint.stat().st_mtime_ns
    wait_until(lambda: checkpoint.stat().st_mtime_ns != first, "second checkpoint", process=process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
    _, said = process.communicate(timeout=600)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "saved" in said
    stopped = read_run(out)["progress"]

    process = subprocess.Popen(
        [*command, "--resume"], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: read_run(out)["progress"]["step"] > stopped["step"] + 2, "steps", process=process)
    process.kill()
    process.communicate(timeout=600)
    killed = read_run(out)["progress"]
    assert killed["step"] > stopped["step"]
    assert killed["spent"] > stopped["spent"]

    kept = Settings.resumed(read_run(out)["settings"], {"steps": killed["step"] + 1, "workers": 0}, out)
    train(replace(kept, trial_batches=1), resume=True)
    assert read_run(out)["progress"]["step"] == killed["step"] + 1
