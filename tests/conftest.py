"""Fixtures that several kinds of tests share, and the rule for tests that need the system."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from miniature import Workspace, make_workspace

# A shell starts background jobs with SIGINT ignored, and children inherit that: without this, the
# tests that interrupt a run would fail in `make test &`.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A miniature that was run to its end. Tests may look and dry-run, and must not change it."""
    workspace = make_workspace(tmp_path_factory.mktemp("miniature") / "finished")
    workspace.run()
    return workspace


@pytest.fixture
def workspace(finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished miniature that a test may change."""
    return finished.copy(tmp_path / "copy")


@pytest.fixture
def fresh(tmp_path: Path) -> Workspace:
    """A miniature that was never run."""
    return make_workspace(tmp_path / "fresh")


def missing(what: str) -> None:
    """Skip for want of a system package, with the reason; in CI, which installs it, fail."""
    if os.environ.get("PHOTOCHROM_NO_SKIP"):
        pytest.fail(f"{what}; CI must have it")
    pytest.skip(what)


@pytest.fixture
def need() -> Callable[[bool, str], None]:
    """need(there, "what is missing"): go on only where a system facility is there."""

    def check(there: bool, what: str) -> None:
        if not there:
            missing(what)

    return check
