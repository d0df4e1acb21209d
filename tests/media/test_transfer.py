"""Transfer functions: points of the standards, and every code value there and back."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.errors import OptionError
from cleanplate.media.colour.h273 import TRANSFERS as TAGS
from cleanplate.media.colour.h273 import UNSPECIFIED
from cleanplate.media.colour.transfer import (
    SRGB,
    TRANSFERS,
    WHITE_NITS,
    curve_of,
    decode,
    encode,
    light_of_codes,
    shadow_of_light,
)


def test_every_tag_of_h273_has_a_function() -> None:
    assert set(TRANSFERS) == set(TAGS.values()) - {UNSPECIFIED}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_every_code_value_survives_the_round_trip(transfer: str, dtype: type) -> None:
    codes = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    light = decode(codes, transfer)
    assert light.dtype == np.float32
    assert light[0] == pytest.approx(0, abs=1e-9)
    assert np.all(np.diff(light) > 0)
    assert np.array_equal(encode(light, transfer, dtype), codes)


@pytest.mark.parametrize(
    ("transfer", "code", "light"),
    [
        ("bt709", 0.081, 0.018),  # ITU-R BT.709-6: the straight piece ends at 4.5 * 0.018
        ("bt2020-12", 1.0, 1.0),
        (SRGB, 0.04045, 0.0031308),
        (SRGB, 188 / 255, 0.5028865),
        ("gamma22", 0.5, 0.5**2.2),
        ("linear", 0.3, 0.3),
        ("smpte2084", 0.58069, 1.0),  # BT.2408: reference white is 58 % of PQ
        ("smpte2084", 1.0, 10_000 / WHITE_NITS),
        ("smpte2084", 0.508078, 100 / WHITE_NITS),
        ("arib-std-b67", 0.75, 1.0),  # BT.2408: and 75 % of HLG
        ("arib-std-b67", 0.5, (1 / 12) / 0.264963),
        ("arib-std-b67", 1.0, 1 / 0.264963),
        ("log100", 0.5, 0.1),
        ("smpte428", 1.0, 52.37 / 48),
    ],
)
def test_points_of_the_standards(transfer: str, code: float, light: float) -> None:
    curve = curve_of(transfer)
    assert float(curve.decode(np.float64(code))) == pytest.approx(light, rel=2e-4)
    assert float(curve.encode(np.float64(light))) == pytest.approx(code, abs=2e-5)


def test_values_outside_of_codes_are_clipped() -> None:
    light = np.array([-0.5, 0.0, 1.0, 7.0, 1e30], np.float32)
    assert encode(light, SRGB, np.uint8).tolist() == [0, 0, 255, 255, 255]


def test_pictures_keep_their_shape() -> None:
    for dtype in (np.uint8, np.uint16):
        codes = np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, (5, 7, 3)).astype(dtype)
        assert np.array_equal(decode(codes, "bt709"), light_of_codes("bt709", codes.dtype)[codes])
        assert decode(codes[:0], "bt709").shape == (0, 7, 3)


def test_a_shadow_of_codes_is_one_of_light() -> None:
    shadow = np.array([0.0, 0.25, 1.0], np.float32)
    assert shadow_of_light(shadow, "gamma22") == pytest.approx([0, 1 - 0.75**2.2, 1], abs=1e-6)
    assert shadow_of_light(shadow, "linear") == pytest.approx(shadow, abs=1e-6)


def test_an_unknown_transfer_is_refused() -> None:
    with pytest.raises(OptionError, match="Unknown transfer function 'unspecified'"):
        decode(np.zeros((2, 2), np.uint8), "unspecified")
