"""The HDF5 contract: round trip, determinism, and that damage is found."""

import random
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import photochrom
from photochrom.color import AB_SCALE, L_SCALE
from photochrom.runtime import StageError, csv_text
from photochrom.shards import (
    BATCH,
    index_rows,
    load_split,
    read_shard,
    rebuilding,
    write_shard,
    write_stored,
)
from photochrom.tables import SHARDS_COLUMNS, SPLIT_COLUMNS

IDS = [f"cat-r{number}-c0" for number in range(6)]


@pytest.fixture
def pictures() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    L = generator.uniform(-1, 1, (6, 12, 12)).astype(np.float32)
    ab = generator.uniform(-1, 1, (6, 12, 12, 2)).astype(np.float32)
    return L, ab


@pytest.fixture
def shard(tmp_path: Path, pictures: tuple[np.ndarray, np.ndarray]) -> Path:
    path = tmp_path / "shard-00000.h5"
    write_shard(path, IDS, *pictures, rows_digest="d" * 64)
    return path


@pytest.fixture
def tables(tmp_path: Path, pictures: tuple[np.ndarray, np.ndarray]) -> tuple[Path, Path]:
    """shards.csv and split.csv over two shards of three pictures, alternately train and val."""
    L, ab = pictures
    paths = [tmp_path / "shard-00000.h5", tmp_path / "shard-00001.h5"]
    for number, path in enumerate(paths):
        part = slice(3 * number, 3 * number + 3)
        write_shard(path, IDS[part], L[part], ab[part], rows_digest="")
    shards, split = tmp_path / "shards.csv", tmp_path / "split.csv"
    shards.write_text(csv_text(SHARDS_COLUMNS, index_rows(paths)))
    rows = [
        (id, f"shard-0000{number // 3}", number % 3, "cat", 1 + number // 3, split_name)
        for number, (id, split_name) in enumerate(zip(IDS, ["train", "val"] * 3, strict=True))
    ]
    split.write_text(csv_text(SPLIT_COLUMNS, rows))
    return shards, split


def test_the_round_trip_error_is_half_a_step(
    shard: Path, pictures: tuple[np.ndarray, np.ndarray]
) -> None:
    L, ab = pictures
    read = read_shard(shard)
    assert read.ids == IDS
    assert read.L.dtype == read.ab.dtype == np.int16
    # As photochrom.stored states: 0.00076 in L*, 0.0017 in a* and b*.
    assert np.abs(read.L * read.scale - L).max() * L_SCALE < 0.00077
    assert np.abs(read.ab * read.scale - ab).max() * AB_SCALE < 0.0017


def test_the_ends_are_exact(tmp_path: Path) -> None:
    L = np.array([[[-1.0, 0.0], [0.0, 1.0]]])
    write_shard(tmp_path / "a.h5", ["a"], L, np.zeros((1, 2, 2, 2)), "")
    read = read_shard(tmp_path / "a.h5")
    np.testing.assert_array_equal(read.L * read.scale, L)


def test_values_that_are_not_normalized_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="within"):
        write_shard(tmp_path / "a.h5", ["a"], np.full((1, 2, 2), 1.5), np.zeros((1, 2, 2, 2)), "")
    assert not list(tmp_path.iterdir())


def test_equal_inputs_give_equal_bytes(
    shard: Path, tmp_path: Path, pictures: tuple[np.ndarray, np.ndarray]
) -> None:
    time.sleep(1.1)  # HDF5 counts times in seconds
    again = tmp_path / "elsewhere" / "again.h5"
    write_shard(again, IDS, *pictures, rows_digest="d" * 64)
    assert again.read_bytes() == shard.read_bytes()


def test_the_file_says_what_it_is(shard: Path) -> None:
    with h5py.File(shard) as file:
        assert dict(file.attrs) == {
            "schema_version": 1,
            "software_version": "0.1.0",
            "scale_factor": 1 / 32767,
            "add_offset": 0.0,
            "L_scale": 50.0,
            "ab_scale": 110.0,
            "size": 12,
            "rows_digest": "d" * 64,
        }
        assert all(file[name].fletcher32 for name in ("L", "ab", "id"))


def test_of_120_flipped_bits_none_is_silent(shard: Path, tmp_path: Path) -> None:
    """A reader either refuses the shard or gets what was written, whichever bit is flipped."""
    whole, sound = shard.read_bytes(), read_shard(shard)
    shards = tmp_path / "shards.csv"
    shards.write_text(csv_text(SHARDS_COLUMNS, index_rows([shard])))
    split = tmp_path / "split.csv"
    rows = [(id, "shard-00000", row, "cat", 1, "train") for row, id in enumerate(IDS)]
    split.write_text(csv_text(SPLIT_COLUMNS, rows))
    assert load_split(shards, split, "train").ids == IDS
    generator = random.Random(0)
    raised = harmless = silent = 0
    for _ in range(120):
        bit = generator.randrange(len(whole) * 8)
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        shard.write_bytes(damaged)
        # Training reads through shards.csv, whose digest no flip passes.
        with pytest.raises(StageError, match="sha256"):
            load_split(shards, split, "train")
        try:
            read = read_shard(shard)
        except StageError:
            raised += 1
            continue
        same = read.ids == sound.ids and np.array_equal(read.L, sound.L)
        if same and np.array_equal(read.ab, sound.ab):
            harmless += 1  # a bit that HDF5 does not use
        else:
            silent += 1
    assert silent == 0
    assert raised > harmless


def test_every_flipped_bit_in_the_data_raises(shard: Path) -> None:
    whole = shard.read_bytes()
    stored = read_shard(shard).ab[3].tobytes()  # one chunk
    start = whole.index(stored)
    generator = random.Random(1)
    for _ in range(40):
        bit = generator.randrange(len(stored) * 8)
        damaged = bytearray(whole)
        damaged[start + bit // 8] ^= 1 << bit % 8
        shard.write_bytes(damaged)
        with pytest.raises(StageError, match="cannot be used"):
            read_shard(shard)


@pytest.mark.parametrize("share", [0, 0.2, 0.9, 0.999])
def test_truncated_shards_are_refused_with_the_way_out(shard: Path, share: float) -> None:
    whole = shard.read_bytes()
    shard.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StageError, match="cannot be used") as caught:
        read_shard(shard)
    assert f"`{rebuilding(shard)}`" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"), [("schema_version", 2), ("ab_scale", 128.0), ("scale_factor", 1 / 255)]
)
def test_other_constants_are_refused(shard: Path, name: str, value: float) -> None:
    with h5py.File(shard, "a") as file:
        file.attrs[name] = value
    with pytest.raises(StageError, match=name):
        read_shard(shard)


def test_datasets_of_another_size_are_refused(shard: Path) -> None:
    with h5py.File(shard, "a") as file:
        file.attrs["size"] = 11
    with pytest.raises(StageError, match="shapes"):
        read_shard(shard)


def test_pictures_that_are_missing_leave_no_shard(tmp_path: Path) -> None:
    pair = (np.zeros((2, 2), np.int16), np.zeros((2, 2, 2), np.int16))
    with pytest.raises(ValueError, match="1 pictures for 2 ids"):
        write_stored(tmp_path / "a.h5", ["a", "b"], 2, iter([pair]), "")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_an_error_and_no_crash(tmp_path: Path) -> None:
    """HDF5 would crash when the process ends, so the exit status is what tells."""
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from photochrom.shards import write_stored
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
pairs = [(np.zeros((64, 64), "i2"), np.zeros((64, 64, 2), "i2"))] * 9
write_stored(Path(sys.argv[1]), list("abcdefghi"), 64, iter(pairs), "")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.h5")],
        env={"PYTHONPATH": str(Path(photochrom.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "OSError: [Errno 27]" in done.stderr
    assert not list(tmp_path.iterdir())


def test_batches_do_not_show_in_the_shard(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    count = 2 * BATCH + 5
    L = generator.integers(-32767, 32768, (count, 3, 3), dtype=np.int16)
    ab = generator.integers(-32767, 32768, (count, 3, 3, 2), dtype=np.int16)
    ids = [f"{number}" for number in range(count)]
    write_stored(tmp_path / "a.h5", ids, 3, zip(L, ab, strict=True), "")
    read = read_shard(tmp_path / "a.h5")
    assert read.ids == ids
    np.testing.assert_array_equal(read.L, L)
    np.testing.assert_array_equal(read.ab, ab)


def test_other_hdf5_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(StageError, match="cannot be used"):
        read_shard(tmp_path / "a.h5")
    with pytest.raises(StageError, match="does not exist"):
        read_shard(tmp_path / "none.h5")


def test_a_split_is_gathered_over_shards(
    tables: tuple[Path, Path], pictures: tuple[np.ndarray, np.ndarray]
) -> None:
    L, ab = pictures
    train = load_split(*tables, "train")
    assert train.ids == IDS[::2]
    assert train.L.shape == (3, 1, 12, 12)
    assert train.ab.shape == (3, 2, 12, 12)
    np.testing.assert_allclose(train.L[:, 0] * train.scale, L[::2], atol=1e-4)
    np.testing.assert_allclose(train.ab.transpose(0, 2, 3, 1) * train.scale, ab[::2], atol=1e-4)
    second = load_split(*tables, "train", parts=[2])
    assert second.ids == [IDS[4]]
    assert len({train.digest, second.digest, load_split(*tables, "val").digest}) == 3
    assert load_split(*tables, "train").digest == train.digest


def test_an_empty_split_is_refused(tables: tuple[Path, Path]) -> None:
    with pytest.raises(StageError, match="no pictures in split test"):
        load_split(*tables, "test")
    with pytest.raises(StageError, match="split train with part 3"):
        load_split(*tables, "train", parts=[3])


def test_shards_that_are_not_the_indexed_ones_are_refused(
    tables: tuple[Path, Path], tmp_path: Path, pictures: tuple[np.ndarray, np.ndarray]
) -> None:
    L, ab = pictures
    second = tmp_path / "shard-00001.h5"
    write_shard(second, IDS[:3], L[:3], ab[:3], "")  # sound, but another
    with pytest.raises(StageError, match=r"shard-00001\.h5 cannot be used: .*sha256"):
        load_split(*tables, "train")
    tables[0].write_text(
        csv_text(SHARDS_COLUMNS, index_rows([tmp_path / "shard-00000.h5", second]))
    )
    with pytest.raises(StageError, match="run split again"):
        load_split(*tables, "train")
    second.unlink()
    with pytest.raises(StageError, match="--forcerun"):
        load_split(*tables, "train")
    lines = tables[0].read_text().splitlines(keepends=True)
    tables[0].write_text("".join(lines[:2]))
    with pytest.raises(StageError, match=r"names shard-00001, .*does not; run split again"):
        load_split(*tables, "train")
