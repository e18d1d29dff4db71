"""What was done to an archive's files, in the words of PREMIS 3.0, for a repository to ingest.

Columns are PREMIS' semantic units, event types those of the Library of Congress' vocabulary
(eventType). Only `eventDateTime` differs between equal runs.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from photochrom.archive.records import DONE, FAILED, WARNING, Status
from photochrom.images import path_from_text
from photochrom.runtime import StageError
from photochrom.version import __version__

DIGEST = "message digest calculation"
CREATION = "creation"
TAGS = "metadata modification"
FIXITY = "fixity check"

# Of identifiers: the same event has the same one wherever it is written.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "photochrom events")


@dataclass(frozen=True)
class Event:
    """A row of events.csv. Paths are as in status.csv; empty where an event has no such object.

    The source is the original, the outcome the derivative. `modelSha256` is the model's digest,
    as the second agent of a creation.
    """

    eventIdentifier: str  # noqa: N815
    eventType: str  # noqa: N815
    eventOutcome: str  # noqa: N815
    eventOutcomeDetailNote: str  # noqa: N815
    linkingAgentIdentifier: str  # noqa: N815
    modelSha256: str  # noqa: N815
    sourceObject: str  # noqa: N815
    sourceSha256: str  # noqa: N815
    outcomeObject: str  # noqa: N815
    outcomeSha256: str  # noqa: N815
    eventDateTime: str  # noqa: N815


def events(
    statuses: Sequence[Status],
    root: Path,
    planned: float,
    tried: Mapping[str, float],
    checked: float,
) -> Iterator[Event]:
    """The events of an archive's files, file by file.

    Times are in seconds since 1970: `planned` when the originals' digests were taken, `tried` when
    the files of a path's shard had been gone through, `checked` when the derivatives were compared
    with their digests. A derivative's own is its sidecar's. A skipped file has no creation.
    """
    here = f"photochrom {__version__}"
    for status in statuses:
        if status.source_sha256:
            yield _event(status, DIGEST, "success", "SHA-256", here, planned, made=False)
        if status.status == FAILED:
            when = tried.get(status.path, planned)
            yield _event(status, CREATION, "fail", status.reason, here, when, made=False)
        if status.status not in (DONE, WARNING):
            continue
        sidecar = root / path_from_text(status.sidecar)
        record = _read(sidecar)
        made = sidecar.stat().st_mtime
        maker = f"photochrom {record['software']['photochrom']}"
        outcome = "warning" if status.status == WARNING else "success"
        yield _event(status, CREATION, outcome, status.reason, maker, made)
        tags = record["metadata"]
        if tags["exiftool"]:
            lost = ", ".join(tags["not_carried"])
            note = f"not carried over: {lost}" if lost else "the original's tags were carried over"
            agent = f"exiftool {tags['exiftool']}"
            yield _event(status, TAGS, "warning" if lost else "success", note, agent, made)
        yield _event(status, FIXITY, "success", "SHA-256, as its sidecar says", here, checked)


def _read(sidecar: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(f"{sidecar} cannot be read; colorize its shard again") from error
    return record


def _event(
    status: Status,
    kind: str,
    outcome: str,
    note: str,
    agent: str,
    when: float,
    made: bool = True,
) -> Event:
    model = status.model_sha256 if kind == CREATION else ""
    derivative = (status.output, status.output_sha256) if made else ("", "")
    objects = (status.path, status.source_sha256, *derivative)
    told = json.dumps([kind, outcome, note, agent, model, *objects])
    stamp = datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds")
    return Event(
        str(uuid.uuid5(_NAMESPACE, told)), kind, outcome, note, agent, model, *objects, stamp
    )
