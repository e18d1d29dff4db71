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

from photochrom.archive.records import DONE, FAILED, SKIPPED, WARNING, Status
from photochrom.images import ImageError, jpeg_bytes, path_from_text
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


def write_review(archive: str, rows: "pd.DataFrame", root: Path, out: Path) -> None:
    """Write the page `out` and its previews `root`/review/*.jpg.

    `rows` has the columns of status.csv, as text; `root` is the folder its outputs and sidecars
    are relative to, and `out` lies in it. A picture whose preview cannot be made is shown in words.
    """
    columns = [field.name for field in fields(Status)]
    table: list[dict[str, str]] = [
        dict(zip(columns, cells, strict=True))
        for cells in rows.reindex(columns=columns).fillna("").astype(str).to_numpy().tolist()
    ]
    records = {row["path"]: read_record(row, root) for row in table}
    used: set[str] = set()
    entries = [
        _entry(row, records[row["path"]], root, used)
        for row in progress(review_order(table, records), total=len(table), what="previews")
    ]
    page = render(
        "review.html.j2",
        archive=archive,
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
    `credit` names author and licence of the scan where they are known.
    """

    reduced: float | None = None
    credit: str = ""


def read_record(row: Mapping[str, str], root: Path) -> Record:
    """The sidecar of one file; an empty record where there is none that can be read."""
    if not row["sidecar"]:
        return Record()
    try:
        content = json.loads((root / path_from_text(row["sidecar"])).read_text(encoding="utf-8"))
        original = content.get("original", {})
        credit = [original.get("attribution", ""), original.get("licence", "")]
        reduced = content.get("chroma", {}).get("share_of_pixels_reduced")
        return Record(
            None if reduced is None else float(reduced), ", ".join(filter(None, map(str, credit)))
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return Record()


def review_order(
    rows: Sequence[Mapping[str, str]], records: Mapping[str, Record]
) -> list[Mapping[str, str]]:
    """The rows in the order in which a person should look at them.

    By status; then the pictures with the largest share of colours that sRGB cannot show, since
    colours so vivid are seldom right; then by path.
    """
    rank = {name: place for place, name in enumerate(STATUSES)}
    return sorted(
        rows,
        key=lambda row: (
            rank.get(row["status"], -1),
            -(records[row["path"]].reduced or 0.0),
            row["path"],
        ),
    )


def _entry(row: Mapping[str, str], record: Record, root: Path, used: set[str]) -> dict[str, Any]:
    """What the template says of one file; `used` collects the names of the previews in use."""
    entry: dict[str, Any] = {
        **row,
        "words": STATUSES.get(row["status"], row["status"]),
        "max_dL": float(row["max_dL"]) if row["max_dL"] else None,
        "mean_dL": float(row["mean_dL"]) if row["mean_dL"] else None,
        "reduced": record.reduced,
        "credit": record.credit,
        "output_link": link(row["output"]),
        "sidecar_link": link(row["sidecar"]),
        "pair": None,
        "no_pair": "",
    }
    folder = root / PREVIEWS
    if row["output"]:
        output = root / path_from_text(row["output"])
        try:
            scan = _preview(path_from_text(row["source"]), row["source_sha256"], folder)
            picture = _preview(output, row["output_sha256"], folder)
        except ImageError as error:
            entry["no_pair"] = error.reason
        else:
            used |= {scan[0], picture[0]}
            entry["pair"] = {
                "before": f"{PREVIEWS}/{scan[0]}",
                "after": f"{PREVIEWS}/{picture[0]}",
                "width": picture[1],
                "height": picture[2],
            }
    return entry


def _preview(path: Path, sha256: str, folder: Path) -> tuple[str, int, int]:
    """File name, width and height of the preview of a picture; made unless it is there."""
    name = f"{sha256[:16]}-{PREVIEW_PIXELS}.jpg"
    try:
        made = preview(folder / name, PREVIEW_PIXELS)
    except ImageError:
        made = preview(path, PREVIEW_PIXELS)
        write_bytes(folder / name, jpeg_bytes(made, PREVIEW_QUALITY))
    return name, made.shape[1], made.shape[0]


def _remove_stale(folder: Path, used: set[str]) -> None:
    """Remove previews that no entry shows any more, and nothing else."""
    if folder.is_dir():
        for path in folder.iterdir():
            if re.fullmatch(r"[0-9a-f]{16}-\d+\.jpg", path.name) and path.name not in used:
                path.unlink()
