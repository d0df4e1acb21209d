"""Score a model on made cases: ``python benchmarks/quality.py --data MATERIAL [--model lite] [-n 48]``.

Cases come from the held-out part of the material, at 1280x720 with the usual faults of a plate, and go the
user's way: through the plate's fit and the keyer. Figures are means over cases, in thousandths of alpha:
MAD over all pixels, leak (alpha where there is nothing), holes (missing alpha inside of the subject), and MAD
within 12 pixels of soft alpha, where people look. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from cleanplate import CleanplateError, Keyer
from cleanplate.frame import Pixels
from cleanplate.training.material import load_material
from cleanplate.training.synthesis import Faults, Synthesis

HEIGHT, WIDTH = 720, 1280
EDGE_REACH = 12


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--scale", default="auto")
    parser.add_argument("--refine", nargs="+", default=["auto"])
    parser.add_argument("-n", type=int, default=48)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    material = load_material(options.data, "validation", shapes=60)
    synthesis = Synthesis(material, faults=Faults(coverage=0), seed=options.seed)
    scores: dict[str, list[dict[str, float]]] = {refine: [] for refine in options.refine}
    refused = 0
    for _ in range(options.n):
        case = synthesis.batch(1, HEIGHT, WIDTH)
        source, plate = (_to_pixels(x[0, :3].numpy()) for x in (case.source, case.plate))
        for refine in options.refine:
            try:
                alpha = Keyer(plate, model=options.model, scale=options.scale, refine=refine)(source).alpha
            except CleanplateError:
                refused += 1
                continue
            scores[refine].append(score(alpha, case.alpha[0, 0].numpy()))
    for refine, of_cases in scores.items():
        means = {name: 1e3 * float(np.mean([one[name] for one in of_cases])) for name in of_cases[0]}
        means["median_mad"] = 1e3 * float(np.median([one["mad"] for one in of_cases]))
        if options.json:
            print(json.dumps({"refine": refine, "refused": refused, **means}))  # noqa: T201
        else:
            print(f"{refine:18}", *(f"{name} {value:.2f} " for name, value in means.items()))  # noqa: T201
    print(f"{refused} plates refused") if refused else None  # noqa: T201


def score(alpha: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Compare alpha with the truth, both float32 ``(height, width)``."""
    made = np.abs(alpha - truth)
    soft = ((truth > 0.02) & (truth < 0.98)).astype(np.uint8)
    near = cv2.dilate(soft, np.ones((2 * EDGE_REACH + 1,) * 2, np.uint8)) > 0
    off, inside = truth < 0.004, truth > 0.98
    return {
        "mad": float(made.mean()),
        "leak": float(made[off].mean()) if off.any() else 0.0,
        "holes": float(made[inside].mean()) if inside.any() else 0.0,
        "edge": float(made[near].mean()) if near.any() else 0.0,
    }


def _to_pixels(picture: np.ndarray) -> Pixels:
    return np.ascontiguousarray((picture.transpose(1, 2, 0) * 255).round().astype(np.uint8))


if __name__ == "__main__":
    main()
