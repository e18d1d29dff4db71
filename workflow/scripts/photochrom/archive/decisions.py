"""What a person decided on the review page, from the CSV that the page saves.

    path,source_sha256,model_sha256,decision,saturation,abstain,remark
    1943/parade.tif,5e0c...,91ab...,accept,,,
    1943/crowd.tif,77d1...,91ab...,redo,0.6,,"too vivid for the period"
    1943/snow.tif,0f3e...,91ab...,reject,,,"the sky is brown"

A decision is about one picture: it holds for the file with that content, and a rejection only for
the colours of that model, so that a better model gets another chance. `accept` keeps a derivative;
`reject` takes it away; `redo` makes it again with the row's own saturation and abstain.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photochrom.archive.provenance import RANGES, Settings
from photochrom.runtime import StageError

ACCEPT, REJECT, REDO = "accept", "reject", "redo"
NEEDED = ("path", "decision")
COLUMNS = (
    *("path", "source_sha256", "model_sha256", "decision", "saturation", "abstain", "remark"),
)
# The settings that a row may give.
OWN_SETTINGS = ("saturation", "abstain")
_LIMITS = {name: (least, most) for name, least, most in RANGES}


@dataclass(frozen=True)
class Decision:
    """One row. An empty digest holds for any content or model; a setting not given is None."""

    path: str
    source_sha256: str
    model_sha256: str
    decision: str
    saturation: float | None
    abstain: float | None
    remark: str

    def applies(self, source_sha256: str, model_sha256: str) -> bool:
        """Whether it is about these colours of this content; those to redo are about any."""
        same_model = self.decision == REDO or self.model_sha256 in ("", model_sha256)
        return same_model and self.source_sha256 in ("", source_sha256)

    def settings(self, common: Settings) -> Settings:
        """The settings for this one picture."""
        own = {name: getattr(self, name) for name in OWN_SETTINGS}
        given = {name: value for name, value in own.items() if value is not None}
        return replace(common, **given) if self.decision == REDO else common

    def words(self) -> str:
        """As tables show it: `rejected: the sky is brown`."""
        word = {ACCEPT: "accepted", REJECT: "rejected", REDO: "to be redone"}[self.decision]
        return f"{word}: {self.remark}" if self.remark else word


def read_decisions(path: Path) -> tuple[dict[str, Decision], list[str]]:
    """The decisions of a table by path, and a line for each row that cannot be used.

    Rows without a decision are passed over: the page saves remarks on them, too. StageError when
    there is no such table or it lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StageError(f"the review {path} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise StageError(f"the review {path} is not UTF-8 text; save it as UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in NEEDED if name not in (reader.fieldnames or [])]
    if missing:
        raise StageError(f"the review {path} lacks the column {missing[0]}; see colorize.review")
    decisions: dict[str, Decision] = {}
    faults = []
    for row in reader:
        try:
            decision = _decision(row)
        except ValueError as error:
            faults.append(f"{path}, line {reader.line_num}: {error}; this row is left out")
            continue
        if decision is None:
            continue
        if decision.path in decisions:
            faults.append(f"{path}, line {reader.line_num}: {decision.path} again; this row counts")
        decisions[decision.path] = decision
    return decisions, faults


def _decision(row: dict[str, Any]) -> Decision | None:
    """A row as a decision, None for an undecided one; ValueError says what is wrong with it."""
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    if not cells["path"]:
        raise ValueError("no path")
    if not cells["decision"]:
        return None
    if cells["decision"] not in (ACCEPT, REJECT, REDO):
        raise ValueError(f"the decision is {cells['decision']!r}; it may be accept, reject, redo")
    for name in ("source_sha256", "model_sha256"):
        if not re.fullmatch(r"([0-9a-f]{64})?", cells[name]):
            raise ValueError(f"{name} is no SHA-256")
    numbers = {name: _number(name, cells[name]) for name in OWN_SETTINGS}
    return Decision(
        path=cells["path"],
        source_sha256=cells["source_sha256"],
        model_sha256=cells["model_sha256"],
        decision=cells["decision"],
        remark=" ".join(cells["remark"].split()),
        **numbers,
    )


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    least, most = _LIMITS[name]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ValueError(f"{name} is {text}; it may be a number from {least:g} to {most:g}")
    return value


def strangers(decisions: Iterable[Decision], paths: Iterable[str]) -> list[str]:
    """A line for each decision about a file that the archive has not."""
    known = set(paths)
    return [
        f"review: no file of the archive is called {decision.path}"
        for decision in decisions
        if decision.path not in known
    ]
