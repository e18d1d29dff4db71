"""What is checked and prepared before any job starts; common.smk calls it while parsing.

Plain functions, so that they are tested and typed like the rest. They import nothing heavy.
"""

import csv
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import yaml

import alive
from config_help import ConfigError, complete, read_yaml

# Networks that give a distribution over colour bins; a test holds them against the library.
NETWORKS_OF_BINS = ("photochrom", "zhang16")
# What height and width must be multiples of, for networks that say so without being built; the
# two of a pretrained encoder when it is the default. A test holds them against the library.
MULTIPLES = {"fusion": 8, "zhang16": 8, "encoder-unet": 32, "photochrom": 32}
DEFAULT_ENCODER = "tf_efficientnet_lite0"
# Rows of the metrics table that no experiment may be compared without.
YARDSTICKS = ("grey", "constant", "levin", "truth")
# Photographs against photographs, in the protocol that tells of two sets.
REAL = "real"

# The model that comes with the workflow: what colorize.weights calls it, and its name.
SHIPPED = "shipped"
SHIPPED_NAME = "photochrom-1"

# Suffixes of files that hold an archive, or list it; other dots belong to the name.
LISTS = (".csv", ".tsv")
ARCHIVE_SUFFIXES = (
    *(".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"),
    *LISTS,
)

# Jobs, and seconds: Snakemake's default of --max-jobs-per-timespan.
SNAKEMAKES_LIMIT = (100, 1)

# What each kind of source takes besides `kind`.
SOURCE_KEYS = {
    "builtin": (),
    "folder": ("path", "manifest"),
    "kaggle": ("path",),
    "urls": ("path", "parallel", "deadline", "minimum_rate"),
}

# The Kaggle set, as photochrom/sources/kaggle.py names it.
KAGGLE_DATASET = "shravankumar9892/image-colorization"


class MissingError(ConfigError):
    """The configuration asks for something that this machine lacks."""


def stop(message: object) -> NoReturn:
    """End at once with one line, as a fault in the configuration deserves.

    The exit code is 1, or for a MissingError 4, as for the stages.
    """
    print(f"photochrom: {message}", file=sys.stderr)
    sys.exit(4 if isinstance(message, MissingError) else 1)


def read_schema(base: Path, name: str) -> dict[str, Any]:
    """One of the schemas in workflow/schemas."""
    schema = read_yaml(base / "workflow" / "schemas" / f"{name}.schema.yaml")
    assert isinstance(schema, dict)
    return schema


def read_experiments(names: list[str], base: Path) -> dict[str, dict[str, Any]]:
    """Checked experiments by name; an entry that ends in .yaml is a path, else a shipped name."""
    schema = read_schema(base, "experiment")
    shipped = base / "workflow" / "experiments"
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        path = Path(name) if name.endswith((".yaml", ".yml")) else shipped / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in shipped.glob("*.yaml")))
            raise ConfigError(f"experiments: {name} is no file and not one of: {known}")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", path.stem):
            raise ConfigError(f"experiments: use letters, digits, . _ - to name {path.name}")
        if path.stem in found:
            raise ConfigError(f"experiments: two are called {path.stem}; rename one file")
        if path.stem in (*YARDSTICKS, REAL):
            raise ConfigError(f"experiments: {path.stem} is a yardstick's name; rename the file")
        if path.stem in (SHIPPED, SHIPPED_NAME):
            raise ConfigError(f"experiments: {path.stem} is the shipped model; rename the file")
        experiment = complete(read_yaml(path), schema, f"experiment {path.name}")
        phases = [phase["name"] for phase in experiment["phases"]]
        if len(set(phases)) < len(phases):
            raise ConfigError(f"experiment {path.name}: two phases have one name: {phases}")
        found[path.stem] = experiment
    return found


def model_of(name: str, experiment: dict[str, Any]) -> str:
    """The weights that an experiment ends with: those of its last phase."""
    return f"results/models/{name}/{experiment['phases'][-1]['name']}/model.safetensors"


def shipped_model(base: Path) -> str:
    """The file of the shipped model, relative, so that a moved checkout stays fresh."""
    return os.path.relpath(base / "workflow" / "models" / f"{SHIPPED_NAME}.safetensors")


def present(model: str, base: Path) -> str:
    """A model that a job needs; MissingError where it is the shipped one and is not there.

    Asked by the inputs of jobs, so that runs that need no model go on without it.
    """
    if model == shipped_model(base) and not Path(model).is_file():
        raise MissingError(
            f"the shipped model is missing: it belongs at {model}; bring it back with: git "
            f"checkout -- {model}, or train one: snakemake --cores 2 train --configfile "
            f"workflow/configs/{SHIPPED_NAME}.yaml, and name it by colorize.weights "
            f"(workflow/models/{SHIPPED_NAME}.md says more)"
        )
    return model


def weights_of(setting: str, experiments: dict[str, dict[str, Any]], base: Path) -> str:
    """The model that colorize uses: the shipped one, an experiment's, or a file by its path."""
    if setting == SHIPPED:
        return shipped_model(base)
    if setting in experiments:
        return model_of(setting, experiments[setting])
    if setting.endswith(".safetensors"):
        if not Path(setting).is_file():
            raise ConfigError(f"colorize.weights: {setting} does not exist; check the path")
        return setting
    raise ConfigError(
        f"colorize.weights: {setting} is neither {SHIPPED}, nor one of the experiments "
        f"({', '.join(experiments)}), nor the path of a .safetensors file"
    )


def table_of(colorize: dict[str, Any], key: str) -> list[str]:
    """A table that a person wrote, as an input of rules: none, or one."""
    path = colorize[key]
    if path is None:
        return []
    if not Path(path).is_file():
        raise ConfigError(f"colorize.{key}: {path} does not exist; check the path")
    return [path]


def seal_of(given: dict[str, str] | None) -> list[str]:
    """What signs derivatives, as arguments of colorize.py; the files exist."""
    if given is None:
        return []
    for key in ("certificates", "key"):
        if not Path(given[key]).is_file():
            raise ConfigError(f"colorize.c2pa.{key}: {given[key]} does not exist; check the path")
    return ["--sign", given["certificates"], given["key"], given["algorithm"]]


def rows_of(evaluate: dict[str, Any], experiments: Iterable[str]) -> list[str]:
    """The rows of the metrics table. What is compared exists and has a name of its own.

    Paths become plain ones.
    """
    rows = [*YARDSTICKS, *([REAL] if "disjoint" in evaluate["protocols"] else []), *experiments]
    for name, path in evaluate["compare"].items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ConfigError(f"evaluate.compare: use letters, digits, . _ - to name {name!r}")
        if name in (*rows, REAL):
            raise ConfigError(f"evaluate.compare: another row is called {name}; rename this one")
        if not os.path.isdir(os.path.expanduser(path)):
            raise ConfigError(f"evaluate.compare: {path} is not a folder; check the path")
        evaluate["compare"][name] = plain_path(path)
        rows.append(name)
    for name, folders in evaluate["plates"].items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ConfigError(f"evaluate.plates: use letters, digits, . _ - to name {name!r}")
        for key, path in folders.items():
            if not os.path.isdir(os.path.expanduser(path)):
                raise ConfigError(f"evaluate.plates: {path} is not a folder; check the path")
            folders[key] = plain_path(path)
    return rows


def check_size(where: str, phase: dict[str, Any], network: dict[str, Any]) -> None:
    """The network and the discriminator can take the phase's size."""
    size, critic = phase["size"], phase["discriminator"]
    multiple = 2 ** network["depth"] if network["name"] == "unet" else MULTIPLES[network["name"]]
    if network.get("encoder", DEFAULT_ENCODER) == DEFAULT_ENCODER and size % multiple:
        raise ConfigError(
            f"{where}: size {size} is not a multiple of {multiple}, as the network "
            f"{network['name']} needs; {max(multiple, size // multiple * multiple)} would be"
        )
    if critic is not None and size < 3 * 2 ** critic["layers"]:
        raise ConfigError(
            f"{where}: size {size} is below {3 * 2 ** critic['layers']}, the least its "
            "discriminator can judge; raise size or lower the discriminator's layers"
        )


def check_data(data: dict[str, Any], experiments: dict[str, dict[str, Any]]) -> None:
    """What the schema cannot say of the data: order, sums, and what the experiments ask of it."""
    limits = data["filters"]["brightness"]
    if limits and limits[0] >= limits[1]:
        raise ConfigError(f"data.filters.brightness: {limits[0]:g} is not below {limits[1]:g}")
    shares = [data["split"][part] for part in ("train", "val", "test")]
    if abs(sum(shares) - 1) > 1e-6:
        raise ConfigError(f"data.split: train, val and test add up to {sum(shares):g}, not to 1")
    for name, experiment in experiments.items():
        for phase in experiment["phases"]:
            where = f"experiment {name}, phase {phase['name']}"
            if phase["size"] > data["size"]:
                raise ConfigError(
                    f"{where}: size {phase['size']} is more than data.size, {data['size']}; "
                    "raise data.size or lower the phase's size"
                )
            check_size(where, phase, experiment["network"])
            if (phase["epochs"] is None) == (phase["steps"] is None):
                both = "both epochs and steps" if phase["steps"] else "neither epochs nor steps"
                raise ConfigError(f"{where}: it has {both}; give one of them")
            optimizer = phase["optimizer"]
            if optimizer["name"] == "adam" and optimizer["weight_decay"]:
                raise ConfigError(f"{where}: weight_decay is for adamw; choose name: adamw")
            adversarial = [loss for loss in phase["losses"] if loss.startswith("gan")]
            if len(adversarial) > 1:
                raise ConfigError(f"{where}: choose one of the losses {', '.join(adversarial)}")
            if bool(adversarial) != (phase["discriminator"] is not None):
                raise ConfigError(f"{where}: a gan loss and a discriminator go together")
            network = experiment["network"]["name"]
            if "rebalanced-ce" in phase["losses"] and network not in NETWORKS_OF_BINS:
                raise ConfigError(
                    f"{where}: the loss rebalanced-ce needs a network that chooses among colour "
                    f"bins ({', '.join(NETWORKS_OF_BINS)}), and {network} does not"
                )


def plain_path(path: str) -> str:
    """A path as all of its spellings become: ~ expanded, no trailing slash, and relative where it
    lies below the working directory, so that the longer spelling does not make anything stale."""
    plain = os.path.normpath(os.path.expanduser(path))
    below = Path(os.path.abspath(plain)).is_relative_to(os.getcwd())
    return os.path.relpath(plain) if below else plain


def is_file_or_folder(path: str) -> bool:
    """Whether a path is there and no pipe, socket or device."""
    return os.path.isdir(path) or os.path.isfile(path)


def check_sources(sources: list[dict[str, Any]]) -> None:
    """Each source has what its kind needs, and what it names exists. Paths become plain ones."""
    for source in sources:
        kind = source["kind"]
        for key in source.keys() - {"kind", *SOURCE_KEYS[kind]}:
            raise ConfigError(f"data.sources: kind {kind} takes no {key}")
        for key in ("path", "manifest"):
            if source.get(key):
                source[key] = plain_path(source[key])
        path, manifest = source.get("path") or "", source.get("manifest")
        if kind in ("folder", "urls") and not path:
            raise ConfigError(f"data.sources: kind {kind} needs a path")
        if kind == "folder" and not is_file_or_folder(path):
            raise ConfigError(f"data.sources: {path} is not a folder, zip or tar; check the path")
        if kind == "urls" and not Path(path).is_file():
            raise ConfigError(f"data.sources: {path} is not a table; check the path")
        if kind == "kaggle" and path and not Path(path, "l", "gray_scale.npy").is_file():
            raise ConfigError(
                f"data.sources: {path} is not a copy of the Kaggle set, which has "
                "l/gray_scale.npy and ab/ab/ab1.npy in it; check the path"
            )
        if manifest and not Path(manifest).is_file():
            raise ConfigError(f"data.sources: manifest {manifest} does not exist")
        if path:
            check_apart(path, "data.sources")


def check_kaggle(sources: list[dict[str, Any]]) -> None:
    """The Kaggle set has a path, lies in kagglehub's cache, or can be asked for.

    Looks where kagglehub 1.0 looks; whether Kaggle accepts the credentials shows at the download.
    """
    wanted = any(each["kind"] == "kaggle" and not each.get("path") for each in sources)
    cache = os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub"
    there = any(Path(cache, "datasets", *KAGGLE_DATASET.split("/")).glob("*.complete"))
    home = Path.home() / ".kaggle"
    files = [
        Path(os.environ.get("KAGGLE_CONFIG_DIR") or home, "kaggle.json"),
        home / "access_token",
        home / "access_token.txt",
    ]
    given = (
        (os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY"))
        or os.environ.get("KAGGLE_API_TOKEN")
        or any(file.is_file() for file in files)
    )
    if wanted and not there and not given:
        raise MissingError(
            "data.sources: kind kaggle needs Kaggle credentials, which can be given in two ways: "
            "set the environment variables KAGGLE_USERNAME and KAGGLE_KEY, or save kaggle.json "
            f"from kaggle.com/settings as {files[0]}. With a copy of the set on disk none are "
            "needed: {kind: kaggle, path: FOLDER}"
        )


def check_audit(paths: list[str]) -> None:
    """What data.audit names exists. Paths become plain ones, each of them once."""
    paths[:] = dict.fromkeys(map(plain_path, paths))
    for path in paths:
        if not is_file_or_folder(path):
            raise ConfigError(f"data.audit: {path} is not a folder, zip or tar; check the path")
        check_apart(path, "data.audit")


def check_apart(path: str, key: str) -> None:
    """Refuse a folder that holds results/, or lies in it: it would change with every run."""
    folder, results = Path(path).resolve(), Path("results").resolve()
    if results.is_relative_to(folder) or folder.is_relative_to(results):
        raise ConfigError(
            f"{key}: {path} and results/ lie within each other; choose another folder"
        )


def archive_name(path: str) -> str:
    """The last component of an archive's path, without the suffix of an archive file."""
    name = Path(os.path.abspath(path)).name
    for suffix in ARCHIVE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def read_archives(setting: str | list[str] | dict[str, str]) -> dict[str, str]:
    """Archives as {name: path}. Two of one name are refused, with the way to name them."""
    if isinstance(setting, dict):
        named = list(setting.items())
    else:
        paths = [setting] if isinstance(setting, str) else setting
        named = [(archive_name(path), path) for path in paths]
    found: dict[str, str] = {}
    for name, written in named:
        path = written if written == "builtin" else plain_path(written)
        if name in found:
            raise ConfigError(
                f"archive: {found[name]} and {path} would both be called {name}; "
                f"name them: --config 'archive={{{name}: {found[name]}, {name}-2: {path}}}'"
            )
        if not name or set("/{}") & set(name) or name.startswith("."):
            raise ConfigError(
                f"archive: '{name}' cannot name a folder in results/colorized; "
                f"name the archive: --config 'archive={{NAME: {path}}}'"
            )
        if path != "builtin" and not os.path.exists(path):
            raise ConfigError(f"archive: {path} does not exist; check the path, or mount the disk")
        if path != "builtin" and os.path.isdir(path):
            check_apart(path, "archive")
        elif path != "builtin" and not path.lower().endswith(ARCHIVE_SUFFIXES):
            raise ConfigError(
                f"archive: {path} is neither a folder nor, by its name, a zip, tar or CSV list; "
                "name the folder that it lies in"
            )
        found[name] = path
    return found


def listed_files(table: str) -> list[str]:
    """The files that a list names, where they exist; what is wrong with it the stage will say."""
    folder = Path(table).parent
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t" if table.lower().endswith(".tsv") else ",")
            named = [str(folder / (row.get("file") or "").strip()) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    return sorted({path for path in named if os.path.isfile(path)})


def set_environment() -> None:
    """What jobs find in their environment.

    The Python that runs Snakemake comes first, also when its environment is not active; and each
    job is told where to hold its sign of life.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["PHOTOCHROM_ALIVE"] = str(alive.RUNNING.absolute())


def explain_lock() -> None:
    """Stop while processes of an earlier run live here; explain the lock of one that does not.

    Also `snakemake --unlock` stops then: with the lock gone, a second run would write the same
    files. A dry run only looks, and is let through.
    """
    if {"-n", "--dry-run", "--dryrun"} & set(sys.argv):
        return
    others = alive.living_after_grace()
    if others:
        stop(
            f"{', '.join(others)} of a run in this folder still works; wait for it, "
            "or stop it with kill and its number"
        )
    if alive.lock_left_behind() and "--unlock" not in sys.argv:
        print(
            "photochrom: an earlier run here was killed and left its lock; to remove it type "
            "snakemake --unlock (make run does so by itself), then run again",
            file=sys.stderr,
        )


def check_writable(*folders: str) -> None:
    """Stop when a folder that exists cannot be written, of which Snakemake makes a traceback."""
    for folder in folders:
        if Path(folder).exists() and not os.access(folder, os.W_OK):
            stop(
                f"cannot write {Path(folder).absolute()}: read-only, or no permission; make it "
                "writable, or work in another folder with --directory"
            )


def begin_run(config: dict[str, Any]) -> None:
    """At the start of a run that has work to do: a sign of life, and the merged configuration."""
    merged = Path("results/run_config.yaml")
    text = "# The merged configuration of the last run: config.yaml, --configfile and --config.\n"
    text += yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    try:
        alive.hold("snakemake")
        if not merged.exists() or merged.read_text(encoding="utf-8") != text:
            merged.write_text(text, encoding="utf-8")
    except OSError as error:
        stop(
            f"cannot write {error.filename or merged}: {error.strerror}; make results/ writable "
            "and see that the disk is not full, or work in another folder with --directory"
        )


def unlimited(scheduler: Any) -> None:
    """Take away Snakemake's own limit of jobs a second, unless the user has set another.

    With a limit, Snakemake 9.27 looks at all waiting jobs again every second for ever, once for
    each job that has ended so far: after a hundred shards of an archive it would keep a core busy.
    """
    limit = scheduler.job_rate_limiter
    if limit is not None and (limit.max_jobs, limit.timespan) == SNAKEMAKES_LIMIT:
        scheduler.job_rate_limiter = None
