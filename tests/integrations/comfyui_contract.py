"""The part of ComfyUI's contract for nodes of version 3 that cleanplate's nodes use, without ComfyUI.

It knows the inputs, outputs and attributes that ComfyUI 0.8.0 knows, and refuses others. What the real server
says of the nodes is in ``comfyui_object_info.json``, which ``tests/hosts/test_comfyui.py`` compares and, with
``RECORD=1``, writes.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"
NAME = "custom_nodes_cleanplate"

ATTRIBUTES = {
    "IMAGE": set(),
    "MASK": set(),
    "STRING": {"default", "multiline", "placeholder"},
    "BOOLEAN": {"default", "label_on", "label_off"},
    "FLOAT": {"default", "min", "max", "step", "round"},
    "COMBO": {"options", "default", "upload", "image_folder"},
}
ALWAYS = {"STRING": {"multiline": False}, "COMBO": {"multiselect": False}}


class Input:
    def __init__(
        self, kind: str, name: str, *, optional: bool = False, tooltip: str | None = None, **more: Any
    ):
        assert set(more) <= ATTRIBUTES.get(kind, set()), f"{kind} has no {more}"
        if "upload" in more:
            more[more.pop("upload")] = True
        given = {"tooltip": tooltip, **ALWAYS.get(kind, {}), **more}
        self.id, self.optional = name, optional
        self.spec = [kind, {key: value for key, value in given.items() if value is not None}]


@dataclass
class Output:
    kind: str
    id: str
    display_name: str
    tooltip: str | None = None


def make_type(kind: str) -> SimpleNamespace:
    return SimpleNamespace(
        kind=kind,
        Input=lambda name, **more: Input(kind, name, **more),
        Output=lambda name, **more: Output(kind, name, **more),
    )


@dataclass
class Schema:
    node_id: str
    display_name: str
    category: str
    description: str
    inputs: list[Input]
    outputs: list[Output]
    is_output_node: bool = False

    def describe(self) -> dict[str, Any]:
        """The node as the server's ``/object_info`` tells it, without the module's name."""
        inputs: dict[str, dict[str, Any]] = {"required": {}}
        for each in self.inputs:
            inputs.setdefault("optional" if each.optional else "required", {})[each.id] = each.spec
        if self.is_output_node:
            inputs["hidden"] = {"prompt": ["PROMPT"], "extra_pnginfo": ["EXTRA_PNGINFO"]}
        return {
            "input": inputs,
            "input_order": {key: list(names) for key, names in inputs.items()},
            "output": [each.kind for each in self.outputs],
            "output_is_list": [False for _ in self.outputs],
            "output_name": [each.display_name for each in self.outputs],
            "output_tooltips": [each.tooltip for each in self.outputs],
            "output_matchtypes": None,
            "name": self.node_id,
            "display_name": self.display_name,
            "description": self.description,
            "category": self.category,
            "output_node": self.is_output_node,
            "deprecated": False,
            "experimental": False,
            "api_node": False,
        }


class ComfyNode:
    """Base of the nodes."""


class ComfyExtension:
    """Base of the extension."""


class NodeOutput:
    def __init__(self, *args: Any, ui: Any = None) -> None:
        self.args, self.ui = args, ui


@dataclass
class ProgressBar:
    total: int
    done: int = field(default=0)

    def update(self, steps: int) -> None:
        self.done += steps
        assert self.done <= self.total


def multi_type(name: str, types: list[Any], **more: Any) -> Input:
    return Input(",".join(each.kind for each in types), name, **more)


@contextmanager
def loaded_nodes(folder: Path) -> Iterator[dict[str, Any]]:
    """Import the nodes as ComfyUI does, with ``folder`` as its input folder; by name."""
    io = SimpleNamespace(
        **{kind.capitalize(): make_type(kind) for kind in ATTRIBUTES},
        Custom=make_type,
        MultiType=SimpleNamespace(Input=multi_type),
        Input=Input,
        Schema=Schema,
        ComfyNode=ComfyNode,
        NodeOutput=NodeOutput,
        UploadType=SimpleNamespace(image="image_upload"),
        FolderType=SimpleNamespace(input="input"),
    )
    ui = SimpleNamespace(PreviewText=lambda text: {"text": (text,)})
    parts = {
        "comfy_api": {},
        "comfy_api.latest": {"io": io, "ui": ui, "ComfyExtension": ComfyExtension},
        "comfy": {},
        "comfy.utils": {"ProgressBar": ProgressBar},
        "folder_paths": {
            "get_input_directory": lambda: str(folder),
            "get_annotated_filepath": lambda name: str(folder / name),
            "exists_annotated_filepath": lambda name: (folder / name).is_file(),
        },
    }
    before = set(sys.modules)
    for name, content in parts.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(content)
    try:
        spec = importlib.util.spec_from_file_location(NAME, FOLDER / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[NAME] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield {node.define_schema().node_id: node for node in asyncio.run(_list_nodes(module))}
    finally:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in ("comfy_api", "comfy", "folder_paths", NAME):
                del sys.modules[name]


async def _list_nodes(module: ModuleType) -> list[Any]:
    extension = await module.comfy_entrypoint()
    assert isinstance(extension, ComfyExtension)
    found = await extension.get_node_list()
    assert isinstance(found, list)
    return found


def execute(node: Any, **given: Any) -> NodeOutput:
    """Run a node as the server does: defaults for missing widgets, then checks of each output."""
    schema = node.define_schema()
    known = {each.id: each for each in schema.inputs}
    assert set(given) <= set(known)
    assert list(inspect.signature(node.execute).parameters) == list(known)
    for name, each in known.items():
        kind, more = each.spec
        if name not in given and not each.optional:
            given[name] = more["default"] if "default" in more else more["options"][0]
        if kind == "COMBO":
            assert given[name] in more["options"]
    if hasattr(node, "validate_inputs"):
        names = inspect.signature(node.validate_inputs).parameters
        assert node.validate_inputs(**{name: given[name] for name in names}) is True
    result = node.execute(**given)
    assert isinstance(result, NodeOutput)
    assert len(result.args) == len(schema.outputs)
    for output, value in zip(schema.outputs, result.args, strict=True):
        _check_value(output.kind, value)
    return result


def _check_value(kind: str, value: Any) -> None:
    if kind in ("IMAGE", "MASK"):
        assert isinstance(value, torch.Tensor)
        assert value.dtype == torch.float32
        assert value.device.type == "cpu"
        assert value.ndim == (4 if kind == "IMAGE" else 3)
        assert kind == "MASK" or value.shape[3] == 3
        assert 0 <= value.min() <= value.max() <= 1
    elif kind in ("STRING", "BOOLEAN"):
        assert isinstance(value, {"STRING": str, "BOOLEAN": bool}[kind])
