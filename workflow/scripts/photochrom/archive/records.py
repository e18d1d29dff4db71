"""The archive's tables: the plan with its shards, and the status of each file.

Paths in them are text as `images.path_to_text` writes it, so that every name can be read in a
table and its very bytes come back.
"""

from collections.abc import Iterable
from dataclasses import Field, astuple, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from photochrom.runtime import csv_text, write_text
from photochrom.tables import read_table

DONE = "done"
WARNING = "done-with-warning"
SKIPPED = "skipped"
FAILED = "failed"

# Where members of a zip or tar are unpacked to, below the folder of the plan.
ORIGINALS = "originals"

# What the config may ask derivatives to be.
FORMATS = ("same", "png", "jpeg", "tiff", "pyramid")

# What a format's derivatives may be called: the first is given where the original's name differs.
SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png",),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
    # After tiff, so that the suffix alone stands for that.
    "pyramid": (".tif", ".tiff"),
}


@dataclass(frozen=True)
class Planned:
    """A row of plan.csv: one file of the archive and where its derivative will lie.

    `path` is relative to the archive, `source` absolute, `output` relative to the output folder,
    all written by `path_to_text`; `status` is empty for a file that is to be colorized, whose
    `reason` then says of which page it is, or why its derivative is not called as usual; else it is
    `failed` or `skipped` with a `reason` known from the file system alone.
    """

    path: str
    source: str
    sha256: str
    bytes: str
    output: str
    status: str
    reason: str


@dataclass(frozen=True)
class Status:
    """A row of status.csv: what became of one file.

    `output` and `sidecar` are relative to the output folder and empty where there is none;
    `max_dL` and `mean_dL` are |dL*| between the scan and the integers written, over all pixels;
    `confidence` is empty where the model's was never measured; `review` is what a person decided on
    the review page. Only `seconds` differs between equal runs.
    """

    path: str
    status: str
    reason: str
    output: str = ""
    sidecar: str = ""
    source: str = ""
    source_sha256: str = ""
    output_sha256: str = ""
    model_sha256: str = ""
    max_dL: str = ""  # noqa: N815
    mean_dL: str = ""  # noqa: N815
    confidence: str = ""
    review: str = ""
    seconds: str = ""


Row = TypeVar("Row", Planned, Status)


class Record(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Written = TypeVar("Written", bound=Record)


def write_rows(path: Path, kind: type[Written], rows: Iterable[Written]) -> None:
    """Write a table of one kind of row atomically."""
    write_text(path, csv_text([field.name for field in fields(kind)], map(astuple, rows)))


def read_rows(path: Path, kind: type[Row], made_by: str) -> list[Row]:
    """Read a table that `write_rows` wrote; StageError when it is missing or another table."""
    columns = [field.name for field in fields(kind)]
    return [
        kind(**{name: row[name] for name in columns}) for row in read_table(path, columns, made_by)
    ]


def sidecar_path(output: Path) -> Path:
    """Where the sidecar of a derivative lies."""
    return output.with_name(output.name + ".json")


def uncertainty_path(output: Path) -> Path:
    """Where the uncertainty of a derivative is shown."""
    return output.with_name(output.name + ".uncertainty.png")


def samples_path(output: Path) -> Path:
    """Where the contact sheet of a derivative lies."""
    return output.with_name(output.name + ".samples.jpg")
