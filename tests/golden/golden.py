"""Compare the results of two versions of cleanplate to the bit.

    python tests/golden/golden.py write before.json        # with the old version
    python tests/golden/golden.py compare before.json      # with the new one: exit code 1 where they differ

Sixteen command lines and calls are run over the bundled samples. Their results are decoded (PyAV, OpenCV)
and hashed, JSON is hashed without paths and dates, and exported files are hashed as they are. The hashes hold
for one machine and one set of installed packages, so none is kept in the repository.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

import cleanplate

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
PHOTO = ("image", str(SAMPLES / "photo.jpg"), "--plate", str(SAMPLES / "plate.jpg"))
CLIP = ("video", str(SAMPLES / "clip.mp4"), "--plate", str(SAMPLES / "clip_plate.jpg"), "--range", "0-0.4")
VARYING = re.compile(r"second|time|date|path|version|rate|created|machine|file|description|python")


def hash_bytes(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


def decode_video(path: Path) -> Iterator[bytes]:
    """Give the description of each stream, then pictures and sound as stored, with their times."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type in ("video", "audio")]
        for stream in streams:
            context = stream.codec_context
            yield f"{stream.type} {context.name} {stream.time_base}".encode()
        for frame in container.decode(*streams):
            yield f"{frame.pts} {frame.format.name}".encode()
            for plane in frame.planes:
                yield bytes(plane)


def strip_varying(value: Any) -> Any:
    """Leave out the entries of a JSON value that name paths, dates, versions or durations."""
    if isinstance(value, dict):
        return {name: strip_varying(item) for name, item in value.items() if not VARYING.search(name)}
    return [strip_varying(item) for item in value] if isinstance(value, list) else value


def hash_result(path: Path) -> str:
    """Hash one result: decoded pictures, JSON without what varies, everything else as bytes."""
    if path.suffix in (".mov", ".mp4", ".mkv", ".webm"):
        return hash_bytes(*decode_video(path))
    if path.suffix in (".png", ".tif", ".webp", ".jpg"):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        return hash_bytes(str((pixels.shape, pixels.dtype)).encode(), np.ascontiguousarray(pixels).tobytes())
    if path.name.endswith(".status.json"):  # the rest has stamps of the run's own files
        record = json.loads(path.read_text())
        return hash_bytes(json.dumps([record["state"], record["frames"]]).encode())
    if path.suffix == ".json":
        return hash_bytes(json.dumps(strip_varying(json.loads(path.read_text())), sort_keys=True).encode())
    return hash_bytes(path.read_bytes())


def call(folder: Path, *words: str) -> None:
    """Run one command line in a folder; its exit code and its output are results, too."""
    done = subprocess.run(
        [sys.executable, "-m", "cleanplate", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"cleanplate {' '.join(words)}\n{done.stderr}")
    if "--json" in words:
        (folder / "output.json").write_text(done.stdout)


def run_manifest(folder: Path) -> None:
    with (folder / "shots.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("clip", "plate", "output", "range", "codec", "save"))
        clip, plate = str(SAMPLES / "clip.mp4"), str(SAMPLES / "clip_plate.jpg")
        rows.writerow((clip, plate, "a.mov", "0-0.2", "prores-xq", "cutout"))
        rows.writerow((clip, plate, "b.mkv", "1-1.2", "ffv1", "cutout alpha"))
    call(folder, "video", "shots.csv", "--jobs", "2", "--json")
    (folder / "output.json").unlink()  # events of two processes come in any order
    (folder / "shots.csv").unlink()


def run_resumed(folder: Path) -> None:
    """Interrupt a job after some frames, then resume it."""

    def interrupt(progress: Any) -> None:
        if progress.frames >= 6:
            raise KeyboardInterrupt

    request = {"plate": SAMPLES / "clip_plate.jpg", "out": folder / "cut.mov", "on_note": lambda _: None}
    try:
        cleanplate.matte_video(SAMPLES / "clip.mp4", **request, on_progress=interrupt)
    except KeyboardInterrupt:
        cleanplate.matte_video(SAMPLES / "clip.mp4", **request, resume=True)


def run_keyer(folder: Path) -> None:
    """Key decoded frames one by one through the Python interface."""
    keyer = cleanplate.Keyer(str(SAMPLES / "clip_plate.jpg"), follow=True, shadow="separate", maps=True)
    with av.open(str(SAMPLES / "clip.mp4")) as container:
        for number, decoded in zip(range(4), container.decode(video=0), strict=False):
            matte = keyer(decoded.to_ndarray(format="rgb24"))
            arrays = (matte.alpha, matte.foreground, matte.shadow, matte.error, matte.refined)
            (folder / f"{number}.bin").write_bytes(
                b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)
            )


def run_evaluation(folder: Path) -> None:
    for name, source in (("source", "photo.jpg"), ("plate", "plate.jpg"), ("alpha", "photo_alpha.png")):
        (folder / "cases" / name).mkdir(parents=True)
        pixels = cv2.imread(str(SAMPLES / source), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(folder / "cases" / name / "0000.png"), pixels)
    call(folder, "evaluate", "--data", "cases", "--against", "keyer", "--json")


def commands(*lines: tuple[str, ...]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        for line in lines:
            call(folder, *line)

    return run


RUNS: dict[str, Callable[[Path], None]] = {
    "photo, three layers": commands(
        (*PHOTO, "-o", "p.png", "--save", "cutout", "alpha", "composite", "--background", "#00b140")
    ),
    "photo, premultiplied, regions, kept shadow": commands(
        (
            *PHOTO,
            "-o",
            "p.tif",
            "--alpha",
            "premultiplied",
            "--shadow",
            "keep",
            "--despill",
            "0.7",
            *(
                "--keep",
                "rect:0.4,0.4,0.1,0.1,0.05",
                "--ignore",
                "rect:0,0,0.2,1,0.02",
                "--matte-choke",
                "0.5",
            ),
        )
    ),
    "photo, linear, WebP, refined at a threshold": commands(
        (
            *PHOTO,
            "-o",
            "p.webp",
            "--background",
            "blur",
            "--linear",
            "--refine",
            "threshold:0.1",
            "--scale",
            "0.4",
        )
    ),
    "clip, ProRes": commands((*CLIP, "-o", "c.mov")),
    "clip, composite in H.264": commands((*CLIP, "-o", "c.mp4", "--background", str(SAMPLES / "photo.jpg"))),
    "clip, VP9 and its layers": commands((*CLIP, "-o", "c.webm", "--save", "cutout", "foreground")),
    "clip, FFV1": commands((*CLIP, "-o", "c.mkv", "--scale", "auto")),
    "clip, EXR": commands((*CLIP[:4], "--range", "0-0.12", "-o", "c_%04d.exr", "--exr-channels", "matte")),
    "clip, DPX and back as PNG": commands(
        (*CLIP[:4], "--range", "0-0.12", "-o", "d_%04d.dpx", "--background", str(SAMPLES / "clip_plate.jpg")),
        ("video", "d_%04d.dpx", "--plate", str(SAMPLES / "clip_plate.jpg"), "-o", "e_%04d.png"),
    ),
    "clip, followed, with shadow and report": commands(
        (*CLIP, "-o", "c.mov", "--follow", "--shadow", "separate", "--report", "report.json")
    ),
    "manifest": run_manifest,
    "interrupted and resumed": run_resumed,
    "plate, checked": commands(
        ("plate", "check", str(SAMPLES / "clip.mp4"), "--plate", str(SAMPLES / "clip_plate.jpg"), "--json")
    ),
    "export, one file": commands(("export", "lite", "--to", "onnx", "--single-file", "-o", "lite.onnx")),
    "evaluation": run_evaluation,
    "keyer in Python": run_keyer,
}


def run_all() -> dict[str, dict[str, str]]:
    hashes: dict[str, dict[str, str]] = {}
    for name, run in RUNS.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            run(folder)
            files = sorted(path for path in folder.rglob("*") if path.is_file() and "cases" not in path.parts)
            hashes[name] = {str(path.relative_to(folder)): hash_result(path) for path in files}
        sys.stderr.write(f"{name}: {len(hashes[name])} results\n")
    return hashes


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("write", "compare"))
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    found = run_all()
    if arguments.action == "write":
        arguments.file.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    expected = json.loads(arguments.file.read_text())
    differ = [name for name in expected if found.get(name) != expected[name]]
    for name in differ:
        sys.stderr.write(f"DIFFERS {name}\n  before {expected[name]}\n  now    {found.get(name)}\n")
    sys.stderr.write(f"{len(expected) - len(differ)} of {len(expected)} runs are equal to the bit.\n")
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
