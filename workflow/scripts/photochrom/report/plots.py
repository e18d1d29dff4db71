"""The report's plots: small SVG drawings whose text and colours are the page's own.

Each is drawn 320 units wide with 12-unit text, to be shown at 320 px or wider. Colours are written
as the page's CSS variables, so that a plot follows the reader's light or dark scheme; `svg_file`
makes a file of it that stands by itself.
"""

import hashlib
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, MaxNLocator

WIDTH, HEIGHT = 320, 210
TEXT = 12
# Of a drawing with a value on each line: the line's height, the room for the names on its left,
# and about the width of a letter.
DOTS_LINE, LABELS, LETTER = 17, 96, 6.3
MARGIN = 10  # about a drawing in a file of its own
MAX_POINTS = 400  # of one line; a plot 320 units wide shows no more

# Colours while drawing, and the page's variables that replace them.
INK, SOFT, RULE, FAINT = "#010101", "#020202", "#030303", "#040404"
ACCENT, SECOND, THIRD = "#050505", "#060606", "#070707"
PAPER = "#080808"
VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    RULE: "var(--rule)",
    FAINT: "var(--faint)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
    PAPER: "var(--paper)",
}
# What the variables are in a file of its own: the light scheme of page.css.
LIGHT = {
    "ink": "#1c1c1c",
    "soft": "#5c5c5c",
    "rule": "#d9d9d9",
    "faint": "#b9c4cb",
    "accent": "#0b5c8a",
    "second": "#b3541e",
    "third": "#5b7f2b",
    "paper": "#fcfcfc",
}
STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": TEXT,
    "text.parse_math": False,  # names may hold a dollar sign
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.titlesize": TEXT,
    "axes.titlelocation": "left",
    "lines.linewidth": 1.6,
    "path.simplify": True,
}


@dataclass(frozen=True)
class Plot:
    """A drawing under its title: an inline SVG element, which a template prints as it is."""

    title: str
    svg: str

    def __html__(self) -> str:
        return self.svg


@dataclass(frozen=True)
class Line:
    """One curve: `x` and `y` of equal length; drawn as points too when `dots`."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False


@dataclass(frozen=True)
class Dot:
    """A value and the ends of its interval, where it has one; the row's `kind` colours it."""

    label: str
    kind: str
    value: float
    low: float | None = None
    high: float | None = None


def histogram(
    title: str,
    axis: str,
    kept: Sequence[float],
    dropped: Sequence[float],
    limits: Sequence[float],
) -> Plot:
    """How many pictures have which value: kept ones over dropped ones, with the filter's limits."""
    values = [*kept, *dropped]
    low, high = min([*values, *limits]), max([*values, *limits])
    if low == high:
        low, high = low - 0.5, high + 0.5
    with plt.rc_context(STYLE):
        figure, axes = _axes(title)
        axes.hist(
            [kept, dropped],
            bins=30,
            range=(low, high),
            stacked=True,
            color=[ACCENT, FAINT],
            label=["kept", "dropped"],
            rwidth=0.9,
        )
        axes.set_ylim(top=axes.get_ylim()[1] * 1.12)  # room for the limits' figures
        for limit in limits:
            right = (limit - low) / (high - low) > 0.85  # the figure must stay in the drawing
            axes.axvline(limit, color=SECOND, linewidth=1.2, linestyle=(0, (4, 2)))
            axes.annotate(
                f"{limit:g}",
                (limit, 1),
                xycoords=("data", "axes fraction"),
                xytext=(-4 if right else 4, -2),
                textcoords="offset points",
                ha="right" if right else "left",
                va="top",
                color=SECOND,
            )
        axes.set_xlabel(axis)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_locator(MaxNLocator(6))
        words = f"{title}: {len(kept):,} kept, {len(dropped):,} dropped"
        if limits:
            words += ", limits " + " and ".join(f"{limit:g}" for limit in limits)
        return Plot(title, _svg(figure, words))


def curves(title: str, lines: Sequence[Line], boundaries: Sequence[tuple[float, str]]) -> Plot:
    """Values over the steps of training; `boundaries` are the first steps and names of phases."""
    with plt.rc_context(STYLE):
        figure, axes = _axes(title)
        for line, colour in zip(lines, (ACCENT, SECOND, THIRD), strict=False):
            x, y = _thinned(line.x, line.y)
            axes.plot(
                x,
                y,
                color=colour,
                label=line.label,
                marker="o" if line.dots else None,
                markersize=3.5,
            )
        axes.margins(y=0.14)
        for start, name in boundaries:
            if start > 0:
                axes.axvline(start, color=SOFT, linewidth=0.8, linestyle=(0, (2, 2)))
            axes.annotate(
                name,
                (start, 1),
                xycoords=("data", "axes fraction"),
                xytext=(4, -1),
                textcoords="offset points",
                va="top",
                color=SOFT,
            )
        if len(lines) > 1:
            figure.legend(
                loc="upper right",
                bbox_to_anchor=(1.0, 1.0),
                borderaxespad=0,
                frameon=False,
                ncols=len(lines),
                handlelength=1.0,
                columnspacing=1.0,
                handletextpad=0.4,
                borderpad=0,
            )
        axes.set_xlabel("step")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        ends = ", ".join(
            f"{line.label} from {line.y[0]:.4g} to {line.y[-1]:.4g}" for line in lines if line.y
        )
        last = max(line.x[-1] for line in lines)
        return Plot(title, _svg(figure, f"{title} over {last:,.0f} steps: {ends}"))


def dots(title: str, axis: str, groups: Sequence[tuple[str, Sequence[Dot]]], of: str) -> Plot:
    """Values with their intervals, one below the other, under the names of their groups.

    A group whose name is empty has no heading. Experiments are filled, yardsticks hollow. The
    drawing's description says what it is `of`.
    """
    colours = {"experiment": ACCENT, "compared": SECOND}
    height = DOTS_LINE * sum(bool(name) + len(members) for name, members in groups) + 26 + 46
    with plt.rc_context(STYLE):
        figure, axes = _axes(title, height, left=LABELS + 6)
        at = 0
        for name, members in groups:
            if name:
                _label(axes, at, name, 0, WIDTH, fontweight="bold")
                at += 1
            for dot in members:
                colour = colours.get(dot.kind, SOFT)
                _label(axes, at, dot.label, 8 if name else 0, LABELS)
                if dot.low is not None and dot.high is not None:
                    axes.plot([dot.low, dot.high], [at, at], color=colour)
                filled = colour if dot.kind in colours else PAPER
                axes.plot([dot.value], [at], "o", ms=6.5, mec=colour, mfc=filled, mew=1.4)
                at += 1
        axes.set_ylim(at - 0.4, -0.6)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=RULE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.margins(x=0.06)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel(axis)
        words = "; ".join(
            f"{name}: " * bool(name) + ", ".join(f"{dot.label} {dot.value:.4g}" for dot in members)
            for name, members in groups
        )
        return Plot(title, _svg(figure, f"{title}, {of}. {words}", height))


def error_by_confidence(bins: Sequence[tuple[float, float, int]], of: str) -> Plot:
    """Mean error over mean confidence; `bins` are (confidence, error in ΔE00, count of pictures).

    The drawing's description says what it is `of`.
    """
    title = "Mean error (ΔE00) by confidence"
    with plt.rc_context(STYLE):
        figure, axes = _axes(title)
        ranked = sorted(bins)
        axes.plot(
            [confidence for confidence, _, _ in ranked],
            [error for _, error, _ in ranked],
            color=ACCENT,
            marker="o",
            markersize=5,
            linewidth=1,
        )
        axes.margins(x=0.06, y=0.12)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("confidence: 1 − mean uncertainty")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        words = "; ".join(f"{error:.3g} at {confidence:.3g}" for confidence, error, _ in ranked)
        return Plot(title, _svg(figure, f"{title}, {of}, from the least confident: {words}"))


def svg_file(plot: Plot) -> str:
    """The drawing as an SVG file in the light scheme, on its paper, with a margin."""
    text = re.sub(r"var\(--(\w+)\)", lambda match: LIGHT[match.group(1)], plot.svg)
    head, _, rest = text.partition(">")
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    head = head.replace("<svg", f'<svg {spaces} font-family="sans-serif"', 1)
    width, height = map(int, re.findall(r'viewBox="0 0 (\d+) (\d+)"', head)[0])
    whole = f'width="{width + 2 * MARGIN}" height="{height + 2 * MARGIN}"'
    box = f'viewBox="{-MARGIN} {-MARGIN} {width + 2 * MARGIN} {height + 2 * MARGIN}" {whole}'
    head = re.sub(r'viewBox="[^"]*"', box, head)
    paper = f'<rect x="{-MARGIN}" y="{-MARGIN}" {whole} fill="{LIGHT["paper"]}"/>'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}>{paper}{rest}\n'


def _label(axes: Any, line: int, text: str, left: float, right: float, **style: Any) -> None:
    """A line's name at the drawing's edge, cut where it would leave its column."""
    text = " ".join(text.split())
    room = int((right - left) / LETTER)
    axes.annotate(
        text if len(text) <= room else text[: room - 1] + "…",
        (0, line),
        xycoords=("axes fraction", "data"),
        xytext=(left - LABELS - 6, 0),
        textcoords="offset points",
        va="center",
        annotation_clip=False,
        **style,
    )


def _axes(title: str, height: float = HEIGHT, left: float = 46) -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=(WIDTH / 72, height / 72), dpi=72)
    figure.subplots_adjust(
        left=left / WIDTH, right=1 - 12 / WIDTH, bottom=42 / height, top=1 - 26 / height
    )
    # At the drawing's edge, not the axes': the title also names the upright axis.
    figure.text(0, 1, title, ha="left", va="top", fontsize=TEXT, fontweight="bold")
    axes.tick_params(length=3, width=0.8)
    return figure, axes


def _thinned(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """At most MAX_POINTS points, each the mean of its neighbours."""
    size = -(-len(x) // MAX_POINTS)
    if size <= 1:
        return list(x), list(y)
    parts = [slice(start, start + size) for start in range(0, len(x), size)]
    return [_mean(x[part]) for part in parts], [_mean(y[part]) for part in parts]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _svg(figure: Any, description: str, height: float = HEIGHT) -> str:
    """The drawing as an inline SVG element named by `description`, with ids of its own, or none."""
    buffer = io.StringIO()
    words = html.escape(description)
    salt = hashlib.sha256(words.encode("utf-8")).hexdigest()[:12]
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    used = set(re.findall(r"(?:url\(#|xlink:href=\"#)([^)\"]+)", text))
    text = re.sub(
        r' id="([^"]*)"', lambda match: match.group(0) if match.group(1) in used else "", text
    )
    for name in used:
        text = text.replace(f'id="{name}"', f'id="p{salt}-{name}"')
        text = text.replace(f"#{name}", f"#p{salt}-{name}")
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)  # the page's own, not matplotlib's
    text = re.sub(r"(?<=>)\s+(?=<)| ?\n(?=[LMCz\"])", "", text)
    start = f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{words}">'
    return re.sub(r"^<svg[^>]*>", lambda _: start, text)
