"""``cleanplate doctor``: what is here, and what is missing for what."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
from typing import Any

from cleanplate import __version__
from cleanplate.cli.models import describe_models
from cleanplate.cli.reporter import Reporter
from cleanplate.errors import CleanplateError

NAME = "doctor"
SUMMARY = "show what is here (runtimes, devices, codecs, models) and what is missing for what"
EXAMPLES = """\
example:
  cleanplate doctor --json
"""

CORE_LIBRARIES = ("av", "numpy", "onnxruntime", "opencv-python-headless", "pillow")
EXTRA_LIBRARIES = ("torch", "safetensors", "onnx", "onnxscript")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``run`` reads."""
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnosis."""
    diagnosis = diagnose()
    with Reporter() as reporter:
        reporter.result(json.dumps(diagnosis, indent=2) if arguments.json else describe(diagnosis))
    return 0


def diagnose() -> dict[str, Any]:
    """Everything as JSON types; a part that fails to load is a finding, not an error."""
    from cleanplate.media.formats import sink_formats
    from cleanplate.runtimes import list_devices

    problems: list[str] = []
    try:
        models = describe_models()
    except CleanplateError as error:
        models = []
        problems.append(str(error))
    if not models and not problems:
        problems.append("There is no model in this package: name a file with --model.")
    devices = list_devices()
    formats = [
        {
            "suffix": row.suffix,
            "codec": row.codec,
            "alpha": row.alpha,
            "bit_depth": row.bit_depth,
            "available": row.available,
        }
        for row in sink_formats()
    ]
    writable = {row["suffix"] for row in formats if row["available"]}
    problems += [
        f"{suffix} cannot be written: this build of PyAV has no encoder for it."
        for suffix in dict.fromkeys(row["suffix"] for row in formats)
        if suffix not in writable
    ]
    return {
        "cleanplate": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu_count": os.cpu_count(),
        "libraries": {name: _version(name) for name in (*CORE_LIBRARIES, *EXTRA_LIBRARIES)},
        "devices": devices,
        "formats": formats,
        "models": models,
        "problems": problems,
    }


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe(diagnosis: dict[str, Any]) -> str:
    """The diagnosis as text."""
    lines = [
        f"cleanplate {diagnosis['cleanplate']}, Python {diagnosis['python']}, {diagnosis['system']}, "
        f"{diagnosis['cpu_count']} cores"
    ]
    lines += ["", "libraries"]
    for name, version in diagnosis["libraries"].items():
        missing = "missing" if name in CORE_LIBRARIES else "not installed (optional)"
        lines.append(f"  {name:<24}{version or missing}")
    lines += ["", "devices"]
    for device in diagnosis["devices"]:
        chosen = "  <- auto" if device["auto"] else ""
        state = "ready" if device["available"] else f"not here: {device['hint']}"
        lines.append(f"  {device['runtime']:<8}{device['device']:<16}{state}{chosen}")
    lines += ["", "can be written"]
    for row in diagnosis["formats"]:
        state = "" if row["available"] else "  (no such encoder in this build of PyAV)"
        alpha = "alpha" if row["alpha"] else "no alpha"
        lines.append(f"  {row['suffix']:<8}{row['codec']:<16}{alpha}, up to {row['bit_depth']} bits{state}")
    lines += ["", "models"]
    for model in diagnosis["models"]:
        default = "  <- default" if model["default"] else ""
        lines.append(f"  {model['name']:<24}{', '.join(model['runtimes'])}{default}")
    lines += ["", "problems" if diagnosis["problems"] else "no problems"]
    lines += [f"  {problem}" for problem in diagnosis["problems"]]
    return "\n".join(lines)
