"""Node that keys a batch of images against a plate."""

from __future__ import annotations

from fractions import Fraction

import torch
from comfy.utils import ProgressBar
from comfy_api.latest import io

from cleanplate import Keyer
from cleanplate.compositing.over import apply_source_alpha
from cleanplate.frame import Frame
from cleanplate.models import list_models
from cleanplate.runtimes.runtime_kinds import runtime_names
from cleanplate.vocabulary import DEFAULT_MODEL

from .plate_nodes import CATEGORY, plate_input
from .tensors import Batch, take_plate, to_image

SCALES = ("fine", "auto", "1", "0.5", "0.25", "0.125")
"""Scales of the coarse input; ``fine`` first, as for files on the command line."""


class KeyImages(io.ComfyNode):
    """Key images in their order with one keyer, so that the plate is tracked from frame to frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CleanplateKeyImages",
            display_name="Key Images with Clean Plate",
            category=CATEGORY,
            description="Cut the subject out of images or of the frames of one shot.",
            inputs=[
                io.Image.Input("images", tooltip="Photos, or the frames of one shot in order."),
                plate_input(),
                io.Combo.Input("model", options=list_models(), default=DEFAULT_MODEL),
                io.Combo.Input("scale", options=list(SCALES), default="fine", tooltip="1 is the finest."),
                io.String.Input(
                    "refine",
                    default="auto",
                    tooltip="Pixels to refine: auto, sampling:80000, threshold:0.1 or full.",
                ),
                io.Boolean.Input(
                    "align", default=True, tooltip="Register the plate to the camera's position."
                ),
                io.Boolean.Input(
                    "follow", default=False, tooltip="Update the plate during a shot: light, moved objects."
                ),
                io.Float.Input(
                    "fps", default=25.0, min=0.1, max=1000.0, step=0.001, tooltip="Rate of a shot's frames."
                ),
                io.Combo.Input("runtime", options=["auto", *runtime_names()], default="auto"),
            ],
            outputs=[
                io.Image.Output(
                    "foreground", display_name="foreground", tooltip="The subject's own colour, straight."
                ),
                io.Mask.Output("alpha", display_name="alpha", tooltip="1 is the subject."),
                io.Image.Output(
                    "fitted_plate", display_name="fitted plate", tooltip="The plate as it lies on each frame."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        images: torch.Tensor,
        plate: object,
        model: str,
        scale: str,
        refine: str,
        align: bool,
        follow: bool,
        fps: float,
        runtime: str,
    ) -> io.NodeOutput:
        batch = Batch(images)
        keyer = Keyer(
            take_plate(plate), model=model, scale=scale, refine=refine, align=align, follow=follow,
            runtime=runtime,
        )  # fmt: skip
        count, height, width = images.shape[:3]
        foreground = torch.empty((count, height, width, 3))
        alpha = torch.empty((count, height, width))
        plates: list[torch.Tensor] = []
        time_base = 1 / Fraction(fps).limit_denominator(1001)
        bar, before = ProgressBar(count), None  # it also ends the node when the user cancels
        for number in range(count):
            frame = Frame(
                batch[number], pts=number, time_base=time_base, index=number, alpha=batch.alpha(number)
            )
            matte = apply_source_alpha(keyer(frame))
            foreground[number] = to_image(matte.foreground)
            alpha[number] = torch.from_numpy(matte.alpha)
            if matte.plate is not before:
                plates.append(to_image(matte.plate))
            else:  # a view: a plate at rest takes the memory of one
                plates.append(plates[-1])
            before = matte.plate
            bar.update(1)
        return io.NodeOutput(foreground, alpha, _stack(plates))


def _stack(plates: list[torch.Tensor]) -> torch.Tensor:
    """``(B, H, W, 3)``; a plate that is the same for all frames is in memory once."""
    if all(plate is plates[0] for plate in plates):
        return plates[0].expand(len(plates), -1, -1, -1)
    return torch.stack(plates)
