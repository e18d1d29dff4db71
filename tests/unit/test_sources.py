"""Each rule names exactly the sources that its stage is made of."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
STAGES = sorted(path.stem for path in SCRIPTS.glob("*.py"))


def declared() -> dict[str, list[str]]:
    """MODULES as common.smk states it."""
    text = (ROOT / "workflow" / "rules" / "common.smk").read_text()
    block = re.search(r"^MODULES = (\{.*?^\})", text, re.MULTILINE | re.DOTALL)
    assert block, "common.smk no longer states MODULES as a literal"
    return ast.literal_eval(block.group(1))


def imported(path: Path) -> set[Path]:
    """Files of the photochrom package that one file imports, at any depth of its code."""
    package = SCRIPTS / "photochrom"
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = path.relative_to(SCRIPTS).parent.parts
                base = ".".join([*here[: len(here) - node.level + 1], *([base] if base else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != "photochrom":
            continue
        for end in range(1, len(parts) + 1):
            stem = SCRIPTS.joinpath(*parts[:end])
            found |= {file for file in (stem / "__init__.py", stem.with_suffix(".py")) if file.is_file()}
    assert all(package in file.parents for file in found)
    return found


def closure(path: Path) -> set[Path]:
    """All files of the package that a script is made of."""
    todo = [path]
    seen: set[Path] = set()
    while todo:
        for file in imported(todo.pop()) - seen:
            seen.add(file)
            todo.append(file)
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_a_rule_names_exactly_the_modules_of_its_stage(stage: str) -> None:
    needed = {
        path.relative_to(SCRIPTS / "photochrom").as_posix() for path in closure(SCRIPTS / f"{stage}.py")
    }
    assert set(declared()[stage]) | {"__init__.py"} == needed, (
        f"correct MODULES['{stage}'] in workflow/rules/common.smk: {sorted(needed - {'__init__.py'})}"
    )


def test_every_stage_is_declared_and_used_by_a_rule() -> None:
    assert sorted(declared()) == STAGES
    rules = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    for stage in STAGES:
        assert f'code("{stage}")' in rules


def test_the_check_notices_a_module_that_is_not_listed(tmp_path: Path) -> None:
    script = SCRIPTS / "filter.py"
    found = {path.name for path in closure(script)}
    assert "runtime.py" in found
    assert "training.py" not in found


def test_the_library_knows_nothing_of_snakemake_and_the_rules_nothing_of_the_library() -> None:
    for path in (SCRIPTS / "photochrom").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) snakemake", path.read_text(), re.MULTILINE), path
    heavy = re.compile(r"^\s*(import|from) (torch|pandas|photochrom|numpy)", re.MULTILINE)
    for path in [*(ROOT / "workflow" / "rules").iterdir(), ROOT / "Snakefile"]:
        if path.is_file():
            assert not heavy.search(path.read_text()), path
