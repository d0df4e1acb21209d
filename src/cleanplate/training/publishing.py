"""Publishing of a checkpoint as model files: safetensors, ONNX networks, manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from cleanplate.errors import ModelError, OptionError, OutputError
from cleanplate.export.onnx_export import export_onnx
from cleanplate.export.recurrent_onnx_export import export_recurrent_onnx
from cleanplate.models.config import ModelConfig
from cleanplate.models.load import save_model
from cleanplate.models.model_manifest import list_in_manifest
from cleanplate.models.network_builder import build_network, check_tensors
from cleanplate.models.networks.lite import LEARNT_CHANNELS
from cleanplate.system.temporary_files import make_folder
from cleanplate.training.initial_weights import read_weights
from cleanplate.training.presets import find_preset
from cleanplate.training.training_checkpoint import load_checkpoint

SOURCE = "trained by the cleanplate authors on composites made on the fly"


def publish(
    checkpoint: Path,
    folder: Path,
    *,
    version: str,
    name: str | None = None,
    refine: str | None = None,
    licence: str = "MIT",
    source: str = SOURCE,
    half: bool = False,
    mix: Sequence[tuple[str, float]] = (),
    overwrite: bool = False,
) -> list[Path]:
    """Write the averaged weights of ``checkpoint`` into ``folder`` as a model, in every format.

    Args:
        checkpoint: ``best.pt`` or ``last.pt`` of a run.
        folder: Folder of models; its manifest is updated.
        version: Version of the weights, as in "1.0".
        name: Name of the model; None for the preset's.
        refine: Default rule of refinement, as in "threshold:0.2"; None for the preset's.
        licence: SPDX identifier of the licence.
        source: Origin of the weights.
        half: Store the weights of convolutions as float16, which halves the files; the arithmetic stays
            float32. Not for a model without a plate.
        mix: Other models of the same form (names, model files or checkpoints), each with the share of its
            weights in the published ones, in (0, 1); together they have less than 1.
        overwrite: Whether files of this name may be replaced.

    Returns:
        Paths of the files.

    Raises:
        InputError: The checkpoint is missing or damaged.
        ModelError: The checkpoint does not fit its preset, or an export differs from PyTorch.
        OutputError: A file exists, or cannot be written.
        OptionError: The model does not support an option, or the share is out of range.
    """
    for model, share in mix:
        if not 0 < share < 1:
            raise OptionError(f"The share of {model} is {share:g}; expected a number between 0 and 1.")
    if sum(share for _, share in mix) >= 1:
        raise OptionError(
            "The shares of the other models leave nothing for the checkpoint.",
            "give shares with a sum below 1",
        )
    state = load_checkpoint(checkpoint)
    preset = find_preset(state.get("preset", "lite"))  # checkpoints of the first training loop have no preset
    given = {"version": version, "name": name, "refine": refine, "licence": licence, "source": source}
    config = _describe(preset.config, given)
    if not config.needs_plate and (half or refine is not None):
        raise OptionError(
            f"'{config.name}' works without a plate: there is nothing to refine, and its files are float32.",
            "leave out --half and --refine",
        )
    paths = _list_files(folder, config)
    if not overwrite and (existing := [path for path in paths if path.exists()]):
        raise OutputError(
            f"{existing[0]} exists already.", "choose another name or folder, or add --overwrite"
        )
    weights = _mix(state["average"], mix)
    config = _config_of(weights, config)
    network = _load_weights(weights, config, f"{checkpoint} does not fit its preset '{preset.config.name}'.")
    make_folder(folder)
    save_model(network.eval(), config, paths[-1], half=half)
    if config.needs_plate:
        export_onnx(network, config, folder / config.name, half=half)
    else:
        export_recurrent_onnx(network, config, folder / config.name)
    list_in_manifest(folder, config.name)
    return paths


def _describe(config: ModelConfig, given: Mapping[str, str | None]) -> ModelConfig:
    """Replace fields of a preset's record by the given ones that are not None."""
    named = {name: value for name, value in given.items() if value is not None}
    return ModelConfig(**{**dataclasses.asdict(config), **named})


def _list_files(folder: Path, config: ModelConfig) -> list[Path]:
    """List the files of a model: its ONNX networks, then its weights."""
    parts = (".coarse.onnx", ".refiner.onnx") if config.needs_plate else (".recurrent.onnx",)
    return [folder / f"{config.name}{suffix}" for suffix in (*parts, ".safetensors")]


def _load_weights(state: Mapping[str, Tensor], config: ModelConfig, misfit: str) -> nn.Module:
    """Build the network of a model with these weights.

    Raises:
        ModelError: They do not fit, with the message ``misfit``.
    """
    network = build_network(config)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(misfit) from error
    return network


def _mix(weights: Mapping[str, Tensor], others: Sequence[tuple[str, float]]) -> dict[str, Tensor]:
    """Mix weights with shares of those of other models, such as the one that their training began with.

    The errors of a mean are often smaller: Wortsman et al., "Robust fine-tuning of zero-shot models",
    CVPR 2022.

    Raises:
        ModelError: Another model has tensors of other names or sizes.
    """
    sizes = {name: x.shape for name, x in weights.items()}
    rest = 1 - sum(share for _, share in others)
    mixed = {name: rest * x.float() for name, x in weights.items()}
    for other, share in others:
        theirs = read_weights(other)
        if sizes != {name: x.shape for name, x in theirs.items()}:
            raise ModelError(
                f"{other} has tensors of other names or sizes than the checkpoint.",
                "mix models of one preset",
            )
        mixed = {name: x + share * theirs[name].float() for name, x in mixed.items()}
    return {name: x.to(weights[name].dtype) for name, x in mixed.items()}


def _config_of(state: Mapping[str, Tensor], config: ModelConfig) -> ModelConfig:
    """Adapt the preset's record to weights of lite 1, whose refiner does not solve the equation."""
    if not config.equation:
        return config
    older = dataclasses.replace(config, equation=False, hidden_channels=LEARNT_CHANNELS)
    try:
        check_tensors(older, state, "the checkpoint")
    except ModelError:
        return config
    return older
