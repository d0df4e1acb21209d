"""Builds PyTorch networks from a model's record. Needs the extra ``torch``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from cleanplate.errors import MissingExtraError, ModelError
from cleanplate.models.config import ModelConfig
from cleanplate.models.tensor_files import find_odd_tensor

if TYPE_CHECKING:
    from torch import Tensor, nn


class TwoPartNetwork(Protocol):
    """Interface of the modules from :func:`build_network`, besides ``nn.Module``.

    Attributes:
        coarse: ``(source, plate)`` to alpha, residual, error and hidden features.
        refiner: ``(half, full)`` to alpha and residual; None for a model without a refiner.
    """

    coarse: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]
    refiner: nn.Module | None


def build_network(config: ModelConfig) -> nn.Module:
    """Build a network with random weights, as described by ``config``.

    The network has the parts of :class:`TwoPartNetwork`; for a model without a plate it is a
    :class:`cleanplate.models.networks.rvm.RecurrentNetwork`.

    Raises:
        MissingExtraError: PyTorch is not installed.
    """
    require_torch()
    if config.family == "lite":
        from cleanplate.models.networks.lite import LiteNetwork

        lite: nn.Module = LiteNetwork(config.hidden_channels, equation=config.equation)
        return lite
    backbone = cast(str, config.backbone)
    if config.family == "rvm":
        from cleanplate.models.networks.rvm import RecurrentNetwork

        recurrent: nn.Module = RecurrentNetwork(backbone, cast(str, config.guided_filter))
        return recurrent
    from cleanplate.models.networks.matting import CoarseNetwork, MattingNetwork

    if config.refiner_kernel is None:
        return CoarseNetwork(backbone)
    return MattingNetwork(backbone, config.refiner_kernel)


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
        raise ModelError(f"{origin} has tensors that a '{kind}' model does not have: {_some(unknown)}.")
    if odd := find_odd_tensor(state):
        raise ModelError(f"{origin} is no '{kind}' model: {odd}.")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise ModelError(
                f"{origin} is no '{kind}' model: {name} has shape {tuple(tensor.shape)}, "
                f"expected {tuple(expected[name].shape)}."
            )
        if expected[name].is_floating_point() and not tensor.is_floating_point():
            raise ModelError(
                f"{origin} is no '{kind}' model: {name} has numbers of type {tensor.dtype}, "
                f"expected {expected[name].dtype}."
            )
        # As float32: torch lacks this check for some small types.
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
            raise ModelError(f"{origin} is damaged: {name} holds values that are not finite.")


def require_torch() -> None:
    """Raise MissingExtraError unless PyTorch is installed."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("torch", "A PyTorch network") from None


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
