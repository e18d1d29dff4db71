"""The review page of an archive: every picture beside its scan, those that need an eye first.

The page refers to nothing but small previews in the folder `review` beside it, which are loaded as
the reader scrolls. A preview is named by what it shows, so that a second run makes only the new.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photochrom.archive.decisions import Decision
from photochrom.archive.records import (
    DONE,
    FAILED,
    SKIPPED,
    WARNING,
    Status,
    uncertainty_path,
)
from photochrom.images import ImageError, jpeg_bytes, path_from_text, path_to_text
from photochrom.pages import counted, link, number, preview, render
from photochrom.runtime import progress, write_bytes, write_text

if TYPE_CHECKING:
    import pandas as pd

PREVIEWS = "review"
PREVIEW_PIXELS = 800
PREVIEW_QUALITY = 85

# In the order of the page.
STATUSES = {
    WARNING: "with a warning",
    FAILED: "failed",
    DONE: "colorized",
    SKIPPED: "passed over",
}


def write_review(
    archive: str,
    rows: "pd.DataFrame",
    root: Path,
    out: Path,
    decisions: Mapping[str, Decision] | None = None,
) -> None:
    """Write the page `out` and its previews `root`/review/*.jpg; it starts with `decisions`.

    `rows` has the columns of status.csv, as text; `root` is the folder its outputs and sidecars
    are relative to, and `out` lies in it. A picture whose preview cannot be made is shown in words.
    """
    columns = [field.name for field in fields(Status)]
    table: list[dict[str, str]] = [
        dict(zip(columns, cells, strict=True))
        for cells in rows.reindex(columns=columns).fillna("").astype(str).to_numpy().tolist()
    ]
    records = {row["path"]: read_record(row, root) for row in table}
    used: dict[str, tuple[int, int]] = {}
    entries = [
        _entry(row, records[row["path"]], (decisions or {}).get(row["path"]), root, used)
        for row in progress(review_order(table, records), total=len(table), what="previews")
    ]
    page = render(
        "review.html.j2",
        ("page.js", "review.js"),
        ("page.css", "review.css"),
        archive=archive,
        calibrated=any(row["confidence"] for row in table),
        summary=archive_summary(table),
        statuses=[(name, words, count) for name, words, count in status_counts(table) if count],
        models=sorted({row["model_sha256"] for row in table if row["model_sha256"]}),
        preview_pixels=PREVIEW_PIXELS,
        entries=entries,
    )
    write_text(out, page)
    _remove_stale(root / PREVIEWS, used)


def status_counts(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, str, int]]:
    """Status, its words, and its number of files, in the order of the page."""
    counts = Counter(row["status"] for row in rows)
    others = sorted(set(counts) - set(STATUSES))
    return [(name, STATUSES.get(name, name), counts[name]) for name in [*STATUSES, *others]]


def archive_summary(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The first sentences about an archive: what became of its files, and what holds for them."""
    if not rows:
        return ["The archive holds no files."]
    counts = {name: count for name, _, count in status_counts(rows)}
    done = counts[DONE] + counts[WARNING]
    first = f"{done:,} of {counted(len(rows), 'file')} {_was(done)} colorized"
    if done == len(rows) > 1:
        first = f"All {counted(done, 'file')} were colorized"
    if counts[WARNING]:
        first += f", {counts[WARNING]:,} of them with a warning"
    rest = [f"{counts[FAILED]:,} failed"] if counts[FAILED] else []
    rest += [f"{counts[SKIPPED]:,} {_was(counts[SKIPPED])} passed over"] if counts[SKIPPED] else []
    sentences = ["; ".join([first, *([" and ".join(rest)] if rest else [])]) + "."]
    errors = [float(row["max_dL"]) for row in rows if row["max_dL"]]
    if errors:
        sentences.append(
            "In no picture does the lightness of any pixel differ from the scan's by more than "
            f"{number(max(errors), 2)}\u00a0L*, which is 100\u00a0L* from black to white; "
            "a JPEG's is measured before it is encoded."
        )
    return sentences


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


@dataclass(frozen=True)
class Record:
    """What the page uses of a derivative's sidecar.

    `reduced` is the share (0..1) of pixels whose colour was too vivid for sRGB and was dulled;
    `unsure` is how unsure the model was (0..1, the mean over the pixels); `credit` names author and
    licence of the scan where they are known; `margin` is the rows below the picture with a caption.
    """

    reduced: float | None = None
    unsure: float | None = None
    credit: str = ""
    margin: int = 0


def read_record(row: Mapping[str, str], root: Path) -> Record:
    """The sidecar of one file; an empty record where there is none that can be read."""
    if not row["sidecar"]:
        return Record()
    try:
        content = json.loads((root / path_from_text(row["sidecar"])).read_text(encoding="utf-8"))
        original = content.get("original", {})
        credit = [original.get("attribution", ""), original.get("licence", "")]
        reduced = content.get("chroma", {}).get("share_of_pixels_reduced")
        unsure = content.get("uncertainty", {}).get("mean")
        return Record(
            None if reduced is None else float(reduced),
            None if unsure is None else float(unsure),
            ", ".join(filter(None, map(str, credit))),
            int(content.get("output", {}).get("margin", 0)),
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return Record()


def review_order(
    rows: Sequence[Mapping[str, str]], records: Mapping[str, Record]
) -> list[Mapping[str, str]]:
    """The rows in the order in which a person should look at them.

    By status; then the pictures of which the model was least sure (its confidence falls as its
    uncertainty grows); then those with the largest share of colours that sRGB cannot show, since
    colours so vivid are seldom right; then by path.
    """
    rank = {name: place for place, name in enumerate(STATUSES)}
    return sorted(
        rows,
        key=lambda row: (
            rank.get(row["status"], -1),
            -(records[row["path"]].unsure or 0.0),
            -(records[row["path"]].reduced or 0.0),
            row["path"],
        ),
    )


def _entry(
    row: Mapping[str, str],
    record: Record,
    decision: Decision | None,
    root: Path,
    used: dict[str, tuple[int, int]],
) -> dict[str, Any]:
    """What the template says of one file; `used` collects the previews in use with their sizes."""
    entry: dict[str, Any] = {
        **row,
        "words": STATUSES.get(row["status"], row["status"]),
        "max_dL": float(row["max_dL"]) if row["max_dL"] else None,
        "mean_dL": float(row["mean_dL"]) if row["mean_dL"] else None,
        "reduced": record.reduced,
        "unsure": record.unsure,
        "confidence": float(row["confidence"]) if row["confidence"] else None,
        "map_link": "",
        "decision": "",
        "credit": record.credit,
        "output_link": link(row["output"]),
        "sidecar_link": link(row["sidecar"]),
        "pair": None,
        "no_pair": "",
    }
    if decision is not None and decision.applies(row["source_sha256"], row["model_sha256"]):
        entry |= {
            "decision": decision.decision,
            "remark": decision.remark,
            "saturation": "" if decision.saturation is None else f"{decision.saturation:g}",
            "abstain": "" if decision.abstain is None else f"{decision.abstain:g}",
        }
    folder = root / PREVIEWS
    if row["output"]:
        output = root / path_from_text(row["output"])
        if uncertainty_path(output).is_file():
            entry["map_link"] = link(path_to_text(uncertainty_path(output).relative_to(root)))
        try:
            scan = _preview(path_from_text(row["source"]), row["source_sha256"], folder, used)
            picture = _preview(output, row["output_sha256"], folder, used, record.margin)
        except ImageError as error:
            entry["no_pair"] = error.reason
        else:
            entry["pair"] = {
                "before": f"{PREVIEWS}/{scan}",
                "after": f"{PREVIEWS}/{picture}",
                "width": used[picture][0],
                "height": used[picture][1],
            }
    return entry


def _preview(
    path: Path, sha256: str, folder: Path, used: dict[str, tuple[int, int]], margin: int = 0
) -> str:
    """File name of the preview of a picture; made unless it is there. `used` gets its size."""
    name = f"{sha256[:16]}-{PREVIEW_PIXELS}.jpg"
    if name not in used:
        try:
            made = preview(folder / name, PREVIEW_PIXELS)
        except ImageError:
            made = preview(path, PREVIEW_PIXELS, margin)
            write_bytes(folder / name, jpeg_bytes(made, PREVIEW_QUALITY))
        used[name] = made.shape[1], made.shape[0]
    return name


def _remove_stale(folder: Path, used: Mapping[str, object]) -> None:
    """Remove previews that no entry shows any more, and nothing else."""
    if folder.is_dir():
        for path in folder.iterdir():
            if re.fullmatch(r"[0-9a-f]{16}-\d+\.jpg", path.name) and path.name not in used:
                path.unlink()
