"""``cleanplate models``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from cleanplate.cli.reporter import Reporter

NAME = "models"
SUMMARY = "list the networks that can be used"
EXAMPLES = """\
example:
  cleanplate models --json

A file of your own works too: --model PATH, of .safetensors, .coarse.onnx or a checkpoint of BGMv2.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``run`` reads."""
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Print one line per model inside the package."""
    models = describe_models()
    with Reporter() as reporter:
        if arguments.json:
            reporter.result(json.dumps(models, indent=2))
            return 0
        for model in models:
            default = "  (default)" if model["default"] else ""
            reporter.result(
                f"{model['name']} {model['version']}: {', '.join(model['runtimes'])}; "
                f"{model['megabytes']:.1f} MB; {model['licence']}{default}"
            )
            reporter.result(f"    {model['note'] or model['source']}")
    return 0


def describe_models() -> list[dict[str, Any]]:
    """Every model inside the package as JSON types; each is checked against its hash on the way."""
    from cleanplate.models.registry import DEFAULT_MODEL, find_model, list_models

    found = []
    for name in list_models():
        model = find_model(name)
        files = [path for path in (model.coarse_onnx, model.refiner_onnx, model.weights) if path is not None]
        found.append(
            {
                "name": name,
                "version": model.config.version,
                "family": model.config.family,
                "default": name == DEFAULT_MODEL,
                "runtimes": [
                    runtime
                    for runtime, path in (("onnx", model.coarse_onnx), ("torch", model.weights))
                    if path is not None
                ],
                "megabytes": sum(path.stat().st_size for path in files) / 1e6,
                "licence": model.config.licence,
                "source": model.config.source,
                "note": model.config.note,
            }
        )
    return found
