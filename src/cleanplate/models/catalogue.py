"""Models published by their authors that can be downloaded, with address and licence."""

from __future__ import annotations

from dataclasses import dataclass

from cleanplate.errors import ModelError

BGMV2_RELEASE = "https://github.com/PeterL1n/BackgroundMattingV2/releases/download/v1.0.0"
RVM_RELEASE = "https://github.com/PeterL1n/RobustVideoMatting/releases/download/v1.0.0"
GPL_NOTE = (
    "GPL-3.0: free for any use; to be passed on, alone or inside a program, under the same licence only"
)


@dataclass(frozen=True)
class Published:
    """A model on its authors' release page.

    Attributes:
        url: Address of the file.
        what: Description in a few words.
        licence: SPDX identifier.
        note: Conditions of the licence, in words; may be empty.
        megabytes: Approximate size of the file: four bytes a parameter.
    """

    url: str
    what: str
    licence: str
    note: str
    megabytes: int


CATALOGUE = {
    "mobilenetv2": Published(
        f"{BGMV2_RELEASE}/pytorch_mobilenetv2.pth", "BGMv2, MobileNetV2: with a plate, fast", "MIT", "", 20
    ),
    "resnet50": Published(
        f"{BGMV2_RELEASE}/pytorch_resnet50.pth", "BGMv2, ResNet-50: with a plate", "MIT", "", 161
    ),
    "resnet101": Published(
        f"{BGMV2_RELEASE}/pytorch_resnet101.pth", "BGMv2, ResNet-101: with a plate, slow", "MIT", "", 237
    ),
    "rvm-mobilenetv3": Published(
        f"{RVM_RELEASE}/rvm_mobilenetv3.pth",
        "RVM, MobileNetV3: people",
        "GPL-3.0-only",
        GPL_NOTE,
        15,
    ),
    "rvm-resnet50": Published(
        f"{RVM_RELEASE}/rvm_resnet50.pth",
        "RVM, ResNet-50: people",
        "GPL-3.0-only",
        GPL_NOTE,
        108,
    ),
}


def find_published(name: str) -> Published:
    """Find the published model of this name.

    Raises:
        ModelError: There is none.
    """
    if name not in CATALOGUE:
        raise ModelError(f"No model '{name}' can be downloaded.", f"one of: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
