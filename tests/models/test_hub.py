"""Models of the Hugging Face hub, over sockets from a hub on this machine; ``HF_ENDPOINT`` names it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.models.fake_hub import FakeHub, fake_hub

from cleanplate.cli import main
from cleanplate.errors import ModelError
from cleanplate.models import find_model
from cleanplate.models.hub_folder import write_hub_folder

pytest.importorskip("huggingface_hub")

SAMPLES = Path(__file__).parents[2] / "samples"
NAME = "studio/tiny"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def hub_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ``cleanplate publish --hub-folder`` for a model of the package."""
    folder = tmp_path_factory.mktemp("hub") / "folder"
    assert main(["publish", "lite-int8", "--hub-folder", str(folder)]) == 0
    return folder


@pytest.fixture
def hub(hub_folder: Path) -> Iterator[FakeHub]:
    with fake_hub() as opened:
        opened.push(NAME, hub_folder, "main", "v1")
        yield opened


@pytest.fixture
def run(hub: FakeHub, tmp_path: Path) -> Run:
    """Run the command line in a process of its own, because the library reads its environment once."""

    def run_command(*command: object, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "cache")}
        environment |= {"CLEANPLATE_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1", **more}
        return subprocess.run(
            [sys.executable, "-m", "cleanplate", *(str(part) for part in command)],
            env=environment,
            capture_output=True,
            text=True,
        )

    return run_command


def test_a_hub_folder_has_card_config_manifest_and_files(hub_folder: Path, capsys) -> None:
    yaml = pytest.importorskip("yaml")
    names = {path.name for path in hub_folder.iterdir()}
    files = {"lite-int8.coarse.onnx", "lite-int8.refiner.onnx"}
    assert names == {"README.md", "config.json", "manifest.json", ".gitattributes", *files}
    card = (hub_folder / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["license"] == "mit"
    assert header["pipeline_tag"] == "image-segmentation"
    assert {"image-matting", "onnx"} <= set(header["tags"])
    manifest = json.loads((hub_folder / "manifest.json").read_text())
    for file, facts in manifest["models"]["lite-int8"]["files"].items():
        assert f"| `{file}` | {facts['size']:,} | `{facts['sha256']}` |" in card
    config = json.loads((hub_folder / "config.json").read_text())
    assert config["cleanplate"] == manifest["models"]["lite-int8"]["config"]
    assert main(["publish", "lite-int8", "--hub-folder", str(hub_folder)]) == 2
    assert "README.md exists already." in capsys.readouterr().err
    assert main(["publish", "lite-int8", "--hub-folder", str(hub_folder), "--overwrite"]) == 0
    assert main(["publish", "lite"]) == 2
    assert "There is nothing to write to." in capsys.readouterr().err
    assert main(["publish", "lite", "--hub-folder", str(hub_folder), "--overwrite"]) == 2
    assert "holds the model 'lite-int8'; a repository holds one." in capsys.readouterr().err


def test_a_model_is_fetched_once_pinned_and_used_without_the_hub(
    hub: FakeHub, run: Run, tmp_path: Path
) -> None:
    photo = [
        "image",
        SAMPLES / "photo.jpg",
        "--plate",
        SAMPLES / "plate.jpg",
        "--scale",
        "0.25",
        "--overwrite",
    ]
    reference = f"hf:{NAME}"
    done = run(*photo, "--model", reference, "-o", tmp_path / "cut.png")
    assert done.returncode == 0, done.stderr
    assert "%|" not in done.stderr, "no bars of the library"
    assert not any("README" in request for request in hub.asked), "only the files that are needed"
    pins = json.loads((tmp_path / "home/hub.json").read_text())
    commit = hub.revisions[NAME, "main"]
    assert pins[reference]["commit"] == commit
    main(["image", *map(str, photo[1:]), "--model", "lite-int8", "-o", str(tmp_path / "own.png")])
    assert (tmp_path / "cut.png").read_bytes() == (tmp_path / "own.png").read_bytes()

    newer = tmp_path / "newer"
    shutil.copytree(hub.commits[commit], newer)
    (newer / "notes.txt").write_text("another commit")
    moved = hub.push(NAME, newer, "main")
    asked = len(hub.asked)
    assert run(*photo, "--model", reference, "-o", tmp_path / "cut.png").returncode == 0
    assert len(hub.asked) == asked, "the pinned commit comes from the cache"
    renewed = run("models", "get", reference, "--yes", "--overwrite")
    assert f"commit {moved}" in renewed.stderr
    assert json.loads((tmp_path / "home/hub.json").read_text())[reference]["commit"] == moved


def test_a_changed_file_in_the_cache_or_on_the_hub_is_refused(hub: FakeHub, run: Run, tmp_path: Path) -> None:
    get = ["models", "get", f"hf:{NAME}@v1", "--yes"]
    assert run(*get).returncode == 0
    cached = next((tmp_path / "cache").rglob("lite-int8.coarse.onnx")).resolve()
    cached.write_bytes(cached.read_bytes()[:-1] + b"\0")
    done = run(*get)
    assert done.returncode == 2
    assert "is damaged: its hash is not the listed one." in done.stderr
    assert "delete the folder" in done.stderr

    shutil.rmtree(tmp_path / "cache")
    swapped = tmp_path / "swapped"
    write_hub_folder(find_model("lite"), swapped)
    hub.commits[hub.revisions[NAME, "v1"]] = swapped  # the same commit with another model
    done = run(*get)
    assert done.returncode == 2
    assert "is not the one of the first download" in done.stderr


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        (
            f"hf:{NAME}@v9",
            rf"no model 'hf:{NAME}@v9' on http://127\.0\.0\.1:\d+, or it is private\.",
        ),
        ("hf:studio/bad", "The manifest of 'hf:studio/bad' names files of other names than 'lite-int8'."),
    ],
)
def test_an_unknown_revision_or_a_bad_manifest_is_one_sentence(
    hub: FakeHub, run: Run, tmp_path: Path, reference: str, sentence: str
) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(hub.commits[hub.revisions[NAME, "main"]], bad)
    text = (bad / "manifest.json").read_text()
    (bad / "manifest.json").write_text(text.replace('"lite-int8.coarse.onnx"', '"../../../x.coarse.onnx"'))
    hub.push("studio/bad", bad, "main")
    done = run("models", "get", reference, "--yes")
    assert done.returncode == 2
    assert re.search(sentence, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_a_hub_out_of_reach_is_one_sentence(run: Run) -> None:
    done = run("models", "get", f"hf:{NAME}", "--yes", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 2
    assert (
        f"The model 'hf:{NAME}' cannot be fetched from http://127.0.0.1:9: there is no connection."
        in done.stderr
    )


@pytest.mark.parametrize("reference", ["hf:", "hf:tiny", "hf:a/b/c", "hf:a/b@", "hf:a/b@x y", "hf:../b"])
def test_a_malformed_reference_is_refused(reference: str) -> None:
    with pytest.raises(ModelError, match=re.escape(f"got '{reference}'")):
        find_model(reference)
