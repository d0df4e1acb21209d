"""``cleanplate doctor``: runtimes, devices, codecs and models of this machine, and the missing ones."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from cleanplate import __version__
from cleanplate.cli.commands.models import describe_models
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError
from cleanplate.system.cores import usable_cores
from cleanplate.system.plugins import KINDS, Plugin, find_plugins, load_plugin
from cleanplate.vocabulary import RUNTIMES, KeyerOptions

if TYPE_CHECKING:
    from cleanplate.runtimes.model_choice import ModelChoice

NAME = "doctor"
SUMMARY = "list the runtimes, devices, codecs and models of this machine, and how to add missing ones"
EXAMPLES = """\
example:
  cleanplate doctor --json
"""

CORE_LIBRARIES = ("av", "numpy", "onnxruntime", "opencv-python-headless", "pillow")
EXTRA_LIBRARIES = {
    "torch": "not installed; for GPUs, training and official checkpoints: pip install 'cleanplate[torch]'",
    "safetensors": "not installed; comes with 'cleanplate[torch]'",
    "onnx": "not installed; to export models: pip install 'cleanplate[export]'",
    "OpenEXR": "not installed; for EXR files: pip install 'cleanplate[exr]'",
    "pillow-heif": "not installed; for HEIC photos: pip install 'cleanplate[heif]'",
    "rawpy": "not installed; for camera RAW: pip install 'cleanplate[raw]'",
    "opencolorio": "not installed; for log and ACES sources: pip install 'cleanplate[vfx]'",
    "openimageio": "not installed; for JPEG XL, Cineon and PSD: pip install 'cleanplate[vfx]'",
    "pygame-ce": "not installed; for the window of live: pip install 'cleanplate[live]'",
    "pyvirtualcam": "not installed; Windows and macOS need it for live --to virtual: "
    "pip install 'cleanplate[virtual]'",
    "huggingface_hub": "not installed; for --model hf:owner/name: pip install 'cleanplate[hub]'",
    "onnxscript": "not installed; comes with 'cleanplate[export]'",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--all", action="store_true", help="list missing devices and hardware, too, with the reason"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnosis."""
    diagnosis = diagnose()
    with Reporter() as reporter:
        reporter.result(
            json.dumps(diagnosis, indent=2)
            if arguments.json
            else describe(diagnosis, everything=arguments.all)
        )
    return 0


def diagnose() -> dict[str, Any]:
    """Collect everything as JSON types; a failure becomes an entry of ``problems``, not an error."""
    from cleanplate.media import sink_formats
    from cleanplate.media.containers.hardware import list_hardware
    from cleanplate.runtimes import available_runtimes

    problems: list[str] = []
    plugins = list_plugins()
    problems += [row["detail"] for row in plugins if not row["available"]]
    formats = [vars(row) for row in sink_formats()]
    writable = {row["suffix"] for row in formats if row["available"]}
    problems += [
        f"{suffix} cannot be written: this build of PyAV has no encoder for it."
        for suffix in dict.fromkeys(row["suffix"] for row in formats)
        if suffix not in writable and suffix not in (".exr", ".jxl")  # extras, listed among the libraries
    ]
    models: list[dict[str, Any]] = []
    chosen = auto = None
    try:
        models = describe_models()
        chosen = _choose()
        auto = vars(_choose_model())
    except CleanplateError as error:
        problems.append(str(error))
    return {
        "cleanplate": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu_count": usable_cores(),
        "libraries": {name: _version(name) for name in (*CORE_LIBRARIES, *EXTRA_LIBRARIES)},
        "devices": [
            {**vars(row), "auto": (row.runtime, row.device) == chosen} for row in available_runtimes()
        ],
        "formats": formats,
        "hardware": [vars(row) for row in list_hardware()],
        "models": models,
        "auto_model": auto,
        "plugins": plugins,
        "problems": problems,
    }


def list_plugins() -> list[dict[str, Any]]:
    """Every plug-in as JSON types, each loaded: whether it works, and the reason if it does not."""
    return [
        {**vars(plugin), "available": not (reason := _find_fault(plugin)), "detail": reason}
        for kind in KINDS
        for plugin in find_plugins(kind).values()
    ]


def _find_fault(plugin: Plugin) -> str:
    """Reason why a plug-in does not work; empty if it does."""
    from cleanplate.media.stills.picture_kinds import IMAGE_SUFFIXES
    from cleanplate.models.plugin_models import read_folder

    own: dict[str, Collection[str]] = {
        "runtime": RUNTIMES,
        "executor": ("ray",),
        "format": {suffix[1:] for suffix in IMAGE_SUFFIXES},
    }
    if plugin.name in own.get(plugin.kind, ()):
        return f"The plug-in {plugin} is not used: cleanplate has a {plugin.kind} of this name."
    try:
        found = load_plugin(plugin)
        if plugin.kind == "model":
            read_folder(plugin, found)
    except CleanplateError as error:
        return error.message
    return ""


def _choose() -> tuple[str, str]:
    """Runtime and device that ``auto`` chooses for the default model; opens the runtime."""
    from cleanplate.models.registry import DEFAULT_MODEL, find_model
    from cleanplate.runtimes import open_runtime

    runtime = open_runtime(find_model(DEFAULT_MODEL))
    return runtime.name, runtime.device


def _choose_model() -> ModelChoice:
    """Model that ``--model auto`` takes here."""
    from cleanplate.runtimes.model_choice import choose_model

    return choose_model(KeyerOptions())


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe(diagnosis: dict[str, Any], *, everything: bool = False) -> str:
    """The diagnosis as text; missing devices and hardware are listed with ``everything`` only."""
    shown = {
        topic: [row for row in diagnosis[topic] if row["available"] or everything]
        for topic in ("devices", "hardware")
    }
    hidden = sum(len(diagnosis[topic]) - len(rows) for topic, rows in shown.items())
    lines = [
        f"cleanplate {diagnosis['cleanplate']}, Python {diagnosis['python']}, {diagnosis['system']}, "
        f"{diagnosis['cpu_count']} cores"
    ]
    lines += ["", "libraries"]
    for name, version in diagnosis["libraries"].items():
        missing = "missing" if name in CORE_LIBRARIES else EXTRA_LIBRARIES[name]
        lines.append(f"  {name:<24}{version or missing}")
    lines += ["", "devices"]
    for device in shown["devices"]:
        chosen = "  <- auto" if device["auto"] else ""
        state = "" if device["available"] else "missing: "
        lines.append(f"  {device['runtime']:<12}{device['device']:<12}{state}{device['detail']}{chosen}")
    lines += ["", "formats for writing"]
    for row in diagnosis["formats"]:
        is_extra = row["codec"] in ("exr", "jxl")
        missing = "not installed" if is_extra else "no such encoder in this build of PyAV"
        state = "" if row["available"] else f"  ({missing})"
        alpha = "alpha" if row["alpha"] else "no alpha"
        name = row["name"] if row["name"] == row["codec"] else f"{row['name']} ({row['codec']})"
        lines.append(f"  {row['suffix']:<8}{name:<32}{alpha}, up to {row['bit_depth']} bits{state}")
    lines += ["", "video hardware" if shown["hardware"] else "no video hardware"]
    for row in shown["hardware"]:
        state = "works" if row["available"] else f"missing: {row['why']}"
        lines.append(f"  {row['kind']:<14}{row['name']:<22}{state}")
    lines += ["", "models"]
    for model in diagnosis["models"]:
        default = "  <- default" if model["default"] else ""
        lines.append(f"  {model['name']:<24}{', '.join(model['runtimes'])}{default}")
    if diagnosis["auto_model"] is not None:
        lines.append("  --model auto takes {name}: {reason}".format(**diagnosis["auto_model"]))
    if diagnosis["plugins"]:
        lines += ["", "plug-ins"]
    for row in diagnosis["plugins"]:
        state = "" if row["available"] else "  (left out)"
        lines.append(f"  {row['kind']:<12}{row['name']:<24}{row['package']}{state}")
    if hidden:
        lines += ["", f"{hidden} more are missing; cleanplate doctor --all lists them with the reason"]
    lines += ["", "problems" if diagnosis["problems"] else "no problems"]
    lines += [f"  {problem}" for problem in diagnosis["problems"]]
    return "\n".join(lines)
