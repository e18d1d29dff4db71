"""What is checked and prepared before any job starts; common.smk calls it while parsing.

Plain functions, so that they are tested and typed like the rest. They import nothing heavy.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import alive
import yaml
from config_help import ConfigError, complete, read_yaml

# Rows of the metrics table that no experiment may be compared without.
YARDSTICKS = ("grey", "constant", "truth")

# Suffixes of files that hold an archive; other dots belong to the name.
ARCHIVE_SUFFIXES = (".zip", ".tar.gz", ".tgz", ".tar", ".csv")


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
        if path.stem in YARDSTICKS:
            raise ConfigError(f"experiments: {path.stem} is a yardstick's name; rename the file")
        experiment = complete(read_yaml(path), schema, f"experiment {path.name}")
        phases = [phase["name"] for phase in experiment["phases"]]
        if len(set(phases)) < len(phases):
            raise ConfigError(f"experiment {path.name}: two phases have one name: {phases}")
        found[path.stem] = experiment
    return found


def model_of(name: str, experiment: dict[str, Any]) -> str:
    """The weights that an experiment ends with: those of its last phase."""
    return f"results/models/{name}/{experiment['phases'][-1]['name']}/model.safetensors"


def weights_of(setting: str, experiments: dict[str, dict[str, Any]]) -> str:
    """The path of the model that colorize uses: an experiment's, or a file named by its path."""
    if setting in experiments:
        return model_of(setting, experiments[setting])
    if setting.endswith(".safetensors"):
        if not Path(setting).is_file():
            raise ConfigError(f"colorize.weights: {setting} does not exist; check the path")
        return setting
    raise ConfigError(
        f"colorize.weights: {setting} is neither one of the experiments "
        f"({', '.join(experiments)}) nor the path of a .safetensors file"
    )


def check_sources(sources: list[dict[str, Any]]) -> None:
    """Each source has what its kind needs, and its folder exists."""
    for source in sources:
        if source["kind"] == "kaggle":
            path = source.get("path")
            if path and not Path(path, "l", "gray_scale.npy").is_file():
                raise ConfigError(
                    f"data.sources: {path} is not a copy of the Kaggle set, which has "
                    "l/gray_scale.npy and ab/ab/ab1.npy in it; check the path"
                )
        elif source["kind"] in ("folder", "urls"):
            path = source.get("path")
            if not path:
                raise ConfigError(f"data.sources: kind {source['kind']} needs a path")
            if source["kind"] == "folder" and not os.path.exists(path):
                raise ConfigError(
                    f"data.sources: {path} is not a folder, zip or tar; check the path"
                )
            if source["kind"] == "urls" and not Path(path).is_file():
                raise ConfigError(f"data.sources: {path} is not a table; check the path")
            manifest = source.get("manifest")
            if manifest and not Path(manifest).is_file():
                raise ConfigError(f"data.sources: manifest {manifest} does not exist")
        for key in source.keys() - {"kind", *SOURCE_KEYS[source["kind"]]}:
            raise ConfigError(f"data.sources: kind {source['kind']} takes no {key}")


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
    """What data.audit names exists."""
    for path in paths:
        if not os.path.exists(path):
            raise ConfigError(f"data.audit: {path} does not exist; check the path")


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
    for name, path in named:
        if name in found:
            raise ConfigError(
                f"archive: {found[name]} and {path} would both be called {name}; "
                f"name them: --config 'archive={{{name}: {found[name]}, {name}-2: {path}}}'"
            )
        if not name or "/" in name or name.startswith("."):
            raise ConfigError(
                f"archive: '{name}' cannot name a folder in results/colorized; "
                f"name the archive: --config 'archive={{NAME: {path}}}'"
            )
        if path != "builtin" and not os.path.exists(path):
            raise ConfigError(f"archive: {path} does not exist; check the path, or mount the disk")
        if path != "builtin" and not os.path.isdir(path):
            raise ConfigError(f"archive: {path} is a file, not a folder; unpack it first")
        found[name] = path
    return found


def offer_python() -> None:
    """Let jobs find the Python that runs Snakemake, also when its environment is not active."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def prepare_run(config: dict[str, Any]) -> None:
    """Hold a sign of life, explain a lock left behind, and save the merged configuration."""
    if alive.lock_left_behind() and "--unlock" not in sys.argv:
        others = alive.living()
        if others:
            stop(
                f"{', '.join(others)} of a run in this folder still works; wait for it, "
                "or stop it with kill and its number"
            )
        print(
            "photochrom: an earlier run here was killed and left its lock; to remove it type "
            "snakemake --unlock (make run does so by itself), then run again",
            file=sys.stderr,
        )
    os.environ["PHOTOCHROM_ALIVE"] = str(alive.RUNNING.absolute())
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
