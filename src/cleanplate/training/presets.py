"""Presets of the networks that can be trained: sizes, learning rates, losses, stages.

``lite`` is this project's own recipe. The BGMv2 presets follow Lin et al., "Real-Time High-Resolution
Background Matting", CVPR 2021, section 4, and their published code: Adam; crops of 256 to 512 pixels a side
for the coarse network, then 1024 to 2048 for both networks with the coarse one at 1/4; learning rates by
part. The RVM presets follow Lin et al., "Robust High-Resolution Video Matting with Temporal Guidance", WACV
2022, section 4, without its batches of segmentation data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from torch import Tensor

from cleanplate.errors import OptionError
from cleanplate.models.config import ModelConfig
from cleanplate.models.networks.lite import HIDDEN_CHANNELS, OUTPUT_STRIDE, SIZE_MULTIPLE
from cleanplate.models.official import bgmv2_config, rvm_config
from cleanplate.training import losses
from cleanplate.training.synthesis.scene import EMPTY_SHARE
from cleanplate.training.synthesis.synthesis import Faults

Size = tuple[int, int]


@dataclass(frozen=True)
class Course:
    """A kind of batch.

    Attributes:
        refines: Whether the refiner is trained on it, too.
        sizes: Heights and widths of its cases; one is drawn for each batch.
        detail: Range of the cases' pixels per pixel of a full-size picture (see ``Synthesis``).
        scales: Coarse network's input over case, used in turn.
        share: Share of the batch size, as full-size crops are large.
        faults: Faults of its plates and pictures; None for the preset's.
        frames: Length of its sequences; 0 for pictures with a plate.
        chunk: Number of frames for back-propagation through time.
        stills: Share of the sequences with a moved still figure.
    """

    refines: bool
    sizes: tuple[Size, ...]
    detail: tuple[float, float]
    scales: tuple[float, ...] = (1.0,)
    share: float = 1.0
    faults: Faults | None = None
    frames: int = 0
    chunk: int = 0
    stills: float = 0.5


@dataclass(frozen=True)
class Trial:
    """Validation of a stage.

    Attributes:
        size: Height and width of the cases.
        detail: Their pixels per pixel of a full-size picture.
        scale: Scale of the coarse network's input.
        refines: Whether the refiner is used.
        frames: Length of the sequences; 0 for pictures with a plate.
    """

    size: Size
    detail: float
    scale: float
    refines: bool
    frames: int = 0


@dataclass(frozen=True)
class TrainingStage:
    """A part of the training with an optimiser and a schedule of its own.

    Attributes:
        courses: Kinds of batches, in turn.
        rates: Learning rate at the peak for each part of the network, by the beginning of its parameters'
            names; parts that are not listed are not trained.
        trial: Validation of the stage.
        portion: Share of the minutes or steps, when all stages are trained in one run; stages of 0 are
            trained by name alone.
        kernel_rate: Learning rate at the peak of inner convolution kernels, which Muon trains; 0 leaves them
            to the others' AdamW.
        again: Steps of the refiner alone, on windows of earlier batches, after each step.
    """

    courses: tuple[Course, ...]
    rates: Mapping[str, float]
    trial: Trial
    portion: float = 0.5
    kernel_rate: float = 0.0
    again: int = 0


@dataclass(frozen=True)
class Losses:
    """Losses of a network with a plate; see :mod:`cleanplate.training.losses`.

    Attributes:
        alpha: Loss of alpha.
        foreground: Loss of the foreground.
        error: Loss of the error map.
        recomposed: Loss of the refiner's composite over other backdrops; None for none.
        edge: Additional weight of the refiner's errors around soft alpha. Without it, most of a window is
            solid or empty, and strands hardly count.
        flat: Weight of an additional L1 of the refiner's alpha where the truth is solid or empty.
    """

    alpha: Callable[[Tensor, Tensor], Tensor]
    foreground: Callable[[Tensor, Tensor, Tensor], Tensor]
    error: Callable[[Tensor, Tensor, Tensor], Tensor]
    recomposed: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] | None = None
    edge: float = 0.0
    flat: float = 0.0


OWN_LOSSES = Losses(
    losses.strand_alpha_loss,
    losses.edge_foreground_loss,
    losses.error_loss,
    losses.recomposition_loss,
    edge=1.3,
    flat=2.0,
)
PAPER_LOSSES = Losses(
    partial(losses.alpha_loss, levels=0),
    partial(losses.foreground_loss, above=0.0),
    losses.enlarged_error_loss,
)
"""Losses of BGMv2."""


@dataclass(frozen=True)
class Preset:
    """A network and its training.

    Attributes:
        config: The record of the published model.
        stages: Stages by name, in their order; ``coarse`` and ``joint`` for a network with a plate.
        losses: Losses; RVM has its own.
        faults: Faults of the training's plates and pictures.
        batch: Number of cases per step and process.
        replay: Number of uses of each case; repeated ones are mirrored and their colour channels permuted.
        weight_decay: Weight decay of AdamW; 0 makes it Adam.
        fine: Share of the figures that are fine figures and portraits, if the material has them.
        empty: Share of the cases without a subject.
        soft_windows: Windows around soft alpha that train the refiner in each case.
        doubtful_windows: Windows at a high expected error that train the refiner in each case.
        window: Side of these windows in pixels. Refining whole crops instead takes six times as long.
    """

    config: ModelConfig
    stages: Mapping[str, TrainingStage]
    losses: Losses = OWN_LOSSES
    faults: Faults = field(default_factory=Faults)
    batch: int = 16
    replay: int = 1
    weight_decay: float = 0.0
    fine: float = 0.0
    empty: float = EMPTY_SHARE
    soft_windows: int = 2
    doubtful_windows: int = 0
    window: int = 160


COARSE_PORTION, EDGES_PORTION = 0.45, 0.15

LITE_FAULTS = Faults(shadow=1.5)
"""Stronger shadows, as they are the fault that is mistaken for the subject most often."""
FITTED = {"exposure": 0.35, "shift": 0.3, "parallax": 0.5, "movement": 0.7, "softness": 0.6}
"""Strengths of the faults that remain after registration and exposure matching of the plate."""


def lite_config(version: str = "1.0", refine: str = "threshold:0.1") -> ModelConfig:
    """Make the record of ``lite``."""
    return ModelConfig(
        name="lite",
        version=version,
        family="lite",
        backbone=None,
        refiner_kernel=3,
        hidden_channels=HIDDEN_CHANNELS,
        equation=True,
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
    # The compositing equation can be learnt where it nearly holds: faults after fitting the plate, and
    # cases with few faults. With strong faults alone, the refiner learns to distrust the plate.
    fitted = replace(crops, faults=replace(LITE_FAULTS, **FITTED))
    mild = replace(crops, faults=replace(Faults.all_at(0.4), shadow=1.0, shift=0.25, coverage=1.0))
    clean = replace(crops, faults=replace(Faults.all_at(0.12), shadow=0.7, spill=0.5))
    return Preset(
        config=lite_config(),
        stages={
            "coarse": TrainingStage(
                (whole,),
                {"coarse.": 1.2e-3},
                Trial((288, 512), 0.5, 1.0, refines=False),
                COARSE_PORTION,
                kernel_rate=0.02,  # better than 0.04 after four minutes (docs/log.md, 2026-11-23)
            ),
            # In turn: on crops alone the coarse network would forget large subjects.
            "joint": TrainingStage(
                (whole, whole, crops, whole),
                {"coarse.": 8e-4, "refiner.": 8e-4},
                Trial((576, 1024), 1.0, 0.5, refines=True),
                1 - COARSE_PORTION - EDGES_PORTION,
                kernel_rate=0.013,
            ),
            # The refiner, and the layers that make its input maps; the rest of the coarse network is frozen.
            "edges": TrainingStage(
                (crops, fitted, mild, clean),
                {"coarse.to_half.": 1e-4, "coarse.at_half.": 1e-4, "coarse.head.": 2e-4, "refiner.": 2e-3},
                Trial((576, 1024), 1.0, 0.5, refines=True),
                EDGES_PORTION,
                kernel_rate=0.013,
                again=8,
            ),
            # All parts together at low rates, from finished weights: fewer holes (docs/log.md, 2026-11-30).
            "finish": TrainingStage(
                (whole, crops, whole, fitted, whole, mild, whole, clean),
                {"coarse.": 4e-4, "refiner.": 4e-4},
                Trial((576, 1024), 1.0, 0.5, refines=True),
                0.0,
                kernel_rate=0.006,
                again=3,
            ),
        },
        faults=LITE_FAULTS,
        batch=12,
        replay=2,
        weight_decay=1e-4,
        fine=0.5,
        empty=0.12,
        doubtful_windows=2,
        window=128,
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
            "coarse": TrainingStage(
                (coarse,),
                {"backbone.": 1e-4, "aspp.": 5e-4, "decoder.": 5e-4},
                Trial((288, 512), 0.5, 1.0, refines=False),
                COARSE_PORTION,
            ),
            "joint": TrainingStage(
                (joint,),
                {"backbone.": 5e-5, "aspp.": 5e-5, "decoder.": 1e-4, "refiner.": 3e-4},
                Trial((720, 1280), 1.0, 0.25, refines=True),
                1 - COARSE_PORTION,
            ),
        },
        losses=PAPER_LOSSES,
        # These networks have no channel for the plate's validity.
        faults=Faults(coverage=0.0),
        batch=8,
        # The paper refines the patches of the largest predicted error. A convolution gives the same numbers
        # in a window as in a patch, so windows train the same weights, in one dense batch; windows around
        # soft alpha train the refiner from the first step on, when the predicted error is still noise.
        soft_windows=2,
        doubtful_windows=2,
    )


def _rvm(backbone: str) -> Preset:
    small = ((288, 512), (512, 512), (384, 512), (512, 384), (448, 320), (320, 448), (256, 384))
    large = ((1088, 1920), (1024, 1536), (1536, 1024), (1280, 1280), (1152, 2048))

    def look(frames: int, chunk: int, share: float, stills: float = 0.5) -> Course:
        """Make a course at low resolution, without the guided filter."""
        return Course(False, small, (0.25, 0.8), share=share, frames=frames, chunk=chunk, stills=stills)

    def refine(stills: float = 0.5) -> Course:
        return Course(True, large, (0.8, 1.0), (0.25,), share=0.25, frames=6, chunk=6, stills=stills)

    def rates(encoder: float, decoder: float) -> dict[str, float]:
        return {"backbone.": encoder, "aspp.": decoder, "decoder.": decoder, "project_mat.": decoder}

    trial = Trial((288, 512), 0.5, 1.0, refines=False, frames=6)
    large_trial = Trial((720, 1280), 1.0, 0.4, refines=True, frames=6)
    # Long sequences alternate with high resolution, which must be short, so that the network keeps its
    # memory.
    both, both_of_stills = (look(40, 20, 0.25), refine()), (look(40, 20, 0.25, 1.0), refine(1.0))
    return Preset(
        config=rvm_config(backbone),
        stages={
            "short": TrainingStage((look(15, 15, 1.0),), rates(1e-4, 2e-4), trial, 0.5),
            "long": TrainingStage((look(50, 25, 0.5),), rates(5e-5, 1e-4), trial, 0.15),
            "filter": TrainingStage(both, {**rates(1e-5, 1e-5), "refiner.": 2e-4}, large_trial, 0.15),
            "images": TrainingStage(
                both_of_stills, {**rates(1e-5, 5e-5), "refiner.": 2e-4}, large_trial, 0.2
            ),
        },
        batch=4,
    )


PRESETS: dict[str, Callable[[], Preset]] = {
    "lite": _lite,
    "mobilenetv2": partial(_bgmv2, "mobilenetv2"),
    "resnet50": partial(_bgmv2, "resnet50"),
    "resnet101": partial(_bgmv2, "resnet101"),
    "rvm-mobilenetv3": partial(_rvm, "mobilenetv3"),
    "rvm-resnet50": partial(_rvm, "resnet50"),
}


def find_preset(name: str) -> Preset:
    """Find the preset of this name.

    Raises:
        OptionError: The name is unknown.
    """
    if name not in PRESETS:
        raise OptionError(f"There is no preset '{name}'.", f"one of: {', '.join(PRESETS)}")
    return PRESETS[name]()
