"""Synthesis of clips of a locked-off camera: subjects move before a set, of which there is one plate.

A clip is a still of :mod:`.synthesis` whose sprites move (:mod:`.subject_motion`), while the light changes a
little. Noise differs from frame to frame; camera, set and direction of the light are constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cleanplate.training.datasets.clips import Clip
from cleanplate.training.datasets.mips import Mips
from cleanplate.training.synthesis.exposures import CameraSimulation, ChangingLight
from cleanplate.training.synthesis.faults import Faults
from cleanplate.training.synthesis.material import Material
from cleanplate.training.synthesis.moving_sequences import LARGEST, play
from cleanplate.training.synthesis.random_generator import RandomGenerator
from cleanplate.training.synthesis.relighting import light_scene
from cleanplate.training.synthesis.scene import SceneMaker
from cleanplate.training.synthesis.subject_motion import SubjectMotion
from cleanplate.training.synthesis.synthesis import Case, single_thread

MOVING_FIGURES = 0.25
"""Share of the clips of figures with a moving figure of the material, if it has any, not a moved still."""
SMALLEST = 0.005
"""Smallest share of the first frame that the subjects fill: of 1280x720 68 x 68 pixels, a cup on a table."""
_TRIALS = 20  # scenes drawn at most until one has subjects of that size; thin shapes often have not
_DETAIL = 1.0


class ClipSynthesis:
    """Makes clips with a plate, each from a seed of its own; no clip is without a subject.

    Args:
        material: Sprites, textures and backgrounds of one split; kinds that it lacks do not occur.
        faults: Strengths of the differences between clip and plate, and of the changes of light in the clip.
        fine: Share of the figures that are fine figures and portraits.
        device: Device of the computation and of the results.

    Raises:
        InputError: The material has no backgrounds.
    """

    def __init__(
        self,
        material: Material,
        *,
        faults: Faults | None = None,
        fine: float = 0.0,
        device: str | torch.device = "cpu",
    ) -> None:
        self._material, self._faults, self._fine = material, faults or Faults(), fine
        self._random = RandomGenerator(0, torch.device(device))
        self._scenes = SceneMaker(material, self._random, self._faults, fine, empty=0.0)
        self._camera = CameraSimulation(self._faults, torch.device(device))

    def kind_of(self, seed: int) -> str:
        """Draw the kind of the main subject of the clip of ``seed``."""
        self._random.generator.manual_seed(seed)
        return self._scenes.draw_kind()

    def clip_of(self, seed: int, frames: int, height: int, width: int) -> Iterator[Case]:
        """Make the frames of one clip, one by one, all with the same plate.

        They depend on ``seed`` and ``frames`` alone, to the bit, for any number of cores.

        Args:
            seed: Seed of the clip.
            frames: Number of frames, 2 or more.
            height: Height in pixels.
            width: Width in pixels.

        Raises:
            InputError: A picture of the material cannot be read.
        """
        kind, device = self.kind_of(seed), self._random.device
        random = RandomGenerator(seed, device)
        of_set, of_camera, *of_lights = (random.seed() for _ in range(6))
        changing, moments = ChangingLight(random.branch(), self._faults), random.branch()
        with single_thread(), torch.no_grad():
            self._random.generator.manual_seed(of_set)
            room, plate = self._scenes.make_set(height, width, _DETAIL)
            sprites = self._play_figure(random.branch(), frames, height) if kind == "figure" else []
            for _ in range(_TRIALS):
                of_scene = random.seed()
                motion = SubjectMotion(random.branch(), frames, (height, width), sprites)
                if float(self._place(of_scene, room, kind, motion)[0].mean()) > SMALLEST:
                    break
        finished: Tensor | None = None
        for motion.frame in range(frames):
            with single_thread(), torch.no_grad():
                # Equal random numbers for each frame: the same sprites, light and camera.
                alpha, colour, trust = self._place(of_scene, room, kind, motion)
                lights = (RandomGenerator(one, device) for one in of_lights)
                source, colour = light_scene(lights, self._faults, colour, alpha, room.clone())
                source, colour = (changing.on(x, motion.frame, frames) for x in (source, colour))
                camera = RandomGenerator(of_camera, device)
                # The first frame's plate is that of all; the others photograph one pixel of it.
                source, alpha, colour, shot = self._camera.photograph(
                    camera, source, alpha, colour, plate if finished is None else plate[..., :1, :1],
                    _DETAIL, moments.branch(),
                )  # fmt: skip
                finished = self._camera.uncover(camera, shot) if finished is None else finished
            yield Case(source, finished, alpha, colour, trust)

    def _place(
        self, seed: int, room: Tensor, kind: str, motion: SubjectMotion
    ) -> tuple[Tensor, Tensor, Tensor]:
        self._random.generator.manual_seed(seed)
        return self._scenes.place_subjects(room, _DETAIL, kind, motion)

    def _play_figure(self, random: RandomGenerator, frames: int, height: int) -> Sequence[Mips]:
        """Choose frames of a moving figure for some of the clips; empty: none."""
        clips = self._material.clips
        if not clips or not random.happens(MOVING_FIGURES * (1 - self._fine)):
            return []
        return play(random, random.pick(clips), frames, Clip.cutouts, LARGEST * height)
