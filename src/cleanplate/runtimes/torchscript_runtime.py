"""TorchScript (extra ``torch``): archives run as they are, behind the router.

It takes an archive of ``cleanplate export --to torchscript``, one of BGMv2's authors, or a model's weights,
which are compiled when they are opened. The code of an archive is executed, so this is the only place where a
model's file can run code of its own; it is used only if the user names this runtime. All other runtimes read
an archive's weights and run no code of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.errors import ModelError
from cleanplate.models.load import load_network
from cleanplate.models.network_builder import TwoPartNetwork
from cleanplate.models.registry import CHECKPOINT_SUFFIXES, Model
from cleanplate.models.torchscript_archive import is_torchscript
from cleanplate.router import Coarse, Router
from cleanplate.router.torch_router import TorchRouter
from cleanplate.runtimes import torch_runtime

DEVICES = torch_runtime.DEVICES
INSTALL_HINTS = torch_runtime.INSTALL_HINTS
working_devices = torch_runtime.working_devices
describe = torch_runtime.describe

CoarsePart = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]
RefinerPart = Callable[[Tensor, Tensor], Tensor]


class TorchScriptRuntime:
    """TorchScript; see :class:`cleanplate.runtimes.runtime.Runtime`.

    Args:
        model: A model with weights, or with an archive in their place.
        device: ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads within an operator, for this whole process; None leaves them as they are.
        precision: See :class:`cleanplate.runtimes.torch_runtime.TorchRuntime`.

    Raises:
        OptionError: No such device, or float16 on a CPU.
        UnavailableError: The device is missing.
        ModelError: The model has no files for PyTorch, or they are damaged, or their code is unexpected.
    """

    name = "torchscript"

    def __init__(
        self, model: Model, device: str = "cpu", threads: int | None = None, precision: str = "auto"
    ) -> None:
        dtype = torch_runtime.open_device(device, threads, precision)
        self.model = model
        self.device = device
        self.router: Router[Tensor] = TorchRouter(torch.device(device), dtype)
        path = model.weights
        self._archive: Any = None
        if path is not None and path.suffix in CHECKPOINT_SUFFIXES and is_torchscript(path):
            self._archive = load_archive(path).to(device, dtype).eval()
            self._coarse, self._refiner = split_archive(self._archive, path)
            what = f"'{path.name}' as it is"
        else:
            self._coarse, self._refiner = _compile(model, device, dtype)
            what = "compiled here"
        self.description = f"TorchScript, {what}, {describe(device, dtype)}"

    @torch.inference_mode()
    def coarse(self, source: Tensor, plate: Tensor) -> Coarse[Tensor]:
        return Coarse(*self._coarse(source, plate))

    @torch.inference_mode()
    def refine(self, half: Tensor, full: Tensor) -> Tensor:
        if self._refiner is None:
            raise ModelError(f"The model '{self.model.config.name}' has no refiner.")
        return self._refiner(half, full)


def load_archive(path: Path) -> Any:
    """Load an archive, ready to run; its code is not verified.

    Raises:
        ModelError: The archive is damaged, or needs a newer PyTorch.
    """
    try:
        with quiet_torchscript():
            archive: Any = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"'{path}' cannot be run as TorchScript: {reason}", "fetch or write it again"
        ) from error
    return archive.float()


def split_archive(archive: Any, path: Path) -> tuple[CoarsePart, RefinerPart | None]:
    """Find the two networks in an archive: of this package, as they are; of BGMv2, in their parts.

    Raises:
        ModelError: There are none.
    """
    if hasattr(archive, "coarse"):
        return archive.coarse, getattr(archive, "refiner", None)
    network = getattr(archive, "model", archive)
    if not all(hasattr(network, part) for part in ("backbone", "aspp", "decoder")):
        raise ModelError(
            f"'{path}' has no BGMv2 network with a separate coarse network and refiner.",
            "leave out --runtime=torchscript, so that its weights are read",
        )
    refiner = getattr(network, "refiner", None)
    return _official_coarse(network), None if refiner is None else _official_refiner(refiner)


def _official_coarse(network: Any) -> CoarsePart:
    def coarse(source: Tensor, plate: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        deepest, *skips = network.backbone(torch.cat([source, plate], 1))
        maps = network.decoder(network.aspp(deepest), *skips)
        alpha, residual, error, hidden = torch.split(maps, [1, 3, 1, maps.shape[1] - 5], 1)
        return alpha.clamp(0, 1), residual, error.clamp(0, 1), hidden.relu()

    return coarse


def _official_refiner(refiner: Any) -> RefinerPart:
    def refine(half: Tensor, full: Tensor) -> Tensor:
        x = refiner.relu(refiner.bn1(refiner.conv1(half)))
        x = refiner.relu(refiner.bn2(refiner.conv2(x)))
        x = torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), full], 1)
        refined: Tensor = refiner.conv4(refiner.relu(refiner.bn3(refiner.conv3(x))))
        return refined

    return refine


class CoarsePartOf(nn.Module):
    """The coarse network of a two-part network, as a module.

    Parameters keep their names, so that an archive's weights can be identified.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        for name, child in network.named_children():
            if name != "refiner":
                self.add_module(name, child)
        self._run = cast(TwoPartNetwork, network).coarse

    def forward(self, source: Tensor, plate: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        alpha, residual, error, hidden = self._run(source, plate)
        return alpha, residual, error, hidden


def compile_parts(network: nn.Module, model: Model) -> tuple[nn.Module, nn.Module | None]:
    """Trace both networks of a model; sizes and batches stay free.

    Args:
        network: On any device, in eval mode.
        model: The model; its record describes the networks' inputs.
    """
    config = model.config
    like = next(network.parameters())
    side = 4 * config.size_multiple if config.size_multiple > 1 else 70

    def blank(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=like.dtype, device=like.device)

    part = cast(TwoPartNetwork, network).coarse
    coarse = part if isinstance(part, nn.Module) else CoarsePartOf(network)
    refiner = cast(TwoPartNetwork, network).refiner
    halo = 3 if config.refiner_kernel == 3 else 0
    with quiet_torchscript(), torch.no_grad():
        pictures = blank(2, 3, side, side + 16), blank(2, config.plate_channels, side, side + 16)
        traced = torch.jit.trace(coarse, pictures, check_trace=False)  # type: ignore[no-untyped-call]
        if refiner is None:
            return traced, None
        windows = (
            blank(2, config.hidden_channels + 10, 8 + 2 * halo, 8 + 2 * halo),
            blank(2, 6, 16 + 4 * halo // 3, 16 + 4 * halo // 3),
        )
        return traced, torch.jit.trace(refiner, windows, check_trace=False)  # type: ignore[no-untyped-call]


def _compile(model: Model, device: str, dtype: torch.dtype) -> tuple[CoarsePart, RefinerPart | None]:
    network: Any = load_network(model).requires_grad_(False).to(device, dtype)
    parts = compile_parts(network, model)
    with quiet_torchscript():
        coarse, refiner = (None if part is None else torch.jit.freeze(part.eval()) for part in parts)
    return cast(CoarsePart, coarse), cast("RefinerPart | None", refiner)


@contextmanager
def quiet_torchscript() -> Iterator[None]:
    """Silence PyTorch's warning that TorchScript is deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", r"`torch\.jit\.\w+` is (deprecated|not supported)", DeprecationWarning
        )
        yield
