"""The report's section on where its figures come from: protocol, digests, command."""

import shlex
from collections.abc import Sequence
from typing import Any

from photochrom.metrics import Figure
from photochrom.report.inputs import Row
from photochrom.report.results import measures_of, ordered

CONFIG = "run_config.yaml"  # what the page tells readers to save its settings as


def provenance_section(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """A line for all figures of a row that share protocol, digests and number of pictures.

    The figures of slices are among them: a slice has a digest of its own pictures.
    """
    lines = []
    for row in ordered(rows):
        parts = [("", list(row.figures))]
        parts += [(f"{part.name}: {part.level}", list(part.figures)) for part in row.slices]
        for part, figures in parts:
            for source, own in _by_source(figures).items():
                protocol, data, model, n = source
                lines.append(
                    {
                        "row": row.name,
                        "part": part,
                        "protocol": protocol,
                        "measures": [figure.title for figure in measures_of(own)],
                        "n": n,
                        "data_digest": data,
                        "model_digest": model,
                        "command": command(row.name),
                    }
                )
    return lines


def command(row: str) -> str:
    """What makes a row's figures again, given the settings of the run."""
    target = f"results/metrics/{row}.json"
    return shlex.join(["snakemake", "--cores", "2", "--configfile", CONFIG, target])


def _by_source(figures: Sequence[Figure]) -> dict[tuple[str, str, str, int], list[Figure]]:
    found: dict[tuple[str, str, str, int], list[Figure]] = {}
    for one in figures:
        source = (one.protocol, one.data_digest, one.model_digest, one.n)
        found.setdefault(source, []).append(one)
    return found
