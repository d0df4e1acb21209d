"""Node for the last step on a matte: edges, spill, and a composite."""

from __future__ import annotations

import numpy as np
import torch
from comfy_api.latest import io

from cleanplate.compositing import Finish as Finisher
from cleanplate.compositing import parse_colour, render_layer
from cleanplate.compositing.still_backdrops import Backdrop, ColourBackdrop, PictureBackdrop
from cleanplate.errors import InputError
from cleanplate.frame import Frame, Matte, to_depth

from .plate_nodes import CATEGORY
from .tensors import Batch, to_image


class Finish(io.ComfyNode):
    """Correct edges and spill of keyed images, and lay them over a colour or other images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CleanplateFinish",
            display_name="Finish Matte",
            category=CATEGORY,
            description="Choke, blur and bend alpha, remove spill, and composite.",
            inputs=[
                io.Image.Input("foreground"),
                io.Mask.Input("alpha"),
                io.Float.Input(
                    "despill", default=0.0, min=0.0, max=1.0, step=0.05,
                    tooltip="Share of the plate's colour to remove from edges; needs the fitted plate.",
                ),
                io.Float.Input(
                    "choke", default=0.0, min=-64.0, max=64.0, step=0.1,
                    tooltip="Pixels to shrink alpha by; negative grows it.",
                ),
                io.Float.Input(
                    "blur", default=0.0, min=0.0, max=64.0, step=0.1, tooltip="Blur of alpha, in pixels."
                ),
                io.Float.Input(
                    "gamma", default=1.0, min=0.1, max=10.0, step=0.05,
                    tooltip="Above 1, translucent parts get denser.",
                ),
                io.String.Input("colour", default="#00b140", tooltip="Backdrop: #rrggbb or a name."),
                io.Image.Input("fitted_plate", optional=True),
                io.Image.Input(
                    "background", optional=True, tooltip="One, or one a frame; in place of the colour."
                ),
            ],
            outputs=[
                io.Image.Output("foreground_out", display_name="foreground"),
                io.Mask.Output("alpha_out", display_name="alpha"),
                io.Image.Output("composite", display_name="composite"),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        foreground: torch.Tensor,
        alpha: torch.Tensor,
        despill: float,
        choke: float,
        blur: float,
        gamma: float,
        colour: str,
        fitted_plate: torch.Tensor | None = None,
        background: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        finish = Finisher(despill=despill, choke_pixels=choke, blur_pixels=blur, gamma=gamma)
        batch = Batch(foreground)
        plates = None if fitted_plate is None else Batch(fitted_plate)
        behind = None if background is None else Batch(background)
        backdrop: Backdrop = ColourBackdrop(parse_colour(colour))
        for name, found in (("alpha", alpha), ("fitted plate", plates), ("background", behind)):
            if found is not None and len(found) not in (1, len(batch)):
                raise InputError(f"Expected 1 or {len(batch)} images as {name}, got {len(found)}.")
        done = torch.empty_like(foreground[..., :3])
        edges = torch.empty(foreground.shape[:3])
        composite = torch.empty_like(done)
        for number, pixels in enumerate(batch):
            plate = None if plates is None else to_depth(plates[_at(plates, number)], pixels.dtype)
            mask = alpha[_at(alpha, number)].detach().cpu().float().clamp(0, 1).numpy()
            matte = finish(Matte(mask, pixels, Frame(pixels, index=number), plate=plate))
            if behind is not None and (number == 0 or len(behind) > 1):
                backdrop = PictureBackdrop(behind[number])
            done[number] = to_image(matte.foreground)
            edges[number] = torch.from_numpy(np.ascontiguousarray(matte.alpha))
            composite[number] = to_image(render_layer("composite", backdrop)(matte))
        return io.NodeOutput(done, edges, composite)


def _at(images: object, number: int) -> int:
    """Index of a frame; 0 of a batch of one, which serves for all frames."""
    return number if len(images) > 1 else 0
