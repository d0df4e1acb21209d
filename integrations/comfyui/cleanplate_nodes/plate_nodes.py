"""Nodes for plates: load one, check one against images, build one from images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io, ui

from cleanplate.errors import PlateError
from cleanplate.media.stills.picture_kinds import photo_suffixes
from cleanplate.plate import build_plate, check_plate, load_plate
from cleanplate.plate.picture import CLIP_SUFFIXES

from .tensors import Batch, take_plate, to_image

CATEGORY = "cleanplate"

CHECKED = 6
"""Least images of a batch that a plate is checked against, as ``cleanplate plate check`` takes of a clip."""

CleanPlate = io.Custom("CLEANPLATE_PLATE")
"""A plate with its mask of known pixels and its colour profile; an IMAGE serves in its place."""


def plate_input() -> io.Input:
    """Input of a plate: from a node of this package, or any IMAGE of the empty set."""
    return io.MultiType.Input(
        "plate",
        [CleanPlate, io.Image],
        tooltip="The empty set. Of several images the median is taken.",
    )


class LoadPlate(io.ComfyNode):
    """Load a plate from ComfyUI's input folder: a picture of 8 or 16 bits, or a clip of the empty set."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        known = photo_suffixes() | CLIP_SUFFIXES
        folder = Path(folder_paths.get_input_directory())
        names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in known)
        return io.Schema(
            node_id="CleanplateLoadPlate",
            display_name="Load Clean Plate",
            category=CATEGORY,
            description="Load the picture, or a clip, of the empty set.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=names,
                    upload=io.UploadType.image,
                    image_folder=io.FolderType.input,
                    tooltip="A picture; of a clip the median is taken.",
                )
            ],
            outputs=[
                CleanPlate.Output("plate", display_name="plate"),
                io.Image.Output("image", display_name="image"),
            ],
        )

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        plate = load_plate(folder_paths.get_annotated_filepath(file))
        return io.NodeOutput(plate, to_image(plate.pixels)[None])

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        return folder_paths.exists_annotated_filepath(file) or f"There is no file {file} in the input folder."

    @classmethod
    def fingerprint_inputs(cls, file: str) -> str:
        with Path(folder_paths.get_annotated_filepath(file)).open("rb") as opened:
            return hashlib.sha256(opened.read()).hexdigest()


class CheckPlate(io.ComfyNode):
    """Check a plate against images: place, light, sharpness, a subject in it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CleanplateCheckPlate",
            display_name="Check Clean Plate",
            category=CATEGORY,
            description="Tell whether a plate suits these images, with reasons and advice.",
            inputs=[
                io.Image.Input("images"),
                plate_input(),
                io.Boolean.Input(
                    "stop", default=False, tooltip="Stop the workflow if the plate is not usable."
                ),
            ],
            outputs=[
                io.String.Output("report", display_name="report"),
                io.Boolean.Output("usable", display_name="usable"),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: torch.Tensor, plate: object, stop: bool) -> io.NodeOutput:
        diagnosis = check_plate(take_plate(plate), Batch(images).spread(CHECKED))
        lines = [f"The plate is {diagnosis.verdict}."]
        lines += [
            " ".join(filter(None, (f"{finding.topic}: {finding.message}", finding.advice)))
            for finding in diagnosis.findings
        ]
        report = "\n".join([*lines, *diagnosis.notes])
        if stop and not diagnosis.is_usable:
            raise PlateError(report)
        return io.NodeOutput(report, diagnosis.is_usable, ui=ui.PreviewText(report))


class BuildPlate(io.ComfyNode):
    """Build a plate from a clip in which the subject moves and leaves its place."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CleanplateBuildPlate",
            display_name="Build Clean Plate",
            category=CATEGORY,
            description="Build the picture of the empty set from the frames of a clip whose subject moves.",
            inputs=[io.Image.Input("images", tooltip="The frames of one shot, in order.")],
            outputs=[
                CleanPlate.Output("plate", display_name="plate"),
                io.Image.Output("image", display_name="image"),
                io.Mask.Output("confidence", display_name="confidence"),
            ],
        )

    @classmethod
    def execute(cls, images: torch.Tensor) -> io.NodeOutput:
        built = build_plate(Batch(images))
        return io.NodeOutput(
            built.plate, to_image(built.pixels)[None], torch.from_numpy(built.confidence)[None]
        )
