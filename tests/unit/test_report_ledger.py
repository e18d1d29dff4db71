"""The ledger of costs: sums, the estimate of energy, and what was not measured."""

from pathlib import Path

import pytest

from photochrom.report.ledger import Cost, ledger_section, read_costs

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def write(path: Path, seconds: str, memory: str, cpu: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + "\t".join([seconds, "0", memory, *"0" * 6, cpu]) + "\n")


def test_an_hour_of_one_core_and_a_gigabyte() -> None:
    cost = Cost("train", "", 3600, 3600, 1e9 / 2**20)
    assert cost.watt_hours == pytest.approx(12.3725)


def test_stages_are_summed_in_the_order_of_the_workflow(tmp_path: Path) -> None:
    write(tmp_path / "report.tsv", "2.5", "300", "2")
    write(tmp_path / "train" / "quick-l1.tsv", "20", "500", "30")
    write(tmp_path / "train" / "quick-gan.tsv", "10", "700", "15")
    write(tmp_path / "odd.tsv", "1", "1", "1")
    section = ledger_section(tmp_path)
    assert [stage["name"] for stage in section["stages"]] == ["train", "report", "odd"]
    train = section["stages"][0]
    assert (train["count"], train["seconds"], train["cpu_seconds"]) == (2, 30, 45)
    assert (train["peak_mib"], train["unmeasured"]) == (700, 0)
    assert [job["name"] for job in train["jobs"]] == ["quick-gan", "quick-l1"]
    assert section["total"]["cpu_seconds"] == 48
    assert section["stages"][1]["jobs"] == []


def test_what_was_not_measured_is_no_zero(tmp_path: Path) -> None:
    write(tmp_path / "measure.tsv", "0.3", "NA", "NA")
    (tmp_path / "audit.tsv").write_text(HEAD)
    (tmp_path / "download.tsv").write_bytes(b"\xff\x00")
    costs = read_costs(tmp_path)
    assert [cost.stage for cost in costs] == ["download", "measure", "audit"]
    assert [cost.watt_hours for cost in costs] == [None, None, None]
    total = ledger_section(tmp_path)["total"]
    assert (total["watt_hours"], total["cpu_seconds"], total["seconds"]) == (None, None, 0.3)
    assert (total["count"], total["unmeasured"]) == (3, 3)


def test_without_files_there_is_nothing_to_sum(tmp_path: Path) -> None:
    assert ledger_section(tmp_path)["stages"] == ledger_section(None)["stages"] == []
