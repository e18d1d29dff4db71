"""Exit codes, one-line errors, atomic writes and progress."""

import errno
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from photochrom import runtime
from photochrom.runtime import StageError


def raising(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (StageError("no images in x; add some"), 2, "no images in x; add some"),
        (StageError("weights refused", runtime.EXIT_MODEL), 7, "weights refused"),
        (OSError(errno.ENOSPC, "No space left on device", "out.png"), 5, "the disk is full"),
        (OSError(errno.EACCES, "Permission denied", "out.png"), 5, "no permission"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (runtime.Terminated(), 143, "terminated"),
    ],
)
def test_foreseeable_faults_are_one_line(
    error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture
) -> None:
    runtime.start_log("filter")
    assert runtime.run_stage("filter", raising(error)) == code
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert text.startswith("photochrom filter: ")
    assert says in text


def test_a_bug_keeps_its_traceback_also_in_the_log(tmp_path: Path) -> None:
    runtime.start_log("filter", tmp_path / "filter.log")
    with pytest.raises(ZeroDivisionError):
        runtime.run_stage("filter", raising(ZeroDivisionError("bug")))
    runtime.start_log("filter")  # closes the file
    assert "ZeroDivisionError" in (tmp_path / "filter.log").read_text()


def test_sigterm_ends_a_stage_with_143() -> None:
    def main() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        return 0

    runtime.start_log("train")
    assert runtime.run_stage("train", main) == 143


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_signal_lost_in_a_callback_counts_before_the_next_item(
    number: signal.Signals, code: int, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def main() -> int:
        for item in runtime.progress(range(5), 5, "filter"):
            if item == 1:
                with suppress(BaseException):  # as C does with what its callbacks raise
                    signal.raise_signal(number)
            done.append(item)
        return 0

    runtime.start_log("filter")
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    assert runtime.run_stage("filter", main) == code
    assert done == [0, 1]
    assert runtime.run_stage("filter", lambda: len(list(runtime.progress([0], 1, "x"))) - 1) == 0


def test_an_ignored_interrupt_stays_ignored() -> None:
    """A shell starts its background jobs so."""

    def main() -> int:
        signal.raise_signal(signal.SIGINT)
        return 0

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert runtime.run_stage("filter", main) == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    runtime.write_text(path, "old\n")

    def write_half() -> None:
        with runtime.atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert path.read_text() == "old\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_the_temporary_name_keeps_the_suffix(tmp_path: Path) -> None:
    with runtime.atomic_path(tmp_path / "a.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"x")


def test_json_is_stable_and_refuses_nan(tmp_path: Path) -> None:
    runtime.write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    runtime.write_json(tmp_path / "b.json", {"a": [1.5, None], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        runtime.write_json(tmp_path / "c.json", float("nan"))


def test_progress_says_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(runtime, "PROGRESS_SECONDS", 0.0)
    runtime.start_log("measure")
    assert list(runtime.progress([1, 2, 3], 3, "measuring")) == [1, 2, 3]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("photochrom measure: measuring: 1 of 3 images, ")
    assert "a second" in lines[0]
    assert lines[2].endswith("0 s left")


@pytest.mark.parametrize(
    ("seconds", "text"), [(41.6, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert runtime.duration(seconds) == text


def test_a_device_that_is_not_there_is_refused() -> None:
    import torch

    if torch.cuda.is_available():
        assert runtime.pick_device("auto").type == "cuda"
    else:
        assert runtime.pick_device("auto").type == "cpu"
        with pytest.raises(StageError, match="finds no GPU"):
            runtime.pick_device("cuda")
