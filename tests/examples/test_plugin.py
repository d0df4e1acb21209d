"""Plug-ins: the example package, installed with pip, and broken ones beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import cleanplate
from cleanplate.cli import main
from cleanplate.cli.plugin_warnings import show_plugin_warnings
from cleanplate.compositing import PictureBackdrop, open_backdrop
from cleanplate.errors import InputError, OutputError, UnavailableError
from cleanplate.export.parity import read_pair
from cleanplate.media import list_images, open_source, read_image, write_image
from cleanplate.models import find_model, list_models
from cleanplate.runtimes import available_runtimes
from cleanplate.system import plugins

pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[2]

BROKEN = {
    "cleanplate.runtimes": {
        "gone": "no_such_module",
        "half": "broken_plugin:half",
        "dead": "broken_plugin:dead",
        "onnx": "broken_plugin:dead",
    },
    "cleanplate.models": {"empty": "broken_plugin:empty", "text": "broken_plugin:text"},
    "cleanplate.executors": {"fails": "broken_plugin:fails"},
    "cleanplate.formats": {"opq": "broken_plugin:opaque"},
}

BROKEN_CODE = """
from types import SimpleNamespace

def fails(*arguments):
    raise RuntimeError("no cluster")

half = SimpleNamespace(FILES="onnx")
dead = SimpleNamespace(FILES="onnx", DEVICES=("cpu",), INSTALL_HINTS={}, describe=str, open_runtime=fails,
                       working_devices=fails)
text = "a text"
opaque = SimpleNamespace(has_alpha=False, bit_depth=8, decode=fails, encode=fails)

def empty():
    return "no/such/folder"
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which pip has installed ``examples/plugin``."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-deps", "--no-build-isolation", "--target", folder, ROOT / "examples/plugin"]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return folder


@pytest.fixture
def installed(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(example)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package with broken plug-ins of all kinds, which can be imported."""
    folder = tmp_path / "site"
    about = folder / "broken_plugin-0.3.dist-info"
    about.mkdir(parents=True)
    (folder / "broken_plugin.py").write_text(BROKEN_CODE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 0.3\n")
    lines = []
    for group, names in BROKEN.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in names.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(folder)
    plugins._warn_once.cache_clear()
    return folder


@pytest.mark.usefixtures("installed")
def test_a_runtime_of_a_plugin_gives_the_numbers_of_onnx() -> None:
    frame, plate = read_pair((96, 128))
    mattes = [cleanplate.Keyer(plate, runtime=name)(frame) for name in ("onnx", "plain-onnx")]
    assert np.ptp(mattes[0].alpha) > 0.9
    np.testing.assert_allclose(mattes[1].alpha, mattes[0].alpha, atol=1e-4)
    assert [row.available for row in available_runtimes() if row.runtime == "plain-onnx"] == [True]


@pytest.mark.usefixtures("installed")
def test_a_model_of_a_plugin_is_found_checked_and_used() -> None:
    assert list_models()[-1] == "difference"
    grey = np.full((48, 64, 3), 90, np.uint8)
    frame = grey.copy()
    frame[12:36, 16:48] = 200
    alpha = cleanplate.Keyer(grey, model="difference", align=False)(frame).alpha
    assert alpha[24, 32] == 1
    assert alpha[:8].max() == 0


def test_a_changed_file_of_a_plugin_model_is_refused(example: Path, tmp_path: Path, monkeypatch) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(example, copy)
    monkeypatch.syspath_prepend(copy)
    for name in [name for name in sys.modules if name.startswith("cleanplate_example")]:
        monkeypatch.delitem(sys.modules, name)
    network = copy / "cleanplate_example/models/difference.coarse.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"\0")
    with pytest.raises(cleanplate.ModelError, match="hash") as caught:
        find_model("difference")
    assert caught.value.hint == "install cleanplate-example again"
    monkeypatch.delitem(sys.modules, "cleanplate_example")


@pytest.mark.usefixtures("installed")
def test_a_format_of_a_plugin_is_written_and_read_as_pictures_and_sequences(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (33, 40, 4), dtype=np.uint16)
    for number in range(2):
        write_image(tmp_path / f"cut_{number}.npy", pixels)
    picture = read_image(tmp_path / "cut_0.npy")
    np.testing.assert_array_equal(np.dstack([picture.pixels, picture.alpha]), pixels)
    assert [path.name for path in list_images(tmp_path)] == ["cut_0.npy", "cut_1.npy"]
    assert isinstance(open_backdrop(tmp_path / "cut_0.npy"), PictureBackdrop), "not opened as a video"
    with open_source(tmp_path / "cut_%01d.npy") as source:
        assert [frame.pixels.shape for frame in source] == [(33, 40, 3)] * 2
    (tmp_path / "short.npy").write_bytes((tmp_path / "cut_0.npy").read_bytes()[:-9])
    with pytest.raises(InputError, match=r"short.npy is damaged or cut short"):
        read_image(tmp_path / "short.npy")


@pytest.mark.usefixtures("installed")
def test_an_executor_of_a_plugin_keys_the_rows_of_a_manifest(tmp_path: Path, capsys) -> None:
    frame, plate = read_pair((64, 96))
    write_image(tmp_path / "plate.png", plate)
    for number in range(2):
        write_image(tmp_path / f"in_{number}.png", frame)
    (tmp_path / "shots.csv").write_text("clip,output\nin_%01d.png,cut_%01d.npy\ngone.mp4,gone.mov\n")
    command = ["video", tmp_path / "shots.csv", "--plate", tmp_path / "plate.png", "--on", "here"]
    assert main([str(part) for part in command]) == 2
    assert read_image(tmp_path / "cut_1.npy").alpha is not None
    told = capsys.readouterr().err
    assert "1 of 2 clips are done; 1 failed: row 3." in told
    assert "Traceback" not in told


def test_doctor_lists_plugins_and_names_the_broken_ones(example: Path, broken: Path) -> None:
    path = os.pathsep.join([str(ROOT / "src"), str(example), str(broken)])
    command = [sys.executable, "-m", "cleanplate", "doctor", "--json"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)
    working = {row["name"] for row in found["plugins"] if row["available"]}
    assert working == {"plain-onnx", "difference", "here", "npy", "dead", "fails", "opq"}
    faults = [row["detail"] for row in found["plugins"] if not row["available"]]
    assert set(faults) <= set(found["problems"])
    assert [fault.partition(" of broken-plugin 0.3 is ")[2] for fault in faults] == [
        "broken: ModuleNotFoundError: No module named 'no_such_module'.",
        "broken: AttributeError: it lacks DEVICES, INSTALL_HINTS, working_devices, describe, open_runtime.",
        "not used: cleanplate has a runtime of this name.",
        "broken: FileNotFoundError: there is no model in no/such/folder.",
        "broken: TypeError: it is no function.",
    ]
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert len(notes) == len(set(notes)) == 4, "one for each plug-in that does not load"


def test_commands_of_one_process_show_warnings_through_one_function(capsys) -> None:
    usual = warnings.showwarning
    try:
        show_plugin_warnings()
        assert warnings.showwarning is not usual
        first = warnings.showwarning
        show_plugin_warnings()
        assert warnings.showwarning is first
        first(plugins.PluginWarning("It is left out."), plugins.PluginWarning, "file.py", 3)
    finally:
        warnings.showwarning = usual
    assert capsys.readouterr().err == "note: It is left out.\n"


@pytest.mark.usefixtures("broken")
def test_a_broken_plugin_is_one_warning_where_all_are_listed() -> None:
    with pytest.warns(plugins.PluginWarning) as warned:
        first = available_runtimes()
    assert available_runtimes() == first, "without a second warning, which would be an error here"
    assert ("onnx", "cpu", True) in {(row.runtime, row.device, row.available) for row in first}
    assert [str(warning.message).split("'")[1] for warning in warned] == ["gone", "half"]


@pytest.mark.usefixtures("broken")
def test_a_broken_plugin_is_one_sentence_where_it_is_named(tmp_path: Path, capsys) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    for runtime, reason in (("gone", "ModuleNotFoundError"), ("dead", "RuntimeError: no cluster")):
        with pytest.raises(UnavailableError, match=f"'{runtime}' of broken-plugin 0.3 is broken: {reason}"):
            cleanplate.Keyer(pixels, runtime=runtime)
    with pytest.raises(UnavailableError, match="format 'opq' of broken-plugin"):
        write_image(tmp_path / "a.opq", pixels)
    with pytest.raises(OutputError, match=r"a.opq cannot hold a cut-out"):
        write_image(tmp_path / "a.opq", np.zeros((32, 32, 4), np.uint8))
    (tmp_path / "shots.csv").write_text("clip,output\na.mp4,cut.mov\n")
    assert main(["video", str(tmp_path / "shots.csv"), "--plate", "p.png", "--on", "fails://there"]) == 2
    assert (
        "executor 'fails' of broken-plugin 0.3 is broken: RuntimeError: no cluster."
        in capsys.readouterr().err
    )
