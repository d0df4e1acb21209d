"""Test and list an archive of PNGs: prints what it found as JSON."""

from __future__ import annotations

import json
import sys
import zipfile

from PIL import Image


def main(path: str) -> None:
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            raise SystemExit(f"{broken} is damaged")
        names = archive.namelist()
        with archive.open(names[-1]) as file, Image.open(file) as picture:
            picture.load()
            about = {"names": len(names), "first": names[0], "size": list(picture.size), "mode": picture.mode}
    sys.stdout.write(json.dumps(about))


if __name__ == "__main__":
    main(sys.argv[1])
