"""The public interface: these names, no others, and quick to import."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import cleanplate
from cleanplate import errors


def test_the_public_names():
    assert sorted(cleanplate.__all__) == [
        "BuiltPlate",
        "CleanplateError",
        "Cutout",
        "Diagnosis",
        "Frame",
        "InputError",
        "Keyer",
        "Matte",
        "MissingExtraError",
        "ModelError",
        "OptionError",
        "OutputError",
        "PlateError",
        "RecurrentKeyer",
        "UnavailableError",
        "__version__",
        "build_plate",
        "check_plate",
        "matte_image",
        "matte_video",
    ]
    assert dir(cleanplate) == sorted(cleanplate.__all__)


@pytest.mark.parametrize("name", cleanplate.__all__)
def test_every_public_name_is_there(name):
    value = getattr(cleanplate, name)
    assert name == "__version__" or value.__name__ == name


def test_every_error_is_public():
    tree = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert tree <= set(cleanplate.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nosuch"):
        _ = cleanplate.nosuch


def test_the_import_brings_nothing_heavy():
    code = "import sys, cleanplate; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "cv2", "av", "onnxruntime", "torch", "PIL"} & set(loaded)


def test_the_command_line_shows_its_help_without_anything_heavy():
    code = (
        "import sys\nfrom cleanplate.cli import main\n"
        "try:\n    main(['video', '--help'])\nexcept SystemExit:\n    pass\nprint(*sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"cv2", "av", "onnxruntime", "torch", "PIL"} & set(said.splitlines()[-1].split())


def test_star_import_works():
    names = {}
    exec("from cleanplate import *", names)
    assert set(cleanplate.__all__) <= set(names)


def test_the_version_is_that_of_the_package():
    metadata = pytest.importorskip("importlib.metadata")
    try:
        installed = metadata.version("cleanplate")
    except metadata.PackageNotFoundError:
        pytest.skip("cleanplate is not installed, only on the path")
    assert importlib.import_module("cleanplate").__version__ == installed
