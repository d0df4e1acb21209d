"""Picture format: NumPy's ``.npy``, for cut-outs that a script takes on.

The entry point's name is the suffix, and its object has ``has_alpha``, ``bit_depth``, ``decode`` and
``encode``. Numbered sequences (``cut_%05d.npy``) need nothing more.
"""

import io

import numpy as np


class NpyPictures:
    has_alpha = True
    bit_depth = 16

    def decode(self, data):
        """uint8 or uint16: grey (H, W), RGB (H, W, 3) or straight RGBA (H, W, 4); ValueError if damaged."""
        return np.load(io.BytesIO(data), allow_pickle=False)

    def encode(self, pixels):
        encoded = io.BytesIO()
        np.save(encoded, pixels)
        return encoded.getvalue()


FORMAT = NpyPictures()
