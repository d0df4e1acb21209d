"""Models of the Hugging Face hub, ``hf:owner/name@revision``, by ``huggingface_hub`` (extra ``hub``).

A repository is a folder as :func:`cleanplate.models.hub_folder.write_hub_folder` writes it. The first use of
a reference resolves its revision (``main`` if there is none) to a commit, which is recorded with the hash of
the manifest in ``hub.json`` of the user's data folder. Later uses take this commit, from the cache if it is
complete, and check every file against the manifest.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cleanplate.errors import CleanplateError, MissingExtraError, ModelError, OutputError, UnavailableError
from cleanplate.models.config import ModelConfig
from cleanplate.models.home import data_folder
from cleanplate.models.model_manifest import MANIFEST, SUFFIXES, ListedModel, check_files, read_manifest
from cleanplate.models.records import sha256_of
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import temporary_file

PREFIX = "hf:"
PINS = "hub.json"

_REFERENCE = re.compile(
    r"hf:(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>\w[\w./-]*))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def find_on_hub(reference: str, *, renew: bool = False) -> tuple[ModelConfig, list[Path]]:
    """Find a model of the hub: its record and its files in the cache, checked.

    Args:
        reference: ``hf:owner/name`` or ``hf:owner/name@revision``: a branch, a tag or a commit.
        renew: Resolve the revision again, and record the commit that it has now.

    Raises:
        ModelError: The reference is malformed, there is no such repository or revision, it holds no model, or
            a file differs from the recorded hashes.
        UnavailableError: The hub cannot be reached, and the cache lacks a file.
        MissingExtraError: ``huggingface_hub`` is not installed.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ModelError(
            f"Expected a model of the hub as hf:OWNER/NAME or hf:OWNER/NAME@REVISION, got '{reference}'."
        )
    if find_spec("huggingface_hub") is None:
        raise MissingExtraError("hub", f"The model '{reference}'")
    pins = _read_pins()
    pin = None if renew else pins.get(reference)
    revision = pin["commit"] if pin else match["revision"]
    folder = _fetch(reference, match["repository"], revision)
    listed = _read_listed(reference, folder)
    found = {"commit": folder.name, "manifest": sha256_of(folder / MANIFEST)}
    if pin is not None and found != pin:
        raise ModelError(
            f"The manifest of '{reference}' is not the one of the first download (commit {pin['commit']}).",
            f"cleanplate models get {reference} --overwrite takes the new one, if you trust it",
        )
    paths = check_files(folder, listed, f"delete the folder {folder}; the next run fetches it again")
    if found != pin:
        _write_pins({**pins, reference: found})
    return listed.config, paths


def _fetch(reference: str, repository: str, revision: str | None) -> Path:
    """Folder of a revision in the cache; the hub is asked unless the cache has the whole commit."""
    import huggingface_hub

    wanted: dict[str, Any] = {
        "repo_id": repository,
        "revision": revision,
        "allow_patterns": [MANIFEST, *(f"*{suffix}" for suffix in SUFFIXES)],
        "library_name": "cleanplate",
    }
    with _explaining(reference), _without_bars():
        if revision is not None and _COMMIT.fullmatch(revision):
            with contextlib.suppress(huggingface_hub.errors.LocalEntryNotFoundError):
                folder = Path(huggingface_hub.snapshot_download(**wanted, local_files_only=True))
                if _is_complete(folder):
                    return folder
        return Path(huggingface_hub.snapshot_download(**wanted))


def _is_complete(folder: Path) -> bool:
    listed = read_manifest(folder)
    return bool(listed) and all((folder / file).is_file() for one in listed.values() for file in one.files)


def _read_listed(reference: str, folder: Path) -> ListedModel:
    """The one model of a repository, whose files are named after it."""
    listed = read_manifest(folder, "tell its owner")
    if len(listed) != 1:
        raise ModelError(
            f"'{reference}' holds {len(listed) or 'no'} models of cleanplate; expected one.",
            "cleanplate publish --hub-folder writes such a repository",
        )
    name, model = next(iter(listed.items()))
    known = {f"{name}{suffix}" for suffix in SUFFIXES}
    if model.config.name != name or not model.files or not model.files.keys() <= known:
        raise ModelError(f"The manifest of '{reference}' names files of other names than '{name}'.")
    return model


@contextlib.contextmanager
def _explaining(reference: str) -> Iterator[None]:
    """Turn the hub's errors into sentences; its exceptions of the network have no common class."""
    from huggingface_hub import constants, errors

    try:
        yield
    except CleanplateError:
        raise
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise ModelError(
            f"There is no model '{reference}' on {constants.ENDPOINT}, or it is private.",
            "check owner, name and revision; for a private one: hf auth login",
        ) from error
    except Exception as error:
        raise UnavailableError(
            f"The model '{reference}' cannot be fetched from {constants.ENDPOINT}: {_find_reason(error)}.",
            "check the network; a model that was fetched before works without it",
        ) from error


def _find_reason(error: Exception) -> str:
    """Give the reason of an error of the hub's library, for the end of a sentence."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"it answers with status {status}"
    # The library hides a failed connection behind a missing entry of its cache, which is an OSError.
    return "there is no connection" if isinstance(error, OSError) else reason_of(error).split("\n")[0]


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Keep the library's bars of progress away from this package's output."""
    utils: Any = import_module("huggingface_hub.utils")
    hidden = utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    try:
        yield
    finally:
        if not hidden:
            utils.enable_progress_bars()


def _read_pins() -> dict[str, dict[str, str]]:
    path = data_folder() / PINS
    try:
        pins = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): {"commit": pin["commit"], "manifest": pin["manifest"]} for key, pin in pins.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"The list of the hub's models '{path}' is damaged.", "delete it, and check the models again"
        ) from error


def _write_pins(pins: dict[str, dict[str, str]]) -> None:
    path = data_folder() / PINS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_file(path) as partial:
            partial.write_text(json.dumps(pins, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            partial.replace(path)
    except OSError as error:
        raise OutputError(
            f"The list of the hub's models '{path}' cannot be written: {reason_of(error)}."
        ) from error
