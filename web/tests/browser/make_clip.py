"""Make a short, small clip and its plate out of the samples: ``python make_clip.py FRAMES FOLDER``.

``clip.mp4`` (640 x 360, H.264, the sample's sound) and ``plate.jpg``.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import av
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
SIZE = (640, 360)


def main(count: int, folder: Path) -> None:
    Image.open(SAMPLES / "clip_plate.jpg").resize(SIZE, Image.Resampling.BOX).save(
        folder / "plate.jpg", quality=95
    )
    with av.open(SAMPLES / "clip.mp4") as source, av.open(folder / "clip.mp4", "w") as target:
        rate = source.streams.video[0].average_rate
        video = target.add_stream("libx264", rate=rate, options={"crf": "16", "preset": "veryfast"})
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        sound = target.add_stream_from_template(source.streams.audio[0])
        pictures = [frame.reformat(*SIZE) for frame in source.decode(video=0)]
        forth_and_back = itertools.cycle(pictures + pictures[-2:0:-1])
        for index, frame in enumerate(itertools.islice(forth_and_back, count)):
            copy = av.VideoFrame.from_ndarray(frame.to_ndarray(), format=frame.format.name)
            copy.pts, copy.time_base = index, 1 / rate
            target.mux(video.encode(copy))
        target.mux(video.encode(None))
        source.seek(0)
        for packet in source.demux(audio=0):
            if packet.dts is not None and packet.pts * packet.time_base < count / rate:
                packet.stream = sound
                target.mux(packet)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
