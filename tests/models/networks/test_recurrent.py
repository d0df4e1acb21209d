"""RVM: parameter counts, the official code's numbers (stored by vectors/make_recurrent.py), sequences."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cleanplate.errors import OptionError  # noqa: E402
from cleanplate.models.networks.rvm import RecurrentNetwork  # noqa: E402

VECTORS = Path(__file__).parent / "vectors"


def seeded(network, vectors: ModuleType, recurrent_vectors: ModuleType):
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict(recurrent_vectors.centre(vectors.seeded_state(shapes)))
    return network.eval().requires_grad_(False)


@pytest.fixture
def network(vectors: ModuleType, recurrent_vectors: ModuleType):
    return seeded(RecurrentNetwork("mobilenetv3", "deep"), vectors, recurrent_vectors)


@pytest.mark.parametrize(
    ("backbone", "guided_filter", "count"),
    [
        ("mobilenetv3", "deep", 3_748_633),
        ("mobilenetv3", "fast", 3_747_825),
        ("resnet50", "deep", 26_890_461),
        ("resnet50", "fast", 26_889_653),
    ],
)
def test_the_number_of_parameters_is_the_official_one(backbone: str, guided_filter: str, count: int) -> None:
    with torch.device("meta"):
        network = RecurrentNetwork(backbone, guided_filter)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("backbone", ["mobilenetv3", "resnet50"])
@pytest.mark.parametrize("refined", ["", "-deep", "-fast"])
def test_mattes_equal_the_official_code(
    backbone: str, refined: str, vectors: ModuleType, recurrent_vectors: ModuleType
) -> None:
    name = f"recurrent-{backbone}{refined}"
    case = recurrent_vectors.CASES[name]
    network = seeded(RecurrentNetwork(case.backbone, case.guided_filter), vectors, recurrent_vectors)
    frames = vectors.seeded_picture(9, 1, recurrent_vectors.FRAMES, 3, *recurrent_vectors.SIZE)
    first = network(frames[:, :2], None, case.downsample_ratio)
    last = network(frames[:, 2:], first.state, case.downsample_ratio)
    expected = np.load(VECTORS / f"{name}.npz")
    assert expected["alpha"].std() > 0.03
    np.testing.assert_allclose(torch.cat([first.alpha, last.alpha], dim=1), expected["alpha"], atol=1e-5)
    np.testing.assert_allclose(last.foreground[:, 0], expected["foreground"], atol=1e-5)
    for number, values in enumerate(last.state, 1):
        np.testing.assert_allclose(values[:, ::4], expected[f"state{number}"], atol=1e-5)


def test_a_sequence_equals_its_frames_one_by_one(network) -> None:
    frames = torch.rand(2, 3, 3, 45, 51)
    whole = network(frames, None, 0.5)
    state = None
    for number in range(3):
        foreground, alpha, state = network(frames[:, number : number + 1], state, 0.5)
        torch.testing.assert_close(alpha, whole.alpha[:, number : number + 1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(foreground, whole.foreground[:, number : number + 1], rtol=1e-4, atol=1e-5)
    for one, other in zip(state, whole.state, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_earlier_frames_change_the_result(network) -> None:
    frames = torch.rand(1, 2, 3, 48, 64)
    alone, after = network(frames[:, 1:]).alpha, network(frames).alpha[:, 1:]
    assert float((alone - after).abs().max()) > 1e-4


@pytest.mark.parametrize("size", [(16, 16), (33, 47), (50, 35)])
@pytest.mark.parametrize("ratio", [1, 0.7, 0.25])
@pytest.mark.parametrize("guided_filter", ["deep", "fast"])
def test_any_size_is_accepted(size: tuple[int, int], ratio: float, guided_filter: str) -> None:
    torch.manual_seed(0)
    network = RecurrentNetwork("mobilenetv3", guided_filter).eval().requires_grad_(False)
    foreground, alpha, state = network(torch.rand(1, 1, 3, *size), None, ratio)
    assert foreground.shape == (1, 1, 3, *size)
    assert alpha.shape == (1, 1, 1, *size)
    assert [values.shape[1] for values in state] == [16, 20, 40, 64]
    for values in (foreground, alpha):
        assert values.min() >= 0
        assert values.max() <= 1


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    network = RecurrentNetwork().train()
    frames = torch.rand(2, 2, 3, 64, 64)
    matte = network(frames, None, 0.5)
    person, _ = network.segment(frames)
    assert person.shape == (2, 2, 1, 64, 64)
    (matte.foreground.mean() + matte.alpha.mean() + person.mean()).backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_unknown_backbone_and_filter_are_named() -> None:
    with pytest.raises(OptionError, match="vgg"):
        RecurrentNetwork("vgg")
    with pytest.raises(OptionError, match="slow"):
        RecurrentNetwork("mobilenetv3", "slow")
