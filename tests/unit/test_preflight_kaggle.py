"""Before any job: a copy of the Kaggle set, or credentials, or one line with the two ways."""

from pathlib import Path

import pytest

import preflight
from config_help import ConfigError
from photochrom.sources import kaggle

VARIABLES = ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR")
SOURCES = [{"kind": "builtin"}, {"kind": "kaggle"}]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and no credentials in the environment."""
    for name in (*VARIABLES, "KAGGLEHUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("source", [{"kind": "kaggle"}, {"kind": "kaggle", "path": None}])
def test_without_credentials_one_line_says_the_two_ways(
    source: dict[str, object], capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(preflight.MissingError) as fault:
        preflight.check_kaggle([source])
    for words in ("KAGGLE_USERNAME and KAGGLE_KEY", "/.kaggle/kaggle.json", "path: FOLDER"):
        assert words in str(fault.value)
    with pytest.raises(SystemExit) as end:
        preflight.stop(fault.value)
    assert end.value.code == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_either_way_is_enough(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    with pytest.raises(preflight.MissingError):
        preflight.check_kaggle(SOURCES)
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    preflight.check_kaggle(SOURCES)
    monkeypatch.delenv("KAGGLE_KEY")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    preflight.check_kaggle(SOURCES)
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    (home / ".kaggle").mkdir()
    (home / ".kaggle" / "kaggle.json").touch()
    preflight.check_kaggle(SOURCES)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home / "elsewhere"))
    with pytest.raises(preflight.MissingError, match=r"elsewhere/kaggle\.json"):
        preflight.check_kaggle(SOURCES)


def test_what_needs_no_credentials(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preflight.check_kaggle([{"kind": "builtin"}])
    preflight.check_kaggle([{"kind": "kaggle", "path": "set"}])
    folder = home / ".cache/kagglehub/datasets" / preflight.KAGGLE_DATASET
    (folder / "versions" / "3").mkdir(parents=True)
    with pytest.raises(preflight.MissingError):
        preflight.check_kaggle(SOURCES)
    (folder / "3.complete").touch()
    preflight.check_kaggle(SOURCES)
    # The stage finds the same copy.
    assert preflight.KAGGLE_DATASET == kaggle.DATASET
    assert kaggle.downloaded() == folder / "versions" / "3"


def test_a_path_must_hold_the_set(tmp_path: Path) -> None:
    source = {"kind": "kaggle", "path": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"is not a copy of the Kaggle set.*l/gray_scale\.npy"):
        preflight.check_sources([source])
    (tmp_path / "l").mkdir()
    (tmp_path / "l" / "gray_scale.npy").touch()
    preflight.check_sources([source])
    preflight.check_sources([{"kind": "kaggle"}, {"kind": "kaggle", "path": None}])
