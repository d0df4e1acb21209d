"""Nodes of cleanplate for ComfyUI, which imports this folder from its ``custom_nodes``."""

from .cleanplate_nodes import comfy_entrypoint

__all__ = ["comfy_entrypoint"]
