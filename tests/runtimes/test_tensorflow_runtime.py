"""TensorFlow as a runtime, beyond the contract of all runtimes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow: make test-runtimes")
pytest.importorskip("onnx")

import cleanplate
from cleanplate.errors import OptionError, UnavailableError
from cleanplate.models.registry import find_model
from cleanplate.runtimes import open_runtime
from cleanplate.runtimes.tensorflow_library import tf

SAMPLES = Path(__file__).parents[2] / "samples"


def test_devices_are_used_or_refused() -> None:
    lite = find_model("lite")
    assert open_runtime(lite, "tensorflow").device == "cpu"
    with pytest.raises(OptionError, match="'mps'"):
        open_runtime(lite, "tensorflow", "mps")
    if not tf.config.list_physical_devices("GPU"):
        with pytest.raises(UnavailableError, match="'cuda'") as caught:
            open_runtime(lite, "tensorflow", "cuda")
        assert "install" in caught.value.hint


def test_threads_are_set_for_the_process() -> None:
    """Run in separate processes, as threads can be set only once."""
    code = (
        "from cleanplate.models.registry import find_model\n"
        "from cleanplate.runtimes import open_runtime\n"
        "from cleanplate.errors import UnavailableError\n"
        "runtime = open_runtime(find_model('lite'), 'tensorflow', 'cpu', 1)\n"
        "assert '1 threads' in runtime.description\n"
        "open_runtime(find_model('lite'), 'tensorflow', 'cpu', 1)\n"
        "try: open_runtime(find_model('lite'), 'tensorflow', 'cpu', 3)\n"
        "except UnavailableError as error: assert '3 threads' in str(error)\n"
        "else: raise SystemExit('not refused')\n"
    )
    folder = str(Path(cleanplate.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": folder}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "oneDNN" not in done.stderr
