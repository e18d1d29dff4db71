"""Which licences the data may have: `data.licences.allow`."""

from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from photochrom.filters import UNREADABLE
from photochrom.runtime import StageError, log
from photochrom.tables import Row

NOT_STATED = "not stated"


def check_allowed(allow: Any) -> list[str] | None:
    """`data.licences.allow`: None for any licence, else patterns. Raises StageError."""
    if allow is None:
        return None
    if not isinstance(allow, list) or not all(isinstance(each, str) for each in allow):
        raise StageError(f"data.licences.allow must be a list such as [CC0, MIT], not {allow!r}")
    return list(allow)


def licence_of(row: Row) -> str:
    """The licence of a picture as patterns see it: in small letters, `not stated` for none."""
    return " ".join(row["licence"].split()).casefold() or NOT_STATED


def is_allowed(licence: str, allow: Sequence[str]) -> bool:
    """Whether a licence fits one of the patterns, * and ? standing for anything."""
    return any(fnmatchcase(licence, " ".join(each.split()).casefold()) for each in allow)


def refused(row: Row, allow: Sequence[str] | None) -> str:
    """Why the licence of a picture keeps it out, as a filter's reason; empty when it does not."""
    licence = licence_of(row)
    if allow is None or is_allowed(licence, allow):
        return ""
    # ";" separates the reasons in the catalog.
    stated = " ".join(row["licence"].replace(";", ",").split()) or NOT_STATED
    return f"licence: {stated} is not allowed"


def tell_refused(catalog: Sequence[Row], allow: Sequence[str] | None) -> None:
    """Log how many pictures each refused licence costs, and patterns that fit no picture.

    Files that cannot be read are no pictures, and not counted.
    """
    if allow is None:
        return
    pictures = [row for row in catalog if not row["reason"].startswith(UNREADABLE)]
    licences = Counter(licence_of(row) for row in pictures)
    refused = [each for each in licences.most_common() if not is_allowed(each[0], allow)]
    total = sum(count for _, count in refused)
    log.info(
        "data.licences.allow drops %d of %d pictures%s",
        total,
        len(pictures),
        "".join(f"; {count} {licence}" for licence, count in refused),
    )
    for pattern in allow:
        if not any(is_allowed(licence, [pattern]) for licence in licences):
            log.warning("data.licences.allow: no picture has a licence like %s", pattern)
