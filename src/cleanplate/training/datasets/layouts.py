"""Layouts of known data sets: finds the stills and clips of a folder, and their split.

Matting data sets come as two trees of the same names, one with colour and one with alpha, below folders for
their splits (the layout of BackgroundMattingV2's ``data_path.py`` and of RVM's ``train_config.py``); they
differ in the names of the folders. See ``docs/datasets.md`` for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from cleanplate.errors import InputError
from cleanplate.media import read_image
from cleanplate.training.datasets.clips import Clip, FrameFolder, Frames
from cleanplate.training.datasets.spec import LAYOUTS, DataSpec
from cleanplate.training.datasets.trees import VIDEO_SUFFIXES, Tree, list_folder, read_tree
from cleanplate.training.datasets.video_frames import VideoFile

SPLITS = ("train", "validation")
SUBJECT_KINDS = ("figures", "objects", "fine_figures", "portraits")

_HELD_OUT = 10
_TRAIN_FOLDERS = frozenset({"train", "training", "training_set", "trainset"})
_HELD_OUT_FOLDERS = frozenset({"test", "testing", "test_set", "testset", "valid", "validation", "val"})

_COLOUR_FOLDERS = ("fgr", "fg", "foreground", "foregrounds")
_ALPHA_FOLDERS = ("pha", "alpha", "gt", "matte", "mattes", "alphas")
_PAIR_FOLDERS = {
    "videomatte240k": (("fgr",), ("pha",)),
    "photomatte85": (("fgr",), ("pha",)),
    "distinctions646": (("fg", "fgr"), ("gt", "pha", "alpha")),
    "aim": (("fg", "fgr"), ("alpha", "pha", "gt")),
    "fgr-alpha": (_COLOUR_FOLDERS, _ALPHA_FOLDERS),
}
_PAIR_DEPTH = 4

_MATERIAL_KINDS = {
    "figures": "figures", "objects": "objects", "sequences": "figures", "garments": "textures",
    "backgrounds": "backgrounds", "figures_fine": "fine_figures", "portraits": "portraits",
}  # fmt: skip


@dataclass(frozen=True)
class Still:
    """A picture of a data set.

    Attributes:
        name: Path of its colour below the data set's folder, with ``/``.
        kind: One of :data:`SUBJECT_KINDS`, ``"textures"`` or ``"backgrounds"``.
        split: ``"train"``, ``"validation"``, or empty if the data set does not tell.
        colour: The colour file; RGBA for a subject without a file of alpha.
        alpha: The file with its alpha, for a pair.
    """

    name: str
    kind: str
    split: str
    colour: Path
    alpha: Path | None = None


@dataclass(frozen=True)
class FileFinding:
    """A fault of a file.

    Attributes:
        kind: A short name of the fault, for programs: ``"missing-partner"`` ...
        path: The file or folder.
        message: One sentence with the file's name in it.
    """

    kind: str
    path: str
    message: str


@dataclass(frozen=True)
class DataSet:
    """All files of a data set, and faults of their names.

    Attributes:
        root: Folder of the data set.
        layout: One of :data:`~cleanplate.training.datasets.spec.LAYOUTS`, or ``"backgrounds"``.
        stills: Sorted by name.
        clips: Sorted by name.
        findings: Missing partners, and two files for one name.
    """

    root: Path
    layout: str
    stills: tuple[Still, ...]
    clips: tuple[Clip, ...]
    findings: tuple[FileFinding, ...] = ()

    def stills_of(self, kind: str, split: str) -> tuple[Still, ...]:
        """List the stills of one kind and split."""
        return tuple(still for still in self.stills if (still.kind, still.split) == (kind, split))

    def clips_of(self, kind: str, split: str) -> tuple[Clip, ...]:
        """List the clips of one kind and split."""
        return tuple(clip for clip in self.clips if (clip.kind, clip.split) == (kind, split))


def find_dataset(spec: DataSpec) -> DataSet:
    """List the files of a data set, without opening any picture of a known layout.

    A data set with folders for training and for testing keeps that split; in all others, every tenth still
    and clip of each kind, by name, is held out for validation.

    Raises:
        InputError: The folder does not exist or has another layout; the hint names the expected one.
    """
    list_folder(spec.path)
    layout = spec.name or _recognise(spec.path)
    if layout == "material":
        return _find_material(spec.path)
    if layout in _PAIR_FOLDERS and (pairs := list(_pair_roots(spec.path, *_PAIR_FOLDERS[layout]))):
        found = _find_pairs(spec.path, layout, pairs)
    elif layout in ("rgba", "photomatte85"):
        found = _find_cutouts(spec.path, layout)
    else:
        raise _wrong_layout(spec.path, layout)
    if not (found.stills or found.clips or found.findings):
        raise _wrong_layout(spec.path, layout)
    if layout == "videomatte240k" and not (found.clips or found.findings):
        raise _wrong_layout(spec.path, layout)
    return found


def find_backgrounds(path: Path) -> DataSet:
    """List pictures and videos below a folder at any depth, or a single file; split like a data set.

    Raises:
        InputError: The path does not exist, or holds no picture and no video.
    """
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        clip = Clip(path.name, "backgrounds", "", VideoFile(path))
        return DataSet(path.parent, "backgrounds", (), _hold_out([clip]))
    tree = read_tree(path)
    stills = [Still(name, "backgrounds", "", path / name) for name in tree.stills.values()]
    clips = []
    for name, frames in tree.clips.values():
        if isinstance(frames, FrameFolder):
            # Pictures with numbers as names are not a clip here.
            stills += [
                Still(f"{name}/{file}", "backgrounds", "", frames.folder / file) for file in frames.names
            ]
        else:
            clips.append(Clip(name, "backgrounds", "", frames))
    # Two pictures that differ only in their suffix are two backgrounds.
    stills += [
        Still(name, "backgrounds", "", path / name)
        for name in tree.doubles
        if Path(name).suffix.lower() not in VIDEO_SUFFIXES
    ]
    if not (stills or clips):
        raise InputError(
            f"There are no backgrounds in {path}.",
            "pictures and videos are searched in it and in its sub-folders",
        )
    return DataSet(path, "backgrounds", _hold_out(stills), _hold_out(clips))


# -- the layouts ----------------------------------------------------------------------------------


def _recognise(path: Path) -> str:
    """Recognise the layout of a folder."""
    _, folders = list_folder(path)
    if {"figures", "objects", "sequences"} & set(folders):
        return "material"
    if next(_pair_roots(path, _COLOUR_FOLDERS, _ALPHA_FOLDERS), None):
        return "fgr-alpha"
    first = next(iter(_first_pictures(read_tree(path))), None)
    if first and read_image(first).alpha is not None:
        return "rgba"
    raise InputError(
        f"{path} is not laid out like a data set.",
        "looked for figures/, objects/ or sequences/; for pairs of folders such as fgr/ and pha/, FG/ and "
        "GT/, fg/ and alpha/, also below train/ and test/; and for pictures with an alpha channel",
    )


def _first_pictures(tree: Tree) -> Iterator[Path]:
    yield from (tree.root / name for name in tree.stills.values())
    for _, frames in tree.clips.values():
        if isinstance(frames, FrameFolder):
            yield frames.folder / frames.names[0]


def _find_material(root: Path) -> DataSet:
    stills: list[Still] = []
    clips: list[Clip] = []
    _, folders = list_folder(root)
    for folder, kind in _MATERIAL_KINDS.items():
        if folder not in folders:
            continue
        tree = read_tree(root / folder)
        if folder == "sequences":
            clips += [Clip(f"{folder}/{name}", kind, "", frames) for name, frames in tree.clips.values()]
        else:
            found = [Still(f"{folder}/{name}", kind, "", root / folder / name) for name in _all(tree)]
            stills += found
        if not (tree.stills or tree.clips):
            raise InputError(f"{root / folder} has no pictures.", "fill it, or remove it")
    if not (stills or clips):
        raise _wrong_layout(root, "material")
    return DataSet(root, "material", _hold_out(stills), _hold_out(clips))


def _all(tree: Tree) -> Iterator[str]:
    """List all pictures, including those in folders that would be clips in other layouts."""
    yield from tree.stills.values()
    yield from tree.doubles
    for name, frames in tree.clips.values():
        if isinstance(frames, FrameFolder):
            yield from (f"{name}/{file}" for file in frames.names)


def _find_cutouts(root: Path, layout: str) -> DataSet:
    tree = read_tree(root)
    stills = [
        Still(name, "figures", _split_of(name), root / name)
        for name in (*tree.stills.values(), *tree.doubles)
    ]
    clips = [
        Clip(name, "figures", _split_of(name), frames)
        for name, frames in tree.clips.values()
        if isinstance(frames, FrameFolder)  # no reader here decodes a video's alpha
    ]
    return DataSet(root, layout, _hold_out(stills), _hold_out(clips))


def _pair_roots(
    folder: Path, colour: Sequence[str], alpha: Sequence[str], depth: int = 0
) -> Iterator[tuple[Path, Path]]:
    """Find neighbouring folders of colour and of alpha, at or below ``folder``."""
    _, names = list_folder(folder)
    by_lower = {name.lower(): name for name in names}
    colours = [by_lower[name] for name in colour if name in by_lower]
    alphas = [by_lower[name] for name in alpha if name in by_lower]
    if colours and alphas:
        yield folder / colours[0], folder / alphas[0]
    elif depth < _PAIR_DEPTH:
        for name in names:
            yield from _pair_roots(folder / name, colour, alpha, depth + 1)


def _find_pairs(root: Path, layout: str, pairs: Iterable[tuple[Path, Path]]) -> DataSet:
    stills: list[Still] = []
    clips: list[Clip] = []
    findings: list[FileFinding] = []
    for colour_root, alpha_root in pairs:
        colour, alpha = read_tree(colour_root), read_tree(alpha_root)
        prefix = colour_root.relative_to(root).as_posix()
        split = _split_of(f"{colour_root.parent.relative_to(root).as_posix()}/")
        findings += _missing(colour, alpha, colour_root, alpha_root, "alpha")
        findings += _missing(alpha, colour, alpha_root, colour_root, "colour")
        for tree in (colour, alpha):
            findings += [
                FileFinding(
                    "double-name", str(tree.root / name), f"{tree.root / name} has the name of another file."
                )
                for name in tree.doubles
            ]
        for key, name in colour.stills.items():
            if key in alpha.stills:
                file = alpha_root / alpha.stills[key]
                stills.append(Still(f"{prefix}/{name}", "figures", split, colour_root / name, file))
        for key, (name, frames) in colour.clips.items():
            if key in alpha.clips:
                partner = _share_names(frames, alpha.clips[key][1])
                clips.append(Clip(f"{prefix}/{name}", "figures", split, frames, partner))
    return DataSet(root, layout, _hold_out(stills), _hold_out(clips), tuple(findings))


def _missing(mine: Tree, theirs: Tree, my_root: Path, their_root: Path, layer: str) -> Iterator[FileFinding]:
    for key, name in mine.stills.items():
        if key not in theirs.stills:
            path = my_root / name
            yield FileFinding("missing-partner", str(path), f"{path} has no {layer} in {their_root}.")
    for key, (name, _) in mine.clips.items():
        if key not in theirs.clips:
            path = my_root / name
            yield FileFinding(
                "missing-partner", str(path), f"The clip {path} has no {layer} in {their_root}."
            )


def _share_names(colour: Frames, alpha: Frames) -> Frames:
    """Share one tuple of names between both layers, which saves a quarter of a million strings."""
    if isinstance(colour, FrameFolder) and isinstance(alpha, FrameFolder) and colour.names == alpha.names:
        return replace(alpha, names=colour.names)
    return alpha


def _wrong_layout(path: Path, layout: str) -> InputError:
    return InputError(
        f"{path} is not laid out like the data set '{layout}'.", f"looked for {LAYOUTS[layout]}"
    )


# -- the split ------------------------------------------------------------------------------------

_Entry = TypeVar("_Entry", Still, Clip)


def _split_of(name: str) -> str:
    """Read the split from a folder in a file's path; empty if there is none."""
    for part in name.lower().split("/")[:-1]:
        if part in _HELD_OUT_FOLDERS:
            return "validation"
        if part in _TRAIN_FOLDERS:
            return "train"
    return ""


def _hold_out(entries: Iterable[_Entry]) -> tuple[_Entry, ...]:
    """Sort by name, and assign a split to every entry."""
    entries = sorted(entries, key=lambda entry: entry.name)
    official = {entry.kind for entry in entries if entry.split == "validation"}
    seen: dict[str, int] = {}
    given = []
    for entry in entries:
        if entry.kind in official:
            split = entry.split or "train"
        else:
            seen[entry.kind] = seen.get(entry.kind, 0) + 1
            split = SPLITS[seen[entry.kind] % _HELD_OUT == 0]
        given.append(replace(entry, split=split))
    return tuple(given)
