"""Initial weights of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from torch import Tensor

from cleanplate.errors import ModelError
from cleanplate.models.backbones import load_pretrained
from cleanplate.models.load import load_network
from cleanplate.models.network_builder import build_network
from cleanplate.models.networks.equation import EquationRefiner
from cleanplate.models.networks.lite import LiteNetwork
from cleanplate.models.official import load_official
from cleanplate.models.registry import CHECKPOINT_SUFFIXES, find_model
from cleanplate.training.presets import Preset
from cleanplate.training.training_checkpoint import load_checkpoint


def starting_weights(
    preset: Preset, start: str | None, init: Path | None, note: Callable[[str], None]
) -> dict[str, Tensor] | None:
    """Load a complete state dict for the preset's network; None for random weights.

    Args:
        preset: Preset of the network.
        start: A model's name, a model file, an official checkpoint, or a checkpoint of another run (its
            average is used).
        init: A state dict of a trained backbone, or of a DeepLabV3.
        note: Callback for notes on the loaded weights.

    Raises:
        ModelError, InputError: The file does not exist, or holds another network.
    """
    if init is not None:
        if preset.config.backbone is None:
            raise ModelError(f"'{preset.config.name}' has no backbone that {init} could initialise.")
        network = build_network(preset.config)
        found = load_pretrained(init, network)
        note(f"{found} of {len(network.state_dict())} tensors come from {init.name}")
        return network.state_dict()
    if start is None:
        return None
    state = read_weights(start)
    network = build_network(preset.config)
    if preset.config.equation and "refiner.conv1.weight" in state:
        state = _widen(state, cast(LiteNetwork, network), note)
    expected = network.state_dict()
    # A coarse network alone can start the joint stage, with a new refiner.
    for name, tensor in expected.items():
        if name.startswith("refiner.") and not any(key.startswith("refiner.") for key in state):
            note(f"{start} has no refiner; the refiner starts with random weights")
            state = {**state, **{key: value for key, value in expected.items() if key.startswith("refiner.")}}
        if name not in state or state[name].shape != tensor.shape:
            raise ModelError(f"{start} does not fit the preset '{preset.config.name}': {name} differs.")
    return {name: state[name] for name in expected}


def _widen(state: dict[str, Tensor], network: LiteNetwork, note: Callable[[str], None]) -> dict[str, Tensor]:
    """Start a refiner that solves the equation from one that does not, as in lite 1."""
    refiner = cast(EquationRefiner, network.refiner)
    older = {
        key.removeprefix("refiner."): value for key, value in state.items() if key.startswith("refiner.")
    }
    if older["conv1.weight"].shape[1] != refiner.learnt + 10:
        return state
    refiner.take_over(older)
    note(
        "the refiner starts with the weights of an older one, and its part that solves the compositing "
        "equation with random weights"
    )
    new = {f"refiner.{key}": value for key, value in refiner.state_dict().items()}
    return {**{key: value for key, value in state.items() if not key.startswith("refiner.")}, **new}


def read_weights(start: str) -> dict[str, Tensor]:
    """Read the weights of a model, of an official checkpoint, or of a run (its average).

    Args:
        start: A model's name, a model file or a checkpoint.

    Raises:
        ModelError, InputError: The file does not exist, or is damaged.
    """
    path = Path(start)
    if path.suffix not in CHECKPOINT_SUFFIXES:
        return load_network(find_model(start)).state_dict()
    if path.suffix == ".pt" or not path.is_file():
        state: dict[str, Tensor] = load_checkpoint(path)["average"]
        return state
    return load_official(path)[1]
