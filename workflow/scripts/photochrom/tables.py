"""The CSV tables that stages hand to each other, and those that people write.

`runtime.csv_text` writes the former.
"""

import csv
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from photochrom.runtime import StageError, existing_file

Row = dict[str, str]

SOURCES_COLUMNS = (
    "id",
    "path",  # as images.path_to_text writes it
    "sha256",
    "width",
    "height",
    "source",
    "original_name",
    "licence",
    "attribution",
    "error",
    "part",  # the phase portion that its source names, else 1
    "subject",  # what its source says that it shows, if anything
)
MEASURES_COLUMNS = (
    "id",
    "mean_L",
    "chroma_std",
    "colourfulness",
    "max_ab",
    "tint_deviation",
    "phash",
    "error",
)
CATALOG_COLUMNS = (
    *(column for column in SOURCES_COLUMNS if column != "error"),
    *MEASURES_COLUMNS[1:-1],
    "group",
    "verdict",  # keep or drop
    "reason",
)
SHARDS_COLUMNS = ("shard", "path", "rows", "sha256", "size")
SPLIT_COLUMNS = ("id", "shard", "row", "group", "part", "split")
# What split.py writes: also the label whose hash placed the group, kept when photographs are added.
PLACED_COLUMNS = (*SPLIT_COLUMNS, "placed_by")
MOVES_COLUMNS = ("id", "original_name", "group", "before", "after", "why")


def read_table(path: Path, columns: Sequence[str], made_by: str) -> list[Row]:
    """The rows of a UTF-8 CSV table with a header; more columns than `columns` are welcome.

    Raises StageError when the file is missing, cut short, or lacks a column.
    """
    try:
        with existing_file(path, made_by).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            header = reader.fieldnames or []
    except (csv.Error, UnicodeDecodeError) as error:
        raise _unusable(path, made_by, str(error)) from error
    missing = [name for name in columns if name not in header]
    if missing:
        raise _unusable(path, made_by, f"it lacks the columns {', '.join(missing)}")
    for number, row in enumerate(rows, start=2):
        # DictReader fills a short row with None and gathers a long one's rest under None.
        if None in row or None in row.values():
            raise _unusable(path, made_by, f"line {number} has not as many cells as the header")
    return rows


def kept(catalog: Sequence[Row]) -> list[Row]:
    """The rows of the catalog that go into shards, in order."""
    return [row for row in catalog if row["verdict"] == "keep"]


def _unusable(path: Path, made_by: str, why: str) -> StageError:
    return StageError(f"{path} is not a usable table: {why}; make it again with {made_by}")


def read_list(path: Path, needed: Sequence[str], optional: Sequence[str]) -> list[Row]:
    """The rows of a UTF-8 table with a header: tabs where the name ends in .tsv, else commas.

    Each row has the columns `needed` and `optional` (missing ones empty) without blanks around,
    and under `line` the number of its last line in the file; other columns are left out. Raises
    StageError when the file cannot be read or lacks a needed column.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    rows: list[Row] = []
    try:
        # Spreadsheets put a byte-order mark in front.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            header = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = header
            for name in needed:
                if name not in header:
                    raise StageError(f"{path} lacks the column {name}{_hint(name, header)}")
            for found in reader:
                row = {name: (found.get(name) or "").strip() for name in (*needed, *optional)}
                rows.append({**row, "line": str(reader.line_num)})
    except OSError as error:
        raise StageError(f"cannot read {path}: {error.strerror}; check the path") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise StageError(f"{path} is not a UTF-8 CSV or TSV table: {error}; mend it") from error
    return rows


def _hint(name: str, header: Sequence[str]) -> str:
    close = get_close_matches(name, header, n=1)
    if close:
        return f"; rename its column {close[0]}"
    return f"; it has {', '.join(header)}" if any(header) else "; it is empty"
