"""The public interface: exactly these names, and a quick import."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import cleanplate
from cleanplate import errors

ROOMS = {
    "cli": """
        build_parser main
    """,
    "compositing": """
        Backdrop BlurBackdrop ColourBackdrop Finish PictureBackdrop VideoBackdrop alpha_picture
        open_backdrop parse_colour premultiply render_layer straight_rgba
    """,
    "evaluation": """
        CaseWriter Example Outcome Peer RecordedCase evaluate open_peer read_cases score_frame
    """,
    "evaluation.metrics": """
        UNKNOWN connectivity_error dtssd edge_mad foreground_mse gradient_error holes leak mad mse
        near_soft_alpha recomposition_error sad trimap_of
    """,
    "export": """
        Difference ExportOptions FORMATS export_model
    """,
    "jobs": """
        AUTO_PLATE FILES Job NO_PLATE is_word run_job
    """,
    "keyer": """
        CutDetector Keyer RecurrentKeyer Region open_keyer open_region
    """,
    "live": """
        Board Controls Live LiveOptions open_live
    """,
    "media": """
        AS_IT_IS AS_USUAL Colour Encoding LAYERS Picture Reading Sink SinkFormat Source SourceInfo
        Span is_sequence list_images open_sink open_source read_image sink_formats write_image
    """,
    "media.cameras": """
        Camera CameraInfo CameraMode VirtualCamera Window list_cameras open_camera
        open_virtual_camera
    """,
    "models": """
        Model ModelConfig add_model bgmv2_config build_network find_model list_models load_network
        load_official remove_model rvm_config save_model
    """,
    "plate": """
        BuiltPlate Diagnosis Finding Fit FittedPlate MovingPlate Plate PlateSet PlateTracker
        build_plate check_plate fit_plate load_plate load_plates measure_shadow
    """,
    "router": """
        ChangedRegion Clock Coarse DeviceRouter Refine Router Shrink stay_with
    """,
    "runtimes": """
        Availability RUNTIMES RecurrentRuntime Runtime available_runtimes has_files_for
        open_recurrent_runtime open_runtime
    """,
    "system": """
        keep_freed_memory usable_cores
    """,
    "training": """
        Preset Settings find_preset train
    """,
    "vocabulary": """
        ALPHAS DAMAGE DEFAULT_MODEL EXR_CHANNELS Encoding FinishOptions Flag HARDWARE KeyerOptions
        LAYERS ODD_SIZES PIPE_FORMATS PLATE_MOTIONS PRECISIONS PROPS_MODES RUNTIMES Reading SHADOWS
        SOURCE_ALPHAS check_word flags_of option
    """,
}
"""The public names of each room. Names of modules that are not listed here may change at any time."""


def test_public_names_of_the_package():
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
def test_every_public_name_is_defined(name):
    value = getattr(cleanplate, name)
    assert name == "__version__" or value.__name__ == name


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_of_a_room(room):
    if room == "training":
        pytest.importorskip("torch")
    package = importlib.import_module(f"cleanplate.{room}")
    assert sorted(package.__all__) == sorted(ROOMS[room].split())
    for name in package.__all__:
        value = getattr(package, name)
        assert not isinstance(value, ModuleType), f"the module {value} hides {name}"


def test_every_room_has_public_names():
    folder = Path(cleanplate.__file__).parent
    rooms = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert rooms == {room for room in ROOMS if "." not in room}


@pytest.mark.parametrize("room", ROOMS)
def test_no_public_name_is_a_module(room):
    folder = Path(cleanplate.__file__).parent.joinpath(*room.split("."))
    modules = {path.stem for path in folder.iterdir()} - {"__init__"}
    assert modules.isdisjoint(ROOMS[room].split()), "importing the module would hide the name"


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


def test_star_import_brings_the_public_names():
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
