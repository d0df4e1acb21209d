"""The record of a model inside each of its files: its kind, its inputs and its default settings."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from typing import Any

from cleanplate.errors import ModelError

FORMAT = 1
"""Version of the record's format; a reader refuses newer ones."""

FAMILIES = ("bgmv2", "lite", "rvm")
BACKBONES = ("mobilenetv2", "resnet50", "resnet101")
"""Backbones of BGMv2."""
RECURRENT_BACKBONES = ("mobilenetv3", "resnet50")
"""Backbones of RVM."""
GUIDED_FILTERS = ("deep", "fast")
SHRINKS = ("bilinear", "area")
REFINE_PATTERN = re.compile(r"sampling:\d+|threshold:(0|1|0?\.\d+|1\.0*)|full|off")

REFERENCE_LONG_SIDE = 1280
LEAST_GROWTH = 7 / 8

FINER = 1.5
"""Factor of the coarse input's sides with the scale ``fine``: 13% less MAD with lite 1.1 (docs/log.md,
2026-11-23)."""

HD_LONG_SIDE = 2048
"""Long side up to which BGMv2's authors recommend a scale of 1/4; above it, 1/8."""


@dataclass(frozen=True)
class ModelConfig:
    """The record of a model.

    Attributes:
        name: Name for the user.
        version: Version of the weights, as in "1.0".
        family: "bgmv2", "lite" or "rvm".
        backbone: The encoder: "mobilenetv2", "resnet50" or "resnet101" for bgmv2, "mobilenetv3" or "resnet50"
            for rvm, None for lite.
        refiner_kernel: 3 or 1; None for a model without a refiner.
        hidden_channels: Channels of the hidden features for the refiner.
        coarse_output_stride: Coarse input size over coarse output size: 1 for bgmv2, 2 for lite.
        size_multiple: Both sides of the coarse input are multiples of this.
        shrink: Method that reduces the picture to the coarse input. "bilinear": half-pixel centres, no
            antialiasing; "area": each pixel is the mean of the area that it covers.
        plate_channels: 3, or 4: the fourth is 1 where the plate is known and 0 where it is not; 0 for rvm,
            which uses no plate.
        target_long_side: Default long side of the coarse input for a picture with a long side of 1280; None:
            BGMv2's rule (see :meth:`default_scale`). For rvm, the long side for all larger pictures.
        refine: Default rule of refinement for a picture of 1920x1080: "sampling:80000", "threshold:0.1",
            "full" or "off".
        licence: SPDX identifier of the weights' licence.
        source: Origin of the weights.
        note: Further information.
        guided_filter: "deep" or "fast" for rvm: the filter that enlarges its matte to the picture's size;
            else None.
        equation: For lite: the refiner solves the compositing equation, for which the last of the hidden
            channels are local colours (:mod:`cleanplate.models.networks.local_colours`).

    Raises:
        ModelError: A value is not allowed; the message names it.
    """

    name: str
    version: str
    family: str
    backbone: str | None
    refiner_kernel: int | None
    hidden_channels: int
    coarse_output_stride: int
    size_multiple: int
    shrink: str
    plate_channels: int
    target_long_side: int | None
    refine: str
    licence: str
    source: str
    note: str = ""
    guided_filter: str | None = None
    equation: bool = False

    def __post_init__(self) -> None:
        for field in ("name", "version", "licence", "source", "note"):
            self._require(field, isinstance(getattr(self, field), str))
        self._require("name", re.fullmatch(r"[\w.+-]{1,100}", self.name) is not None)
        self._require("family", self.family in FAMILIES)
        backbones = {"bgmv2": BACKBONES, "rvm": RECURRENT_BACKBONES}.get(self.family, (None,))
        self._require("backbone", self.backbone in backbones)
        recurrent = self.family == "rvm"
        self._require("guided_filter", self.guided_filter in (GUIDED_FILTERS if recurrent else (None,)))
        self._require("equation", isinstance(self.equation, bool))
        self._require("equation", not self.equation or (self.family, self.refiner_kernel) == ("lite", 3))
        self._require(
            "refiner_kernel", self.refiner_kernel is None or self._is_integer("refiner_kernel", 1, 3)
        )
        self._require("refiner_kernel", self.refiner_kernel != 2)
        self._require("hidden_channels", self._is_integer("hidden_channels", 1, 1024))
        self._require("coarse_output_stride", self._is_integer("coarse_output_stride", 1, 16))
        self._require("size_multiple", self._is_integer("size_multiple", 1, 256))
        self._require("shrink", self.shrink in SHRINKS)
        least, most = (0, 0) if recurrent else (3, 4)
        self._require("plate_channels", self._is_integer("plate_channels", least, most))
        self._require(
            "target_long_side",
            self.target_long_side is None or self._is_integer("target_long_side", 32, 16384),
        )
        self._require(
            "refine", isinstance(self.refine, str) and REFINE_PATTERN.fullmatch(self.refine) is not None
        )

    def _is_integer(self, field: str, least: int, most: int) -> bool:
        value = getattr(self, field)
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    def _require(self, field: str, allowed: bool) -> None:
        if not allowed:
            raise ModelError(
                f"The model's record has {field} = {getattr(self, field)!r}, which is not allowed."
            )

    @property
    def needs_plate(self) -> bool:
        """True if it compares frames with a plate; otherwise it keeps a state of the frames before."""
        return self.plate_channels > 0

    def default_scale(self, height: int, width: int, finer: float = 1.0) -> float:
        """Compute coarse input size over picture size, at most 1, for a picture of ``height`` x ``width``.

        The coarse input's long side grows with the square root of the picture's, so that the costs of coarse
        network and refiner grow alike; one over the scale is a multiple of 1/2, because such ratios shrink
        fast. The scale of a model without a plate brings the long side to its target, as its authors advise.
        ``finer`` enlarges the input of models that have a plate and a target.
        """
        longest = max(height, width)
        if self.target_long_side is not None and not self.needs_plate:
            return min(1.0, self.target_long_side / longest)
        if self.target_long_side is not None:
            growth = max(math.sqrt(longest / REFERENCE_LONG_SIDE), LEAST_GROWTH)
            ratio = longest / (self.target_long_side * growth * finer)
            return 1 / max(1.0, round(2 * ratio) / 2)
        return 0.25 if longest <= HD_LONG_SIDE else 0.125

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types, with the version of the format, without fields of other families."""
        record = {"format": FORMAT, **dataclasses.asdict(self)}
        if self.guided_filter is None:
            del record["guided_filter"]
        if not self.equation:
            del record["equation"]
        return record

    def to_json(self) -> str:
        """Convert to one line of JSON; equal records give equal text."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_dict(cls, record: object, origin: str) -> ModelConfig:
        """Check and read a record; ``origin`` names it in errors.

        Raises:
            ModelError: It is no record, has a newer format, or a value is missing, unknown or not allowed.
        """
        if not isinstance(record, dict):
            raise ModelError(f"The model record in {origin} is not a JSON object.")
        format_version = record.get("format")
        if not isinstance(format_version, int) or format_version < 1:
            raise ModelError(f"The model record in {origin} has no format version.")
        if format_version > FORMAT:
            raise ModelError(
                f"The model record in {origin} has format {format_version}; known here: up to {FORMAT}.",
                "install a newer cleanplate",
            )
        values = {key: value for key, value in record.items() if key != "format"}
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(map(str, values.keys() - known)):
            raise ModelError(f"The model record in {origin} has unknown entries: {', '.join(unknown)}.")
        if missing := sorted(known - values.keys() - {"note", "guided_filter", "equation"}):
            raise ModelError(f"The model record in {origin} lacks: {', '.join(missing)}.")
        try:
            return cls(**values)
        except ModelError as error:
            raise ModelError(f"{error.message.removesuffix('.')} (in {origin}).") from error

    @classmethod
    def from_json(cls, text: str, origin: str) -> ModelConfig:
        """Read a record from JSON text; see :meth:`from_dict`."""
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"The model record in {origin} is not JSON.") from error
        return cls.from_dict(record, origin)
