"""The weights that a run begins with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from cleanplate.errors import ModelError
from cleanplate.models.backbones import load_pretrained
from cleanplate.models.build import build_network
from cleanplate.models.load import load_network
from cleanplate.models.official import load_official
from cleanplate.models.registry import CHECKPOINT_SUFFIXES, find_model
from cleanplate.training.presets import Preset
from cleanplate.training.training_checkpoint import load_checkpoint


def starting_weights(
    preset: Preset, start: str | None, init: Path | None, note: Callable[[str], None]
) -> dict[str, Tensor] | None:
    """A complete state dict for the preset's network; None for random weights.

    Args:
        preset: Whose network it is.
        start: A model's name, a model file, an official checkpoint, or a checkpoint of another run (its
            average is taken).
        init: A state dict of a trained backbone, or of a DeepLabV3.
        note: Is told what was taken.

    Raises:
        ModelError, InputError: No such file, or of another network.
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
    state = _read_start(start)
    expected = build_network(preset.config).state_dict()
    # A coarse network alone can begin the joint stage; its refiner is then a new one.
    for name, tensor in expected.items():
        if name.startswith("refiner.") and not any(key.startswith("refiner.") for key in state):
            note(f"{start} has no refiner; it begins with random weights")
            state = {**state, **{key: value for key, value in expected.items() if key.startswith("refiner.")}}
        if name not in state or state[name].shape != tensor.shape:
            raise ModelError(f"{start} does not fit the preset '{preset.config.name}': {name} differs.")
    return {name: state[name] for name in expected}


def _read_start(start: str) -> dict[str, Tensor]:
    path = Path(start)
    if path.suffix not in CHECKPOINT_SUFFIXES:
        return load_network(find_model(start)).state_dict()
    if path.suffix == ".pt" or not path.is_file():
        state: dict[str, Tensor] = load_checkpoint(path)["average"]
        return state
    return load_official(path)[1]
