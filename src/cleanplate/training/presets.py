"""All that differs between the networks that can be trained: sizes, rates, losses, stages.

``lite`` is our own recipe. The BGMv2 presets follow Lin et al., "Real-Time High-Resolution Background
Matting", CVPR 2021, section 4, and their published code: Adam; crops of 256 to 512 pixels a side for the
coarse network, then 1024 to 2048 for both networks with the coarse one at 1/4; learning rates by part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from cleanplate.errors import OptionError
from cleanplate.models.config import ModelConfig
from cleanplate.models.official import bgmv2_config
from cleanplate.networks.lite import HIDDEN_CHANNELS, OUTPUT_STRIDE, SIZE_MULTIPLE
from cleanplate.training import losses
from cleanplate.training.synthesis import Faults

Size = tuple[int, int]


@dataclass(frozen=True)
class Course:
    """One kind of batch.

    Attributes:
        refines: Whether the refiner is trained on it, too.
        sizes: Heights and widths that its cases have, one drawn for each batch.
        detail: Range of the cases' pixels per pixel of a full-size picture (see ``Synthesis``).
        scales: Coarse network's input over case, taken in turn.
        share: Of the batch size: full-size crops are large.
    """

    refines: bool
    sizes: tuple[Size, ...]
    detail: tuple[float, float]
    scales: tuple[float, ...] = (1.0,)
    share: float = 1.0


@dataclass(frozen=True)
class Trial:
    """How a stage is validated: size and detail of the cases, scale at which the coarse network sees them."""

    size: Size
    detail: float
    scale: float
    refines: bool


@dataclass(frozen=True)
class Stage:
    """A part of the training with an optimiser and a schedule of its own.

    Attributes:
        courses: Kinds of batches, in turn.
        rates: Learning rate at the peak for each part of the network, by the beginning of its parameters'
            names; parts that are not listed are not trained.
        trial: How it is validated.
        kernel_rate: Learning rate at the peak of inner convolution kernels, which Muon trains; 0 leaves them
            to the others' AdamW.
    """

    courses: tuple[Course, ...]
    rates: Mapping[str, float]
    trial: Trial
    kernel_rate: float = 0.0


@dataclass(frozen=True)
class Losses:
    """What is minimised; see :mod:`cleanplate.training.losses`."""

    alpha: Callable[[Tensor, Tensor], Tensor]
    foreground: Callable[[Tensor, Tensor, Tensor], Tensor]
    error: Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Preset:
    """A network and the way it is trained.

    Attributes:
        config: The record of the published model.
        stages: ``coarse`` and ``joint``, in this order.
        losses: What is minimised.
        faults: Of the plates it is trained on.
        batch: Cases a step and process.
        replay: How often each case is trained on; again it is mirrored and its colour channels change places.
        weight_decay: Of AdamW; with 0 that is Adam.
        soft_windows: Windows that train the refiner in each case, around soft alpha ...
        doubtful_windows: ... and where the network expects to be wrong.
        window: Their side in pixels. Refining whole crops instead costs six times as much.
    """

    config: ModelConfig
    stages: Mapping[str, Stage]
    losses: Losses
    faults: Faults = field(default_factory=Faults)
    batch: int = 16
    replay: int = 1
    weight_decay: float = 0.0
    soft_windows: int = 2
    doubtful_windows: int = 0
    window: int = 160


COARSE_SHARE = 0.45
"""Of the minutes or steps, when both stages are trained in one run."""


def lite_config(version: str = "1.0", refine: str = "threshold:0.2") -> ModelConfig:
    """The record of ``lite``."""
    return ModelConfig(
        name="lite",
        version=version,
        family="lite",
        backbone=None,
        refiner_kernel=3,
        hidden_channels=HIDDEN_CHANNELS,
        coarse_output_stride=OUTPUT_STRIDE,
        size_multiple=SIZE_MULTIPLE,
        shrink="area",
        plate_channels=4,
        target_long_side=512,
        refine=refine,
        licence="MIT",
        source="trained by the cleanplate authors on composites made on the fly",
    )


def _lite() -> Preset:
    whole = Course(
        refines=False,
        sizes=((256, 448), (224, 384), (320, 512), (288, 288), (192, 352), (368, 640), (288, 512)),
        detail=(0.25, 0.8),
    )
    crops = Course(
        refines=True,
        sizes=((432, 768), (512, 512), (384, 704)),
        detail=(0.7, 1.0),
        scales=(0.5, 0.4, 1 / 3, 0.25),
        share=0.5,
    )
    return Preset(
        config=lite_config(),
        stages={
            "coarse": Stage(
                (whole,), {"coarse.": 1.2e-3}, Trial((288, 512), 0.5, 1.0, refines=False), kernel_rate=0.02
            ),
            # In turn: on crops alone the coarse network would forget how large subjects can be.
            "joint": Stage(
                (whole, whole, crops, whole),
                {"coarse.": 8e-4, "refiner.": 8e-4},
                Trial((576, 1024), 1.0, 0.5, refines=True),
                kernel_rate=0.013,
            ),
        },
        losses=Losses(losses.alpha_loss, losses.foreground_loss, losses.error_loss),
        # Of all faults, shadows are kept for subjects most often.
        faults=Faults(shadow=1.5),
        batch=12,
        replay=2,
        weight_decay=1e-4,
    )


def _bgmv2(backbone: str) -> Preset:
    coarse = Course(
        refines=False,
        sizes=((288, 512), (512, 512), (384, 512), (512, 384), (448, 320), (320, 448), (256, 384)),
        detail=(0.25, 0.8),
    )
    joint = Course(
        refines=True,
        sizes=((1088, 1920), (1024, 1536), (1536, 1024), (1280, 1280), (1152, 2048)),
        detail=(0.8, 1.0),
        scales=(0.25,),
        share=0.5,
    )
    return Preset(
        config=bgmv2_config(backbone),
        stages={
            "coarse": Stage(
                (coarse,),
                {"backbone.": 1e-4, "aspp.": 5e-4, "decoder.": 5e-4},
                Trial((288, 512), 0.5, 1.0, refines=False),
            ),
            "joint": Stage(
                (joint,),
                {"backbone.": 5e-5, "aspp.": 5e-5, "decoder.": 1e-4, "refiner.": 3e-4},
                Trial((720, 1280), 1.0, 0.25, refines=True),
            ),
        },
        losses=Losses(
            partial(losses.alpha_loss, levels=0),
            partial(losses.foreground_loss, above=0.0),
            losses.enlarged_error_loss,
        ),
        # These networks have no channel that says where the plate is unknown.
        faults=Faults(coverage=0.0),
        batch=8,
        # The paper refines the patches of the largest predicted error. A convolution gives the same numbers
        # in a window as in a patch, so windows train the same weights, in one dense batch; those around soft
        # alpha give the refiner something to learn from the first step on, when the predicted error is noise.
        soft_windows=2,
        doubtful_windows=2,
    )


PRESETS: dict[str, Callable[[], Preset]] = {
    "lite": _lite,
    "mobilenetv2": partial(_bgmv2, "mobilenetv2"),
    "resnet50": partial(_bgmv2, "resnet50"),
    "resnet101": partial(_bgmv2, "resnet101"),
}


def find_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        OptionError: There is none.
    """
    if name not in PRESETS:
        raise OptionError(f"There is no preset '{name}'.", f"one of: {', '.join(PRESETS)}")
    return PRESETS[name]()
