"""Snakemake's own report holds the page's figures, each with its caption and its category."""

import zipfile
from pathlib import Path

from miniature import Workspace

CATEGORIES = {
    "Data": "what the filters judge",
    "Training": "a dotted line is where a phase begins",
    "Measures": "has learned nothing that this measure sees",
    "Pictures": "ranked by a measure and not chosen by hand",
}


def test_snakemakes_report_holds_the_figures(finished: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "overview.zip"
    finished.run("--report", str(out))
    figures = finished.path / "results/report/figures"
    with zipfile.ZipFile(out) as archive:
        names = [Path(name).name for name in archive.namelist()]
        text = "".join(
            archive.read(name).decode("utf-8")
            for name in archive.namelist()
            if name.endswith((".html", ".js"))
        )
    for path in figures.rglob("*.*"):
        if path.suffix in {".svg", ".jpg"}:
            assert path.name in names
    assert {"Brightness.svg", "Validation-PSNR.svg", "PSNR.svg", "best.jpg"} <= set(names)
    for category, caption in CATEGORIES.items():
        assert f'"{category}"' in text
        assert caption in text
    assert ">mini<" in text
    assert "snakemake.wildcards" not in text
