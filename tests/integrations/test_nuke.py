"""Nuke's files, against the documented names of its nodes and knobs; Nuke itself is not here."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "integrations" / "nuke"

CHANNELS = {
    *("rgba.red", "rgba.green", "rgba.blue", "rgba.alpha", "depth.Z"),
    *("forward.u", "forward.v", "backward.u", "backward.v", "deep.front", "deep.back"),
    *("disparityL.x", "disparityL.y", "disparityR.x", "disparityR.y"),
    *("mask.a", "rotopaint_mask.a", "mask_planartrack.a", "mask_splinewarp.a"),
}
"""All channels that CatFileCreator takes (".cat File Creation Reference" of Nuke 14, appendix)."""

CREATOR = ("torchScriptFile", "catFile", "channelsIn", "channelsOut", "modelId", "outputScale")


class Knob:
    def __init__(self, name: str, label: str = "") -> None:
        self.name, self.label, self.value_ = name, label, None
        self.tooltip = self.expression = ""
        self.executed = False

    def value(self) -> Any:
        return self.value_

    def setValue(self, value: Any) -> None:  # noqa: N802
        self.value_ = value

    def setTooltip(self, text: str) -> None:  # noqa: N802
        self.tooltip = text

    def setExpression(self, text: str) -> None:  # noqa: N802
        self.expression = text

    def execute(self) -> None:
        self.executed = True


class Node:
    def __init__(self, *names: str) -> None:
        self.knobs = {name: Knob(name) for name in names}

    def __getitem__(self, name: str) -> Knob:
        return self.knobs[name]

    def knob(self, name: str) -> Knob | None:
        return self.knobs.get(name)

    def addKnob(self, knob: Knob) -> None:  # noqa: N802
        self.knobs[knob.name] = knob

    def node(self, name: str) -> Node:
        return getattr(self, name)


@pytest.fixture
def nuke(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Nuke's module with the few names that the files use, by their documentation."""
    made: list[Node] = []
    told: list[str] = []

    def create(kind: str, inpanel: bool = True) -> Node:
        assert (kind, inpanel) == ("CatFileCreator", False)
        made.append(Node(*CREATOR, "createCatFile"))
        return made[-1]

    module: Any = types.ModuleType("nuke")
    module.Double_Knob, module.Int_Knob = type("D", (Knob,), {}), type("I", (Knob,), {})
    module.createNode, module.message = create, told.append
    monkeypatch.setitem(sys.modules, "nuke", module)
    spec: Any = importlib.util.spec_from_file_location("cleanplate_nuke", FOLDER / "cleanplate_nuke.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return types.SimpleNamespace(ours=loaded, made=made, told=told, module=module)


def test_the_cat_file_is_made_with_the_modules_attributes_as_knobs(nuke) -> None:
    torch = pytest.importorskip("torch")
    from cleanplate.export.nuke_export import NukeModule
    from cleanplate.models.registry import find_model
    from cleanplate.router import Refine

    nuke.ours.make_cat("C:\\models\\lite.pt", "C:\\models\\cleanplate.cat")
    (node,) = nuke.made
    assert node["createCatFile"].executed
    assert node["torchScriptFile"].value() == "C:/models/lite.pt"
    channels = node["channelsIn"].value().split(","), node["channelsOut"].value().split(",")
    assert [len(each) for each in channels] == [6, 4]
    assert set().union(*channels) <= CHANNELS
    module = NukeModule(torch.nn.Identity(), None, find_model("lite").config, 0.0, Refine("threshold", 0.1))
    types_of = {float: nuke.module.Double_Knob, int: nuke.module.Int_Knob}
    for _, name, default, _ in nuke.ours.KNOBS:
        assert isinstance(node[name], types_of[type(getattr(module, name))])
        assert default == node[name].value()
        assert name == "refine_threshold" or default == getattr(module, name)


def test_the_gizmo_wires_shot_and_plate_and_drives_the_models_knobs(nuke) -> None:
    nodes = run_gizmo()
    assert nodes["PackPlate"]["inputs"] == ["shot", "plate"], "B first, as Copy has it"
    packed = [nodes["PackPlate"][f"to{n}"] for n in range(3)]
    assert packed == nuke.ours.CHANNELS_IN.split(",")[3:]
    assert nodes["Inference1"]["inputs"] == ["PackPlate"]
    assert nodes["TakeMatte"]["inputs"] == ["shot", "Inference1"], "other layers of the shot stay"
    assert [nodes["TakeMatte"][f"to{n}"] for n in range(4)] == nuke.ours.CHANNELS_OUT.split(",")
    assert nodes["Premult1"]["inputs"] == ["TakeMatte"]
    assert nodes["Output1"]["inputs"] == ["Premult1"]
    numbers = {nodes[name]["number"]: name for name in ("shot", "plate")}
    assert numbers == {"0": "shot", "1": "plate"}

    gizmo = Node("model", *nodes["Gizmo"]["knobs"])
    gizmo["model"].setValue("cleanplate.cat")
    gizmo.Inference1 = Node("modelFile", "scale", "refine_threshold", "linear")
    nuke.ours.load_model(gizmo)
    for _, name, _, _ in nuke.ours.KNOBS:
        assert gizmo.Inference1[name].expression == f"parent.{name}"
        assert name in nodes["Gizmo"]["knobs"]
    assert not nuke.told
    gizmo.Inference1 = Node("modelFile", "scale")
    nuke.ours.load_model(gizmo)
    assert "refine_threshold, linear" in nuke.told[0]


def run_gizmo() -> dict[str, dict[str, Any]]:
    """Run the gizmo as Nuke does, as a Tcl program with a stack of nodes."""
    tkinter = pytest.importorskip("tkinter")
    tcl = tkinter.Tcl()
    stack: list[str] = []
    nodes: dict[str, dict[str, Any]] = {}

    def make(kind: str, body: str) -> str:
        words = tcl.splitlist(body)
        values: dict[str, Any] = {"inputs": "1"}
        knobs = []
        for name, value in zip(words[::2], words[1::2], strict=True):
            if name == "addUserKnob":
                knobs.append(tcl.splitlist(value)[1])
            else:
                values[name] = value
        count = 0 if kind == "Gizmo" else int(values["inputs"])
        values |= {"inputs": [stack.pop() for _ in range(count)], "knobs": knobs}
        name = values.get("name", kind)
        nodes[name] = values
        if kind != "Gizmo":
            stack.append(name)
        return name

    tcl.createcommand("make_node", make)
    tcl.createcommand("stack", lambda depth: stack[-1 - int(depth)])
    tcl.createcommand("push", stack.append)
    tcl.eval("proc end_group {} {}")
    tcl.eval("proc unknown {kind args} { make_node $kind [lindex $args 0] }")
    tcl.eval((FOLDER / "cleanplate.gizmo").read_text(encoding="utf-8"))
    return nodes
