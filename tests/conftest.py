"""Small models for tests: random weights, shapes and files of real models."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from cleanplate.models.config import ModelConfig
from cleanplate.models.registry import Model

TINY_CONFIG = ModelConfig(
    name="tiny",
    version="1.0",
    family="lite",
    backbone=None,
    refiner_kernel=3,
    hidden_channels=3,
    coarse_output_stride=2,
    size_multiple=4,
    shrink="area",
    plate_channels=4,
    target_long_side=64,
    refine="threshold:0.2",
    licence="MIT",
    source="random",
)

TINY_RECURRENT_CONFIG = ModelConfig(
    name="tiny-rvm",
    version="1.0",
    family="rvm",
    backbone="mobilenetv3",
    refiner_kernel=None,
    hidden_channels=16,
    coarse_output_stride=1,
    size_multiple=1,
    shrink="bilinear",
    plate_channels=0,
    target_long_side=64,
    refine="off",
    licence="MIT",
    source="random",
    guided_filter="deep",
)


collect_ignore = ["router", "training"] if find_spec("torch") is None else []
"""Folders whose tests all need PyTorch; single tests of other folders say so themselves."""

_ELSEWHERE = {
    "make test-runtimes": ("tensorflow", "openvino"),
    "make test-mobile": ("executorch", "coremltools"),
}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the skipped tests at the end, and the command that runs them."""
    chosen = terminalreporter.config.option
    leaves_slow_out = chosen.markexpr == "not slow" and not chosen.keyword
    slow = len(terminalreporter.stats.get("deselected", ())) if leaves_slow_out else 0
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    lines = [f"make test-slow: {slow} slow tests"] if slow else []
    for command, libraries in _ELSEWHERE.items():
        count = sum(any(library in reason for library in libraries) for reason in skipped)
        if count:
            lines.append(f"{command}: {count} tests of {' and '.join(libraries)}")
    lines += [f"pip install torch: the tests in {folder}/" for folder in collect_ignore]
    if lines:
        terminalreporter.section("not run here")
        for line in [*lines, "make test-notebooks, make test-web: the notebooks, the web page"]:
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True, scope="session")
def home_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Hide the user's models from the tests."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLEANPLATE_HOME", str(home))
        yield home


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_reaches_programs() -> None:
    """Undo that a shell starts background jobs with Ctrl-C ignored, which their programs inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_config() -> ModelConfig:
    """Record of a small model of two parts."""
    return TINY_CONFIG


@pytest.fixture(scope="session")
def tiny_network() -> Any:
    """Network of two parts; its alpha follows the difference of source and plate."""
    torch = pytest.importorskip("torch")
    from torch import nn
    from torch.nn import functional as F

    class Coarse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Conv2d(7, 8, 3, stride=2, padding=1)
            self.decode = nn.Conv2d(8, 4 + 3, 3, padding=1)

        def forward(self, source: Any, plate: Any) -> tuple[Any, ...]:
            features = F.relu(self.encode(torch.cat([source, plate], 1)))
            x = self.decode(features)
            difference = F.avg_pool2d((source - plate[:, :3]).abs().sum(1, keepdim=True) * plate[:, 3:], 2)
            alpha = (4 * difference).clamp(0, 1)
            return alpha, 0.1 * x[:, :3], (4 * alpha * (1 - alpha)).clamp(0, 1), F.relu(x[:, 4:])

    class Refiner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(13, 8, 3), nn.Conv2d(8, 8, 3)
            self.third, self.fourth = nn.Conv2d(14, 8, 3), nn.Conv2d(8, 4, 3)

        def forward(self, half: Any, full: Any) -> Any:
            x = F.interpolate(F.relu(self.second(F.relu(self.first(half)))), scale_factor=2.0, mode="nearest")
            return self.fourth(F.relu(self.third(torch.cat([x, full], 1))))

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.coarse, self.refiner = Coarse(), Refiner()

    torch.manual_seed(1)
    torch.set_num_threads(1)
    return Tiny().eval()


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder of files once for all processes of a run: the others wait for the first one."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder

    def make(name: str, write: Callable[[Path], object]) -> Path:
        made, complete = shared / name, shared / f"{name}.complete"
        try:
            made.mkdir()
        except FileExistsError:
            wait_until(complete.exists, name)
            return made
        try:
            write(made)
        finally:
            complete.touch()
        return made

    return make


@pytest.fixture(scope="session")
def tiny_model(tiny_network: Any, make_once: Callable[..., Path]) -> Model:
    """The tiny network as ONNX files, and weights for a patched ``load_network``."""
    pytest.importorskip("onnxscript")
    from cleanplate.export.onnx_export import export_onnx

    prefix = (
        make_once("tiny", lambda folder: export_onnx(tiny_network, TINY_CONFIG, folder / "tiny")) / "tiny"
    )
    files = (prefix.with_suffix(suffix) for suffix in (".coarse.onnx", ".refiner.onnx", ".safetensors"))
    return Model(TINY_CONFIG, *files)


@pytest.fixture
def torch_loads_tiny(tiny_network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let PyTorch's runtimes load the tiny network, which is not in the registry."""
    import copy

    for module in ("torch_runtime", "torchscript_runtime"):
        monkeypatch.setattr(
            f"cleanplate.runtimes.{module}.load_network", lambda _: copy.deepcopy(tiny_network)
        )


@pytest.fixture(scope="session")
def tiny_backbone() -> Any:
    """Encoder of four convolutions in place of MobileNetV3; the rest is unchanged."""
    pytest.importorskip("torch")
    from torch import nn

    from cleanplate.models.networks.rvm import Variant

    class Encoder(nn.Module):
        channels = (4, 4, 8, 8)

        def __init__(self, in_channels: int) -> None:
            super().__init__()
            widths = (in_channels, *self.channels)
            self.features = nn.ModuleList(
                nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)
            )

        def forward(self, x: Any) -> tuple[Any, ...]:
            outputs = [x]
            for convolution in self.features:
                outputs.append(convolution(outputs[-1]).relu())
            return tuple(outputs)

    return Variant(Encoder, True, 8, (8, 8, 8, 16))


@pytest.fixture(scope="session")
def tiny_recurrent_files(tiny_backbone: Any, make_once: Callable[..., Path]) -> Model:
    """A small network without a plate, as ONNX and as safetensors; alpha follows the picture."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from cleanplate.export.recurrent_onnx_export import export_recurrent_onnx
    from cleanplate.models.load import save_model
    from cleanplate.models.network_builder import build_network
    from cleanplate.models.networks.rvm import BACKBONES

    def write(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(BACKBONES, "mobilenetv3", tiny_backbone)
            torch.manual_seed(3)
            network = build_network(TINY_RECURRENT_CONFIG).eval()
            with torch.no_grad():
                for layer in (network.project_mat.conv, network.refiner.conv[6]):
                    layer.weight.mul_(6)
                    layer.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.5]))
            save_model(network, TINY_RECURRENT_CONFIG, folder / "tiny-rvm.safetensors")
            export_recurrent_onnx(network, TINY_RECURRENT_CONFIG, folder / "tiny-rvm")

    # The export takes fifteen seconds of processor time.
    folder = make_once("tiny-rvm", write)
    return Model(
        TINY_RECURRENT_CONFIG,
        weights=folder / "tiny-rvm.safetensors",
        recurrent_onnx=folder / "tiny-rvm.recurrent.onnx",
    )


@pytest.fixture
def tiny_recurrent_model(
    tiny_recurrent_files: Model, tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> Model:
    """Files of the small network, for PyTorch's loader, too."""
    from cleanplate.models.networks.rvm import BACKBONES

    monkeypatch.setitem(BACKBONES, "mobilenetv3", tiny_backbone)
    return tiny_recurrent_files
