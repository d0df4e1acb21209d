"""SavedModel and TensorFlow Lite: equal numbers in plain TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorflow", reason="needs TensorFlow: make test-runtimes")
pytest.importorskip("onnx")

from cleanplate.errors import OutputError  # noqa: E402
from cleanplate.export.export_options import ExportOptions  # noqa: E402
from cleanplate.export.parity import measure_difference, read_pair  # noqa: E402
from cleanplate.export.targets import SAVED_MODEL_ENTRIES  # noqa: E402
from cleanplate.export.write import export_model  # noqa: E402
from cleanplate.models.registry import Model, find_model  # noqa: E402
from cleanplate.router import Refine  # noqa: E402
from cleanplate.runtimes.tensorflow_library import tf  # noqa: E402

SIZE = (90, 146)


def passes(model: Model, kind: str, path: Path, options: ExportOptions) -> list[Path]:
    paths, difference = export_model(model, kind, path, options)
    assert not isinstance(difference, str)
    assert difference.bound == (1e-2 if options.half else 1e-4)
    return paths


@pytest.mark.usefixtures("torch_loads_tiny")
@pytest.mark.parametrize(
    "options",
    [
        ExportOptions(),
        ExportOptions(size=SIZE, scale=0.5),
        ExportOptions(size=(724, 1282), scale=0.4, refine=Refine.parse("sampling:20000")),
        ExportOptions(size=(180, 322), scale=1 / 3, refine=Refine("full")),
        ExportOptions(size=SIZE, refine=Refine("off")),
        ExportOptions(size=SIZE, half=True),
    ],
    ids=str,
)
def test_a_saved_model_equals_the_keyer(options: ExportOptions, tiny_model: Model, tmp_path: Path) -> None:
    (folder,) = passes(tiny_model, "savedmodel", tmp_path / "tiny", options)
    assert json.loads((folder / "assets" / "cleanplate.json").read_text())["name"] == "tiny"
    assert {entry.name for entry in folder.iterdir()} <= SAVED_MODEL_ENTRIES
    assert str(tmp_path).encode() not in (folder / "saved_model.pb").read_bytes()


def test_a_saved_model_of_lite_loads_without_this_package(tmp_path: Path) -> None:
    """Its keyer gives our numbers; a batch and an empty picture pass, too."""
    (folder,) = passes(find_model("lite"), "savedmodel", tmp_path / "lite", ExportOptions())
    # At this size the router shrinks nothing, and so rounds nothing.
    source, plate = read_pair((112, 176))
    np.savez(tmp_path / "pair.npz", source=source, plate=plate)
    code = (
        "import importlib.util, sys, numpy as np, tensorflow as tf\n"
        "assert importlib.util.find_spec('cleanplate') is None\n"
        f"loaded = tf.saved_model.load({str(folder)!r})\n"
        f"pair = np.load({str(tmp_path / 'pair.npz')!r})\n"
        "src, bgr = (np.stack([pair[x], pair[x][::-1]]) / np.float32(255) for x in ('source', 'plate'))\n"
        "serve = loaded.signatures['serving_default']\n"
        "found = serve(src=tf.constant(src), bgr=tf.constant(bgr))\n"
        "assert found['pha'].shape == (2, 112, 176, 1) and found['fgr'].shape == (2, 112, 176, 3)\n"
        "empty = serve(src=tf.zeros((1, 64, 48, 3)), bgr=tf.zeros((1, 64, 48, 3)))\n"
        "assert float(tf.reduce_max(empty['pha'])) < 0.1\n"
        "coarse = loaded.signatures['coarse']\n"
        "maps = coarse(source=tf.zeros((1, 32, 64, 3)), plate=tf.ones((1, 32, 64, 4)))\n"
        "assert sorted(maps) == ['alpha', 'error', 'hidden', 'residual']\n"
        "windows = dict(half=tf.zeros((5, 14, 14, 30)), full=tf.zeros((5, 20, 20, 6)))\n"
        "assert loaded.signatures['refiner'](**windows)['refined'].shape == (5, 16, 16, 4)\n"
        f"np.savez({str(tmp_path / 'found.npz')!r}, pha=found['pha'], fgr=found['fgr'])\n"
    )
    # -I: neither this folder nor PYTHONPATH; and an editable install of the package is hidden, too.
    hide = "import sys; sys.meta_path[:] = [x for x in sys.meta_path if 'editable' not in repr(x)]\n"
    hide += "sys.path[:] = [x for x in sys.path if not x.endswith('/src')]\n"
    subprocess.run([sys.executable, "-I", "-c", hide + code], check=True, cwd=tmp_path)
    found = np.load(tmp_path / "found.npz")
    from cleanplate.export.parity import key_with
    from cleanplate.runtimes import open_runtime

    runtime = open_runtime(find_model("lite"), "onnx", "cpu")
    expected = key_with(runtime, source, plate, None, Refine.parse(runtime.model.config.refine))
    assert measure_difference((found["pha"][0, ..., 0], found["fgr"][0]), expected, 1e-4).passes


@pytest.mark.usefixtures("torch_loads_tiny")
def test_a_foreign_folder_is_not_replaced(tiny_model: Model, tmp_path: Path) -> None:
    module = tf.Module()
    module.one = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path / "theirs"))
    with pytest.raises(OutputError, match="no exported model"):
        export_model(tiny_model, "savedmodel", tmp_path / "theirs", ExportOptions(size=SIZE), overwrite=True)
    assert float(tf.saved_model.load(str(tmp_path / "theirs")).one) == 1


@pytest.mark.usefixtures("torch_loads_tiny")
@pytest.mark.parametrize(
    "options", [ExportOptions(), ExportOptions(size=SIZE), ExportOptions(size=SIZE, half=True)], ids=str
)
def test_tensorflow_lite_equals_the_model(options: ExportOptions, tiny_model: Model, tmp_path: Path) -> None:
    coarse, refiner = passes(tiny_model, "tflite", tmp_path / "tiny", options)
    assert (coarse.name, refiner.name) == ("tiny.coarse.tflite", "tiny.refiner.tflite")
    from tensorflow.lite.tools import flatbuffer_utils

    for path in (coarse, refiner):
        content: Any = flatbuffer_utils.read_model(str(path))
        entry = next(x for x in content.metadata if x.name in (b"cleanplate", "cleanplate"))
        assert json.loads(bytes(content.buffers[entry.buffer].data))["name"] == "tiny"
        shapes = [list(content.subgraphs[0].tensors[i].shape) for i in content.subgraphs[0].inputs]
        assert all(shape[0] == 1 for shape in shapes)
    if options.size:
        # 90 x 146, padded to multiples of 4; the refiner's halo around it is 2 pixels.
        assert sorted(shapes) == sorted([[1, 92 // 2 + 6, 148 // 2 + 6, 13], [1, 92 + 4, 148 + 4, 6]])
