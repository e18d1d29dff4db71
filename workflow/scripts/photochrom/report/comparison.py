"""Is a model better than no model? Paired comparisons of the report's rows, and their wording.

Two rows are compared picture by picture on the test pictures both have, and the mean gain gets a
bootstrap interval over photographs, since the tiles of one photograph are not independent. A gain
is positive where the first row is the better one, whichever way its measure points.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from photochrom.metrics import Figure
from photochrom.metrics.bootstrap import group_sums, percentile_interval, resampled_sums
from photochrom.pages import counted, interval, number
from photochrom.report.inputs import Row

# The measure that the summary speaks of. PSNR rewards caution: grey scores well by it, so a model
# must put the right colours in the right places to win.
HEADLINE = "psnr_rgb"

# Colour is what is compared; the lightness is the input's own in every row.
NOT_COMPARED = {"lightness_error"}

# Under so many photographs an interval is a sign rather than a proof.
FEW_PHOTOGRAPHS = 10


@dataclass(frozen=True)
class Gain:
    """By how much one row is better than another on `n` pictures of `photographs` photographs.

    `low` and `high` are the ends of the 95% interval, None where there is only one photograph.
    """

    figure: Figure
    value: float
    low: float | None
    high: float | None
    n: int
    photographs: int

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the interval leaves out zero, else `unclear`."""
        if self.low is not None and self.low > 0:
            return "better"
        if self.high is not None and self.high < 0:
            return "worse"
        return "unclear"


def compare(row: Row, other: Row, figure: Figure) -> Gain | None:
    """The gain of `row` over `other` by one measure; None where it is not one value per picture."""
    sign = {"higher": 1, "lower": -1}.get(figure.better)
    ours = row.values(figure.metric, figure.protocol)
    theirs = other.values(figure.metric, figure.protocol)
    shared = sorted(ours.keys() & theirs.keys())
    if sign is None or figure.metric in NOT_COMPARED or not shared:
        return None
    gains = np.array([sign * (ours[name] - theirs[name]) for name in shared])
    group = {one["id"]: one["group"] for one in row.per_image}
    groups = [group[name] for name in shared]
    low, high = None, None
    if len(set(groups)) > 1:
        columns = np.stack([gains, np.ones_like(gains)], axis=1)
        sums = resampled_sums(group_sums(columns, groups))
        low, high = percentile_interval(sums[:, 0] / sums[:, 1])
    return Gain(figure, float(gains.mean()), low, high, len(gains), len(set(groups)))


def best_experiment(rows: Iterable[Row], protocol: str) -> Row | None:
    """The experiment with the highest headline figure; the first where none has one."""
    experiments = [row for row in rows if row.kind == "experiment"]

    def score(row: Row) -> float:
        figure = row.figure(HEADLINE, protocol)
        return float("-inf") if figure is None or figure.value is None else figure.value

    return max(experiments, key=score, default=None)


def summary(rows: Sequence[Row], protocol: str) -> list[str]:
    """The report's first sentences: whether the best experiment beats grey, and by how much."""
    best = best_experiment(rows, protocol)
    if best is None:
        return ["No experiment has been evaluated yet, so there is nothing to compare with grey."]
    gain = _headline_gain(best, rows, "grey", protocol)
    if gain is None:
        return [
            f"The model “{best.name}” cannot be compared with plain grey: the results hold no PSNR "
            "of both for the same test pictures."
        ]
    sentences = [_against_grey(best, gain)]
    sentences += _caution(gain)
    sentences += _against_constant(_headline_gain(best, rows, "constant", protocol))
    sentences += _other_measures(best, rows, protocol)
    experiments = sum(row.kind == "experiment" for row in rows)
    if experiments > 1:
        sentences.append(
            f"“{best.name}” is the best of {experiments} experiments by the very pictures it is "
            "judged on, which flatters it a little."
        )
    return sentences


def _headline_gain(best: Row, rows: Iterable[Row], other: str, protocol: str) -> Gain | None:
    figure = best.figure(HEADLINE, protocol)
    yardstick = next((row for row in rows if row.name == other), None)
    return compare(best, yardstick, figure) if figure and yardstick else None


def _against_grey(best: Row, gain: Gain) -> str:
    pictures = f"{counted(gain.n, 'test picture')} of {counted(gain.photographs, 'photograph')}"
    amount = f"{number(abs(gain.value), 2)}\u00a0dB PSNR"
    where = "above" if gain.value >= 0 else "below"
    model = f"The model “{best.name}”"
    if gain.low is None or gain.high is None:
        return (
            f"{model} lies {amount} {where} plain grey, but all of its {pictures} show the same "
            "scene, so no interval can be given and nothing is proved."
        )
    span = f"95% interval {interval(gain.low, gain.high, 2)}"
    if gain.verdict == "better":
        return f"{model} beats plain grey by {amount} ({span}) on {pictures}."
    if gain.verdict == "worse":
        return (
            f"{model} is worse than plain grey, by {amount} (gain {number(gain.value, 2)}, {span}) "
            f"on {pictures}."
        )
    return (
        f"{model} is not shown to beat plain grey: it lies {amount} {where} it, and the {span} "
        f"includes zero, on {pictures}."
    )


def _caution(gain: Gain) -> list[str]:
    if gain.photographs >= FEW_PHOTOGRAPHS or gain.low is None:
        return []
    return [
        f"So few photographs make that a sign, not a proof: the interval knows only how these "
        f"{gain.photographs} differ."
    ]


def _against_constant(gain: Gain | None) -> list[str]:
    if gain is None or gain.low is None or gain.high is None:
        return []
    span = f"{number(gain.value, 2, sign=True)}\u00a0dB, {interval(gain.low, gain.high, 2)}"
    words = {
        "better": "It also beats one constant colour, the mean of the training pictures",
        "worse": "Painting everything in one constant colour, the mean of the training pictures, "
        "does better",
        "unclear": "It is not shown to beat one constant colour, the mean of the training pictures",
    }
    return [f"{words[gain.verdict]} ({span})."]


def _other_measures(best: Row, rows: Sequence[Row], protocol: str) -> list[str]:
    """How the remaining measures judge the best experiment against grey, in one sentence."""
    grey = next(row for row in rows if row.name == "grey")
    found: dict[str, list[str]] = {"better": [], "worse": [], "unclear": []}
    for figure in best.figures:
        if figure.protocol == protocol and figure.metric != HEADLINE:
            gain = compare(best, grey, figure)
            if gain is not None and gain.low is not None:
                found[gain.verdict].append(SHORT.get(figure.metric, figure.title))
    words = {
        "better": "is better than grey by",
        "worse": "is worse by",
        "unclear": "shows no clear difference by",
    }
    parts = [f"{words[key]} {_listed(names)}" for key, names in found.items() if names]
    return [f"Of the other measures, it {'; it '.join(parts)}."] if parts else []


# Names of the measures within a sentence.
SHORT = {
    "ssim": "SSIM",
    "ciede2000": "colour difference (CIEDE2000)",
    "auc": "AuC",
    "auc_balanced": "balanced AuC",
    "colourfulness_error": "colourfulness",
}


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
