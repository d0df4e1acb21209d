"""``cleanplate models``, as a user runs it."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from cleanplate.cli import main
from cleanplate.models import catalogue

torch = pytest.importorskip("torch")

from cleanplate.models.official import bgmv2_config  # noqa: E402


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEANPLATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from cleanplate.models.network_builder import build_network

    path = tmp_path_factory.mktemp("served") / "pytorch_mobilenetv2.pth"
    torch.manual_seed(0)
    torch.save(build_network(bgmv2_config("mobilenetv2")).state_dict(), path)
    return path


@pytest.fixture
def release(checkpoint, monkeypatch):
    """The authors' release page, served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(checkpoint.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/{checkpoint.name}"
        published = dataclasses.replace(catalogue.CATALOGUE["mobilenetv2"], url=url)
        monkeypatch.setitem(catalogue.CATALOGUE, "mobilenetv2", published)
        yield url
        server.shutdown()
        thread.join()


def test_the_list_has_installed_and_available_models(capsys):
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    assert "(default)" in said
    for name in catalogue.CATALOGUE:
        assert f"{name} 1.0: not installed" in said
    assert "GPL-3.0-only" in said
    assert main(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {model["name"]: model["state"] for model in listed}["lite"] == "package"
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == listed


def test_a_model_is_added_used_and_removed(checkpoint, capsys):
    assert main(["models", "add", str(checkpoint), "--name", "mine"]) == 0
    said = capsys.readouterr()
    assert said.out == "mine\n"
    assert "Recognised as BGMv2 with mobilenetv2, with a refiner of 3x3 kernels" in said.err
    import cv2

    picture = np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8)
    cv2.imwrite("photo.png", picture)
    arguments = ["image", "photo.png", "--plate", "photo.png", "-o", "cut.png", "--no-align"]
    assert main([*arguments, "--model", "mine", "--runtime", "torch"]) == 0
    assert Path("cut.png").is_file()
    capsys.readouterr()
    assert main(["models", "--json"]) == 0
    listed = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert (listed["mine"]["state"], listed["mine"]["runtimes"]) == ("added", ["torch"])
    assert main(["models", "remove", "mine"]) == 0
    assert main(["models", "remove", "mine"]) == 2


def test_a_damaged_model_of_the_user_does_not_break_the_list(checkpoint, home, capsys):
    assert main(["models", "add", str(checkpoint)]) == 0
    (home / "models" / "mobilenetv2.safetensors").write_bytes(b"")
    capsys.readouterr()
    assert main(["models"]) == 0
    assert "is damaged" in capsys.readouterr().out


def test_get_shows_source_and_licence_and_asks_for_consent(release, home, capsys, monkeypatch):
    assert main(["models", "get", "mobilenetv2"]) == 2
    said = capsys.readouterr().err
    assert release in said
    assert "MIT" in said
    assert "--yes" in said
    assert not home.exists()

    class Terminal:
        answer = "n\n"

        def isatty(self):
            return True

        def readline(self):
            return self.answer

    terminal = Terminal()
    monkeypatch.setattr("sys.stdin", terminal)
    assert main(["models", "get", "mobilenetv2"]) == 2
    assert "Nothing was downloaded" in capsys.readouterr().err
    assert not home.exists()
    terminal.answer = "y\n"
    assert main(["models", "get", "mobilenetv2"]) == 0
    assert capsys.readouterr().out == "mobilenetv2\n"
    assert (home / "models" / "mobilenetv2.safetensors").is_file()
    assert [entry.name for entry in (home / "downloads").iterdir()] == ["downloads.json"]


def test_get_again_needs_overwrite_and_the_same_file(release, home, capsys):
    assert main(["models", "get", "mobilenetv2", "--yes"]) == 0
    assert main(["models", "get", "mobilenetv2", "--yes"]) == 2
    assert "There is a model 'mobilenetv2' already" in capsys.readouterr().err
    assert main(["models", "get", "mobilenetv2", "--yes", "--overwrite"]) == 0
    records = home / "downloads" / "downloads.json"
    known = json.loads(records.read_text())
    known[release]["sha256"] = "0" * 64
    records.write_text(json.dumps(known))
    assert main(["models", "get", "mobilenetv2", "--yes", "--overwrite"]) == 2
    assert "differs from the first download" in capsys.readouterr().err
    assert main(["models", "--json"]) == 0  # the earlier model is kept


def test_a_gpl_licence_is_shown_before_the_download(capsys):
    assert main(["models", "get", "rvm-mobilenetv3"]) == 2
    assert "GPL-3.0: free for any use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get", "huge"], "No model 'huge' can be downloaded"),
        (["add", "missing.pth"], "There is no model file 'missing.pth'"),
        (["remove", "lite"], "There is no model 'lite' to remove"),
    ],
)
def test_mistakes_are_one_sentence(arguments, said, capsys):
    assert main(["models", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_recurrent_model_keys_a_clip_without_a_plate(tiny_recurrent_model, capsys):
    """Add a model, then key a clip by the model's name."""
    import av

    with av.open("clip.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "bgr0"
        for number in range(3):
            pixels = np.full((64, 96, 3), 60 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    assert main(["models", "add", str(tiny_recurrent_model.weights)]) == 0
    assert "no plate is needed" in capsys.readouterr().err
    assert main(["video", "clip.mkv", "--model", "tiny-rvm", "-o", "cut.mov"]) == 0
    assert main(["video", "clip.mkv", "--plate", "none", "--model", "tiny-rvm", "-o", "alpha.mkv"]) == 0
    assert capsys.readouterr().out == "cut.mov\nalpha.mkv\n"
    assert main(["video", "clip.mkv", "-o", "no.mov"]) == 2
    said = capsys.readouterr().err
    assert "The model 'lite' needs a plate" in said
    assert not Path("no.mov").exists()


def test_onnx_files_are_written_and_listed(tiny_recurrent_model, home, capsys, monkeypatch):
    def write(network, config, prefix):
        assert config.name == "tiny-rvm"
        assert not network.training
        path = prefix.with_name(f"{prefix.name}.recurrent.onnx")
        path.write_bytes(tiny_recurrent_model.recurrent_onnx.read_bytes())
        return path

    monkeypatch.setattr("cleanplate.export.recurrent_onnx_export.export_recurrent_onnx", write)
    assert main(["models", "add", str(tiny_recurrent_model.weights), "--onnx"]) == 0
    capsys.readouterr()
    assert main(["models", "--json"]) == 0
    listed = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert listed["tiny-rvm"]["runtimes"] == ["onnx", "torch"]
    # The same name again without it: the list agrees with the files.
    assert main(["models", "add", str(tiny_recurrent_model.weights), "--overwrite"]) == 0
    assert sorted(entry.name for entry in (home / "models").iterdir()) == [
        "manifest.json",
        "tiny-rvm.safetensors",
    ]
