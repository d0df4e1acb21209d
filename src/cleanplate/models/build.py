"""From a record to a PyTorch network, and from files to tensors and back. Needs the extra ``torch``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from cleanplate.errors import MissingExtraError, ModelError, OutputError
from cleanplate.models.config import ModelConfig
from cleanplate.models.files import METADATA_KEY, read_config
from cleanplate.models.official import load_official
from cleanplate.models.registry import CHECKPOINT_SUFFIXES, Model

if TYPE_CHECKING:
    from torch import Tensor, nn


class TwoPartNetwork(Protocol):
    """What the modules from :func:`build_network` offer besides ``nn.Module``.

    Attributes:
        coarse: ``(source, plate)`` to alpha, residual, error and hidden features.
        refiner: ``(half, full)`` to alpha and residual; None for a model without a refiner.
    """

    coarse: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]
    refiner: nn.Module | None


def build_network(config: ModelConfig) -> nn.Module:
    """A network with random weights, as ``config`` describes it.

    It has the parts of :class:`TwoPartNetwork`; that of a model without a plate is a
    :class:`cleanplate.networks.recurrent.RecurrentNetwork`.

    Raises:
        MissingExtraError: PyTorch is not installed.
    """
    require_torch()
    if config.family == "lite":
        from cleanplate.networks.lite import LiteNetwork

        lite: nn.Module = LiteNetwork(config.hidden_channels, equation=config.equation)
        return lite
    backbone = cast(str, config.backbone)
    if config.family == "rvm":
        from cleanplate.networks.recurrent import RecurrentNetwork

        recurrent: nn.Module = RecurrentNetwork(backbone, cast(str, config.guided_filter))
        return recurrent
    from cleanplate.networks.matting import CoarseNetwork, MattingNetwork

    if config.refiner_kernel is None:
        return CoarseNetwork(backbone)
    return MattingNetwork(backbone, config.refiner_kernel)


def load_network(model: Model) -> nn.Module:
    """The trained network of a model, in eval mode.

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
    """The record and the tensors of a ``.safetensors`` file, complete and of the right shapes.

    Raises:
        ModelError: Damaged, or its tensors do not fit its record.
    """
    config = read_config(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"'{path}' is damaged: {error}.", "fetch or write it again") from error
    check_tensors(config, state, f"'{path}'")
    # Weights may be stored in half precision.
    return config, {
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()
    }


def save_model(network: nn.Module, config: ModelConfig, path: Path, *, half: bool = False) -> None:
    """Write the network's tensors and record as ``.safetensors``; the file appears when it is complete.

    Args:
        network: From :func:`build_network`.
        config: Its record.
        path: Of the file.
        half: Store the weights of convolutions as float16; biases and statistics stay float32.

    Raises:
        ModelError: The network is not the one that ``config`` describes.
        OutputError: The file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    check_tensors(config, state, "the network")
    if half:
        state = {name: tensor.half() if tensor.ndim == 4 else tensor for name, tensor in state.items()}
        check_tensors(config, state, "the network in half precision")
    partial = path.with_name(path.name + ".partial")
    try:
        # Not save_file, which makes a file that nobody else may read.
        partial.write_bytes(save(state, metadata={METADATA_KEY: config.to_json()}))
        partial.replace(path)
    except (SafetensorError, OSError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"The model cannot be written to '{path}': {error}.") from error


def check_tensors(config: ModelConfig, state: Mapping[str, Tensor], origin: str) -> None:
    """Raise ModelError unless ``state`` is complete, of ``config``'s shapes, and finite."""
    import torch

    with torch.device("meta"):
        expected: dict[str, Any] = build_network(config).state_dict()
    kind = config.backbone or config.family
    if config.family == "rvm":
        kind = f"rvm-{kind}"
    if missing := [name for name in expected if name not in state]:
        raise ModelError(f"{origin} is no complete '{kind}' model: {_some(missing)} missing.")
    if unknown := [name for name in state if name not in expected]:
        raise ModelError(f"{origin} holds what a '{kind}' model does not have: {_some(unknown)}.")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise ModelError(
                f"{origin} is no '{kind}' model: {name} has shape {tuple(tensor.shape)}, "
                f"expected {tuple(expected[name].shape)}."
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{origin} is damaged: {name} holds values that are not finite.")


def require_torch() -> None:
    """Raise MissingExtraError unless PyTorch is installed."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("torch", "A PyTorch network") from None


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
