"""The pins: exact, complete for what the code imports, and the same for pip and conda."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
LOCAL = {"photochrom", "alive", "config_help", "preflight", "trees", "conftest"}


def names(path: str) -> list[str]:
    lines = (ROOT / path).read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~ \[]", name)[0]).lower()


def test_every_pin_is_exact() -> None:
    for kind in ("", "-extras", "-dev"):
        for line in names(f"envs/requirements{kind}.txt"):
            assert line.startswith("-r ") or re.fullmatch(r"[a-z0-9.-]+==[\w.]+", line), line


def test_what_is_asked_for_is_pinned() -> None:
    run = {plain(line) for line in names("envs/requirements.txt")}
    extras = run | {plain(line) for line in names("envs/requirements-extras.txt")}
    dev = extras | {plain(line) for line in names("envs/requirements-dev.txt")}
    assert {plain(line) for line in names("envs/requirements.in")} <= run
    assert {plain(line) for line in names("envs/requirements-extras.in")} <= extras
    assert {plain(line) for line in names("envs/requirements-dev.in")} <= dev


def test_conda_gets_the_same_pins() -> None:
    environment = yaml.safe_load((ROOT / "envs" / "photochrom.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == names("envs/requirements.txt")


def test_the_code_imports_only_what_is_asked_for() -> None:
    asked = {
        plain(line) for kind in ("", "-extras") for line in names(f"envs/requirements{kind}.in")
    }
    where = packages_distributions()
    for path in (ROOT / "workflow").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            for module in modules:
                top = module.split(".")[0]
                if top in sys.stdlib_module_names or top in LOCAL:
                    continue
                given = {plain(name) for name in where.get(top, [])}
                assert given & asked, f"{path.relative_to(ROOT)} imports {top}"
