"""cleanplate in Nuke: make the ``.cat`` file, and load it in the gizmo.

Only Nuke's own Python is needed. Knobs of ``CatFileCreator`` and the channels that it allows are those of
Foundry's ".cat File Creation Reference".
"""

import nuke

CHANNELS_IN = "rgba.red,rgba.green,rgba.blue,forward.u,forward.v,backward.u"
"""Shot, then plate. Only built-in channels are allowed; three of the motion vectors' hold the plate."""

CHANNELS_OUT = "rgba.red,rgba.green,rgba.blue,rgba.alpha"

KNOBS = (
    ("Double_Knob", "scale", 0.0, "Coarse input over picture; 0: as the command line's default, fine"),
    (
        "Double_Knob",
        "refine_threshold",
        0.1,
        "Expected error above which a pixel is refined; 0: all, 1: none",
    ),
    ("Int_Knob", "linear", 1, "1: shot and plate are scene-linear; 0: code values between 0 and 1"),
)
"""Class, name, default and tooltip of the knobs; each name is an attribute of the module."""


def make_cat(script: str, cat: str) -> None:
    """Make a ``.cat`` file; needs NukeX.

    Args:
        script: The module of ``cleanplate export lite --to nuke``.
        cat: Path of the ``.cat`` file.
    """
    node = nuke.createNode("CatFileCreator", inpanel=False)
    for kind, name, default, tooltip in KNOBS:
        knob = getattr(nuke, kind)(name, name)
        node.addKnob(knob)
        knob.setValue(default)
        knob.setTooltip(tooltip)
    values = {
        "torchScriptFile": script.replace("\\", "/"),
        "catFile": cat.replace("\\", "/"),
        "channelsIn": CHANNELS_IN,
        "channelsOut": CHANNELS_OUT,
        "modelId": "cleanplate",
        "outputScale": 1,
    }
    for name, value in values.items():
        node[name].setValue(value)
    node["createCatFile"].execute()


def load_model(gizmo) -> None:
    """Load the gizmo's model into its Inference node, and drive the knobs that come with it."""
    inference = gizmo.node("Inference1")
    inference["modelFile"].setValue(gizmo["model"].value())
    missing = [name for _, name, _, _ in KNOBS if inference.knob(name) is None]
    if missing:
        nuke.message("The model has no knob " + ", ".join(missing) + ": make the .cat file with make_cat.py.")
        return
    for _, name, _, _ in KNOBS:
        inference[name].setExpression("parent." + name)
