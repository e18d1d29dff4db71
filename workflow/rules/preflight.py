"""What is checked and prepared before any job starts; common.smk calls it while parsing.

Plain functions, so that they are tested and typed like the rest. They import nothing heavy.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import yaml

import alive
from config_help import ConfigError, complete, read_yaml

# Rows of the metrics table that no experiment may be compared without.
YARDSTICKS = ("grey", "constant", "truth")

# Suffixes of files that hold an archive; other dots belong to the name.
ARCHIVE_SUFFIXES = (".zip", ".tar.gz", ".tgz", ".tar", ".csv")


def stop(message: object) -> NoReturn:
    """End at once with one line, as a fault in the configuration deserves."""
    print(f"photochrom: {message}", file=sys.stderr)
    sys.exit(1)


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
        if source["kind"] == "folder":
            if "path" not in source:
                raise ConfigError("data.sources: kind folder needs a path")
            if not Path(source["path"]).is_dir():
                raise ConfigError(f"data.sources: {source['path']} is not a folder; check the path")
        elif "path" in source:
            raise ConfigError(f"data.sources: kind {source['kind']} takes no path")


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


def set_environment() -> None:
    """What jobs find in their environment.

    The Python that runs Snakemake comes first, also when its environment is not active; and each
    job is told where to hold its sign of life.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["PHOTOCHROM_ALIVE"] = str(alive.RUNNING.absolute())


def explain_lock() -> None:
    """Say in one line what a lock that was left behind means; stop while its run still works."""
    if not alive.lock_left_behind() or "--unlock" in sys.argv:
        return
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
