"""The filters: each a named function of the measured columns of one picture and a threshold.

A filter returns "" for a picture that passes, else why it fails, with the figure; the threshold
itself passes. `FILTERS` names them all; `data.filters` in the config holds their thresholds, null
switching one off. Nothing is measured here, so that a changed threshold costs no decoding.

Two more reasons for dropping a picture are not of this kind: `unreadable`, which nobody can switch
off, and `duplicates`, which judges a picture by the others (`photochrom.catalog`).
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from photochrom.runtime import StageError
from photochrom.tables import Row


def brightness(picture: Row, limits: list[float]) -> str:
    """Mean L* on the seed's scale 0..255 lies within [low, high]; the seed took [50, 170]."""
    low, high = limits
    mean = float(picture["mean_L"]) * 2.55
    if mean < low:
        return f"mean L {mean:.1f} below {low:g}"
    return f"mean L {mean:.1f} above {high:g}" if mean > high else ""


def chroma_std(picture: Row, least: float) -> str:
    """The joint standard deviation of a* and b* is at least this; the seed took 10."""
    return _below(float(picture["chroma_std"]), least)


def colourfulness(picture: Row, least: float) -> str:
    """Hasler and Süsstrunk's colourfulness is at least this; 15 is slightly colourful."""
    return _below(float(picture["colourfulness"]), least)


def near_grey(picture: Row, most: float) -> str:
    """Some pixel has |a*| or |b*| above this: the mask of Zhang et al. (2016), who took 5."""
    value = float(picture["max_ab"])
    return f"no |a| or |b| above {most:g}, the largest is {value:.1f}" if value <= most else ""


def toned(picture: Row, least: float) -> str:
    """The colours deviate by at least this from a single tint (`measures.tint_deviation`).

    Paper, toning and fading colour a monochrome photograph by its lightness alone; so do sea and
    sky in fog, which this drops too.
    """
    value = float(picture["tint_deviation"])
    return f"{value:.1f} Lab units from one tint, below {least:g}" if value < least else ""


def min_size(picture: Row, least: float) -> str:
    """The short side has at least this many pixels."""
    width, height = int(picture["width"]), int(picture["height"])
    return (
        f"{width} x {height} px, short side below {least:g}" if min(width, height) < least else ""
    )


def max_aspect(picture: Row, most: float) -> str:
    """The long side is at most this many times the short one: little is lost to the square crop."""
    width, height = int(picture["width"]), int(picture["height"])
    ratio = max(width, height) / min(width, height)
    return f"{width} x {height} px, {ratio:.2f}:1 above {most:g}:1" if ratio > most else ""


FILTERS: dict[str, Callable[[Row, Any], str]] = {
    function.__name__: function
    for function in (
        brightness,
        chroma_std,
        colourfulness,
        near_grey,
        toned,
        min_size,
        max_aspect,
    )
}
DUPLICATES = "duplicates"
UNREADABLE = "unreadable"


def failed_filters(picture: Row, filters: Mapping[str, Any]) -> list[str]:
    """Why a picture is dropped: each filter it fails, "name: figure"; empty when it passes all.

    `picture` holds the columns of sources.csv and of measures.csv.
    """
    error = picture["error"].replace(";", ",")  # ";" separates the reasons in the catalog
    if error:
        return [error if error.startswith(UNREADABLE) else f"{UNREADABLE}: {error}"]
    failed = (
        (name, judge(picture, filters[name]))
        for name, judge in FILTERS.items()
        if filters.get(name) is not None
    )
    return [f"{name}: {why}" for name, why in failed if why]


def check_filters(filters: Mapping[str, Any]) -> None:
    """Raise StageError for a filter that does not exist or a threshold of another kind."""
    known = [*FILTERS, DUPLICATES]
    for name, threshold in filters.items():
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
            raise StageError(f"data.filters: no filter is called {name}; {hint}")
        if threshold is None:
            continue
        if name == "brightness":
            fits = isinstance(threshold, list) and len(threshold) == 2
            fits, wanted = fits and all(map(_is_number, threshold)), "[low, high]"
        elif name == DUPLICATES:
            fits, wanted = type(threshold) is int and threshold >= 1, "a whole number of at least 1"
        else:
            fits, wanted = _is_number(threshold), "a number"
        if not fits:
            raise StageError(f"data.filters: {name} must be {wanted} or null, not {threshold!r}")


def _below(value: float, least: float) -> str:
    return f"{value:.1f} below {least:g}" if value < least else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
