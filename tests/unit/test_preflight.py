"""Checks before any job: names, paths, experiments."""

import os
from pathlib import Path
from typing import Any

import pytest

import preflight
from config_help import ConfigError, complete

ROOT = Path(__file__).resolve().parents[2]


def test_archives_get_the_last_component_without_an_archive_suffix(tmp_path: Path) -> None:
    scans = tmp_path / "Scans 1.2"
    scans.mkdir()
    assert preflight.read_archives(str(scans)) == {"Scans 1.2": str(scans)}
    assert preflight.read_archives(f"{scans}/") == {"Scans 1.2": str(scans)}
    assert preflight.read_archives("builtin") == {"builtin": "builtin"}
    assert preflight.archive_name("/x/box.tar.gz") == "box"


@pytest.mark.parametrize("name", ["box.zip", "box.TAR", "box.tar.xz", "box.csv"])
def test_an_archive_may_be_one_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert preflight.read_archives(str(tmp_path / name)) == {"box": str(tmp_path / name)}


def test_the_files_of_a_list_are_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    table = tmp_path / "box.csv"
    table.write_text(f"name,file\n,a.png\n,none.png\nx,{tmp_path}/a.png\n")
    assert preflight.listed_files(str(table)) == [str(tmp_path / "a.png")]
    table.write_bytes(b"\xff\xfe")
    assert preflight.listed_files(str(table)) == []


def test_a_seal_is_of_files_that_exist(tmp_path: Path) -> None:
    assert preflight.seal_of(None) == []
    given = {"certificates": str(tmp_path / "a.pem"), "key": "none.pem", "algorithm": "es256"}
    with pytest.raises(ConfigError, match=r"colorize\.c2pa\.certificates: .*a\.pem does not exist"):
        preflight.seal_of(given)
    (tmp_path / "a.pem").touch()
    with pytest.raises(ConfigError, match=r"colorize\.c2pa\.key: none\.pem does not exist"):
        preflight.seal_of(given)
    given["key"] = given["certificates"]
    assert preflight.seal_of(given)[-1] == "es256"


def test_two_archives_of_one_name_are_refused_with_the_way_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "scans").mkdir(parents=True)
    paths = [str(tmp_path / name / "scans") for name in ("a", "b")]
    with pytest.raises(ConfigError, match=r"--config 'archive=\{scans: .*/a/scans, scans-2: "):
        preflight.read_archives(paths)
    named = {"one": paths[0], "two": paths[1]}
    assert preflight.read_archives(named) == named


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "a{b}", ""])
def test_an_archive_name_cannot_leave_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot name a folder"):
        preflight.read_archives({name: str(tmp_path)})


def test_paths_that_do_not_exist_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="archive: /nowhere does not exist"):
        preflight.read_archives("/nowhere")
    file = tmp_path / "scan.jpg"
    file.touch()
    with pytest.raises(ConfigError, match="is neither a folder nor, by its name, a zip"):
        preflight.read_archives(str(file))
    with pytest.raises(ConfigError, match=r"data\.sources: /nowhere is not a folder, zip or tar"):
        preflight.check_sources([{"kind": "folder", "path": "/nowhere"}])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"data\.sources: .*/pipe is not a folder, zip or tar"):
        preflight.check_sources([{"kind": "folder", "path": str(tmp_path / "pipe")}])
    for path in ("/nowhere", str(tmp_path / "pipe")):
        with pytest.raises(ConfigError, match=rf"data\.audit: {path} is not a folder, zip or tar"):
            preflight.check_audit([path])
    with pytest.raises(ConfigError, match=r"data\.sources: /nowhere is not a table"):
        preflight.check_sources([{"kind": "urls", "path": "/nowhere"}])
    with pytest.raises(ConfigError, match="kind urls needs a path"):
        preflight.check_sources([{"kind": "urls"}])
    with pytest.raises(ConfigError, match="manifest /nowhere does not exist"):
        preflight.check_sources([{"kind": "folder", "path": str(file), "manifest": "/nowhere"}])
    with pytest.raises(ConfigError, match="kind folder takes no deadline"):
        preflight.check_sources([{"kind": "folder", "path": str(file), "deadline": 5}])
    preflight.check_sources([{"kind": "urls", "path": str(file), "parallel": 2}])
    with pytest.raises(ConfigError, match="kind folder needs a path"):
        preflight.check_sources([{"kind": "folder"}])
    with pytest.raises(ConfigError, match="kind builtin takes no path"):
        preflight.check_sources([{"kind": "builtin", "path": "x"}])


def test_one_folder_has_one_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scans").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert preflight.read_archives("scans/") == preflight.read_archives("./scans")
    for spelling in ("~/scans/", str(tmp_path / "scans"), f"../{tmp_path.name}/scans"):
        sources = [{"kind": "folder", "path": spelling}]
        preflight.check_sources(sources)
        assert sources[0]["path"] == "scans"
        assert preflight.read_archives(spelling) == {"scans": "scans"}
    audited = ["scans", "scans/", "~/scans"]
    preflight.check_audit(audited)
    assert audited == ["scans"]
    assert preflight.plain_path("/elsewhere/scans/") == "/elsewhere/scans"
    assert preflight.plain_path("../scans/") == "../scans"
    assert preflight.plain_path(f"{tmp_path}-2/scans") == f"{tmp_path}-2/scans"


@pytest.mark.parametrize("path", [".", "results", "results/data"])
def test_results_are_never_read_as_photographs(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "data").mkdir(parents=True)
    with pytest.raises(ConfigError, match="lie within each other"):
        preflight.check_sources([{"kind": "folder", "path": path}])
    with pytest.raises(ConfigError, match="lie within each other"):
        preflight.read_archives({"x": path})
    with pytest.raises(ConfigError, match="lie within each other"):
        preflight.check_audit([path])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"filters": {"brightness": [245.0, 10.0]}}, "245 is not below 10"),
        ({"split": {"train": 0.9, "val": 0.5, "test": 0.5}}, "add up to 1.9, not to 1"),
        ({"size": 64}, "size 112 is more than data.size, 64"),
    ],
)
def test_what_no_schema_can_say_is_said_before_any_work(change: dict, says: str) -> None:
    data = {
        "size": 112,
        "filters": {"brightness": None},
        "split": {"train": 0.8, "val": 0.1, "test": 0.1},
    }
    experiments = preflight.read_experiments(["quick"], ROOT)
    preflight.check_data(data, experiments)
    with pytest.raises(ConfigError, match=says):
        preflight.check_data(data | change, experiments)
    experiments["quick"]["phases"][1]["discriminator"] = None
    with pytest.raises(ConfigError, match="phase gan: a gan loss and a discriminator"):
        preflight.check_data(data, experiments)


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ({"l1": 1, "gan": 1, "gan-hinge": 1}, "choose one of the losses gan, gan-hinge"),
        ({"gan-lsgan": 1, "rebalanced-ce": 1}, "needs a network that chooses .* and unet does not"),
        ({"l1": 1}, "a gan loss and a discriminator"),
    ],
)
def test_losses_that_do_not_fit(losses: dict, says: str) -> None:
    experiments = preflight.read_experiments(["quick"], ROOT)
    experiments["quick"]["phases"][1]["losses"] = losses
    data = complete({}, preflight.read_schema(ROOT, "config"), "config")["data"]
    with pytest.raises(ConfigError, match=says):
        preflight.check_data(data, experiments)


@pytest.mark.parametrize(
    ("phase", "says"),
    [
        ({"epochs": None}, "quick, phase l1: it has neither epochs nor steps; give one of them"),
        ({"steps": 9}, "quick, phase l1: it has both epochs and steps; give one of them"),
        ({"optimizer": {"name": "adam", "weight_decay": 0.1}}, "weight_decay is for adamw"),
        ({"size": 100}, "size 100 is not a multiple of 16, as the network unet needs; 96 would be"),
        (
            {"size": 16, "discriminator": {"layers": 3}},
            "size 16 is below 24, the least its discriminator can judge",
        ),
    ],
)
def test_a_phase_that_contradicts_itself(phase: dict[str, Any], says: str) -> None:
    experiments = preflight.read_experiments(["quick"], ROOT)
    experiments["quick"]["phases"][0] |= phase
    data = {
        "size": 112,
        "filters": {"brightness": None},
        "split": {"train": 0.8, "val": 0.1, "test": 0.1},
    }
    with pytest.raises(ConfigError, match=says):
        preflight.check_data(data, experiments)


def test_the_shipped_experiment_by_name_and_by_path() -> None:
    by_name = preflight.read_experiments(["quick"], ROOT)
    path = ROOT / "workflow" / "experiments" / "quick.yaml"
    assert preflight.read_experiments([str(path)], ROOT) == by_name
    assert preflight.model_of("quick", by_name["quick"]) == (
        "results/models/quick/gan/model.safetensors"
    )
    assert (
        preflight.weights_of("quick", by_name, ROOT) == "results/models/quick/gan/model.safetensors"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed: 0\nphases: []\n", "phases must not be empty"),
        ("sed: 0\n", "unknown key sed; did you mean seed?"),
        ("- a\n", "expected keys and values"),
        (
            "{network: {name: unet}, phases: [{name: a, epochs: 1}, {name: a, epochs: 1}]}",
            "one name",
        ),
    ],
)
def test_faulty_experiments_are_worded(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.yaml") as fault:
        preflight.read_experiments([str(path)], ROOT)
    assert says in str(fault.value)


def test_unknown_duplicate_and_reserved_experiments(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"quik is no file and not one of: .*quick"):
        preflight.read_experiments(["quik"], ROOT)
    with pytest.raises(ConfigError, match="two are called quick"):
        preflight.read_experiments(
            ["quick", str(ROOT / "workflow" / "experiments" / "quick.yaml")], ROOT
        )
    shipped = (ROOT / "workflow" / "experiments" / "quick.yaml").read_text()
    for name, says in (
        ("grey", "yardstick"),
        ("my recipe", "letters, digits"),
        ("photochrom-1", "the shipped model"),
    ):
        (tmp_path / f"{name}.yaml").write_text(shipped)
        with pytest.raises(ConfigError, match=says):
            preflight.read_experiments([str(tmp_path / f"{name}.yaml")], ROOT)


def test_weights_are_an_experiment_or_a_file(tmp_path: Path) -> None:
    experiments = preflight.read_experiments(["quick"], ROOT)
    with pytest.raises(ConfigError, match="neither shipped, nor one of the experiments"):
        preflight.weights_of("slow", experiments, ROOT)
    with pytest.raises(ConfigError, match="does not exist"):
        preflight.weights_of(str(tmp_path / "m.safetensors"), experiments, ROOT)
    (tmp_path / "m.safetensors").touch()
    assert preflight.weights_of(str(tmp_path / "m.safetensors"), experiments, ROOT)
    shipped = Path(preflight.weights_of("shipped", experiments, ROOT))
    assert preflight.present(str(shipped), ROOT) == str(shipped)
    with pytest.raises(preflight.MissingError, match="it belongs at"):
        preflight.present(preflight.shipped_model(tmp_path), tmp_path)
    assert shipped.resolve() == ROOT / "workflow" / "models" / "photochrom-1.safetensors"


def test_rows_are_yardsticks_experiments_and_folders(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    evaluate = {
        "protocols": ["paired-256crop"],
        "compare": {"rival": f"{tmp_path}/./theirs/"},
        "plates": {"old": {"scans": f"{tmp_path}/theirs/", "truth": str(tmp_path)}},
    }
    rows = preflight.rows_of(evaluate, ["quick"])
    assert rows == ["grey", "constant", "levin", "truth", "quick", "rival"]
    assert evaluate["compare"] == {"rival": f"{tmp_path}/theirs"}
    assert evaluate["plates"] == {"old": {"scans": f"{tmp_path}/theirs", "truth": str(tmp_path)}}
    evaluate["protocols"] = ["disjoint"]
    assert "real" in preflight.rows_of(evaluate, ["quick"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"compare": {"quick": "."}}, "another row is called quick; rename this one"),
        ({"compare": {"real": "."}}, "another row is called real"),
        ({"compare": {"a/b": "."}}, "letters, digits, . _ - to name 'a/b'"),
        ({"compare": {"rival": "nowhere"}}, "evaluate.compare: nowhere is not a folder"),
        ({"plates": {"-x": {"scans": ".", "truth": "."}}}, "to name '-x'"),
        (
            {"plates": {"old": {"scans": ".", "truth": "nowhere"}}},
            "evaluate.plates: nowhere is not a folder; check the path",
        ),
    ],
)
def test_rows_that_cannot_be(change: dict[str, Any], says: str) -> None:
    evaluate = {"protocols": ["paired-256crop"], "compare": {}, "plates": {}} | change
    with pytest.raises(ConfigError) as fault:
        preflight.rows_of(evaluate, ["quick"])
    assert says in str(fault.value)


def test_a_fault_ends_with_one_line_and_1(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        preflight.stop(ConfigError("x is wrong"))
    assert end.value.code == 1
    assert capsys.readouterr().err == "photochrom: x is wrong\n"
