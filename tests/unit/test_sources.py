"""Each rule names exactly the sources that its stage is made of."""

import re

import pytest

from stage_sources import ROOT, SCRIPTS, STAGES, closure, declared


@pytest.mark.parametrize("stage", STAGES)
def test_a_rule_names_exactly_the_modules_of_its_stage(stage: str) -> None:
    package = SCRIPTS / "photochrom"
    files = closure(SCRIPTS / f"{stage}.py") - {package / "__init__.py"}
    needed = sorted(file.relative_to(package).as_posix() for file in files)
    assert sorted(declared()[stage]) == needed, (
        f"MODULES['{stage}'] in stage_modules.py should be {needed}"
    )


def test_every_stage_is_declared_and_used_by_a_rule() -> None:
    assert sorted(declared()) == STAGES
    rules = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    for stage in STAGES:
        assert f'code("{stage}")' in rules


def test_the_check_sees_imports_at_any_depth_and_no_others() -> None:
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
