"""Gather an archive: one status for every file planned, a manifest, the review page's table."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from photochrom.archive.decisions import Decision
from photochrom.archive.records import DONE, WARNING, Planned, Status
from photochrom.images import path_from_text
from photochrom.runtime import StageError, log, sha256_file

# What a killed job leaves of a derivative that it was writing (runtime.atomic_path).
_TEMPORARY = re.compile(r"\..+\.\d+\.tmp(\.[A-Za-z]+)?")
_DERIVATIVE = re.compile(r".+\.colorized\.[A-Za-z]+(\.json)?")


def gather_statuses(plan: list[Planned], statuses: list[Status]) -> list[Status]:
    """A status for every row of the plan, in its order.

    StageError when a planned file is missing, twice, or was not planned: then the shards are not
    those of this plan.
    """
    by_path = {status.path: status for status in statuses}
    todo = {row.path: row for row in plan if not row.status}
    counts = Counter(status.path for status in statuses)
    strange = [path for path, count in counts.items() if count > 1 or path not in todo]
    missing = [path for path in todo if path not in by_path]
    stale = [
        path
        for path, row in todo.items()
        if path in by_path and by_path[path].source_sha256 != row.sha256
    ]
    for what, paths in (
        ("have no status", missing),
        ("have a status but are not planned once", strange),
        ("have the status of another content", stale),
    ):
        if paths:
            raise StageError(
                f"{len(paths)} files {what} (the first: {paths[0]}); the statuses are not of this "
                "plan: colorize its shards again"
            )
    return [
        by_path[row.path]
        if row.path in by_path
        else Status(
            path=row.path,
            status=row.status,
            reason=row.reason,
            source=row.source,
            source_sha256=row.sha256,
        )
        for row in plan
    ]


def decided(statuses: list[Status], decisions: Mapping[str, Decision]) -> list[Status]:
    """The statuses with what a person decided, where that is about the very same picture."""
    return [
        replace(status, review=decision.words())
        if (decision := decisions.get(status.path))
        and decision.applies(status.source_sha256, status.model_sha256)
        else status
        for status in statuses
    ]


def manifest_text(statuses: list[Status], root: Path) -> str:
    """`sha256  path` of every derivative and sidecar, in the order of paths (for sha256sum -c).

    The digests are of the files as they lie there; StageError when one is missing or is not the
    one whose status was written.
    """
    lines = []
    for status in statuses:
        if status.status not in (DONE, WARNING):
            continue
        for text, expected in ((status.output, status.output_sha256), (status.sidecar, "")):
            path = path_from_text(text)
            try:
                digest = sha256_file(root / path)
            except FileNotFoundError:
                raise StageError(f"{root / path} is gone; colorize its shard again") from None
            if expected and digest != expected:
                raise StageError(f"{root / path} has changed; colorize its shard again")
            lines.append((path.as_posix(), digest))
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(lines))


def tidy(statuses: list[Status], root: Path) -> None:
    """Remove what killed jobs left half-written; name derivatives that no row accounts for.

    These are of an earlier plan (an original was removed or renamed) and are left where they are.
    """
    known = {
        root / path_from_text(text)
        for status in statuses
        for text in (status.output, status.sidecar)
        if text
    }
    orphans = []
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        if _TEMPORARY.fullmatch(path.name):
            path.unlink()
        elif _DERIVATIVE.fullmatch(path.name) and path not in known:
            orphans.append(path)
    if orphans:
        log.warning(
            "%d files in %s are no derivatives of this run, but of an earlier one (the first: %s)",
            len(orphans),
            root,
            orphans[0].relative_to(root),
        )
