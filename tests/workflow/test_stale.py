"""Only stale work is redone, and exactly that.

Dry runs on a finished miniature: what Snakemake plans after each change is compared with the
stages below that change. (Shards that a changed filter leads to are planned only once the filter
has run, so `normalize` is not in the plans of changes above it; test_runs.py runs one through.)
"""

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from miniature import Workspace
from stage_sources import declared

# Each rule with the rules whose outputs it reads.
ABOVE = {
    "download": [],
    "measure": ["download"],
    "filter": ["download", "measure"],
    "normalize": ["filter"],
    "index_shards": ["normalize"],
    "split": ["filter", "index_shards"],
    "audit": ["filter", "split"],
    "write_recipe": [],
    "train_phase": ["write_recipe", "index_shards", "normalize", "split"],
    "reference": ["filter", "split"],
    "evaluate_row": ["filter", "split", "index_shards", "normalize", "train_phase", "reference"],
    "calibrate": ["filter", "split", "train_phase"],
    "plan": [],
    "colorize_shard": ["plan", "train_phase", "calibrate"],
    "gather": ["plan", "colorize_shard"],
    "write_report": ["filter", "split", "audit", "evaluate_row", "train_phase", "gather"],
}

STAGE_OF = {
    "normalize": "normalize",
    "index_shards": "normalize",
    "train_phase": "train",
    "evaluate_row": "evaluate",
    "colorize_shard": "colorize",
    "write_report": "report",
}


def below(*rules: str) -> set[str]:
    """The rules themselves and all that read their outputs, directly or not."""
    found = set(rules)
    while True:
        more = {rule for rule, above in ABOVE.items() if found & set(above)} - found
        if not more:
            return found
        found |= more


def visible(rules: set[str]) -> set[str]:
    """Of these, what a dry run can show: jobs that a rerun checkpoint will decide are hidden."""
    if "filter" in rules:
        rules = rules - {"normalize"}
    if "plan" in rules:
        rules = rules - {"colorize_shard", "calibrate"}  # which only colorizing asks for
    return rules


@contextmanager
def changed(path: Path, content: bytes | None) -> Iterator[None]:
    """A file with other content (None: removed) for a while; its old time comes back too."""
    old = path.read_bytes() if path.exists() else None
    times = path.stat() if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    try:
        yield
    finally:
        if old is None:
            path.unlink()
        else:
            path.write_bytes(old)
            assert times is not None
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_second_run_does_nothing(finished: Workspace) -> None:
    assert finished.planned() == {}
    assert "Nothing to be done" in finished.run().stdout


def test_touching_any_file_does_nothing(workspace: Workspace) -> None:
    paths = [path for path in workspace.path.rglob("*") if ".snakemake" not in path.parts]
    assert len(paths) > 100
    for path in paths:
        os.utime(path)
    assert workspace.planned() == {}


@pytest.mark.parametrize(
    "override",
    [
        "data={size: 32, filters: {chroma_std: 2}, near_duplicate_bits: null}",
        "data={split: {train: 0.6}}",
        "report={title: Miniature}",
        "colorize={shard_size: 4}",
        "experiments=mini.yaml",
        "archive=scans",
    ],
)
def test_an_override_that_repeats_the_value_reruns_nothing(
    finished: Workspace, override: str
) -> None:
    assert finished.planned("--config", override) == {}


CONFIG_CASES = {
    "filter threshold": ("data={filters: {chroma_std: 3}}", ["filter"]),
    "near duplicates": ("data={near_duplicate_bits: 2}", ["filter"]),
    "picture size": ("data={size: 48}", ["normalize"]),
    "shard size": ("data={shard_size: 12}", ["normalize"]),
    "split ratio": ("data={split: {train: 0.5, val: 0.3}}", ["split"]),
    "split key": ("data={split: {key: other}}", ["split"]),
    "format of the derivatives": ("colorize={format: tiff}", ["plan"]),
    "archive shard size": ("colorize={shard_size: 1}", ["plan"]),
    "saturation": ("colorize={saturation: 0.5}", ["colorize_shard"]),
    "archive path": ("archive={scans: photos}", ["plan"]),
    "another archive": ("archive=photos", ["plan"]),
    "protocols": ("evaluate={protocols: [native]}", ["evaluate_row"]),
    "degradations": ("evaluate={degradations: [grain]}", ["evaluate_row"]),
    "plates": ("evaluate={plates: {old: {scans: scans, truth: photos}}}", ["evaluate_row"]),
    "report title": ("report={title: Other}", ["write_report"]),
}


@pytest.mark.parametrize("case", CONFIG_CASES)
def test_a_changed_key_reruns_its_stage_and_those_below(finished: Workspace, case: str) -> None:
    override, stages = CONFIG_CASES[case]
    expected = visible(below(*stages))
    if case == "shard size":
        expected = below("normalize")
    assert set(finished.planned("--config", override)) == expected


def test_pictures_of_others_are_a_row_that_follows_them(finished: Workspace) -> None:
    folder = finished.path / "theirs"
    options = ("--config", "evaluate={compare: {rival: theirs}}")
    with changed(folder / "1.png", b"a picture"):
        planned = finished.planned(*options)
    assert planned["evaluate_row"] == 1
    assert set(planned) == {"evaluate_row", "write_report"}


def test_another_backend_exports_the_model_and_colorizes_anew(finished: Workspace) -> None:
    planned = finished.planned("--config", "colorize={backend: onnx}")
    assert planned["export_onnx"] == 1
    assert set(planned) == below("colorize_shard") | {"export_onnx"}


def test_a_bag_is_made_where_asked_for_and_alone(finished: Workspace) -> None:
    planned = finished.planned("colorize", "--config", "colorize={bag: true}")
    assert planned == {"bag": 1}


def test_known_colours_reach_the_shards(finished: Workspace) -> None:
    table = b'file,x,y,colour,citation\ncamera.png,5,5,"9,9",a diary\n'
    with changed(finished.path / "hints.csv", table):
        planned = finished.planned("--config", "colorize={hints: hints.csv}")
    assert set(planned) == below("colorize_shard")


def test_the_second_phase_alone_is_retrained(finished: Workspace) -> None:
    recipe = finished.path / "mini.yaml"
    with changed(recipe, recipe.read_bytes().replace(b"lr: 0.0002", b"lr: 0.0003")):
        planned = finished.planned()
    assert planned == {
        "write_recipe": 1,
        "train_phase": 1,
        "evaluate_row": 1,
        "calibrate": 1,
        "colorize_shard": planned["colorize_shard"],
        "gather": 1,
        "write_report": 1,
    }
    with changed(recipe, recipe.read_bytes().replace(b"description: s", b"description: few s")):
        assert finished.planned() == {}


def test_a_third_phase_leaves_the_first_two_alone(finished: Workspace) -> None:
    recipe = finished.path / "mini.yaml"
    text = recipe.read_text()
    third = text[text.index("  - name: gan") :].replace("name: gan", "name: more")
    with changed(recipe, (text + third).encode()):
        planned = finished.planned()
    assert planned["write_recipe"] == 1
    assert planned["train_phase"] == 1


MODULES = declared()
EDITS = sorted(
    # Without what is made only where it is asked for; tests above ask.
    {f"workflow/scripts/{stage}.py" for stage in MODULES if stage not in ("export_onnx", "bag")}
    | {
        f"workflow/scripts/photochrom/{module}"
        for module in ("color.py", "shards.py", "models/unet.py")
    }
)


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_source_reruns_the_stages_made_of_it(finished: Workspace, name: str) -> None:
    path = finished.path / name
    module = name.removeprefix("workflow/scripts/photochrom/")
    stages = {stage for stage, modules in MODULES.items() if module in modules}
    if re.fullmatch(r"workflow/scripts/\w+\.py", name):
        stages = {path.stem}
    rules = {rule for rule in ABOVE if STAGE_OF.get(rule, rule) in stages}
    assert rules
    with changed(path, path.read_bytes() + b"# an edit\n"):
        assert set(finished.planned()) == visible(below(*rules))
    assert finished.planned() == {}  # the edit was reverted


PHOTOS = below("download")
SCANS = below("plan")
TREE_CASES = {
    "a photograph added deep down": ("photos/new/deep/down.png", b"x", PHOTOS),
    "a photograph edited": ("photos/coffee/crops/0.png", b"x", PHOTOS),
    "a photograph removed": ("photos/coffee/crops/0.png", None, PHOTOS),
    "a scan added deep down": ("scans/box 1/deep/new/x.png", b"x", SCANS),
    "a scan edited": ("scans/box 1/coins.png", b"x", SCANS),
    "a scan removed": ("scans/box 1/deep/moon.png", None, SCANS),
}


@pytest.mark.parametrize("case", TREE_CASES)
def test_changes_inside_folders_are_noticed(finished: Workspace, case: str) -> None:
    name, content, rules = TREE_CASES[case]
    with changed(finished.path / name, content):
        assert set(finished.planned()) == visible(rules)
    assert finished.planned() == {}


def test_a_dry_run_writes_nothing_but_its_cache(finished: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished.path / "results").rglob("*")}
    finished.planned("--config", "report={title: Other}")
    after = {path: path.stat().st_mtime_ns for path in (finished.path / "results").rglob("*")}
    assert {path for path in after if after[path] != before.get(path)} <= {
        finished.path / "results" / ".cache",
        *(finished.path / "results" / ".cache").glob("*"),
    }


def test_one_training_job_at_a_time_unless_more_gpus_are_offered(finished: Workspace) -> None:
    """The total of 1 is set through an attribute that Snakemake does not document."""
    text = finished.run("--dry-run", "--forcerun", "train_phase").stdout
    assert "gpu=1" in text
    probe = finished.path / "Probe"
    probe.write_text('include: "Snakefile"\nprint("GPU total", workflow.global_resources["gpu"])\n')
    try:
        for offered, total in (([], 1), (["--resources", "gpu=2"], 2)):
            shown = finished.run("--snakefile", "Probe", "--dry-run", *offered).stdout
            assert re.search(rf"GPU total .*\b{total}\b", shown), shown
    finally:
        probe.unlink()


def test_an_archive_in_a_zip_is_colorized_and_its_changes_are_noticed(fresh: Workspace) -> None:
    """With an experiment's weights that are here already, so that nothing is trained."""
    scans, archive = fresh.path / "scans", fresh.path / "box.zip"
    files = sorted(path for path in scans.rglob("*.png"))

    def pack(paths: list[Path]) -> None:
        with zipfile.ZipFile(archive, "w") as writer:
            for path in paths:
                writer.write(path, path.relative_to(scans))

    pack(files[:2])
    options = ("colorize", "--config", "archive=box.zip", "colorize={weights: shipped}")
    fresh.run(*options)
    assert fresh.planned(*options) == {}
    table = "results/colorized/box/status.csv"
    done = {row["path"]: row["output_sha256"] for row in fresh.table(table)}
    assert len(done) == 2
    pack(files)
    assert fresh.planned(*options)["plan"] == 1
    fresh.run(*options)
    log = next(fresh.path.glob("results/logs/colorize/box-*.log")).read_text()
    assert "2 already finished" in log
    after = {row["path"]: row["output_sha256"] for row in fresh.table(table)}
    assert done.items() < after.items()
    assert len(after) == 3
