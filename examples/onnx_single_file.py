"""Cut a subject out with ONNX Runtime, NumPy and Pillow; nothing of cleanplate is needed to run this.

    cleanplate export lite --to onnx --single-file -o lite.onnx      (once, where cleanplate is installed)
    pip install onnxruntime pillow
    python onnx_single_file.py lite.onnx photo.jpg plate.jpg cut.png

The plate is the same view without the subject. Here nothing aligns it: the camera must not have moved.
"""

import os
import sys

import numpy as np
from PIL import Image

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import, which reads it
import onnxruntime


def main(model, source_path, plate_path, result_path):
    source, plate = Image.open(source_path).convert("RGB"), Image.open(plate_path).convert("RGB")
    if plate.size != source.size:
        plate = plate.resize(source.size, Image.Resampling.BILINEAR)
    session = onnxruntime.InferenceSession(model)
    alpha, foreground = session.run(["pha", "fgr"], {"src": to_floats(source), "bgr": to_floats(plate)})
    # (1, 3, H, W) and (1, 1, H, W) become one RGBA picture with straight colour.
    layers = np.concatenate([foreground, alpha], axis=1)[0].transpose(1, 2, 0)
    Image.fromarray((layers * 255).round().astype(np.uint8)).save(result_path)


def to_floats(picture):
    """Convert 8-bit RGB to the graph's input: float32 (1, 3, H, W) in [0, 1]."""
    pixels = np.asarray(picture, np.float32) / 255
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


if __name__ == "__main__":
    main(*sys.argv[1:])
