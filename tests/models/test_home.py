from __future__ import annotations

from pathlib import Path

import pytest

from cleanplate.models.home import HOME_VARIABLE, data_folder, model_folder


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (HOME_VARIABLE, "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)


def on(monkeypatch: pytest.MonkeyPatch, platform: str) -> Path:
    monkeypatch.setattr("cleanplate.models.home.sys.platform", platform)
    return data_folder()


def test_the_folder_on_linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert on(monkeypatch, "linux") == tmp_path / ".local" / "share" / "cleanplate"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert on(monkeypatch, "linux") == tmp_path / ".local" / "share" / "cleanplate"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert on(monkeypatch, "linux") == tmp_path / "data" / "cleanplate"


def test_the_folder_on_macos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert on(monkeypatch, "darwin") == tmp_path / "Library" / "Application Support" / "cleanplate"


def test_the_folder_on_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert on(monkeypatch, "win32") == tmp_path / "AppData" / "Local" / "cleanplate"
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert on(monkeypatch, "win32") == tmp_path / "local" / "cleanplate"


def test_the_environment_variable_takes_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "mine"))
    assert on(monkeypatch, "darwin") == tmp_path / "mine"
    assert model_folder() == tmp_path / "mine" / "models"
