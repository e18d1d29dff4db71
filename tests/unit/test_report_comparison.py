"""Who is better, by how much, how sure, and that the words say just that."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochrom.metrics import Figure
from photochrom.report.comparison import best_experiment, compare, summary
from photochrom.report.inputs import Row

P = "paired-256crop"


def figure(metric: str = "psnr_rgb", better: str = "higher", value: float | None = 0.0) -> Figure:
    return Figure(
        metric=metric,
        title=metric,
        unit="",
        better=better,  # type: ignore[arg-type]
        value=value,
        ci_low=None,
        ci_high=None,
        n=0,
        protocol=P,
        data_digest="",
        model_digest="",
    )


def row(
    name: str, values: dict[str, float], kind: str = "yardstick", metric: str = "psnr_rgb"
) -> Row:
    """A row whose pictures are named `group.number`."""
    table = [
        {"id": one, "group": one.split(".")[0], "protocol": P, metric: repr(value)}
        for one, value in values.items()
    ]
    mean = sum(values.values()) / len(values)
    return Row(name, kind, "", [figure(metric, value=mean)], table, Path("none"), {})


def test_a_gain_is_the_mean_difference_of_shared_pictures() -> None:
    one = row("quick", {"a.1": 22, "a.2": 24, "b.1": 30, "c.9": 99})
    other = row("grey", {"a.1": 21, "a.2": 21, "b.1": 25, "d.1": 1})
    gain = compare(one, other, figure())
    assert gain is not None
    assert (gain.value, gain.n, gain.photographs) == (3.0, 3, 2)


def test_the_interval_draws_whole_photographs() -> None:
    # Two photographs: a resample holds one of them, the other, or both. Its ends are their means.
    one = row("quick", {"a.1": 1, "a.2": 3, "b.1": 8})
    gain = compare(one, row("grey", {"a.1": 0, "a.2": 0, "b.1": 0}), figure())
    assert gain is not None
    assert gain.low == pytest.approx(2)
    assert gain.high == pytest.approx(8)
    # The interval leaves out zero; but of the four patterns of signs two are as far from it.
    assert gain.p == 0.5
    assert gain.verdict == "unclear"


def test_equal_gains_have_an_interval_of_no_width() -> None:
    one = row("quick", {f"{place}.1": place + 0.5 for place in range(20)})
    other = row("grey", {f"{place}.1": float(place) for place in range(20)})
    gain = compare(one, other, figure())
    assert gain is not None
    assert gain.low == pytest.approx(0.5)
    assert gain.high == pytest.approx(0.5)


def test_where_lower_is_better_the_sign_turns() -> None:
    one, other = row("quick", {"a.1": 9, "b.1": 9}), row("grey", {"a.1": 12, "b.1": 14})
    gain = compare(one, other, figure(better="lower"))
    assert gain is not None
    assert gain.value == 4


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), min_size=2, max_size=8))
def test_the_loss_is_the_gain_of_the_other(values: list[tuple[float, float]]) -> None:
    one = row("quick", {f"{place}.1": pair[0] for place, pair in enumerate(values)})
    other = row("grey", {f"{place}.1": pair[1] for place, pair in enumerate(values)})
    gain, loss = compare(one, other, figure()), compare(other, one, figure())
    assert gain is not None
    assert loss is not None
    assert gain.low is not None
    assert loss.high is not None
    assert gain.value == pytest.approx(-loss.value)
    assert gain.low == pytest.approx(-loss.high)


@pytest.mark.parametrize(
    "unmeasured",
    [
        figure("ssim"),
        figure("colourfulness", better="truth"),
        figure("lightness_error", better="lower"),
    ],
)
def test_what_has_no_value_per_picture_is_not_compared(unmeasured: Figure) -> None:
    one = row("quick", {"a.1": 1.0})
    assert compare(one, row("grey", {"a.1": 0.0}), unmeasured) is None


def spread(name: str, gains: list[float], kind: str = "yardstick") -> Row:
    """A picture each of twelve photographs, whose values are 20 and a gain."""
    return row(name, {f"{place}.1": 20 + gains[place % len(gains)] for place in range(12)}, kind)


GREY = spread("grey", [0.0])


@pytest.mark.parametrize(
    ("gains", "says"),
    [
        ([1.5, 2.5], "The model “quick” beats plain grey by 2.00 dB PSNR (95% interval 1.7"),
        ([1.5, 2.5], ", p < 0.001) on 12 test pictures"),
        ([-2.0], "The model “quick” is worse than plain grey, by 2.00 dB PSNR (gain −2.00, 95%"),
        (
            [3.0, -2.9],
            "is not shown to beat plain grey: it is 0.05 dB PSNR better on 12 test pictures",
        ),
    ],
)
def test_the_first_sentence_says_whether_and_by_how_much(gains: list[float], says: str) -> None:
    first = summary([spread("quick", gains, "experiment"), GREY], P)[0].replace("\u00a0", " ")
    assert says in first
    assert "on 12 test pictures of 12 photographs" in first


def test_one_photograph_proves_nothing() -> None:
    one = row("quick", {"a.1": 25, "a.2": 26}, "experiment")
    sentences = summary([one, row("grey", {"a.1": 20, "a.2": 20})], P)
    assert "2\u00a0test pictures of 1\u00a0photograph" in sentences[0]
    assert "no interval can be given and nothing is proved" in sentences[0]
    assert not any("beats" in sentence for sentence in sentences)


def test_few_photographs_are_called_a_sign() -> None:
    few = summary([row("quick", {"a.1": 25, "b.1": 26}, "experiment"), GREY_FEW], P)
    assert any("a sign, not a proof" in sentence for sentence in few)
    many = summary([spread("quick", [1.0, 2.0], "experiment"), GREY], P)
    assert not any("a sign, not a proof" in sentence for sentence in many)


GREY_FEW = row("grey", {"a.1": 20, "b.1": 20})


def test_a_model_that_loses_to_one_colour_is_told_so() -> None:
    rows = [spread("quick", [1.0, 1.2], "experiment"), GREY, spread("constant", [2.0])]
    assert any(
        "in one constant colour" in text and "does better" in text for text in summary(rows, P)
    )


def test_the_best_of_several_is_named_as_chosen_on_the_test_pictures() -> None:
    rows = [spread("small", [1.0], "experiment"), spread("large", [2.0], "experiment"), GREY]
    best = best_experiment(rows, P)
    assert best is not None
    assert best.name == "large"
    sentences = [sentence.replace("\u00a0", " ") for sentence in summary(rows, P)]
    assert any("best of 2 experiments by PSNR" in sentence for sentence in sentences)
    assert any("It leads the next, “small” (gain +1.00 dB PSNR" in one for one in sentences)


def judged(name: str, auc: float, de: float, psnr: float, kind: str = "experiment") -> Row:
    """Twelve photographs of one value each by the three judging measures."""
    values = {"auc_balanced": auc, "ciede2000": de, "psnr_rgb": psnr}
    table = [
        {"id": f"{place}.1", "group": str(place), "protocol": P}
        | {metric: repr(value) for metric, value in values.items()}
        for place in range(12)
    ]
    figures = [
        figure(metric, "lower" if metric == "ciede2000" else "higher", value)
        for metric, value in values.items()
    ]
    return Row(name, kind, "", figures, table, Path("none"), {})


def test_balanced_auc_judges_first_and_the_others_may_disagree() -> None:
    vivid, careful = judged("vivid", 70, 13, 22), judged("careful", 66, 11, 24)
    grey = judged("grey", 60, 14, 23, "yardstick")
    outside = judged("outside", 75, 10, 25, "compared")
    best = best_experiment([careful, vivid], P)
    assert best is vivid
    text = " ".join(summary([careful, vivid, grey, outside], P)).replace("\u00a0", " ")
    for words in (
        "“vivid” beats plain grey by 10.00 points of balanced AuC (95% interval 10.00 to 10.00, "
        "p < 0.001)",
        "Its gain over grey is also +1.00 ΔE00 (95% interval 1.00 to 1.00, p < 0.001, better) "
        "and −1.00 dB PSNR (95% interval −1.00 to −1.00, p < 0.001, worse)",
        "It leads the next, “careful” (gain +4.00 points",
        "It trails the compared, “outside” (gain −5.00 points",
        "By colour difference (CIEDE2000) “careful” is the best.",
        "By PSNR “careful” is the best.",
    ):
        assert words in text, words


def test_few_photographs_cannot_have_a_small_p() -> None:
    few = " ".join(summary([row("quick", {"a.1": 25, "b.1": 26}, "experiment"), GREY_FEW], P))
    assert "is not shown to beat plain grey" in few
    assert "p cannot fall below 0.5" in few


def test_without_anything_to_compare_the_summary_says_so() -> None:
    assert "No experiment has been evaluated" in summary([], "")[0]
    assert "No experiment has been evaluated" in summary([GREY], P)[0]
    assert "cannot be compared" in summary([spread("quick", [1.0], "experiment")], P)[0]
