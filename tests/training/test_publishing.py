from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cleanplate.cli import main
from cleanplate.models.load import load_network
from cleanplate.models.model_manifest import read_manifest
from cleanplate.models.networks.lite import LiteNetwork
from cleanplate.models.registry import EMBEDDED, find_model
from cleanplate.training import publishing
from cleanplate.training.training_checkpoint import save_checkpoint


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Checkpoint with trained weights, like that of a run."""
    state = load_network(find_model("lite")).state_dict()
    save_checkpoint({"average": state, "preset": "lite"}, tmp_path / "best.pt")
    return tmp_path / "best.pt"


def publish(checkpoint: Path, folder: Path, *more: str) -> int:
    return main(["publish", str(checkpoint), "-o", str(folder), "--version", "9.1", *more])


@pytest.mark.slow
def test_the_shipped_files_follow_from_the_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    folder, hub = tmp_path / "models", tmp_path / "hub"
    assert publish(checkpoint, folder, "--refine", "threshold:0.2", "--hub-folder", str(hub)) == 0
    model = find_model(folder / "lite")
    assert read_manifest(hub) == read_manifest(folder)
    assert "# lite 9.1" in (hub / "README.md").read_text()
    assert model.config.version == "9.1"
    assert model.coarse_onnx is not None
    assert model.refiner_onnx is not None
    ours, theirs = (load_network(find_model(name)).state_dict() for name in (folder / "lite", "lite"))
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


@pytest.mark.slow
@pytest.mark.long
def test_half_precision_halves_the_files_and_keeps_the_results(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    folder = tmp_path / "models"
    assert publish(checkpoint, folder, "--half", "--name", "lite-half") == 0
    assert len(capsys.readouterr().out.split()) == 3
    for suffix in (".coarse.onnx", ".refiner.onnx", ".safetensors"):
        half, whole = (
            (folder / f"lite-half{suffix}").stat().st_size,
            (EMBEDDED / f"lite{suffix}").stat().st_size,
        )
        assert half < (0.6 if "refiner" not in suffix else 1.0) * whole
    source, plate = torch.rand(1, 3, 64, 96), torch.rand(1, 4, 64, 96).round()
    with torch.no_grad():
        networks = [load_network(find_model(name)) for name in (folder / "lite-half", "lite")]
        alphas = [network.coarse(source, plate)[0] for network in networks]
    assert float((alphas[0] - alphas[1]).abs().max()) < 0.01
    assert not torch.equal(*alphas)


def test_weights_are_mixed_with_those_of_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("export_onnx", "list_in_manifest"):
        monkeypatch.setattr(publishing, name, lambda *_, **__: None)
    own = LiteNetwork(find_model("lite").config.hidden_channels, equation=True).state_dict()
    save_checkpoint({"average": own, "preset": "lite"}, tmp_path / "best.pt")
    half = {name: 0.5 * x for name, x in own.items()}
    save_checkpoint({"average": half, "preset": "lite"}, tmp_path / "half.pt")
    more = ("--mix", "lite", "0.25", "--mix", str(tmp_path / "half.pt"), "0.5")
    assert publish(tmp_path / "best.pt", tmp_path / "models", *more) == 0
    theirs = load_network(find_model("lite")).state_dict()
    mixed = load_network(find_model(tmp_path / "models/lite.safetensors")).state_dict()
    for name, tensor in mixed.items():
        torch.testing.assert_close(tensor, 0.25 * own[name] + 0.25 * theirs[name] + 0.5 * half[name])
    for share, message in (("x", "no number"), ("1.5", "between 0 and 1")):
        assert publish(tmp_path / "best.pt", tmp_path / "other", "--mix", "lite", share) == 2
        assert message in capsys.readouterr().err
    assert publish(tmp_path / "best.pt", tmp_path / "other", *("--mix", "lite", "0.5") * 2) == 2
    assert "leave nothing" in capsys.readouterr().err
    save_checkpoint({"average": LiteNetwork().state_dict(), "preset": "lite"}, tmp_path / "older.pt")
    assert publish(tmp_path / "best.pt", tmp_path / "other", "--mix", str(tmp_path / "older.pt"), "0.5") == 2
    assert "has tensors of other names or sizes" in capsys.readouterr().err


def test_unpublishable_checkpoints_are_refused(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(tmp_path / "missing.pt", tmp_path / "models") == 2
    assert "There is no checkpoint" in capsys.readouterr().err
    save_checkpoint({"average": LiteNetwork().state_dict(), "preset": "resnet50"}, tmp_path / "x.pt")
    assert publish(tmp_path / "x.pt", tmp_path / "models") == 2
    assert "does not fit its preset 'resnet50'" in capsys.readouterr().err
    (tmp_path / "lite.safetensors").write_bytes(b"precious")
    assert publish(checkpoint, tmp_path) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "lite.safetensors").read_bytes() == b"precious"
