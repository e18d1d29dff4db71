"""The report page: from the run's tables, logs and pictures to one self-contained HTML file.

Each section is made by one function that returns plain values for the template
`workflow/report/report.html.j2`; what is missing becomes words there, never a gap. `inputs` reads,
`data`, `training`, `results`, `pictures`, `explorer`, `archives` and `ledger` make the sections,
`comparison` says who is better, and `plots` draws; `figures` writes the drawings as files.
"""

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from photochrom.pages import render
from photochrom.report.archives import archive_section
from photochrom.report.comparison import summary
from photochrom.report.data import data_section
from photochrom.report.explorer import explorer_section
from photochrom.report.figures import write_figures
from photochrom.report.inputs import Log, read_audit, read_row
from photochrom.report.ledger import ledger_section
from photochrom.report.pictures import grades_section, sheet_section
from photochrom.report.provenance import provenance_section
from photochrom.report.results import measures_section
from photochrom.report.slices import confidence_section, slices_section
from photochrom.report.training import training_section
from photochrom.runtime import sha256_file, sha256_text, write_text
from photochrom.tables import MOVES_COLUMNS, read_table
from photochrom.version import __version__

PACKAGES = ("torch", "numpy", "scikit-image", "pyvips", "pandas", "matplotlib", "snakemake")
CATALOG_COLUMNS = ("id", "path", "group", "verdict", "reason")
STATUS_COLUMNS = ("path", "status", "reason", "output", "sidecar", "source", "max_dL")


def build_report(
    title: str,
    catalog: Path,
    split: Path,
    metrics: Sequence[Path],
    logs: Sequence[Log],
    filters: Mapping[str, Any],
    settings: Mapping[str, Any],
    archives: Sequence[Path],
    out: Path,
    audit: Path | None = None,
    moves: Path | None = None,
    benchmarks: Path | None = None,
    figures: Path | None = None,
) -> None:
    """Write the report to `out`, and its figures into the folder `figures`, where one is named.

    Equal inputs give equal bytes.

    Beside each metrics file ROW.json lie ROW.per_image.csv and the folder ROW.pictures; an archive
    is named by its status.csv; `audit`, `moves` and the folder `benchmarks` may be left out.
    StageError when a named file is missing or no file of its kind.
    """
    photographs = read_table(catalog, CATALOG_COLUMNS, "filter.py")
    places = read_table(split, ["id", "group", "split"], "split.py")
    statuses = [read_table(path, STATUS_COLUMNS, "gather.py") for path in archives]
    moved = read_table(moves, MOVES_COLUMNS, "split.py") if moves else []
    rows = [read_row(path) for path in metrics]
    protocols = list(dict.fromkeys(figure.protocol for row in rows for figure in row.figures))
    first = protocols[0] if protocols else ""
    shown = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
    sections = dict(
        title=title,
        summary=summary(rows, first),
        data=data_section(
            photographs, places, filters, read_audit(audit) if audit else None, moved
        ),
        training=training_section(logs),
        measures=[measures_section(rows, protocol) for protocol in protocols],
        slices=slices_section(rows),
        confidence=confidence_section(rows),
        missing={row.name: row.missing for row in rows if row.missing},
        grades=grades_section(rows, photographs, first),
        pictures=sheet_section(rows, photographs, first),
        explorer=explorer_section(rows, photographs, first),
        first_protocol=first,
        archives=[
            archive_section(path, status, out)
            for path, status in zip(archives, statuses, strict=True)
        ],
        costs=ledger_section(benchmarks),
        made_from=[
            (path.name, sha256_file(path))
            for path in (catalog, split, audit, moves, *metrics, *archives)
            if path is not None
        ],
        versions=versions(),
        provenance=provenance_section(rows),
        settings=shown,
        settings_digest=sha256_text(shown),
    )
    if figures:
        write_figures(figures, sections)
    write_text(out, render("report.html.j2", ("page.js", "report.js"), **sections))


def versions() -> list[tuple[str, str]]:
    """Names and versions of the software on the machine that makes the report."""
    found = [("photochrom", __version__), ("Python", platform.python_version())]
    for package in PACKAGES:
        try:
            found.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            found.append((package, "not installed"))
    return found
