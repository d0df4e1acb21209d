from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

from cleanplate.errors import InputError, OutputError
from cleanplate.training.training_checkpoint import load_checkpoint, save_checkpoint


def test_a_checkpoint_is_read_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(
        {"average": {"w": torch.arange(3.0)}, "progress": {"step": 7, "best": float("inf")}}, path
    )
    state = load_checkpoint(path)
    assert state["progress"] == {"step": 7, "best": float("inf")}
    assert torch.equal(state["average"]["w"], torch.arange(3.0))
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "last.pt"
    save_checkpoint({"average": {"w": torch.zeros(4)}}, path)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"disk is full: .*last\.pt"):
            save_checkpoint({"average": {"w": torch.zeros(100_000)}}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert load_checkpoint(path)["average"]["w"].shape == (4,)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip"])
def test_other_files_are_refused_as_checkpoints(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.pt is damaged"):
        load_checkpoint(path)


def test_other_dictionaries_and_newer_versions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="no checkpoint of a training run"):
        load_checkpoint(path)
    torch.save({"average": {}, "format": 99}, path)
    with pytest.raises(InputError, match="newer"):
        load_checkpoint(path)
    with pytest.raises(InputError, match="There is no checkpoint"):
        load_checkpoint(tmp_path / "missing.pt")
