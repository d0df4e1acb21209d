from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.errors import ModelError
from cleanplate.models.config import ModelConfig
from cleanplate.models.official import bgmv2_config


def test_record_survives_json(config: ModelConfig) -> None:
    assert ModelConfig.from_json(config.to_json(), "here") == config
    solving = dataclasses.replace(config, family="lite", backbone=None, equation=True)
    assert ModelConfig.from_json(solving.to_json(), "here") == solving
    assert "equation" not in config.to_json()
    official = bgmv2_config("resnet50", None)
    assert ModelConfig.from_json(official.to_json(), "here") == official


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "../../etc"),
        ("family", "sam"),
        ("backbone", "mobilenetv2"),
        ("refiner_kernel", 2),
        ("refiner_kernel", True),
        ("hidden_channels", 0),
        ("hidden_channels", 12.0),
        ("size_multiple", "16"),
        ("shrink", "nearest"),
        ("plate_channels", 5),
        ("target_long_side", 1),
        ("refine", "sampling:many"),
        ("equation", 1),
        ("refine", None),
        ("licence", None),
    ],
)
def test_an_error_names_a_forbidden_value(config: ModelConfig, field: str, value: object) -> None:
    record = config.to_dict() | {field: value}
    with pytest.raises(ModelError, match=f"{field} = .*in 'x.onnx'"):
        ModelConfig.from_dict(record, "'x.onnx'")


def test_an_error_names_missing_unknown_and_newer_entries(config: ModelConfig) -> None:
    record = config.to_dict()
    with pytest.raises(ModelError, match="lacks: shrink"):
        ModelConfig.from_dict({key: value for key, value in record.items() if key != "shrink"}, "x")
    with pytest.raises(ModelError, match="unknown entries: colour"):
        ModelConfig.from_dict(record | {"colour": 1}, "x")
    with pytest.raises(ModelError, match="format 2"):
        ModelConfig.from_dict(record | {"format": 2}, "x")


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_a_record_or_a_model_error(text: str) -> None:
    with pytest.raises(ModelError):
        ModelConfig.from_json(text, "x")


def test_default_scales_of_records(config: ModelConfig) -> None:
    official = bgmv2_config("mobilenetv2")
    assert official.default_scale(1080, 1920) == 0.25
    assert official.default_scale(2160, 3840) == 0.125
    assert official.default_scale(3840, 2160) == 0.125
    assert config.default_scale(720, 1280) == 0.5
    assert config.default_scale(480, 320) == 1.0
    assert config.default_scale(1080, 1920) == 0.4
    shipped = dataclasses.replace(config, target_long_side=512)
    sizes = ((720, 1280), (1080, 1920), (2160, 3840), (360, 640), (192, 320))
    assert [1 / shipped.default_scale(*size) for size in sizes] == [2.5, 3, 4.5, 1.5, 1]
    assert dataclasses.replace(config, target_long_side=320).default_scale(720, 1280) == 0.25
