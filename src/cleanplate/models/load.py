"""Reading and writing of trained networks: safetensors, and the checkpoints of BGMv2's and RVM's authors.

Needs the extra ``torch``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.errors import ModelError, OutputError
from cleanplate.models.config import ModelConfig
from cleanplate.models.network_builder import build_network, check_tensors, require_torch
from cleanplate.models.official import load_official
from cleanplate.models.records import METADATA_KEY, read_config
from cleanplate.models.registry import CHECKPOINT_SUFFIXES, Model
from cleanplate.models.tensor_files import UNSAFE_HEADERS
from cleanplate.system.system_errors import reason_of
from cleanplate.system.temporary_files import temporary_file

if TYPE_CHECKING:
    from torch import Tensor, nn


def load_network(model: Model) -> nn.Module:
    """Load the trained network of a model, in eval mode.

    Raises:
        ModelError: The model has no weights for PyTorch, or they are damaged or wrong.
        MissingExtraError: PyTorch is not installed.
    """
    require_torch()
    if model.weights is None:
        raise ModelError(f"The model '{model.config.name}' has no weights for PyTorch, only ONNX files.")
    if model.weights.suffix in CHECKPOINT_SUFFIXES:
        config, state = load_official(model.weights)
    else:
        config, state = load_safetensors(model.weights)
    network = build_network(config)
    network.load_state_dict(state)
    return network.eval()


def load_safetensors(path: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Load the record and the tensors of a ``.safetensors`` file, complete and of the right shapes.

    Raises:
        ModelError: The file is damaged, or its tensors do not fit its record.
    """
    config = read_config(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except MemoryError:
        raise
    except (SafetensorError, *UNSAFE_HEADERS) as error:
        raise ModelError(f"'{path}' is damaged: {error}.", "fetch or write it again") from error
    check_tensors(config, state, f"'{path}'")
    # Weights may be stored in half precision.
    return config, {
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()
    }


def save_model(network: nn.Module, config: ModelConfig, path: Path, *, half: bool = False) -> None:
    """Write the network's tensors and record as ``.safetensors``; the file appears once it is complete.

    Args:
        network: Result of :func:`build_network`.
        config: Record of the network.
        path: Path of the file.
        half: Store the weights of convolutions as float16; biases and statistics stay float32.

    Raises:
        ModelError: ``config`` describes another network.
        OutputError: The file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    check_tensors(config, state, "the network")
    if half:
        state = {name: tensor.half() if tensor.ndim == 4 else tensor for name, tensor in state.items()}
        check_tensors(config, state, "the network in half precision")
    try:
        with temporary_file(path) as partial:
            # Not save_file: its files are readable for their owner only.
            partial.write_bytes(save(state, metadata={METADATA_KEY: config.to_json()}))
            partial.replace(path)
    except (SafetensorError, OSError) as error:
        raise OutputError(f"The model cannot be written to '{path}': {reason_of(error)}.") from error
