"""How strongly a model's chroma is to be smoothed where lightness is even.

    python benchmarks/bench_smoothing.py MODEL.safetensors FOLDER [--photographs 150]
        [--strengths 0,3,10,30]

FOLDER holds photographs, of which evenly spread ones are taken, at the network's own size; they
should be validation photographs. A row for each strength: PSNR, CIEDE2000, balanced AuC, mean
chroma, edge bleeding, the step (the chroma by which one of 200 pairs of neighbours differs at least
whose lightness differs by less than EVEN), and fd-lite2 against the same photographs. For so few,
fd-lite2 is only good for comparing rows.
"""

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import torch

from photochrom.color import lab_to_rgb, reduce_chroma, rgb_to_lab
from photochrom.images import load_square
from photochrom.inference import predict_ab
from photochrom.metrics.behaviour import edge_bleeding
from photochrom.metrics.colour import auc_scores, balanced_auc, ciede2000
from photochrom.metrics.distances import frechet
from photochrom.metrics.lite2 import lite2_features, load_lite2
from photochrom.models import load_model
from photochrom.smoothing import smoothed

# Neighbours whose lightness differs by less, in L* units, lie on an even surface.
EVEN = 1.5
COLUMNS = ("PSNR, dB", "CIEDE2000", "balanced AuC", "chroma", "bleeding, %", "step")


def step(lab: NDArray[Any]) -> float:
    """The chroma (Lab units) by which one of 200 neighbours on even lightness differs at least."""
    found = []
    for axis in (0, 1):
        difference = np.diff(lab, axis=axis)
        even = np.abs(difference[..., 0]) < EVEN
        found.append(np.hypot(difference[..., 1], difference[..., 2])[even])
    return float(np.percentile(np.concatenate(found), 99.5))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photographs", type=int, default=150)
    parser.add_argument("--strengths", default="0,3,10,30")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    files = sorted(arguments.folder.iterdir())
    files = files[:: max(1, len(files) // arguments.photographs)][: arguments.photographs]
    strengths = [float(value) for value in arguments.strengths.split(",")]
    eye = load_lite2(torch.device("cpu"))

    def seen(rgb: NDArray[Any]) -> NDArray[Any]:
        batch = torch.from_numpy(rgb.astype(np.float32)).permute(2, 0, 1)[None]
        return np.asarray(lite2_features(eye, batch)[0], np.float64)

    figures: dict[float, list[tuple[float, ...]]] = {strength: [] for strength in strengths}
    features: dict[float, list[NDArray[Any]]] = {strength: [] for strength in strengths}
    true_features, true_steps = [], []
    for file in files:
        rgb = load_square(file, model.size) / 255
        lab = rgb_to_lab(rgb)
        truth, L = lab[..., 1:], lab[..., 0].astype(np.float32)
        true_features.append(seen(rgb))
        true_steps.append(step(lab))
        for strength in strengths:
            ab = reduce_chroma(L, smoothed(L, predict_ab(model, L), strength))
            painted = np.concatenate([L[..., None], ab], axis=-1)
            shown = np.clip(lab_to_rgb(painted), 0, 1)
            features[strength].append(seen(shown))
            figures[strength].append(
                (
                    10 * np.log10(1 / np.mean((shown - rgb) ** 2)),
                    ciede2000(lab, painted),
                    100 * balanced_auc(truth, auc_scores(truth, ab)),
                    np.hypot(ab[..., 0], ab[..., 1]).mean(),
                    100 * edge_bleeding(truth, ab),
                    step(painted),
                )
            )
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}")
    print(f"{len(files)} photographs at {model.size} px; their own step {np.mean(true_steps):.2f}")
    print(f"| smooth | {' | '.join(COLUMNS)} | fd-lite2 |\n|{'---|' * (len(COLUMNS) + 2)}")
    for strength in strengths:
        cells = [f"{value:.2f}" for value in np.nanmean(figures[strength], axis=0)]
        distance = frechet(np.stack(features[strength]), np.stack(true_features))
        print(f"| {strength:g} | {' | '.join(cells)} | {distance:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
