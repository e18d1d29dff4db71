"""Kinds of photographs: by colourfulness, by brightness, by source and by subject."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from photochrom.metrics.photographs import Photograph

# What photographs are cut into quarters by.
QUARTERED: dict[str, Callable[[Photograph], float]] = {
    "colourfulness": lambda photograph: photograph.colourfulness,
    "brightness (mean L*)": lambda photograph: photograph.mean_lightness,
}
# What they are told apart by.
NAMED: dict[str, Callable[[Photograph], str]] = {
    "source": lambda photograph: photograph.source,
    "subject": lambda photograph: photograph.subject,
}
# Fewer photographs are not cut up: a figure of three pictures says nothing.
LEAST = 8


def slices_of(
    photographs: Sequence[Photograph], everyone: Sequence[Photograph]
) -> Iterator[tuple[str, str, list[int]]]:
    """Each slice and level with the places of those of its `photographs`.

    Levels are quarters of `everyone`, by what the catalogue says of the photographs, so that all
    rows are cut alike. A source is a level when there are two or more of them; so is a subject,
    where it is known.
    """
    if len(everyone) < LEAST:
        return
    for name, of in QUARTERED.items():
        all_values = np.array([of(photograph) for photograph in everyone])
        edges = np.unique(np.quantile(all_values, [0.25, 0.5, 0.75]))
        limits = [all_values.min(), *edges, all_values.max()]
        quarter = np.searchsorted(edges, [of(photograph) for photograph in photographs], "right")
        for number in range(len(edges) + 1):
            places = np.flatnonzero(quarter == number).tolist()
            if places:
                yield name, f"{limits[number]:.0f} to {limits[number + 1]:.0f}", places
    for name, kind in NAMED.items():
        levels = sorted({kind(photograph) for photograph in everyone} - {""})
        for level in levels if len(levels) > 1 else ():
            places = [place for place, each in enumerate(photographs) if kind(each) == level]
            if places:
                yield name, level, places
