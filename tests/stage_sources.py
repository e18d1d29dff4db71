"""Which modules each stage's rule declares, and which its script really imports."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
STAGES = sorted(path.stem for path in SCRIPTS.glob("*.py"))


def declared() -> dict[str, list[str]]:
    """MODULES as stage_modules.py states it."""
    text = (ROOT / "workflow" / "rules" / "stage_modules.py").read_text()
    block = re.search(r"^MODULES = (\{.*?^\})", text, re.MULTILINE | re.DOTALL)
    assert block, "stage_modules.py no longer states MODULES as a literal"
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
            found |= {
                file for file in (stem / "__init__.py", stem.with_suffix(".py")) if file.is_file()
            }
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
