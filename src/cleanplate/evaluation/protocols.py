"""The evaluations of the papers as presets: rules to make cases from samples, and the reported metrics.

``bgmv2``: Table 1 of Lin et al., Real-Time High-Resolution Background Matting, CVPR 2021 (section 5.1 and
supplement D.2). Every sample is composited over five backgrounds (PhotoMatte85: the supplement says one). The
plate is the background moved by up to 0.3 pixels each way, with a gamma of 0.85 to 1.15 and Gaussian noise.
The supplement prints "mu = +-0.02, 0.08 <= sigma^2 <= 0.15" for the noise; deviations of 0.28 and more would
hide any picture, so 0.008 to 0.015 (two to four levels of 8 bits) are used. MSE, SAD, gradient and
connectivity of alpha and MSE of the foreground are measured in the unknown part of the trimap; the table
shows SAD in thousands, gradient and connectivity in ones (1000 times those of this package).

``rvm``: the tables of Lin et al., Robust High-Resolution Video Matting, WACV 2022. 100 frames from a random
start, over static and over moving backgrounds; 512 x 288 with connectivity, or HD (``--size 1920x1080``), for
which the paper omits it. Over the whole frame: MAD, MSE, gradient, connectivity, dtSSD; foreground MSE where
alpha > 0. 25 cases of each kind, as in the authors' VideoMatte240K set: samples are repeated mirrored. Over a
static background the plate is perfect. Details that the paper does not define are this project's: a moving
background is a video if the folder has any (until its end), else a picture in front of a camera that pans,
zooms and turns a little; stills (the paper's rows of Distinctions-646 and AIM) are moved in the same way,
with the project's own paths (:mod:`cleanplate.training.synthesis.motion_paths`). A model that needs a plate
gets the first frame of a moving background.

Composites use gamma-encoded values, as in both papers. Every case depends on the seed and its number only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np

from cleanplate.errors import InputError, OptionError
from cleanplate.evaluation.cases import CaseFrame
from cleanplate.evaluation.composition import Size, cover, move, over, read_bytes, resize, to_bytes
from cleanplate.evaluation.cutout_samples import CutoutSample, is_video, list_videos
from cleanplate.frame import Float32Array, Pixels, to_depth
from cleanplate.media import list_images
from cleanplate.training.datasets.video_frames import VideoFile
from cleanplate.training.synthesis.motion_paths import draw_path

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
    """A case that is made when it is read, equal each time.

    Attributes:
        make: Function that returns the plate and the frames.
    """

    name: str
    kind: str | None
    is_clip: bool
    make: Callable[[], tuple[Pixels, Iterator[CaseFrame]]]

    def read(self) -> tuple[Pixels, Iterator[CaseFrame]]:
        return self.make()


@dataclass(frozen=True)
class Protocol:
    """One preset of an evaluation.

    Attributes:
        metrics: Metrics in its tables, by the names of :data:`cleanplate.evaluation.score.METRICS`.
        region: Region of the metrics.
        make: Function from ``(samples, backgrounds, seed, size)`` to the cases; a size of None is the
            paper's.
    """

    metrics: tuple[str, ...]
    region: str
    make: Callable[[Sequence[CutoutSample], Sequence[Path], int, Size | None], list[MadeCase]]


def make_cases(
    protocol: str,
    samples: Sequence[CutoutSample],
    backgrounds: str | Path,
    *,
    seed: int = 0,
    size: Size | None = None,
) -> list[MadeCase]:
    """List the cases of a protocol; each is made when it is read.

    Args:
        protocol: A name in :data:`PROTOCOLS`.
        samples: Stills for ``bgmv2``; clips, or stills to be moved, for ``rvm``.
        backgrounds: Folder of pictures; for ``rvm`` also of videos.
        seed: Seed of all random choices.
        size: ``(height, width)`` of the cases; None is the paper's: for ``bgmv2`` the sample's own.

    Raises:
        OptionError: The protocol is unknown.
        InputError: There are no samples or backgrounds, or clips in place of stills.
    """
    found = find_protocol(protocol)
    pictures = list_images(backgrounds)
    return found.make(samples, [*pictures, *list_videos(Path(backgrounds))], seed, size)


def find_protocol(name: str) -> Protocol:
    """Find the preset of this name.

    Raises:
        OptionError: There is none.
    """
    if name not in PROTOCOLS:
        raise OptionError(f"Unknown protocol {name!r}.", f"known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _make_bgmv2(
    samples: Sequence[CutoutSample], backgrounds: Sequence[Path], seed: int, size: Size | None
) -> list[MadeCase]:
    for sample in samples:
        if sample.is_clip:
            raise InputError(f"The sample {sample.name} is a clip; the protocol bgmv2 takes pictures.")
    random = np.random.default_rng(seed)
    backgrounds = [path for path in backgrounds if not is_video(path)]
    cases: list[MadeCase] = []
    for sample in samples:
        # Backgrounds are repeated only if there are too few of them.
        chosen = random.choice(
            len(backgrounds), BACKGROUNDS_PER_SAMPLE, replace=len(backgrounds) < BACKGROUNDS_PER_SAMPLE
        )
        for index in chosen:
            background = backgrounds[int(index)]
            cases.append(_bgmv2_case(len(cases), sample, background, seed, size))
    return cases


def _bgmv2_case(
    number: int, sample: CutoutSample, background: Path, seed: int, size: Size | None
) -> MadeCase:
    def make() -> tuple[Pixels, Iterator[CaseFrame]]:
        colour, alpha = resize(*next(sample.read(0, 1)), size)
        behind = cover(read_bytes(background), alpha.shape)
        plate = _shoot_again(behind, np.random.default_rng((seed, number)))
        return plate, iter([CaseFrame(over(colour, alpha, behind), alpha, colour)])

    return MadeCase(f"{number:04d}-{sample.name}-{background.stem}", None, False, make)


def _shoot_again(background: Pixels, random: np.random.Generator) -> Pixels:
    """Make the plate of an imperfect capture: moved by a fraction of a pixel, another gamma, noise."""
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
    return to_bytes(plate + np.float32(random.uniform(-NOISE_MEAN, NOISE_MEAN)) + noise)


def _make_rvm(
    samples: Sequence[CutoutSample], backgrounds: Sequence[Path], seed: int, size: Size | None
) -> list[MadeCase]:
    videos = [path for path in backgrounds if is_video(path)]
    stills = [path for path in backgrounds if not is_video(path)]
    random = np.random.default_rng(seed)
    cases: list[MadeCase] = []
    for kind, behind in (("static", stills), ("moving", videos or stills)):
        order = random.permutation(len(behind))
        for number in range(max(CLIP_CASES, len(samples))):
            sample = samples[number % len(samples)]
            first = int(random.integers(max(1, len(sample) - CLIP_FRAMES + 1)))
            mirrored = number // len(samples) % 2 == 1
            background = behind[int(order[number % len(order)])]
            shoot = _Shoot(sample, first, mirrored, background, kind == "moving", size or RVM_SIZE)
            name = f"{len(cases):04d}-{sample.name}-{background.stem}"
            cases.append(MadeCase(name, kind, True, partial(shoot.make, (seed, len(cases)))))
    return cases


@dataclass(frozen=True)
class _Shoot:
    """One case of ``rvm``: a subject over a background, static or moving."""

    sample: CutoutSample
    first: int
    mirrored: bool
    background: Path
    moves: bool
    size: Size

    def make(self, seed: tuple[int, ...]) -> tuple[Pixels, Iterator[CaseFrame]]:
        """Make the plate, which is the set in the first frame, and the frames."""
        of_camera, of_subject = np.random.default_rng((*seed, 0)), np.random.default_rng((*seed, 1))
        plate = next(self._film_set(np.random.default_rng((*seed, 0))))
        return plate, self._film(self._film_set(of_camera), self._film_subject(of_subject))

    def _film(
        self, behind: Iterator[Pixels], subject: Iterator[tuple[Pixels, Float32Array]]
    ) -> Iterator[CaseFrame]:
        for room, (colour, alpha) in zip(behind, subject, strict=False):
            yield CaseFrame(over(colour, alpha, room), alpha, colour)

    def _film_set(self, random: np.random.Generator) -> Iterator[Pixels]:
        if is_video(self.background):
            video = VideoFile(self.background)
            for picture in video.read(0, min(len(video), CLIP_FRAMES)):
                yield cover(to_depth(picture.pixels, np.uint8), self.size)
            return
        room = cover(read_bytes(self.background), self.size)
        if not self.moves:
            yield from repeat(room, CLIP_FRAMES)
            return
        for pose in draw_path(random, CLIP_FRAMES, still=0.0):
            yield move(room, pose, border=cv2.BORDER_REFLECT_101)

    def _film_subject(self, random: np.random.Generator) -> Iterator[tuple[Pixels, Float32Array]]:
        if self.sample.is_clip:
            stop = min(self.first + CLIP_FRAMES, len(self.sample))
            for colour, alpha in self.sample.read(self.first, stop - self.first):
                yield self._stage(colour, alpha)
            return
        colour, alpha = self._stage(*next(self.sample.read(0, 1)))
        for pose in draw_path(random, CLIP_FRAMES, still=0.0):
            # A subject that is cut by the picture's edge continues beyond it.
            moved = [move(layer, pose, border=cv2.BORDER_REPLICATE) for layer in (colour, alpha)]
            yield moved[0], moved[1]

    def _stage(self, colour: Pixels, alpha: Float32Array) -> tuple[Pixels, Float32Array]:
        colour, alpha = resize(colour, alpha, self.size)
        if self.mirrored:
            return np.ascontiguousarray(colour[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])
        return colour, alpha


PROTOCOLS = {
    "bgmv2": Protocol(("sad", "mse", "gradient", "connectivity", "foreground_mse"), "unknown", _make_bgmv2),
    "rvm": Protocol(("mad", "mse", "gradient", "connectivity", "dtssd", "foreground_mse"), "all", _make_rvm),
}
