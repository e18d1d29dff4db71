"""Where the model that comes with the workflow lies, and what to say of a model's file in need.

Imports nothing heavy, for `--help`.
"""

from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "photochrom-1.safetensors"


def missing(path: Path) -> str:
    """Where a missing model's file belongs and how one is made."""
    if path.resolve() == SHIPPED:
        return (
            f"the shipped model is missing: it belongs at {path}; {cure(path)}, or train one: "
            "snakemake --cores 2 train --configfile workflow/configs/photochrom-1.yaml "
            "(workflow/models/photochrom-1.md says more)"
        )
    return (
        f"there is no model at {path}; check the path, or make one: snakemake --cores 2 train "
        "(and export_onnx.py for --backend onnx)"
    )


def cure(path: Path) -> str:
    """How to get a damaged model's file back."""
    if path.resolve() == SHIPPED:
        return f"bring it back with: git checkout -- {path}"
    return "restore it or make it again"


def published_digest(path: Path) -> str | None:
    """The hex SHA-256 that NAME.sha256 beside a model gives (as sha256sum writes), if there is."""
    try:
        words = path.with_suffix(".sha256").read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return None
    return words[0] if words else None
