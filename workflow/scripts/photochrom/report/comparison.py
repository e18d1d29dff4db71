"""Is a model better than no model? Paired comparisons of the report's rows, and their wording.

Two rows are compared picture by picture on the test pictures both have, and the mean gain gets a
bootstrap interval and a sign-flip p-value over photographs, since the tiles of one photograph are
not independent. A gain is positive where the first row is the better one, whichever way its measure
points.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from photochrom.metrics import Figure
from photochrom.metrics.bootstrap import group_sums, percentile_interval, resampled_sums
from photochrom.metrics.permutation import sign_flip_p_value
from photochrom.pages import counted, interval, number, p_words
from photochrom.report.inputs import Row

# The measures that judge which experiment is best, and the unit of a gain by each within a
# sentence. The first that the rows have is the headline. Balanced AuC leads, because the others
# reward caution: plain grey scores well by them.
JUDGES = {
    "auc_balanced": "points of balanced AuC",
    "ciede2000": "ΔE00",
    "psnr_rgb": "dB PSNR",
}

# Colour is what is compared; the lightness is the input's own in every row.
NOT_COMPARED = {"lightness_error"}

# A verdict within a sentence or a table.
VERDICTS = {"better": "better", "worse": "worse", "unclear": "no clear difference"}

# Gains with a larger p-value may well be chance.
LEVEL = 0.05

# Under so many photographs an interval is a sign rather than a proof.
FEW_PHOTOGRAPHS = 10


@dataclass(frozen=True)
class Gain:
    """By how much one row is better than another on `n` pictures of `photographs` photographs.

    `low` and `high` are the ends of the 95% interval and `p` is the sign-flip p-value, all None
    where there is only one photograph.
    """

    figure: Figure
    value: float
    low: float | None
    high: float | None
    n: int
    photographs: int
    p: float | None = None

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the interval leaves out zero and chance is unlikely.

        Else `unclear`. Both are asked for, since the bootstrap of a handful of photographs gives
        intervals that are too narrow.
        """
        if self.low is None or self.high is None or self.p is None or self.p > LEVEL:
            return "unclear"
        return "better" if self.low > 0 else "worse" if self.high < 0 else "unclear"


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
    low, high, p = None, None, None
    if len(set(groups)) > 1:
        sums = group_sums(np.stack([gains, np.ones_like(gains)], axis=1), groups)
        resampled = resampled_sums(sums)
        low, high = percentile_interval(resampled[:, 0] / resampled[:, 1])
        p = sign_flip_p_value(sums[:, 0])
    return Gain(figure, float(gains.mean()), low, high, len(gains), len(set(groups)), p)


def headline(rows: Iterable[Row], protocol: str) -> str:
    """The first of JUDGES that an experiment has a value of; the first of all where none has."""
    experiments = [row for row in rows if row.kind == "experiment"]
    for metric in JUDGES:
        if any(_merit(row, metric, protocol) > float("-inf") for row in experiments):
            return metric
    return next(iter(JUDGES))


def best_experiment(rows: Sequence[Row], protocol: str, metric: str = "") -> Row | None:
    """The experiment with the best figure of `metric`, or else of the headline measure.

    The first where none has one, None where there is no experiment.
    """
    metric = metric or headline(rows, protocol)
    experiments = [row for row in rows if row.kind == "experiment"]
    return max(experiments, key=lambda row: _merit(row, metric, protocol), default=None)


def _merit(row: Row, metric: str, protocol: str) -> float:
    """A row's figure, turned so that higher is better; minus infinity where it has none."""
    figure = row.figure(metric, protocol)
    if figure is None or figure.value is None:
        return float("-inf")
    return -figure.value if figure.better == "lower" else figure.value


def summary(rows: Sequence[Row], protocol: str) -> list[str]:
    """The report's first sentences: does the best experiment beat grey, by how much, how sure."""
    best = best_experiment(rows, protocol)
    if best is None:
        return ["No experiment has been evaluated yet, so there is nothing to compare with grey."]
    measure = headline(rows, protocol)
    gain = _gain_over(best, rows, "grey", measure, protocol)
    if gain is None:
        return [
            f"The model “{best.name}” cannot be compared with plain grey: the results hold no "
            "balanced AuC, CIEDE2000 or PSNR of both for the same test pictures."
        ]
    sentences = [_against_grey(best, gain)]
    sentences += _caution(gain)
    sentences += _other_judges(best, rows, measure, protocol)
    sentences += _against_constant(_gain_over(best, rows, "constant", measure, protocol))
    sentences += _other_measures(best, rows, protocol)
    sentences += _against_others(best, rows, measure, protocol)
    return sentences


def _gain_over(
    best: Row, rows: Iterable[Row], other: str, metric: str, protocol: str
) -> Gain | None:
    figure = best.figure(metric, protocol)
    yardstick = next((row for row in rows if row.name == other), None)
    return compare(best, yardstick, figure) if figure and yardstick else None


def _sure(gain: Gain, decimals: int = 2) -> str:
    """How sure a gain is: `95% interval 0.21 to 1.05, p = 0.012`."""
    if gain.low is None or gain.high is None or gain.p is None:
        return "one photograph, no interval"
    return f"95% interval {interval(gain.low, gain.high, decimals)}, {p_words(gain.p)}"


def _amount(gain: Gain) -> str:
    return f"{number(abs(gain.value), 2)}\u00a0{JUDGES[gain.figure.metric]}"


def _signed(gain: Gain) -> str:
    return f"{number(gain.value, 2, sign=True)}\u00a0{JUDGES[gain.figure.metric]}"


def _against_grey(best: Row, gain: Gain) -> str:
    pictures = f"{counted(gain.n, 'test picture')} of {counted(gain.photographs, 'photograph')}"
    model = f"The model “{best.name}”"
    # Whichever way the measure points, a gain of more than nothing is the better side of grey.
    where = "better" if gain.value >= 0 else "worse"
    if gain.low is None:
        return (
            f"{model} is {_amount(gain)} {where} than plain grey, but all of its {pictures} show "
            "the same scene, so no interval can be given and nothing is proved."
        )
    if gain.verdict == "better":
        return f"{model} beats plain grey by {_amount(gain)} ({_sure(gain)}) on {pictures}."
    if gain.verdict == "worse":
        return (
            f"{model} is worse than plain grey, by {_amount(gain)} (gain {number(gain.value, 2)}, "
            f"{_sure(gain)}) on {pictures}."
        )
    return (
        f"{model} is not shown to beat plain grey: it is {_amount(gain)} {where} on {pictures}, "
        f"which may be chance ({_sure(gain)})."
    )


def _other_judges(best: Row, rows: Sequence[Row], measure: str, protocol: str) -> list[str]:
    """What the judges other than the headline say of the best experiment and grey."""
    parts = []
    for metric in JUDGES:
        gain = _gain_over(best, rows, "grey", metric, protocol)
        if metric != measure and gain is not None and gain.low is not None:
            parts.append(f"{_signed(gain)} ({_sure(gain)}, {VERDICTS[gain.verdict]})")
    return [f"Its gain over grey is also {' and '.join(parts)}."] if parts else []


def _caution(gain: Gain) -> list[str]:
    if gain.photographs >= FEW_PHOTOGRAPHS or gain.low is None:
        return []
    least = 2 / 2**gain.photographs
    never = f", and p cannot fall below {least:.2g}" if least > LEVEL else ""
    return [
        f"So few photographs make that a sign, not a proof: the interval knows only how these "
        f"{gain.photographs} differ{never}."
    ]


def _against_constant(gain: Gain | None) -> list[str]:
    if gain is None or gain.low is None or gain.high is None:
        return []
    words = {
        "better": "It beats one constant colour, the mean of the training pictures",
        "worse": "Painting everything in one constant colour, the mean of the training pictures, "
        "does better",
        "unclear": "It is not shown to beat one constant colour, the mean of the training pictures",
    }
    return [f"{words[gain.verdict]} (gain {_signed(gain)}, {_sure(gain)})."]


def _other_measures(best: Row, rows: Sequence[Row], protocol: str) -> list[str]:
    """How SHORT's measures that are no judges see the best experiment against grey: a sentence."""
    grey = next(row for row in rows if row.name == "grey")
    found: dict[str, list[str]] = {"better": [], "worse": [], "unclear": []}
    for figure in best.figures:
        if figure.protocol == protocol and figure.metric in SHORT.keys() - JUDGES.keys():
            gain = compare(best, grey, figure)
            if gain is not None and gain.low is not None:
                found[gain.verdict].append(SHORT[figure.metric])
    words = {
        "better": "is better than grey by",
        "worse": "is worse by",
        "unclear": "shows no clear difference by",
    }
    parts = [f"{words[key]} {_listed(names)}" for key, names in found.items() if names]
    return [f"Of the other measures, it {'; it '.join(parts)}."] if parts else []


def _against_others(best: Row, rows: Sequence[Row], measure: str, protocol: str) -> list[str]:
    """How the best experiment stands to the next one and to the best of the compared results."""
    sentences = []
    rivals = sorted(
        (row for row in rows if row.kind == "experiment" and row is not best),
        key=lambda row: _merit(row, measure, protocol),
        reverse=True,
    )
    compared = max(
        (row for row in rows if row.kind == "compared"),
        key=lambda row: _merit(row, measure, protocol),
        default=None,
    )
    if rivals:
        sentences.append(
            f"“{best.name}” is the best of {len(rivals) + 1} experiments by "
            f"{SHORT[measure]}, on the very pictures it is judged on, which flatters it a little."
        )
    for row, words in [(rivals[0] if rivals else None, "the next"), (compared, "the compared")]:
        gain = _gain_over(best, [row], row.name, measure, protocol) if row else None
        if row is not None and gain is not None:
            verb = {"better": "leads", "worse": "trails", "unclear": "is not clearly ahead of"}
            sentences.append(
                f"It {verb[gain.verdict]} {words}, “{row.name}” "
                f"(gain {_signed(gain)}, {_sure(gain)})."
            )
    for metric in JUDGES:
        other = best_experiment(rows, protocol, metric)
        figure = other.figure(metric, protocol) if other else None
        if other is not None and other is not best and figure and figure.value is not None:
            sentences.append(f"By {SHORT[metric]} “{other.name}” is the best.")
    return sentences


# Names of the measures within a sentence: of those that the summary speaks of.
SHORT = {
    "ssim": "SSIM",
    "ciede2000": "colour difference (CIEDE2000)",
    "auc": "AuC",
    "auc_balanced": "balanced AuC",
    "psnr_rgb": "PSNR",
    "colourfulness_error": "colourfulness",
}


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
