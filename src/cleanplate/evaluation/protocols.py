"""The evaluations of the papers, as presets: which cases are made of which samples, and what is reported.

``bgmv2``: Table 1 of Lin et al., Real-Time High-Resolution Background Matting, CVPR 2021 (section 5.1 and
supplement D.2). Every sample goes before five backgrounds (PhotoMatte85: the supplement says one). The plate
is the background moved by up to 0.3 pixels each way, with a gamma of 0.85 to 1.15 and Gaussian noise. The
supplement prints "mu = +-0.02, 0.08 <= sigma^2 <= 0.15" for the noise; deviations of 0.28 and more would bury
any picture, so 0.008 to 0.015 (two to four levels of 8 bits) are taken. MSE, SAD, gradient and connectivity
of alpha and MSE of the foreground are measured in the unknown part of the trimap; the table shows SAD in
thousands, gradient and connectivity in ones (1000 times ours).

``rvm``: the VideoMatte240K rows of the tables of Lin et al., Robust High-Resolution Video Matting, WACV 2022,
on static backgrounds. 100 frames from a random one on, over one background; plates are perfect. 512 x 288
with connectivity, or HD (``--size 1920x1080``), where the paper leaves it out. 25 cases: samples come again
mirrored. Over the whole frame: MAD, MSE, gradient, connectivity, dtSSD; foreground MSE where alpha > 0.

Composites are made of gamma-encoded values, as both do. Every case depends on the seed and its number only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cleanplate.errors import InputError, OptionError
from cleanplate.evaluation.cases import Alpha, CaseFrame
from cleanplate.evaluation.samples import Sample
from cleanplate.frame import Pixels, to_depth
from cleanplate.media import list_images, read_image

Size = tuple[int, int]
Floats = npt.NDArray[Any]

SHIFT_PIXELS = 0.3
GAMMA = (0.85, 1.15)
NOISE_MEAN = 0.02
NOISE_DEVIATION = (0.008, 0.015)

BACKGROUNDS_PER_SAMPLE = 5
CLIP_FRAMES = 100
CLIP_CASES = 25
RVM_SIZE = (288, 512)


@dataclass(frozen=True)
class MadeCase:
    """A case that is made whenever it is read, the same each time.

    Attributes:
        make: Gives the plate and the frames.
    """

    name: str
    kind: str | None
    is_clip: bool
    make: Callable[[], tuple[Pixels, Iterator[CaseFrame]]]

    def read(self) -> tuple[Pixels, Iterator[CaseFrame]]:
        return self.make()


@dataclass(frozen=True)
class Protocol:
    """One preset.

    Attributes:
        metrics: What its tables show, by the names of :data:`cleanplate.evaluation.score.METRICS`.
        region: Where it is measured.
        make: ``(samples, backgrounds, seed, size)`` to the cases; a size of None is the paper's.
    """

    metrics: tuple[str, ...]
    region: str
    make: Callable[[Sequence[Sample], Sequence[Path], int, Size | None], list[MadeCase]]


def make_cases(
    protocol: str,
    samples: Sequence[Sample],
    backgrounds: str | Path,
    *,
    seed: int = 0,
    size: Size | None = None,
) -> list[MadeCase]:
    """The cases of a protocol; none is made before it is read.

    Args:
        protocol: A name out of :data:`PROTOCOLS`.
        samples: Stills for ``bgmv2``, clips for ``rvm``.
        backgrounds: Folder of pictures.
        seed: Of all random choices.
        size: ``(height, width)`` of the cases; None is the paper's: for ``bgmv2`` the sample's own.

    Raises:
        OptionError: No such protocol.
        InputError: No samples or backgrounds, or stills where clips are needed or the other way round.
    """
    return find_protocol(protocol).make(samples, list_images(backgrounds), seed, size)


def find_protocol(name: str) -> Protocol:
    """The preset of this name.

    Raises:
        OptionError: There is none.
    """
    if name not in PROTOCOLS:
        raise OptionError(f"Unknown protocol {name!r}.", f"known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _make_bgmv2(
    samples: Sequence[Sample], backgrounds: Sequence[Path], seed: int, size: Size | None
) -> list[MadeCase]:
    for sample in samples:
        if sample.is_clip:
            raise InputError(f"The sample {sample.name} is a clip; the protocol bgmv2 takes pictures.")
    random = np.random.default_rng(seed)
    cases: list[MadeCase] = []
    for sample in samples:
        # Different backgrounds as long as there are enough of them.
        chosen = random.choice(
            len(backgrounds), BACKGROUNDS_PER_SAMPLE, replace=len(backgrounds) < BACKGROUNDS_PER_SAMPLE
        )
        for index in chosen:
            background = backgrounds[int(index)]
            cases.append(_bgmv2_case(len(cases), sample, background, seed, size))
    return cases


def _bgmv2_case(number: int, sample: Sample, background: Path, seed: int, size: Size | None) -> MadeCase:
    def make() -> tuple[Pixels, Iterator[CaseFrame]]:
        colour, alpha = _resize(*sample.read(0), size)
        behind = _cover(_read_bytes(background), alpha.shape)
        plate = _shoot_again(behind, np.random.default_rng((seed, number)))
        return plate, iter([CaseFrame(_over(colour, alpha, behind), alpha, colour)])

    return MadeCase(f"{number:04d}-{sample.name}-{background.stem}", None, False, make)


def _shoot_again(background: Pixels, random: np.random.Generator) -> Pixels:
    """The plate of a flawed capture: moved by a fraction of a pixel, another gamma, noise."""
    height, width = background.shape[:2]
    shift = random.uniform(-SHIFT_PIXELS, SHIFT_PIXELS, 2)
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    plate = background.astype(np.float32) / 255
    plate = np.asarray(
        cv2.warpAffine(plate, move, (width, height), borderMode=cv2.BORDER_REPLICATE), np.float32
    )
    plate = np.power(plate, np.float32(random.uniform(*GAMMA)))
    deviation = random.uniform(*NOISE_DEVIATION)
    noise = deviation * random.standard_normal(plate.shape, np.float32)
    return _to_bytes(plate + np.float32(random.uniform(-NOISE_MEAN, NOISE_MEAN)) + noise)


def _make_rvm(
    samples: Sequence[Sample], backgrounds: Sequence[Path], seed: int, size: Size | None
) -> list[MadeCase]:
    for sample in samples:
        if not sample.is_clip:
            raise InputError(f"The sample {sample.name} is a picture; the protocol rvm takes clips.")
    random = np.random.default_rng(seed)
    order = random.permutation(len(backgrounds))
    cases: list[MadeCase] = []
    for number in range(max(CLIP_CASES, len(samples))):
        sample = samples[number % len(samples)]
        first = int(random.integers(max(1, len(sample) - CLIP_FRAMES + 1)))
        mirrored = number // len(samples) % 2 == 1
        background = backgrounds[int(order[number % len(order)])]
        cases.append(_rvm_case(number, sample, background, first, mirrored, size or RVM_SIZE))
    return cases


def _rvm_case(
    number: int, sample: Sample, background: Path, first: int, mirrored: bool, size: Size
) -> MadeCase:
    def make() -> tuple[Pixels, Iterator[CaseFrame]]:
        plate = _cover(_read_bytes(background), size)
        return plate, frames(plate)

    def frames(plate: Pixels) -> Iterator[CaseFrame]:
        for index in range(first, min(first + CLIP_FRAMES, len(sample))):
            colour, alpha = _resize(*sample.read(index), size)
            if mirrored:
                colour, alpha = np.ascontiguousarray(colour[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])
            yield CaseFrame(_over(colour, alpha, plate), alpha, colour)

    return MadeCase(f"{number:04d}-{sample.name}-{background.stem}", None, True, make)


PROTOCOLS = {
    "bgmv2": Protocol(("sad", "mse", "gradient", "connectivity", "foreground_mse"), "unknown", _make_bgmv2),
    "rvm": Protocol(("mad", "mse", "gradient", "connectivity", "dtssd", "foreground_mse"), "all", _make_rvm),
}


def _resize(colour: Pixels, alpha: Alpha, size: Size | None) -> tuple[Pixels, Alpha]:
    """Stretch both to ``size``, and colour to 8 bits."""
    colour = to_depth(colour, np.uint8)
    if size is None or size == alpha.shape:
        return colour, alpha
    how = cv2.INTER_AREA if size[0] < alpha.shape[0] else cv2.INTER_LINEAR
    resized = [cv2.resize(x, size[::-1], interpolation=how) for x in (colour, alpha)]
    return np.asarray(resized[0], np.uint8), np.asarray(resized[1], np.float32)


def _cover(picture: Pixels, size: tuple[int, ...]) -> Pixels:
    """Resize until ``size`` is covered, and cut its middle out."""
    height, width = size
    zoom = max(height / picture.shape[0], width / picture.shape[1])
    whole = [max(side, round(zoom * of)) for side, of in zip((height, width), picture.shape, strict=False)]
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(picture, whole[::-1], interpolation=how)
    top, left = (whole[0] - height) // 2, (whole[1] - width) // 2
    return np.ascontiguousarray(resized[top : top + height, left : left + width])


def _over(colour: Pixels, alpha: Alpha, background: Pixels) -> Pixels:
    cover = alpha[..., None]
    return _to_bytes((cover * colour + (1 - cover) * background) / np.float32(255))


def _to_bytes(picture: Floats) -> Pixels:
    return np.asarray(np.clip(np.rint(picture * 255), 0, 255), np.uint8)


def _read_bytes(path: Path) -> Pixels:
    return to_depth(read_image(path).pixels, np.uint8)
