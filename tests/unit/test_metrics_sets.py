"""Distances of whole rows: with which photographs, in which intervals, and why there are none."""

from pathlib import Path

import numpy as np
import pytest

from photochrom.metrics.distances import frechet, kernel
from photochrom.metrics.eyes import Eyes, Reference, read_reference, write_reference
from photochrom.metrics.measuring import Measurement
from photochrom.metrics.photographs import Photograph
from photochrom.metrics.protocols import PROTOCOLS, in_first_half
from photochrom.metrics.sets import CORRECTED, DISTANCES, distances_of, halved
from photochrom.metrics.summary import Estimate
from photochrom.runtime import StageError

COUNT, GROUPS = 120, 60
PHOTOGRAPHS = [
    Photograph(f"p{number:03}", f"g{number % GROUPS}", Path("x"), f"{number:03}")
    for number in range(COUNT)
]
ALL = ("lite2", "inception", "inception-clean")
GENERATOR = np.random.default_rng(0)
TRUTH = GENERATOR.normal(size=(COUNT, 4)).astype(np.float32)
PICTURES = (TRUTH + GENERATOR.normal(0.5, 0.3, size=(COUNT, 4))).astype(np.float32)
MISSING = dict.fromkeys(ALL[1:], "not computed: 120 pictures, a FID needs 2,048 or more")
SQUARES = GENERATOR.integers(100, 160, size=(COUNT, 16, 16, 3), dtype=np.uint8)


def mean_colour(picture: np.ndarray) -> np.ndarray:
    return np.append(picture.mean(axis=(0, 1)), picture.std()).astype(np.float32)


def reference(colourfulness: float = 10.0, missing: dict[str, str] = MISSING) -> Reference:
    names = [photograph.id for photograph in PHOTOGRAPHS]
    contents = [photograph.sha256 for photograph in PHOTOGRAPHS]
    features = {name: TRUTH for name in ALL if name not in missing}
    return Reference(names, contents, np.full(COUNT, colourfulness), features, missing)


def eyes(missing: dict[str, str] = MISSING) -> Eyes:
    return Eyes({name: mean_colour for name in ALL if name not in missing}, missing)


def ends(estimate: Estimate) -> tuple[float, float, float]:
    """The interval's low end, the value, the high end."""
    value, low, high, _, _ = estimate
    assert value is not None
    assert low is not None
    assert high is not None
    return low, value, high


def row(name: str = "paired-256crop") -> Measurement:
    features = {eye: list(PICTURES) for eye in ALL}
    return Measurement(PROTOCOLS[name], list(PHOTOGRAPHS), features=features)


def test_a_row_against_its_own_photographs() -> None:
    found = distances_of(row(), reference(), eyes(), 1)
    low, value, high = ends(found["fd_lite2"])
    assert value == pytest.approx(frechet(PICTURES, TRUTH))
    assert 0 < low < value < high < 2 * value
    assert found["fd_lite2"][3:] == (COUNT, None)
    low, value, high = ends(found["kid_lite2"])
    assert value == pytest.approx(kernel(PICTURES, TRUTH))
    assert low < value < high
    for name in ("fid", "kid", "fid_infinity", "fid_clean"):
        assert found[name] == (None, None, None, COUNT, MISSING["inception"])
    # Pictures that were not kept cannot be corrected.
    assert not set(CORRECTED.values()) & set(found)


def test_an_interval_covers_what_fresh_photographs_give() -> None:
    """The jackknife's spread is that of the distance over samples, within a factor of two."""
    generator = np.random.default_rng(1)

    def sample() -> tuple[np.ndarray, np.ndarray]:
        truth = generator.normal(size=(COUNT, 4)).astype(np.float32)
        return truth, (truth + generator.normal(0.5, 0.3, size=(COUNT, 4))).astype(np.float32)

    spread = np.std([frechet(pictures, truth) for truth, pictures in (sample() for _ in range(60))])
    low, _, high = ends(distances_of(row(), reference(), eyes(), 1)["fd_lite2"])
    assert 0.5 < (high - low) / (2 * 2.262) / spread < 2


def test_few_groups_have_no_interval() -> None:
    few = row()
    few.photographs = [
        Photograph(p.id, str(int(p.sha256) % 9), p.path, p.sha256) for p in PHOTOGRAPHS
    ]
    _, low, _, _, reason = distances_of(few, reference(), eyes(), 1)["fd_lite2"]
    assert low is None
    assert reason == "interval not computed: fewer than 10 groups of photographs"


def test_halves_share_no_group_and_are_of_one_size() -> None:
    half = halved(row(), PROTOCOLS["disjoint"], PHOTOGRAPHS)
    assert len(half.photographs) == len(half.against) > 40
    assert all(in_first_half(photograph.group) for photograph in half.photographs)
    assert not any(in_first_half(photograph.group) for photograph in half.against)
    places = [PHOTOGRAPHS.index(photograph) for photograph in half.photographs]
    assert np.array_equal(half.features["lite2"], PICTURES[places])
    assert half.values == []
    found = distances_of(half, reference(), eyes(), 1)
    against = TRUTH[[PHOTOGRAPHS.index(photograph) for photograph in half.against]]
    if len(half.photographs) >= 64:
        assert found["fd_lite2"][0] == pytest.approx(frechet(PICTURES[places], against))
    else:
        assert found["fd_lite2"][4] == (
            f"not computed: {len(half.photographs)} pictures, 64 are needed"
        )


def test_photographs_stay_in_their_half_when_others_join() -> None:
    fewer = halved(row(), PROTOCOLS["disjoint"], PHOTOGRAPHS[:60])
    assert {p.group for p in fewer.photographs}.isdisjoint(p.group for p in fewer.against)


def test_inception_by_the_formula_of_pytorch_fid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photochrom.metrics.sets.LEAST", dict.fromkeys(ALL, 64), raising=True)
    found = distances_of(row(), reference(missing={}), eyes({}), 1)
    for name in ("fid", "fid_clean"):
        assert found[name][0] == pytest.approx(frechet(PICTURES, TRUTH), abs=2e-3)
        assert str(found[name][4]).startswith("interval not computed")
    assert found["kid"][0] == pytest.approx(kernel(PICTURES, TRUTH))
    assert found["fid_infinity"][0] is not None


def test_colour_is_brought_to_the_truths(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = row()
    kept.pictures = lambda: iter(SQUARES)
    plain = kept.features["lite2"] = [mean_colour(picture) for picture in SQUARES]
    weak, strong = (
        distances_of(kept, reference(colourfulness), eyes(), 2) for colourfulness in (8, 30)
    )
    assert (
        weak["fd_lite2"][0]
        == strong["fd_lite2"][0]
        == pytest.approx(frechet(np.stack(plain), TRUTH))
    )
    assert None not in (weak["hi_fd_lite2"][0], strong["hi_fd_lite2"][0])
    assert weak["hi_fd_lite2"][0] != strong["hi_fd_lite2"][0]
    assert weak["hi_fid"][4] == MISSING["inception"]
    kept.pictures = lambda: iter(np.full_like(SQUARES, 128))
    reason = distances_of(kept, reference(), eyes(), 1)["hi_fd_lite2"][4]
    assert str(reason).startswith("not computed: the pictures have too little colour")


def test_whole_photographs_have_no_distances() -> None:
    found = distances_of(row("native"), reference(), eyes(), 1)
    for names in DISTANCES.values():
        for name in names:
            assert str(found[name][4]).startswith("not computed: photographs of all shapes")


def test_the_reference_comes_back_as_it_was(tmp_path: Path) -> None:
    path, again = tmp_path / "reference.npz", tmp_path / "again.npz"
    features = {"lite2": list(TRUTH)}
    for file in (path, again):
        write_reference(file, PHOTOGRAPHS, [3.0] * COUNT, features, MISSING)
    assert path.read_bytes() == again.read_bytes()
    read = read_reference(path, PHOTOGRAPHS)
    assert np.array_equal(read.of("lite2", ["p003", "p001"]), TRUTH[[3, 1]])
    assert read.missing == MISSING
    assert read.mean_colourfulness(["p000"]) == 3
    # One more photograph than it has seen: named in the figure, no fault.
    more = [*PHOTOGRAPHS, Photograph("q", "g", Path("x"), "q")]
    late = row()
    late.photographs = more
    late.features = {"lite2": [*PICTURES, PICTURES[0]]}
    reason = distances_of(late, read_reference(path, more), eyes(), 1)["fd_lite2"][4]
    assert reason == "not computed: the reference lacks 1 of the photographs; make it again"


def test_damaged_and_foreign_references(tmp_path: Path) -> None:
    path = tmp_path / "reference.npz"
    write_reference(path, PHOTOGRAPHS, [3.0] * COUNT, {"lite2": list(TRUTH)}, MISSING)
    with pytest.raises(StageError, match=r"of other photographs; make it again: reference\.py"):
        read_reference(path, PHOTOGRAPHS[1:])
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(StageError, match=r"cannot be used .*; make it again: reference\.py"):
        read_reference(path, PHOTOGRAPHS)
    with pytest.raises(StageError, match=r"is made by reference\.py"):
        read_reference(tmp_path / "none.npz", PHOTOGRAPHS)
