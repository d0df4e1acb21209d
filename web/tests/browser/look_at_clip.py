"""Decode a clip with alpha by the Python package's reader of VP9 alpha: prints what it found as JSON."""

from __future__ import annotations

import json
import sys

import av
import numpy as np


def main(path: str) -> None:
    with av.open(path) as container:
        stream = container.streams.video[0]
        about = {
            "codec": stream.codec_context.name,
            "alpha_mode": stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")),
            "size": [stream.width, stream.height],
            "audio": [one.codec_context.name for one in container.streams.audio],
        }
    # The default decoder drops alpha; libvpx keeps it.
    frames, times, opaque, clear = 0, [], [], []
    with av.open(path) as container:
        stream = container.streams.video[0]
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        for packet in container.demux(stream):
            for frame in decoder.decode(packet):
                rgba = frame.to_ndarray(format="rgba")
                alpha = rgba[..., 3]
                frames += 1
                times.append(float(frame.pts * stream.time_base))
                opaque.append(float(np.mean(alpha > 250)))
                clear.append(float(np.mean(alpha < 5)))
    about.update(
        frames=frames,
        start=times[0],
        end=times[-1],
        opaque=float(np.mean(opaque)),
        clear=float(np.mean(clear)),
    )
    sys.stdout.write(json.dumps(about))


if __name__ == "__main__":
    main(sys.argv[1])
