"""Cut a subject out with PyTorch and Pillow; nothing of cleanplate is needed to run this.

    cleanplate export lite --to torchscript -o lite.pt               (once, where cleanplate is installed)
    pip install torch pillow
    python torchscript.py lite.pt photo.jpg plate.jpg cut.png

Archives of BGMv2's authors work as well, with pictures whose sides are multiples of 4. The plate is the same
view without the subject. Here nothing aligns it: the camera must not have moved.
"""

import sys

import numpy as np
import torch
from PIL import Image


def main(archive, source_path, plate_path, result_path):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torch.jit.load(archive, map_location=device).eval()
    # Settings, with the defaults of the archive:
    #   model.backbone_scale = 0.25             the coarse network's input over the picture
    #   model.refine_mode = "thresholding"      or "sampling", "full"
    #   model.refine_threshold = 0.1            refine where the error is above this ...
    #   model.refine_sample_pixels = 80_000     ... or so many pixels of the highest error
    dtype = next(model.parameters()).dtype  # float16 in an archive that was exported with --half
    source, plate = Image.open(source_path).convert("RGB"), Image.open(plate_path).convert("RGB")
    if plate.size != source.size:
        plate = plate.resize(source.size, Image.Resampling.BILINEAR)
    with torch.inference_mode():
        pha, fgr = model(to_tensor(source).to(device, dtype), to_tensor(plate).to(device, dtype))[:2]
    # One RGBA picture with straight colour.
    layers = torch.cat([fgr, pha], 1)[0].permute(1, 2, 0).float().cpu()
    Image.fromarray((layers * 255).round().byte().numpy()).save(result_path)


def to_tensor(picture):
    """Convert 8-bit RGB to the archive's input: (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255


if __name__ == "__main__":
    main(*sys.argv[1:])
