"""Core ML export: both networks as ML programs for Apple's devices."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.errors import ModelError
from cleanplate.export.export_options import Exported, ExportOptions
from cleanplate.export.parts import Network, key_parts, name_part
from cleanplate.export.traced import Part, quiet_converter, trace_parts
from cleanplate.frame import Float32Array, Pixels
from cleanplate.models.config import ModelConfig
from cleanplate.models.records import METADATA_KEY
from cleanplate.models.registry import Model


def export_coreml(model: Model, path: Path, options: ExportOptions) -> Exported:
    """Write ``x.coarse.mlpackage`` and ``x.refiner.mlpackage``.

    Inputs and outputs are float32 arrays with the names and shapes of the networks in
    ``docs/architecture.md``, one picture or one tile a call. ``half`` lets Core ML compute in float16, as its
    Neural Engine requires. The record is in the user-defined metadata.

    Raises:
        ModelError: Core ML cannot convert this network for pictures of any size.
    """
    written = {}
    for part in trace_parts(model, options.size):
        written[part.name] = name_part(path, part.name)
        _convert(part, model.config, half=options.half).save(str(written[part.name]))

    def key(source: Pixels, plate: Pixels) -> tuple[Float32Array, Float32Array]:
        networks = {name: _load(file) for name, file in written.items()}
        return key_parts(model, networks["coarse"], networks.get("refiner"), "coreml")(source, plate)

    return Exported(
        list(written.values()),
        key,
        "float16" if options.half else "float32",
        unchecked=None if sys.platform == "darwin" else "Core ML runs on Apple's devices only",
    )


def _convert(part: Part, config: ModelConfig, *, half: bool) -> Any:
    with quiet_converter():
        import coremltools

        try:
            converted = coremltools.convert(
                part.program.run_decompositions({}),
                outputs=[coremltools.TensorType(name) for name in part.outputs],
                minimum_deployment_target=coremltools.target.iOS17,
                compute_precision=getattr(coremltools.precision, "FLOAT16" if half else "FLOAT32"),
                skip_model_load=sys.platform != "darwin",
            )
        except (ValueError, RuntimeError, NotImplementedError) as error:
            raise ModelError(
                f"Core ML's converter cannot convert the {part.name} network of '{config.name}': {error}",
                "name the size of the pictures, as in --size=1920x1080",
            ) from error
    converted.short_description = f"{part.name} network of {config.name} {config.version}"
    converted.license, converted.version = config.licence, config.version
    converted.user_defined_metadata[METADATA_KEY] = config.to_json()
    return converted


def _load(file: Path) -> Network:
    import coremltools

    network = coremltools.models.MLModel(str(file))
    description = network.get_spec().description
    inputs, outputs = ([entry.name for entry in side] for side in (description.input, description.output))

    def run(*arrays: Float32Array) -> tuple[Float32Array, ...]:
        found = network.predict(dict(zip(inputs, arrays, strict=True)))
        return tuple(np.asarray(found[name], np.float32) for name in outputs)

    return run
