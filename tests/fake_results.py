"""A small results folder such as a run leaves behind, made in a second and without a model.

The photographs are scikit-image's; the row `quick` is the truth's chroma blurred and faded, which
looks and scores like a modest model. Everything else is computed as the stages do. `HOSTILE` may
be given as part of every name that a user chooses, to see that pages print it as text.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import skimage
from numpy.typing import NDArray
from scipy import stats
from skimage import filters, io, transform

import report
from photochrom.archive.records import (
    DONE,
    FAILED,
    SKIPPED,
    WARNING,
    Status,
    uncertainty_path,
    write_rows,
)
from photochrom.archive.review import write_review
from photochrom.color import colourfulness, lab_to_rgb, reduce_chroma, rgb_to_lab
from photochrom.images import path_to_text, write_png
from photochrom.metrics import METRICS, Figure
from photochrom.metrics.bootstrap import group_sums, percentile_interval, resampled_sums
from photochrom.metrics.colour import auc_scores, balanced_auc, ciede2000
from photochrom.metrics.photographs import Photograph, choose_pictures
from photochrom.metrics.pixel import lightness_error, psnr_rgb, ssim
from photochrom.runtime import csv_text, sha256_file, sha256_text, write_json, write_text

Picture = NDArray[np.uint8]
PROTOCOL = "paired-256crop"
HOSTILE = (
    " </title><script>window.broken=1</script>\"'><img src=x onerror=window.broken=1>\n"
    "$x$ {{ y }} &amp; é"
)
TILES = 6  # of each photograph

LICENCES = {
    "astronaut": ("public domain", "NASA Great Images database"),
    "chelsea": ("CC0", "Stefan van der Walt"),
    "coffee": ("CC0", "Rachel Michetti; courtesy of Pikolo Espresso Bar"),
    "hubble_deep_field": ("public domain", "NASA, HubbleSite news release 2012/37"),
    "motorcycle_left": ("not stated", "Middlebury 2014 stereo benchmark"),
    "retina": ("CC0", "Mikael Häggström"),
    "rocket": ("public domain", "SpaceX"),
}
PARTS = {"coffee": "val", "chelsea": "test", "rocket": "test"}
DARKEST, BRIGHTEST, LEAST_CHROMA = 50, 170, 4
FILTERS = {
    "brightness": [DARKEST, BRIGHTEST],
    "chroma_std": LEAST_CHROMA,
    "colourfulness": None,
}
DATA = Path(skimage.__file__).parent / "data"


@dataclass(frozen=True)
class Results:
    """Where everything lies; `arguments` are those of report.py without --out."""

    root: Path
    catalog: Path
    split: Path
    metrics: list[Path]
    logs: dict[str, Path]
    archives: list[Path]
    settings: dict[str, object]
    title: str
    hostile: str

    def arguments(self) -> list[str]:
        return [
            *("--title", self.title, "--catalog", str(self.catalog), "--split", str(self.split)),
            *("--metrics", *map(str, self.metrics)),
            *("--logs", *(f"{name}={path}" for name, path in self.logs.items())),
            *("--filters", json.dumps(FILTERS), "--settings", json.dumps(self.settings)),
            *("--archives", *map(str, self.archives)),
        ]


def build(
    root: Path, pixels: int = 96, test: Sequence[str] = ("chelsea", "rocket"), hostile: str = ""
) -> Results:
    """Make the folder below `root`; tiles and test pictures are `pixels` wide."""
    tiles = {name: _tiles(name, pixels) for name in LICENCES}
    catalog, split = root / "data/catalog.csv", root / "data/split.csv"
    kept = _write_catalog(root, tiles, catalog, hostile)
    parts = {name: "train" if part == "test" else part for name, part in PARTS.items()}
    parts |= {name: "test" for name in test}
    write_text(
        split,
        csv_text(
            ["id", "shard", "row", "group", "part", "split"],
            [
                (one.id, "shard-00000", row, one.group, 1, parts.get(one.group, "train"))
                for row, one in enumerate(kept)
            ],
        ),
    )
    experiment = f"quick{hostile}"
    photographs = [one for one in kept if one.group in test]
    metrics = _write_metrics(root / "metrics", photographs, experiment)
    return Results(
        root,
        catalog,
        split,
        metrics,
        # On the command line a log's name ends at the first equals sign.
        _write_logs(root / "models", experiment.replace("=", ""), f"gan{hostile}".replace("=", "")),
        [write_archive(root / "colorized/builtin", hostile, max(1, 256 // pixels))],
        {"experiments": [experiment], "data": {"size": 112, "filters": FILTERS}},
        f"Photochrom{hostile}",
        hostile,
    )


def _load(name: str) -> Picture:
    found = next(DATA.glob(f"{name}.*"))
    return np.asarray(io.imread(found))


def _tiles(name: str, pixels: int) -> list[Picture]:
    """Squares from the left to the right of a photograph and down."""
    photograph = _load(name)
    step = max(1, min(photograph.shape[:2]) // (3 * pixels))  # finer is only slower
    photograph = photograph[::step, ::step, :3]
    side = min(photograph.shape[:2]) * 2 // 3
    tops = np.linspace(0, photograph.shape[0] - side, 2).astype(int)
    lefts = np.linspace(0, photograph.shape[1] - side, TILES // 2).astype(int)
    return [
        _resized(photograph[top : top + side, left : left + side], (pixels, pixels))
        for top in tops
        for left in lefts
    ]


def _resized(picture: Picture, shape: tuple[int, int]) -> Picture:
    return np.rint(transform.resize(picture, shape, anti_aliasing=True) * 255).astype(np.uint8)


def _write_catalog(
    root: Path, tiles: dict[str, list[Picture]], catalog: Path, hostile: str
) -> list[Photograph]:
    rows, kept = [], []
    for name, pictures in tiles.items():
        licence, attribution = LICENCES[name]
        for number, picture in enumerate(pictures):
            path = root / f"data/images/{name}-{number}.png"
            write_png(path, picture)
            lab = rgb_to_lab(picture)
            mean, spread = float(lab[..., 0].mean()), float(lab[..., 1:].std())
            reasons = []
            if not DARKEST <= mean * 2.55 <= BRIGHTEST:
                limit = f"below {DARKEST}" if mean < 50 else f"above {BRIGHTEST}"
                reasons.append(f"brightness: mean L {mean * 2.55:.0f} {limit}{hostile}")
            if spread < LEAST_CHROMA:
                reasons.append(f"chroma_std: {spread:.1f} below {LEAST_CHROMA}")
            one = Photograph(f"{name}-{number}", name, path, sha256_file(path))
            kept += [] if reasons else [one]
            rows.append(
                (
                    *(one.id, path_to_text(path), one.sha256, *picture.shape[1::-1], "builtin"),
                    *(f"{name}{hostile}", licence + hostile, attribution + hostile),
                    *(f"{mean:.4f}", f"{spread:.4f}", f"{colourfulness(picture):.4f}"),
                    *("0" * 16, name, "drop" if reasons else "keep", ";".join(reasons)),
                )
            )
    columns = (
        "id path sha256 width height source original_name licence attribution "
        "mean_L chroma_std colourfulness phash group verdict reason"
    )
    write_text(catalog, csv_text(columns.split(), rows))
    return kept


def _painted(lab: NDArray[np.floating], ab: NDArray[np.floating]) -> Picture:
    L = lab[..., 0]
    shown = np.concatenate([L[..., None], reduce_chroma(L, ab)], axis=-1)
    return np.rint(lab_to_rgb(shown) * 255).astype(np.uint8)


def _modest(lab: NDArray[np.floating]) -> NDArray[np.floating]:
    blurred = filters.gaussian(lab[..., 1:], sigma=lab.shape[0] / 16, channel_axis=-1)
    return 0.6 * blurred + np.array([1.0, 3.0])


def _faded(lab: NDArray[np.floating]) -> NDArray[np.floating]:
    return 0.3 * lab[..., 1:]


def _write_metrics(folder: Path, photographs: Sequence[Photograph], experiment: str) -> list[Path]:
    rows: list[tuple[str, str, str, Callable[[NDArray[np.floating]], NDArray[np.floating]]]] = [
        (experiment, "experiment", "the model quick/gan", _modest),
        ("rival", "compared", "the pictures of the folder rival", _faded),
        (
            "constant",
            "yardstick",
            "every pixel has the mean colour",
            lambda lab: 0 * lab[..., 1:] + 4,
        ),
        ("grey", "yardstick", "every pixel is grey", lambda lab: 0 * lab[..., 1:]),
        ("truth", "yardstick", "the photograph itself: the floor", lambda lab: lab[..., 1:]),
    ]
    shown = choose_pictures(photographs, 12)
    paths = []
    for name, kind, description, paint in rows:
        path = folder / f"{name[:8].strip()}.json"
        values = []
        for photograph in photographs:
            truth = np.asarray(io.imread(photograph.path))
            lab = rgb_to_lab(truth)
            picture = _painted(lab, paint(lab))
            values.append(_compared(truth, picture))
            if photograph.id in shown:
                write_png(path.with_name(f"{path.stem}.pictures") / f"{photograph.id}.png", picture)
        groups = [photograph.group for photograph in photographs]
        # A model that is sure of grey walls and less so of what is colourful.
        confidences = [1 - row["colourfulness_truth"] / 100 for row in values]
        record = {
            "row": name,
            "kind": kind,
            "description": description,
            "n": len(photographs),
            "groups": len(set(groups)),
            "protocols": {PROTOCOL: "the central square, resized to 256 px"},
            "figures": [figure.record() for figure in _figures(values, groups, sha256_text(name))],
            "slices": _slices(values, groups, sha256_text(name)),
            "calibration": _calibration(values, confidences) if kind == "experiment" else None,
            "missing": [],
            "pictures": sorted(shown),
        }
        write_json(path, record)
        table = [
            (
                photograph.id,
                photograph.group,
                PROTOCOL,
                "builtin",
                *(f"{number:.6f}" for number in row.values()),
                f"{confidence:.6f}" if kind == "experiment" else "",
            )
            for photograph, row, confidence in zip(photographs, values, confidences, strict=True)
        ]
        columns = ["id", "group", "protocol", "source", *values[0], "confidence"]
        write_text(path.with_name(f"{path.stem}.per_image.csv"), csv_text(columns, table))
        paths.append(path)
    return paths


def _compared(truth: Picture, picture: Picture) -> dict[str, float]:
    truth_lab, lab = rgb_to_lab(truth), rgb_to_lab(picture)
    scores = auc_scores(truth_lab[..., 1:], lab[..., 1:])
    return {
        "psnr_rgb": psnr_rgb(truth, picture),
        "ssim": ssim(truth, picture),
        "ciede2000": ciede2000(truth_lab, lab),
        "auc": 100 * float(scores.mean()),
        "auc_balanced": 100 * balanced_auc(truth_lab[..., 1:], scores),
        "colourfulness": colourfulness(picture),
        "colourfulness_truth": colourfulness(truth),
        "colourfulness_error": abs(colourfulness(picture) - colourfulness(truth)),
        "lightness_error": lightness_error(truth_lab[..., 0], lab[..., 0]),
    }


def _slices(
    values: Sequence[dict[str, float]], groups: Sequence[str], model_digest: str
) -> list[dict[str, object]]:
    """The duller and the more colourful half of the photographs."""
    colours = [row["colourfulness_truth"] for row in values]
    limit = float(np.median(colours))
    found: list[dict[str, object]] = []
    for level, kept in [
        (f"below {limit:.0f}", [colour < limit for colour in colours]),
        (f"{limit:.0f} and more", [colour >= limit for colour in colours]),
    ]:
        own = [row for row, keep in zip(values, kept, strict=True) if keep]
        own_groups = [group for group, keep in zip(groups, kept, strict=True) if keep]
        if own:
            found.append(
                {
                    "slice": "colourfulness",
                    "level": level,
                    "protocol": PROTOCOL,
                    "n": len(own),
                    "groups": len(set(own_groups)),
                    "figures": [
                        figure.record() for figure in _figures(own, own_groups, model_digest)
                    ],
                }
            )
    return found


def _calibration(
    values: Sequence[dict[str, float]], confidences: Sequence[float]
) -> dict[str, object]:
    """As evaluate.py writes it, with pairs of photographs in place of deciles."""
    errors = [row["ciede2000"] for row in values]
    rank = np.argsort(confidences, kind="stable")
    return {
        "protocol": PROTOCOL,
        "spearman": {
            "value": float(stats.spearmanr(confidences, np.negative(errors)).statistic),
            "ci_low": -0.4,
            "ci_high": 0.8,
            "n": len(errors),
        },
        "bins": [
            {
                "confidence": float(np.mean([confidences[place] for place in part])),
                "error": float(np.mean([errors[place] for place in part])),
                "n": len(part),
            }
            for part in np.array_split(rank, len(rank) // 2)
        ],
    }


def _figures(
    values: Sequence[dict[str, float]], groups: Sequence[str], model_digest: str
) -> list[Figure]:
    found = []
    for metric in METRICS:
        value, low, high = None, None, None
        reason: str | None = "not computed: 12 pictures, a FID needs 2,048 or more"
        if metric.name in values[0]:
            column = np.array([row[metric.name] for row in values])
            value, reason = float(column.mean()), None
            if len(set(groups)) > 1:
                ones = np.ones_like(column)
                sums = resampled_sums(group_sums(np.stack([column, ones], axis=1), groups))
                low, high = percentile_interval(sums[:, 0] / sums[:, 1])
            else:
                reason = "interval not computed: all pictures are of one photograph"
        elif metric.name != "fid":
            continue
        found.append(
            Figure(
                **{key: text for key, text in asdict(metric).items() if key != "name"},
                metric=metric.name,
                value=value,
                ci_low=low,
                ci_high=high,
                n=len(values),
                protocol=PROTOCOL,
                data_digest=sha256_text("data"),
                model_digest=model_digest,
                reason=reason,
            )
        )
    return found


def _write_logs(folder: Path, experiment: str, second: str) -> dict[str, Path]:
    random = np.random.default_rng(1)
    logs = {}
    for number, (phase, steps) in enumerate([("l1", 400), (second, 240)]):
        records: list[dict[str, object]] = []
        for step in range(0, steps + 1, 10):
            share = (step + 400 * number) / 640
            common = {"phase": phase, "step": step, "epoch": -(-step // 40), "seconds": step / 8}
            if step % 80 == 0:
                records.append(
                    {
                        "kind": "val",
                        **common,
                        "l1": round(0.085 - 0.02 * share, 6),
                        "psnr_rgb": round(22.4 + 1.6 * share, 4),
                        "colourfulness": round(30 * share**0.5, 4),
                    }
                )
            if step:
                losses = {
                    "l1": round(0.04 + 0.05 * np.exp(-5 * share) + random.normal(0, 0.002), 6)
                }
                if number:
                    losses["gan"] = round(0.9 + 0.3 * share + random.normal(0, 0.05), 6)
                    losses["d"] = round(0.66 - 0.1 * share + random.normal(0, 0.02), 6)
                records.append({"kind": "train", **common, **losses})
        path = folder / f"{number}/log.jsonl"
        write_text(path, "".join(json.dumps(record) + "\n" for record in records))
        logs[f"{experiment}/{phase.replace('/', '|')}"] = path
    return logs


def write_archive(root: Path, hostile: str, step: int = 4) -> Path:
    """Colorized scans, one of them with a warning, and files of every other fate.

    `step` is what the scans, of 384 to 512 pixels, are thinned by.
    """
    names = ["camera", "coins", "moon", "brick", "grass"]
    rows = []
    for number, name in enumerate(names):
        source = root.parent / f"scans of {root.name}/{name}.png"
        scan = _load(name)[::step, ::step]
        write_png(source, np.ascontiguousarray(scan))
        lab = rgb_to_lab(np.repeat(scan[..., None], 3, axis=2))
        height = np.linspace(1, -1, scan.shape[0])[:, None] * np.ones(scan.shape)
        ab = np.stack([-4 - 6 * height, 6 - 26 * height * (lab[..., 0] / 100)], axis=-1)
        file = f"{name}{hostile.replace('/', '|')}" if number == 0 else f"roll 1/{name}"
        output = root / f"{file}.colorized.png"
        write_png(output, _painted(lab, ab))
        record = {
            "chroma": {"mean": 12.0, "share_of_pixels_reduced": round(0.02 * number, 2)},
            "original": {"licence": "CC0", "attribution": f"scikit-image{hostile}"},
            "uncertainty": {"mean": round(0.3 - 0.05 * number, 2)},
        }
        unsure = np.rint(255 * (1 + height) / 2).astype(np.uint8)[:, ::-1]
        write_png(uncertainty_path(output), np.ascontiguousarray(unsure))
        write_json(output.with_name(f"{output.name}.json"), record)
        relative = path_to_text(output.relative_to(root))
        rows.append(
            Status(
                path=path_to_text(Path(f"{file}.png")),
                status=WARNING if name == "moon" else DONE,
                reason=f"colour profile ignored{hostile}" if name == "moon" else "",
                output=relative,
                sidecar=f"{relative}.json",
                source=path_to_text(source),
                source_sha256=sha256_file(source),
                output_sha256=sha256_file(output),
                model_sha256=hashlib.sha256(b"model").hexdigest(),
                max_dL=f"{0.21 + 0.03 * number:.4f}",
                mean_dL="0.0710",
                confidence=f"{0.5 + 0.1 * number:.4f}",
                seconds="0.4",
            )
        )
    rows += [
        Status("postcard.tif", SKIPPED, "already in colour"),
        Status(path_to_text(Path("torn\n50%.jpg")), FAILED, "truncated or damaged"),
        Status("notes.txt", FAILED, "not an image"),
    ]
    write_rows(root / "status.csv", Status, sorted(rows, key=lambda row: row.path))
    return root / "status.csv"


def make_pages(results: Results) -> tuple[Path, Path]:
    """Write the review page and the report as the stages do; their paths."""
    review, page = results.archives[0].with_name("review.html"), results.root / "report/index.html"
    rows = pd.read_csv(results.archives[0], dtype=str, keep_default_na=False)
    write_review(f"builtin{results.hostile}", rows, results.archives[0].parent, review)
    assert report.main([*results.arguments(), "--out", str(page)]) == 0
    return review, page


if __name__ == "__main__":
    # For looking: PYTHONPATH=workflow/scripts python tests/fake_results.py FOLDER
    print(*make_pages(build(Path(sys.argv[1]), pixels=256)), sep="\n")
