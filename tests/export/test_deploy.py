from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from cleanplate.export.inference_form import SummedConvolution, arrange_for_inference  # noqa: E402
from cleanplate.models.networks.blocks import JoinedConvolution  # noqa: E402


def test_convolution_of_joined_inputs_becomes_a_sum() -> None:
    torch.manual_seed(0)
    network = torch.nn.ModuleList([JoinedConvolution((5, 20, 3), 7, 3, padding=1)])
    arranged = arrange_for_inference(network)
    inputs = [torch.rand(2, channels, 6, 9) for channels in (5, 20, 3)]
    assert isinstance(arranged[0], SummedConvolution)
    torch.testing.assert_close(arranged[0](*inputs), network[0](*inputs))


@pytest.mark.parametrize(
    ("channels", "parts"), [(42, [32, 10]), (22, [16, 6]), (10, None), (32, None), (44, None)]
)
def test_channels_are_split_at_multiples_of_a_block(channels: int, parts: list[int] | None) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(channels, 8, 3))
    arranged = arrange_for_inference(network)
    assert getattr(arranged[0], "parts", None) == parts
    x = torch.rand(1, channels, 8, 8)
    torch.testing.assert_close(arranged(x), network(x))


def test_batch_norms_are_folded_and_the_original_stays() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU6(),
        torch.nn.BatchNorm2d(8),
    )
    for _ in range(3):
        network(torch.rand(4, 3, 8, 8))
    arranged = arrange_for_inference(network)
    assert network.training
    assert [type(module) for module in arranged] == [
        torch.nn.Conv2d,
        torch.nn.Identity,
        torch.nn.ReLU6,
        torch.nn.BatchNorm2d,
    ]
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(arranged(x), network.eval()(x))
