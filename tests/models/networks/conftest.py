"""The generators of the vectors, as fixtures: tests make the same weights and inputs from them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

VECTORS = Path(__file__).parent / "vectors"


@pytest.fixture(scope="session")
def vectors() -> ModuleType:
    return load("make")


@pytest.fixture(scope="session")
def recurrent_vectors() -> ModuleType:
    return load("make_recurrent")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"cleanplate_test_vectors_{name}", VECTORS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
