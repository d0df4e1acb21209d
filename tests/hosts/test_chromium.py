"""Cut-outs in WebM as Chromium shows them in a web page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

import cleanplate
from cleanplate.media import Reading, Span

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [pytest.mark.hosts, pytest.mark.skipif(BROWSER is None, reason="needs Chromium")]

SAMPLES = Path(__file__).parents[2] / "samples"
ROWS = (180, 360, 540)
PAGE = """<video id="clip" src="cut.webm" muted preload="auto"></video><script>
clip.requestVideoFrameCallback(() => {
  const canvas = document.createElement("canvas")
  canvas.width = clip.videoWidth, canvas.height = clip.videoHeight
  const context = canvas.getContext("2d")
  context.drawImage(clip, 0, 0)
  const row = y => Array.from(context.getImageData(0, y, canvas.width, 1).data).filter((_, i) => i % 4 === 3)
  document.body.append("ROWS" + JSON.stringify(ROWS.map(row)))
})
</script>"""


def test_alpha_of_a_webm_reaches_the_page(tmp_path: Path) -> None:
    cleanplate.matte_video(
        SAMPLES / "clip.mp4",
        SAMPLES / "clip_plate.jpg",
        tmp_path / "cut.webm",
        reading=Reading(span=Span.parse("0-0.04")),
        scale="auto",
    )
    page = tmp_path / "page.html"
    page.write_text(PAGE.replace("ROWS.", f"{list(ROWS)}."), encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command = [str(BROWSER), *options, "--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
    for _ in range(5):  # virtual time does not wait for the decoder
        shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
        found = re.search(r"ROWS(\[\[.*?\]\])<", shown)
        if found:
            break
    assert found, shown[-500:]
    seen = np.array(json.loads(found[1]))
    with av.open(tmp_path / "cut.webm") as clip:
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        packet = next(packet for packet in clip.demux(video=0) if packet.size)
        frame = (decoder.decode(packet) + decoder.decode(None))[0]
    alpha = frame.to_ndarray(format="rgba")[ROWS, :, 3].astype(int)
    assert 0.1 < (alpha == 255).mean() < 0.9
    assert np.abs(seen - alpha).max() <= 1
