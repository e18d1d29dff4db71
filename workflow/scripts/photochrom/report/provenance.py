"""The report's section on where its figures come from: protocol, digests, command."""

import shlex
from collections.abc import Sequence
from typing import Any

from photochrom.metrics import Figure
from photochrom.report.inputs import Row
from photochrom.report.results import measures_of, ordered

CONFIG = "run_config.yaml"  # what the page tells readers to save its settings as


def provenance_section(rows: Sequence[Row]) -> dict[str, Any]:
    """What painted each row and the command that makes it again, and which pictures were measured.

    A figure is found by its row in `rows`, and by its protocol and slice in `pictures`. A line of
    `pictures` holds for all the rows it names: they were measured on the very same photographs.
    """
    painted = {
        (row.name, figure.model_digest): None for row in ordered(rows) for figure in _all(row)
    }
    pictures: dict[tuple[str, str, str, int], dict[str, list[Any]]] = {}
    for row in ordered(rows):
        parts = [
            ("", row.figures),
            *((f"{one.name}: {one.level}", one.figures) for one in row.slices),
        ]
        for part, figures in parts:
            for figure in figures:
                source = (figure.protocol, part, figure.data_digest, figure.n)
                found = pictures.setdefault(source, {"rows": [], "figures": []})
                found["rows"] += [row.name] if row.name not in found["rows"] else []
                found["figures"].append(figure)
    return {
        "rows": [
            {"row": row, "model_digest": digest, "command": command(row)} for row, digest in painted
        ],
        "pictures": [
            {
                "protocol": protocol,
                "part": part,
                "n": n,
                "rows": found["rows"],
                "measures": [figure.title for figure in measures_of(found["figures"])],
                "data_digest": digest,
            }
            for (protocol, part, digest, n), found in pictures.items()
        ],
    }


def command(row: str) -> str:
    """What makes a row's figures again, given the settings of the run."""
    target = f"results/metrics/{row}.json"
    return shlex.join(["snakemake", "--cores", "2", "--configfile", CONFIG, target])


def _all(row: Row) -> list[Figure]:
    return [*row.figures, *(figure for part in row.slices for figure in part.figures)]
