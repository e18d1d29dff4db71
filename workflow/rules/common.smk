"""What the rules share: the checked configuration, and which sources each stage is made of.

No rules here. Nothing heavy is imported (no torch, pandas or photochrom), so that a dry run
stays at Snakemake's own start-up time.
"""

import csv
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, f"{workflow.basedir}/workflow/rules")

from config_help import ConfigError, complete, read_yaml
from preflight import (
    LISTS,
    SHIPPED,
    SHIPPED_NAME,
    begin_run,
    check_audit,
    check_data,
    check_kaggle,
    check_sources,
    check_writable,
    explain_lock,
    listed_files,
    model_of,
    present,
    read_archives,
    read_experiments,
    read_schema,
    rows_of,
    seal_of,
    set_environment,
    shipped_model,
    stop,
    table_of,
    unlimited,
    weights_of,
)
from stage_modules import MODULES
from trees import tree_digest

BASE = Path(workflow.basedir)

# Relative where possible, so that a moved checkout stays fresh.
SCRIPTS = os.path.relpath(BASE / "workflow" / "scripts")
TEMPLATES = os.path.relpath(BASE / "workflow" / "report")
CACHE = Path("results/.cache")

# For `snakemake --sdm conda`; without it the active environment is used.
ENVIRONMENT = str(BASE / "envs" / "photochrom.yaml")

set_environment()

# Training is one job at a time unless more GPUs are offered: --resources gpu=2.
workflow.global_resources.setdefault("gpu", 1)

try:
    if not isinstance(read_yaml(BASE / "config.yaml"), dict):
        raise ConfigError(
            f"{BASE / 'config.yaml'} is empty or holds no keys and values; "
            "bring it back with git checkout config.yaml"
        )
except ConfigError as error:
    stop(error)


configfile: BASE / "config.yaml"


try:
    config = complete(config, read_schema(BASE, "config"), "config")
    check_sources(config["data"]["sources"])
    check_audit(config["data"]["audit"])
    if workflow.is_main_process:
        check_kaggle(config["data"]["sources"])
    EXPERIMENTS = read_experiments(config["experiments"], BASE)
    check_data(config["data"], EXPERIMENTS)
    ARCHIVES = read_archives(config["archive"])
    WEIGHTS = weights_of(config["colorize"]["weights"], EXPERIMENTS, BASE)
    HINTS = table_of(config["colorize"], "hints")
    REVIEW = table_of(config["colorize"], "review")
    SEAL = seal_of(config["colorize"]["c2pa"])
    # The shipped model is measured where it is used: it joins the table as a row of its own.
    GIVEN = [SHIPPED_NAME] if config["colorize"]["weights"] == SHIPPED else []
    ROWS = rows_of(config["evaluate"], [*EXPERIMENTS, *GIVEN])
except ConfigError as error:
    stop(error)

DATA = config["data"]
TRAINED = {name: model_of(name, experiment) for name, experiment in EXPERIMENTS.items()}
MODELS = TRAINED | {name: shipped_model(BASE) for name in GIVEN}

# What the uncertainty of that model is worth: measured here for an experiment's, and taken from
# beside it for one that comes as a file.
CALIBRATION = str(Path(WEIGHTS).with_name("calibration.json"))
if WEIGHTS not in TRAINED.values() and not Path(CALIBRATION).is_file():
    CALIBRATION = []

# The file that colorizes: the model itself, or its export where ONNX Runtime is to run it.
BACKEND = config["colorize"]["backend"]
RUNNING = WEIGHTS if BACKEND == "torch" else "results/models/exported/model.onnx"

# The keys of colorize that shape a picture (archive/provenance.py).
SETTINGS = (
    "format",
    "coloured_deviation",
    "toned",
    "saturation",
    "abstain",
    "samples",
    "uncertainty",
    "caption",
    "digital_source_type",
)

if workflow.is_main_process:
    check_writable(".", ".snakemake", "results")
    explain_lock()


onstart:
    begin_run(config)
    unlimited(workflow.scheduler)


wildcard_constraints:
    archive=r"[^/]+",
    experiment=r"[^/]+",
    phase=r"[^/]+",
    row=r"[^/]+",
    shard=r"\d{5}",


def code(stage):
    """A stage's script and library modules: declared inputs, compared by content."""
    modules = ["__init__.py", *MODULES[stage]]
    return [
        f"{SCRIPTS}/{stage}.py",
        *(f"{SCRIPTS}/photochrom/{module}" for module in modules),
    ]


def templates(page):
    """The template files of a page, "report" or "review", and those that both share."""
    names = sorted(path.name for path in Path(TEMPLATES).iterdir() if path.is_file())
    other = {"report": "review", "review": "report"}[page]
    return [f"{TEMPLATES}/{name}" for name in names if not name.startswith(other)]


def inline(value):
    """A configuration value as one line of JSON, which is YAML: how it reaches a script."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def literally(text):
    """A parameter that holds this text, whatever braces are in it."""
    return lambda wildcards: text


def source_digests(wildcards):
    """Digests of the folders that data.sources names, so that a change inside one is noticed."""
    return [
        tree_digest(Path(source[key]), CACHE)
        for source in DATA["sources"]
        for key in ("path", "manifest")
        if source.get(key)
    ]


def audit_folders(wildcards):
    """What data.audit names, as arguments: none of them can be taken for an option."""
    paths = [f"./{path}" if path.startswith("-") else path for path in DATA["audit"]]
    return ["--folders", *paths] if paths else []


def audit_digests(wildcards):
    """Digests of the evaluation pictures that data.audit names."""
    return [tree_digest(Path(path), CACHE) for path in DATA["audit"]]


def archive_digest(wildcards):
    """The same for an archive."""
    path = ARCHIVES[wildcards.archive]
    if path == "builtin":
        return path
    listed = listed_files(path) if path.lower().endswith(LISTS) else []
    return [tree_digest(Path(each), CACHE) for each in (path, *listed)]


def human_tables(wildcards, input):
    """The tables that a person wrote for colorize, as arguments."""
    hints = ["--hints", input.hints] if input.hints else []
    return [*hints, *(["--decisions", input.review] if input.review else [])]


def shard_files(wildcards):
    """The training shards that hold the catalog's kept images: as many as the filter leaves."""
    with open(
        checkpoints.filter.get().output.catalog, encoding="utf-8", newline=""
    ) as file:
        kept = sum(row["verdict"] == "keep" for row in csv.DictReader(file))
    count = -(-kept // DATA["shard_size"])
    return [f"results/data/shards/shard-{index:05}.h5" for index in range(count)]


def archive_statuses(wildcards):
    """The status files of an archive's shards: as many as its plan names."""
    model_here(WEIGHTS)  # said before an archive is planned for nothing
    plan = Path(checkpoints.plan.get(archive=wildcards.archive).output.plan)
    shards = sorted(path.name for path in plan.glob("shard-*.csv"))
    return [f"results/colorized/{wildcards.archive}/status/{shard}" for shard in shards]


def phase_names(experiment):
    return [phase["name"] for phase in EXPERIMENTS[experiment]["phases"]]


def recipe(wildcards):
    """What one phase needs to know, so that a change to one phase leaves those before it alone."""
    experiment = EXPERIMENTS[wildcards.experiment]
    phase = experiment["phases"][
        phase_names(wildcards.experiment).index(wildcards.phase)
    ]
    return inline(
        {
            "experiment": wildcards.experiment,
            "seed": experiment["seed"],
            "network": experiment["network"],
            "input": experiment["input"],
            "phase": phase,
        }
    )


def parent(wildcards):
    """The weights that a phase starts from: none for the first."""
    names = phase_names(wildcards.experiment)
    before = names[: names.index(wildcards.phase)]
    folder = f"results/models/{wildcards.experiment}"
    return [f"{folder}/{before[-1]}/model.safetensors"] if before else []


def parts_of_experiment(wildcards):
    """The parts of the data that the phases of an experiment name, as train.py takes them."""
    phases = EXPERIMENTS[wildcards.experiment]["phases"]
    named = {part for phase in phases for part in phase["parts"] or []}
    return ",".join(map(str, sorted(named))) or "any"


def logs_before(wildcards):
    """The logs of the phases before: their curves go on in this one's."""
    names = phase_names(wildcards.experiment)
    folder = f"results/models/{wildcards.experiment}"
    before = names[: names.index(wildcards.phase)]
    return [f"{folder}/{name}/log.jsonl" for name in before]


def model_of_row(wildcards):
    """The model that a row of the metrics table evaluates: none for a yardstick."""
    return model_here(MODELS[wildcards.row]) if wildcards.row in MODELS else []


def model_here(model):
    """A model that a job needs; the run ends with one line where the shipped one is missing."""
    try:
        return present(model, BASE)
    except ConfigError as error:
        stop(error)


def source_of_row(wildcards, input):
    """Where a row's pictures come from, as evaluate.py is told."""
    if input.model:
        return ["--model", input.model]
    compared = config["evaluate"]["compare"]
    if wildcards.row in compared:
        return ["--compare", compared[wildcards.row]]
    return ["--yardstick", wildcards.row]


def compared_digest(wildcards):
    """What a row was compared with: a changed picture or plate makes it stale."""
    folders = [config["evaluate"]["compare"].get(wildcards.row)]
    if wildcards.row not in config["evaluate"]["compare"]:
        folders += [
            path
            for plates in config["evaluate"]["plates"].values()
            for path in plates.values()
        ]
    return [tree_digest(Path(folder), CACHE) for folder in folders if folder]


HISTORIES = {
    f"{experiment}/{phase}": f"results/models/{experiment}/{phase}/log.jsonl"
    for experiment in EXPERIMENTS
    for phase in phase_names(experiment)
}
