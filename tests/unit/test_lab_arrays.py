"""Rows of .npy arrays of 8-bit Lab: OpenCV's convention, pairing, and files that lie."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochrom import lab_arrays
from photochrom.color import denormalize, normalize, rgb_to_lab
from photochrom.images import (
    ImageError,
    content_sha256,
    load_lab_square,
    load_rgb,
    load_square,
    path_from_text,
    path_to_text,
)
from photochrom.lab_arrays import (
    COLOUR,
    LIGHTNESS,
    ArrayError,
    decode_lab8,
    encode_lab8,
    read_parts,
    read_row,
    row_name,
    row_path,
)
from photochrom.shards import read_shard, write_shard

COUNTS = (4, 3, 2)


def save_layout(folder: Path, lightness: np.ndarray, colours: list[np.ndarray]) -> Path:
    for name, array in zip([LIGHTNESS, *COLOUR.values()], [lightness, *colours], strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / name, array)
    return folder


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    lightness = generator.integers(0, 256, (sum(COUNTS), 6, 8), dtype=np.uint8)
    colours = [generator.integers(60, 200, (count, 6, 8, 2), dtype=np.uint8) for count in COUNTS]
    return save_layout(tmp_path / "set", lightness, colours)


def test_the_convention_is_that_of_opencv() -> None:
    rgb = np.array(
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [128, 128, 128]], "u1"
    )
    # cv2.cvtColor(..., cv2.COLOR_RGB2LAB) of OpenCV for the same colours.
    lab8 = [[136, 208, 195], [224, 42, 211], [82, 207, 20]]
    lab8 += [[255, 128, 128], [0, 128, 128], [137, 128, 128]]
    assert encode_lab8(rgb_to_lab(rgb)).tolist() == lab8


def test_decoding_is_undone_by_encoding_at_every_level() -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert (encode_lab8(decode_lab8(levels)) == levels).all()
    assert decode_lab8(np.array([255, 128, 128], "u1")).tolist() == [100, 0, 0]
    assert decode_lab8(np.array([0, 0, 255], "u1")).tolist() == [0, -128, 127]


def test_neutral_stays_neutral_from_the_arrays_to_the_network_and_back(tmp_path: Path) -> None:
    """The seed gave neutral greys a green cast of a* = -8.8, its first notebook +5.7 (red)."""
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(3, axis=0)
    neutral = [np.full((1, 16, 16, 2), 128, np.uint8)] * 3
    folder = save_layout(tmp_path, ramp, neutral)
    row = folder / "ab/ab/ab2.npy#0"
    lab, _ = load_lab_square(row, 16)
    L, ab = normalize(lab[..., 0], lab[..., 1:])
    write_shard(tmp_path / "shard.h5", ["a"], [L], [ab], "")
    shard = read_shard(tmp_path / "shard.h5")
    L, ab = denormalize(shard.L[0] * shard.scale, shard.ab[0] * shard.scale)
    assert (ab == 0).all()
    assert np.abs(L - np.arange(256).reshape(16, 16) / 2.55).max() < 0.001
    rgb = load_rgb(row).astype(int)
    assert np.ptp(rgb, axis=-1).max() <= 1
    # What made the casts, for the record: constants taken from the data, two sets of them.
    green = (128 - 42) / (226 - 42) * (206 - 43) + 43 - 128
    red = (128 - 20) / 206 * 255 - 128
    assert (round(green, 1), round(red, 1)) == (-8.8, 5.7)


def test_rows_are_paired_with_the_lightness_that_follows_in_sequence(layout: Path) -> None:
    lightness = np.load(layout / LIGHTNESS)
    parts = read_parts(layout)
    assert [(part.rows, part.start, part.error) for part in parts] == [
        *((4, 0, ""), (3, 4, ""), (2, 7, ""))
    ]
    for part in parts:
        colour = np.load(part.path)
        for row in range(part.rows):
            lab8 = read_row(layout, part.number, row)
            assert (lab8[..., 0] == lightness[part.start + row]).all()
            assert (lab8[..., 1:] == colour[row]).all()
            assert row_name(row_path(part, row)) == (layout, part.number, row)


def test_a_row_beyond_the_last_is_refused(layout: Path) -> None:
    with pytest.raises(ArrayError, match=r"ab2\.npy has only 3 rows"):
        read_row(layout, 2, 3)
    with pytest.raises(ImageError, match="has only 3 rows"):
        load_square(layout / "ab/ab/ab2.npy#3", 6)


def test_loaders_take_a_row_as_they_take_a_file(layout: Path) -> None:
    path = path_from_text(path_to_text(layout / "ab/ab/ab1.npy#2"))
    lab8 = read_row(layout, 1, 2)
    lab, sha256 = load_lab_square(path, 6)  # the centred square of 8 x 6 at its own size
    assert (lab == decode_lab8(lab8)[:, 1:7].clip(-110, 110)).all()
    assert sha256 == content_sha256(path)
    assert load_square(path, 6).shape == (6, 6, 3)
    assert load_rgb(path).shape == (6, 8, 3)
    small, _ = load_lab_square(path, 3)
    assert small.shape == (3, 3, 3)
    assert np.abs(small[..., 0]).max() <= 100
    assert np.abs(small[..., 1:]).max() <= 110


def test_a_shrunk_row_keeps_its_mean_colour(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:56, 0:56]
    smooth = np.stack([100 + rows, 100 + columns, 150 - rows], axis=-1).astype(np.uint8)
    colours = [smooth[None, ..., 1:]] * 3
    folder = save_layout(tmp_path, np.repeat(smooth[None, ..., 0], 3, axis=0), colours)
    lab, _ = load_lab_square(folder / "ab/ab/ab1.npy#0", 32)
    assert np.abs(lab.mean((0, 1)) - decode_lab8(smooth).mean((0, 1))).max() < 0.05


def test_colours_that_srgb_cannot_show_stay_storable(tmp_path: Path) -> None:
    """8 bits reach a* = 127, networks see at most 110."""
    colours = [np.full((1, 4, 4, 2), value, np.uint8) for value in (255, 0, 128)]
    folder = save_layout(tmp_path, np.full((3, 4, 4), 128, np.uint8), colours)
    for part, value in ((1, 110), (2, -110)):
        lab, _ = load_lab_square(folder / f"ab/ab/ab{part}.npy#0", 4)
        assert (lab[..., 1:] == value).all()


def test_a_file_of_that_very_name_is_that_file(tmp_path: Path, layout: Path) -> None:
    path = layout / "ab/ab/ab1.npy#0"
    path.write_text("a letter")
    assert row_name(path) is None
    with pytest.raises(ImageError, match="not an image"):
        load_square(path, 4)
    for name in ("ab/ab/ab4.npy#0", "ab/ab/ab1.npy#01", "ab/ab/ab1.npy#-1", "ab1.npy#0", "a/x#1"):
        assert row_name(tmp_path / name) is None


class Payload:
    """Runs code when unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.canary),)


def pickled(path: Path) -> None:
    np.save(path, np.array([Payload(path.parent / "canary")] * 3, dtype=object), allow_pickle=True)


def bare_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(path.parent / "canary")))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def lengthened(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def lying(path: Path) -> None:
    """A header that states 4 TB."""
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 6, 8, 2)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(1000))


def negative(path: Path) -> None:
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (-3, 6, -8, 2)}
        np.lib.format.write_array_header_1_0(file, header)


def nested(path: Path) -> None:
    text = ("(" * 9000).ljust(9990).encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (pickled, "a pickle, which is never read because it may run code"),
    (bare_pickle, "not an .npy array"),
    (cut, "truncated: 415 bytes, its header states 416"),
    (cut_in_the_header, "not an .npy array"),
    (lengthened, "4 bytes more than its header states"),
    (lying, "truncated: 1128 bytes, its header states 96000000000128"),
    (negative, "an array of shape (-3, 6, -8, 2)"),
    (nested, "not an .npy array"),
    (fifo, "not a regular file"),
    (folder_instead, "not a regular file"),
    (Path.unlink, "missing"),
    (lambda path: path.write_bytes(b""), "zero bytes"),
    (lambda path: path.write_text("Not found"), "not an .npy array"),
    (lambda path: np.save(path, np.zeros((3, 6, 8, 2))), "an array of float64, not of uint8"),
    (
        lambda path: np.save(path, np.zeros((3, 6, 8, 2), "u1", order="F")),
        "an array of uint8 in Fortran order, not of uint8",
    ),
    (
        lambda path: np.save(path, np.zeros((3, 6, 8), "u1")),
        "an array of shape (3, 6, 8), not (N, H, W, 2)",
    ),
    (lambda path: np.save(path, np.uint8(3)), "an array of shape ()"),
    (
        lambda path: np.save(path, np.zeros((3, 8, 6, 2), "u1")),
        f"its pictures are not of the size of those in {LIGHTNESS}",
    ),
]


@pytest.mark.parametrize(("damage", "reason"), FAULTS)
def test_a_faulty_array_costs_its_own_part_only(
    layout: Path, damage: Callable[[Path], object], reason: str
) -> None:
    before = {part: read_row(layout, part, 1) for part in (1, 3)}
    damage(layout / COLOUR[2])
    parts = read_parts(layout)
    assert [part.error for part in parts] == ["", reason, ""]
    for part, lab8 in before.items():
        assert (read_row(layout, part, 1) == lab8).all()
    with pytest.raises(ImageError) as fault:
        load_square(layout / "ab/ab/ab2.npy#0", 4)
    assert fault.value.reason == reason
    assert not list(layout.rglob("canary"))


def test_faulty_lightness_costs_all(layout: Path) -> None:
    cut(layout / LIGHTNESS)
    with pytest.raises(ArrayError, match="truncated"):
        read_parts(layout)


def test_parts_that_cannot_be_paired_are_refused(layout: Path) -> None:
    np.save(layout / COLOUR[3], np.zeros((3, 6, 8, 2), "u1"))  # a row more than there is lightness
    reason = f"its number of rows does not fit that of {LIGHTNESS}"
    assert [part.error for part in read_parts(layout)] == [reason] * 3


def test_two_unreadable_arrays_leave_the_third_only_where_its_rows_are_known(layout: Path) -> None:
    cut_in_the_header(layout / COLOUR[2])
    cut_in_the_header(layout / COLOUR[3])
    assert [part.error for part in read_parts(layout)] == ["", *["not an .npy array"] * 2]
    lab8 = read_row(layout, 1, 3)
    assert (lab8[..., 0] == np.load(layout / LIGHTNESS)[3]).all()


@given(st.lists(st.integers(1, 9), min_size=3, max_size=3), st.sets(st.integers(0, 2), max_size=3))
def test_starts_are_right_or_absent(counts: list[int], unknown: set[int]) -> None:
    known = [None if number in unknown else count for number, count in enumerate(counts)]
    starts = lab_arrays._starts(sum(counts), known)
    for number, start in starts.items():
        assert start == sum(counts[: number - 1])
    if len(unknown) < 2:
        assert {0, 1, 2} - unknown <= {number - 1 for number in starts}


def test_an_array_that_changed_after_it_was_listed_is_noticed(layout: Path) -> None:
    path = layout / "ab/ab/ab1.npy#0"
    before = content_sha256(path)
    array = np.load(layout / COLOUR[1])
    array[0, 0, 0] ^= 1
    np.save(layout / COLOUR[1], array)
    assert content_sha256(path) != before
    cut(layout / COLOUR[1])
    with pytest.raises(ImageError, match="truncated"):
        content_sha256(path)
