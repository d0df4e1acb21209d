"""The nodes, in three modules: plates, keying, finish; ``tensors`` converts between images and frames."""

from comfy_api.latest import ComfyExtension, io

from .finish_node import Finish
from .key_node import KeyImages
from .plate_nodes import BuildPlate, CheckPlate, LoadPlate


class CleanplateExtension(ComfyExtension):
    """The extension that ComfyUI asks for its nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [LoadPlate, CheckPlate, BuildPlate, KeyImages, Finish]


async def comfy_entrypoint() -> CleanplateExtension:
    """Called once by ComfyUI."""
    return CleanplateExtension()
