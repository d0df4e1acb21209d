"""Conversion of ComfyUI's saved workflows to the prompts of its API, as its page does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def read_prompt(name: str, object_info: dict[str, Any]) -> dict[str, Any]:
    """Read an example workflow as a prompt; ``object_info`` describes the nodes to take."""
    workflow = json.loads((FOLDER / "example_workflows" / name).read_text())
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] not in object_info:
            continue
        values = iter(node["widgets_values"])
        linked = {each["name"]: links[each["link"]] for each in node["inputs"] if each["link"] is not None}
        inputs: dict[str, Any] = {}
        for name_of_input, spec in _inputs_of(object_info[node["type"]]):
            if _is_widget(spec):
                inputs[name_of_input] = next(values)
                if {"image_upload", "video_upload"} & spec[1].keys():
                    next(values)  # the button of the upload
        assert list(values) == [], f"{node['type']} has a value too many"
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs | linked}
    return prompt


def _inputs_of(info: dict[str, Any]) -> list[tuple[str, Any]]:
    return [*info["input"]["required"].items(), *info["input"].get("optional", {}).items()]


def _is_widget(spec: Any) -> bool:
    return isinstance(spec[0], list) or spec[0] in WIDGETS
