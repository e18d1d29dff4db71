"""The report's ledger of costs: what each stage took, from the benchmark files of Snakemake.

Snakemake writes one such file for each costly job, with the seconds, the processor time and the
peak memory of its last run. A job that nothing asked to run again keeps its figures.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photochrom.report.inputs import parsed

# Lannelongue, Grealey and Inouye 2021 (Green Algorithms): the power of a core in use where the
# processor is not known, and that of memory.
WATTS_PER_CORE = 12.0
WATTS_PER_GB = 0.3725

# Stages in the order of the workflow; others follow by name.
STAGES = ("download", "measure", "normalize", "audit", "train", "evaluate", "colorize", "report")


@dataclass(frozen=True)
class Cost:
    """What one job took: wall and processor seconds, and peak memory in MiB; None: not measured."""

    stage: str
    job: str
    seconds: float | None
    cpu_seconds: float | None
    peak_mib: float | None

    @property
    def watt_hours(self) -> float | None:
        """An estimate of the energy of processor and memory: no GPU, no cooling, no disk."""
        if self.seconds is None or self.cpu_seconds is None or self.peak_mib is None:
            return None
        gigabytes = self.peak_mib * 2**20 / 1e9
        joules = self.cpu_seconds * WATTS_PER_CORE + self.seconds * gigabytes * WATTS_PER_GB
        return joules / 3600


def read_costs(folder: Path) -> list[Cost]:
    """The costs in a folder of Snakemake's benchmark files, STAGE.tsv or STAGE/JOB.tsv."""
    costs = []
    for path in sorted(folder.rglob("*.tsv")):
        place = path.relative_to(folder).with_suffix("")
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        row = rows[-1] if rows else {}
        costs.append(
            Cost(
                stage=place.parts[0],
                job="/".join(place.parts[1:]),
                seconds=parsed(row.get("s")),
                cpu_seconds=parsed(row.get("cpu_time")),
                peak_mib=parsed(row.get("max_rss")),
            )
        )
    rank = {stage: number for number, stage in enumerate(STAGES)}
    return sorted(costs, key=lambda cost: (rank.get(cost.stage, len(rank)), cost.stage, cost.job))


def ledger_section(folder: Path | None) -> dict[str, Any]:
    """A line for each stage, those of its jobs where there are several, and the sum of all."""
    costs = read_costs(folder) if folder else []
    stages = []
    for stage in dict.fromkeys(cost.stage for cost in costs):
        jobs = [cost for cost in costs if cost.stage == stage]
        several = [{"name": job.job, **_sums([job])} for job in jobs] if len(jobs) > 1 else []
        stages.append({"name": stage, **_sums(jobs), "jobs": several})
    return {
        "stages": stages,
        "total": _sums(costs),
        "watts_per_core": WATTS_PER_CORE,
        "watts_per_gb": WATTS_PER_GB,
    }


def _sums(costs: Sequence[Cost]) -> dict[str, Any]:
    """Sums over jobs, the largest peak, and how many of the jobs lack a figure."""
    known = [cost for cost in costs if cost.watt_hours is not None]
    peaks = [cost.peak_mib for cost in costs if cost.peak_mib is not None]
    return {
        "count": len(costs),
        "unmeasured": len(costs) - len(known),
        "seconds": _sum([cost.seconds for cost in costs]),
        "cpu_seconds": _sum([cost.cpu_seconds for cost in costs]),
        "peak_mib": max(peaks, default=None),
        "watt_hours": _sum([cost.watt_hours for cost in costs]),
    }


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
