"""The report's section on the archives: what became of the files, and some pictures."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from photochrom.archive.review import STATUSES, archive_summary, read_record
from photochrom.images import ImageError, path_from_text, path_to_text
from photochrom.pages import data_uri, link, preview
from photochrom.report.inputs import Table

PICTURES = 4
PIXELS = 720
QUALITY = 85


def archive_section(status: Path, rows: Table, page: Path) -> dict[str, Any]:
    """One archive, from the rows of its table `status`, for the page that will be `page`."""
    review = status.with_name("review.html")
    address = ""
    if review.is_file():
        address = link(path_to_text(Path(os.path.relpath(review, page.parent))))
    return {
        "name": status.parent.name,
        "summary": archive_summary(rows),
        "reasons": reasons(rows),
        "samples": [_sample(row, status.parent) for row in chosen(rows)],
        "review_link": address,
    }


def reasons(rows: Table) -> list[tuple[str, str, int, str]]:
    """Status, reason, number of files and the first path, wherever a reason is given."""
    paths: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["reason"]:
            words = STATUSES.get(row["status"], row["status"])
            paths.setdefault((words, row["reason"]), []).append(row["path"])
    found = [(*key, len(named), min(named)) for key, named in paths.items()]
    return sorted(found, key=lambda line: (-line[2], line[:2]))


def chosen(rows: Table) -> Table:
    """At most PICTURES finished pictures, evenly spaced in the order of their paths."""
    done = sorted((row for row in rows if row["output"]), key=lambda row: row["path"])
    count = min(PICTURES, len(done))
    return [done[(2 * place + 1) * len(done) // (2 * count)] for place in range(count)]


def _sample(row: Mapping[str, str], root: Path) -> dict[str, Any]:
    """Both pictures of one file as data: URIs, or in words why there are none."""
    record = read_record(row, root)
    sample: dict[str, Any] = {
        "path": row["path"],
        "reason": row["reason"],
        "credit": record.credit,
        "pair": None,
        "no_pair": "",
    }
    try:
        before = preview(path_from_text(row["source"]), PIXELS)
        after = preview(root / path_from_text(row["output"]), PIXELS, record.margin)
    except ImageError as error:
        sample["no_pair"] = error.reason
    else:
        sample["pair"] = {
            "before": data_uri(before, QUALITY),
            "after": data_uri(after, QUALITY),
            "width": after.shape[1],
            "height": after.shape[0],
        }
    return sample
