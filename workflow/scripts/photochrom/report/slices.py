"""The report's sections on slices of the test pictures, and on confidence against error.

A slice divides the test pictures, by their colourfulness for instance, or degrades what the model
is given; each of its levels has figures of its own.
"""

from collections.abc import Sequence
from typing import Any

from photochrom.metrics import Figure
from photochrom.pages import counted, decimals_for, interval, number
from photochrom.report.comparison import JUDGES, best_experiment
from photochrom.report.inputs import Row, Slice, parsed
from photochrom.report.plots import Plot, error_by_confidence
from photochrom.report.results import cell, judge_plot, measures_of, ordered


def slices_section(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each slice under each of its protocols: a sentence, plots by the judges, a table of all."""
    found = []
    parts = [part for row in ordered(rows) for part in row.slices]
    for name, protocol in dict.fromkeys((part.name, part.protocol) for part in parts):
        shown = [row for row in ordered(rows) if _levels(row, name, protocol)]
        own = [part for part in parts if (part.name, part.protocol) == (name, protocol)]
        levels = list(dict.fromkeys(part.level for part in own))
        examples = measures_of([figure for part in own for figure in part.figures])
        notes: dict[str, str] = {}
        found.append(
            {
                "name": name,
                "protocol": protocol,
                "sentence": _least_and_most(shown, name, protocol, levels),
                "plots": _plots(shown, name, protocol, levels, examples),
                "columns": [
                    {
                        "title": example.title,
                        "unit": example.unit,
                        "decimals": decimals_for(
                            [
                                figure.value
                                for part in own
                                if (figure := _figure(part, example.metric))
                            ]
                        ),
                    }
                    for example in examples
                ],
                "lines": [
                    (
                        level,
                        part,
                        row.name,
                        [cell(_figure(part, one.metric), notes, part.n) for one in examples],
                    )
                    for level in levels
                    for row in shown
                    if (part := _levels(row, name, protocol).get(level))
                ],
                "notes": [(marker, reason) for reason, marker in notes.items()],
            }
        )
    return found


def _levels(row: Row, name: str, protocol: str) -> dict[str, Slice]:
    """A row's levels of one slice under one protocol, by their names."""
    return {
        part.level: part for part in row.slices if (part.name, part.protocol) == (name, protocol)
    }


def _figure(part: Slice | None, metric: str) -> Figure | None:
    if part is None:
        return None
    return next((figure for figure in part.figures if figure.metric == metric), None)


def _value(part: Slice | None, metric: str) -> float | None:
    figure = _figure(part, metric)
    return figure.value if figure else None


def _plots(
    rows: Sequence[Row],
    name: str,
    protocol: str,
    levels: Sequence[str],
    examples: Sequence[Figure],
) -> list[Plot]:
    """A plot for each judge: the experiments, the compared results and grey, level by level."""
    drawn = [row for row in rows if row.kind != "yardstick" or row.name == "grey"]
    plots = []
    for example in sorted(
        (one for one in examples if one.metric in JUDGES),
        key=lambda one: list(JUDGES).index(one.metric),
    ):
        groups = []
        for level in levels:
            figures = [
                (row, _figure(_levels(row, name, protocol).get(level), example.metric))
                for row in drawn
            ]
            n = max((figure.n for _, figure in figures if figure), default=0)
            groups.append((f"{level} (n = {n:,})", figures))
        plots.append(judge_plot(example, f" by {name}", groups, protocol))
    return [plot for plot in plots if plot]


def _least_and_most(
    rows: Sequence[Row], name: str, protocol: str, levels: Sequence[str]
) -> str | None:
    """Where the best experiment gains least and most over grey; None without both, or two levels.

    The judge is the first that both rows have on two levels or more.
    """
    best = best_experiment(rows, protocol)
    grey = next((row for row in rows if row.name == "grey"), None)
    if best is None or grey is None:
        return None
    ours, theirs = _levels(best, name, protocol), _levels(grey, name, protocol)
    for metric, unit in JUDGES.items():
        sign = -1 if metric == "ciede2000" else 1
        gains = [
            (sign * (one - other), level)
            for level in levels
            if (one := _value(ours.get(level), metric)) is not None
            and (other := _value(theirs.get(level), metric)) is not None
        ]
        if len(gains) > 1:
            least, most = min(gains), max(gains)
            return (
                f"Over grey, {best.name} gains least in “{least[1]}” "
                f"({number(least[0], 2, sign=True)}\u00a0{unit}) and most in “{most[1]}” "
                f"({number(most[0], 2, sign=True)}\u00a0{unit})."
            )
    return None


def confidence_section(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For each experiment: is it right where it is sure? A sentence and a plot, or why neither."""
    found: list[dict[str, Any]] = []
    for row in rows:
        if row.kind != "experiment":
            continue
        one = row.calibration
        if one is None:
            words = (
                "Not computed: the metrics of this experiment hold a confidence of too few "
                "photographs for a rank correlation."
                if any(parsed(one.get("confidence")) is not None for one in row.per_image)
                else "Not computed: the metrics of this experiment hold no confidence. Only a "
                "network that gives a distribution of colours has one."
            )
            found.append({"name": row.name, "words": words, "plot": None, "bins": []})
            continue
        found.append(
            {
                "name": row.name,
                "protocol": one.protocol,
                "words": _correlation_words(one.value, one.low, one.high, one.n),
                "plot": error_by_confidence(one.bins, row.name) if one.bins else None,
                "bins": sorted(one.bins),
            }
        )
    return found


def _correlation_words(value: float | None, low: float | None, high: float | None, n: int) -> str:
    """Spearman's correlation with its interval, and what it says."""
    if value is None:
        return "Spearman's ρ is not computed: the confidences or the errors are all alike."
    sure = (
        "no interval" if low is None or high is None else f"95% interval {interval(low, high, 2)}"
    )
    if low is None or high is None or low <= 0 <= high:
        verdict = "the confidence is not shown to say anything about the error"
    elif low > 0:
        verdict = "the more confident it is, the smaller its errors"
    else:
        verdict = "it errs more where it is more confident"
    return (
        f"Spearman's ρ of confidence and smallness of the error is {number(value, 2)} "
        f"({sure}) over {counted(n, 'test picture')}: {verdict}."
    )
