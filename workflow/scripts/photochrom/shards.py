"""The HDF5 contract: shards of training pictures, and the training set read from them.

A shard holds, for N square pictures of one size, what networks see (`photochrom.color.normalize`):

    L   int16 (N, size, size)      L*/50 - 1, divided by scale_factor
    ab  int16 (N, size, size, 2)   a*/110 and b*/110, divided by scale_factor
    id  fixed-length ASCII (N)

with the constants and digests as attributes of the file; `photochrom.stored` makes the integers.
Equal inputs give equal bytes: the file format is pinned and holds no times. Every chunk carries a
Fletcher-32 checksum, the metadata their own, and shards.csv the SHA-256 of each file.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from photochrom.color import AB_SCALE, L_SCALE
from photochrom.runtime import StageError, atomic_path, existing_file, sha256_file
from photochrom.stored import SCALE_FACTOR, Stored, to_stored
from photochrom.tables import SHARDS_COLUMNS, SPLIT_COLUMNS, read_table
from photochrom.version import __version__

SCHEMA_VERSION = 1
# Pictures that are handed to HDF5 at a time.
BATCH = 64


@dataclass(frozen=True)
class Shard:
    """The content of one shard, as stored; normalized = stored * scale."""

    ids: list[str]
    L: NDArray[np.int16]  # (N, H, W)
    ab: NDArray[np.int16]  # (N, H, W, 2)
    scale: float


@dataclass(frozen=True)
class TrainingSet:
    """The pictures of one split, channels first, as stored; normalized = stored * scale."""

    ids: list[str]
    L: NDArray[np.int16]  # (N, 1, H, W)
    ab: NDArray[np.int16]  # (N, 2, H, W)
    scale: float
    digest: str  # sha256 over the ids and the stored bytes

    @property
    def size(self) -> int:
        """The side of the pictures in pixels."""
        return int(self.L.shape[-1])


@dataclass(frozen=True)
class ShardSet:
    """The pictures of one split, left in their shards: `places` are files and rows in them."""

    ids: list[str]
    places: list[tuple[Path, int]]
    size: int
    scale: float
    digest: str  # as that of the TrainingSet


def write_shard(
    path: Path,
    ids: Sequence[str],
    L: Sequence[NDArray[np.floating]] | NDArray[np.floating],
    ab: Sequence[NDArray[np.floating]] | NDArray[np.floating],
    rows_digest: str,
) -> None:
    """`write_stored` for L (N, size, size) and ab (N, size, size, 2) normalized, in [-1, 1]."""
    pictures = ((to_stored(one), to_stored(two)) for one, two in zip(L, ab, strict=True))
    write_stored(path, ids, L[0].shape[0], pictures, rows_digest)


def write_stored(
    path: Path,
    ids: Sequence[str],
    size: int,
    pictures: Iterable[tuple[Stored, Stored]],
    rows_digest: str,
) -> None:
    """Write a shard atomically.

    `pictures` gives L (size, size) and ab (size, size, 2) as stored, one for each id; they are
    taken one by one. `rows_digest` is the digest of the catalog rows that the shard was made of.
    """
    count = len(ids)
    names = np.array([name.encode("ascii") for name in ids], dtype="S")
    attributes = _constants() | {
        "software_version": __version__,
        "size": size,
        "rows_digest": rows_digest,
    }
    # One picture a chunk: a damaged chunk is found when its picture is read.
    options = {"fletcher32": True, "track_times": False}
    # Built in memory: on a full disk HDF5 crashes, and takes the process with it.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=("v110", "v110")) as file:
        for name, value in sorted(attributes.items()):
            file.attrs[name] = value
        L, ab = (
            file.create_dataset(name, (count, *shape), "<i2", chunks=(1, *shape), **options)
            for name, shape in (("L", (size, size)), ("ab", (size, size, 2)))
        )
        file.create_dataset("id", data=names, chunks=names.shape, **options)
        batch = [np.empty((BATCH, *data.shape[1:]), "<i2") for data in (L, ab)]
        done = 0
        for picture in pictures:
            at = done % BATCH
            for values, part in zip(batch, picture, strict=True):
                values[at] = part
            done += 1
            if at + 1 == BATCH or done == count:
                for data, values in zip((L, ab), batch, strict=True):
                    data[done - at - 1 : done] = values[: at + 1]
    if done != count:
        raise ValueError(f"{done} pictures for {count} ids")
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_shard(path: Path) -> Shard:
    """Read a shard and check all of it.

    Raises StageError when the file is missing, damaged in any way, or written under another
    schema or with other colour constants.
    """
    existing_file(path, "normalize.py")
    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
            L, ab, names = file["L"][()], file["ab"][()], file["id"][()]
            ids = [name.decode("ascii") for name in names]
    except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from error
    for name, expected in _constants().items():
        if attributes.get(name) != expected:
            found = attributes.get(name, "missing")
            raise _damaged(path, f"{name} is {found}, this version needs {expected}")
    size = int(attributes.get("size", 0))
    if (L.shape, ab.shape, L.dtype.str, ab.dtype.str) != (
        (len(ids), size, size),
        (len(ids), size, size, 2),
        "<i2",
        "<i2",
    ):
        raise _damaged(path, "its datasets are not of the shapes that its attributes state")
    return Shard(ids, L, ab, SCALE_FACTOR)


def index_rows(paths: Iterable[Path]) -> list[tuple[str, Path, int, str, int]]:
    """The rows of shards.csv: one per shard, each read and checked."""
    rows = []
    for path in paths:
        shard = read_shard(path)
        rows.append((path.stem, path, len(shard.ids), sha256_file(path), shard.L.shape[1]))
    return rows


def load_split(
    shards_csv: Path, split_csv: Path, split: str, parts: Sequence[int] | None = None
) -> TrainingSet:
    """Read the pictures of `split` ("train", "val" or "test") into memory, in split.csv's order.

    `parts` narrows them to these portions. Each shard that is needed is first checked against the
    digest in shards.csv. Raises StageError when nothing is left or a shard is damaged.
    """
    places = _places(shards_csv, split_csv, split, parts)
    ids = [id for place in places for id in place.ids]
    lightness, colour = [], []
    for place in places:
        shard = _checked(place, shards_csv, split_csv)
        lightness.append(_lightness(shard, place))
        colour.append(_colour(shard, place))
    L, ab = np.concatenate(lightness), np.concatenate(colour)
    digest = _content_sha256(ids, [L], [ab], len(ids), L.shape[-1])
    return TrainingSet(ids, L, ab, SCALE_FACTOR, digest)


def list_split(
    shards_csv: Path, split_csv: Path, split: str, parts: Sequence[int] | None = None
) -> ShardSet:
    """As `load_split`, but the pictures stay in their shards; one shard is read at a time."""
    places = _places(shards_csv, split_csv, split, parts)
    ids = [id for place in places for id in place.ids]
    size = _checked(places[0], shards_csv, split_csv).L.shape[-1]
    lightness = (_lightness(_checked(p, shards_csv, split_csv), p) for p in places)
    colour = (_colour(_checked(p, shards_csv, split_csv), p) for p in places)
    digest = _content_sha256(ids, lightness, colour, len(ids), size)
    where = [(place.path, row) for place in places for row in place.rows]
    return ShardSet(ids, where, size, SCALE_FACTOR, digest)


def read_pictures(
    places: Iterable[tuple[Path, int]],
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """L (n,1,H,W) and ab (n,2,H,W) of single rows of shards, as stored, each checked by HDF5."""
    lightness, colour = [], []
    for path, row in places:
        file = _open(path)
        try:
            lightness.append(file["L"][row])
            colour.append(file["ab"][row])
        except (OSError, ValueError) as error:
            raise _damaged(path, str(error).splitlines()[0]) from error
    ab = np.ascontiguousarray(np.stack(colour).transpose(0, 3, 1, 2))
    return np.stack(lightness)[:, None], ab


def colours(data: TrainingSet | ShardSet) -> Iterator[NDArray[np.int16]]:
    """All ab (n,2,H,W) of a set as stored, some pictures at a time."""
    for start in range(0, len(data.ids), BATCH):
        if isinstance(data, TrainingSet):
            yield data.ab[start : start + BATCH]
        else:
            yield read_pictures(data.places[start : start + BATCH])[1]


@lru_cache(maxsize=256)
def _open(path: Path) -> h5py.File:
    """A shard that stays open; not to be handed to another process."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise _damaged(path, str(error).splitlines()[0]) from error


@dataclass(frozen=True)
class _Place:
    """What a split takes of one shard."""

    path: Path
    sha256: str
    rows: list[int]
    ids: list[str]


def require_parts(split_csv: Path, parts: Iterable[int]) -> None:
    """StageError when the training pictures lack one of these parts of the data."""
    rows = read_table(split_csv, SPLIT_COLUMNS, "split.py")
    there = {int(row["part"]) for row in rows if row["split"] == "train"}
    missing = sorted(set(parts) - there)
    if missing:
        raise StageError(
            f"{split_csv} has no training pictures of part {', '.join(map(str, missing))}, which a "
            f"phase of the experiment names; there are those of part "
            f"{', '.join(map(str, sorted(there))) or 'none'}: change parts of the phase, or add "
            "the data"
        )


def _places(
    shards_csv: Path, split_csv: Path, split: str, parts: Sequence[int] | None
) -> list[_Place]:
    """What a split takes of each shard, in split.csv's order."""
    wanted: dict[str, list[tuple[int, str]]] = {}
    for row in read_table(split_csv, SPLIT_COLUMNS, "split.py"):
        if row["split"] == split and (parts is None or int(row["part"]) in parts):
            wanted.setdefault(row["shard"], []).append((int(row["row"]), row["id"]))
    if not wanted:
        narrowed = "" if parts is None else f" with part {', '.join(map(str, parts))}"
        raise StageError(
            f"{split_csv} has no pictures in split {split}{narrowed}; change data.split in the "
            "config (or parts of the phase in the experiment)"
        )
    index = read_table(shards_csv, SHARDS_COLUMNS, "normalize.py index")
    recorded = {row["shard"]: (Path(row["path"]), row["sha256"]) for row in index}
    for name in wanted.keys() - recorded.keys():
        raise StageError(f"{split_csv} names {name}, {shards_csv} does not; run split again")
    return [
        _Place(*recorded[name], *map(list, zip(*taken, strict=True)))
        for name, taken in wanted.items()
    ]


def _checked(place: _Place, shards_csv: Path, split_csv: Path) -> Shard:
    """The whole shard, when it is the one that both tables are about."""
    path = place.path
    if not path.is_file() or sha256_file(path) != place.sha256:
        raise _damaged(path, f"missing, or its sha256 is not the one in {shards_csv}")
    shard = read_shard(path)
    fits = max(place.rows) < len(shard.ids)
    if not fits or [shard.ids[row] for row in place.rows] != place.ids:
        raise StageError(f"{split_csv} is not of these shards ({path}); run split again")
    return shard


def _lightness(shard: Shard, place: _Place) -> NDArray[np.int16]:
    return shard.L[place.rows, None]


def _colour(shard: Shard, place: _Place) -> NDArray[np.int16]:
    return np.ascontiguousarray(shard.ab[place.rows].transpose(0, 3, 1, 2))


def _constants() -> dict[str, float | int]:
    """The attributes that a reader insists on."""
    return {
        "schema_version": SCHEMA_VERSION,
        "scale_factor": SCALE_FACTOR,
        "add_offset": 0.0,
        "L_scale": L_SCALE,
        "ab_scale": AB_SCALE,
    }


def _content_sha256(
    ids: Sequence[str],
    L: Iterable[NDArray[np.int16]],
    ab: Iterable[NDArray[np.int16]],
    count: int,
    size: int,
) -> str:
    """Digest of the ids and, for L and then ab, shape, type and bytes; both come in pieces."""
    digest = hashlib.sha256("\n".join(ids).encode("ascii"))
    for pieces, channels in ((L, 1), (ab, 2)):
        digest.update(repr(((count, channels, size, size), "<i2")).encode("ascii"))
        for piece in pieces:
            digest.update(np.ascontiguousarray(piece).data)
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> StageError:
    return StageError(f"shard {path} cannot be used: {why}; rebuild it with `{rebuilding(path)}`")


def rebuilding(path: Path) -> str:
    """The command that rebuilds a shard and checks all of them, and does nothing else.

    The target is their index: without one, Snakemake would go on to train again, however equal the
    rebuilt bytes. The configuration is that of the last run, however it was given.
    """
    return (
        f"snakemake {path.parent}.csv --cores N --configfile results/run_config.yaml "
        f"--forcerun {path}"
    )
