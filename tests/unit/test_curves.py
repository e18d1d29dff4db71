"""curves.svg: what it shows, and that equal logs give equal bytes."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from photochrom.curves import curves_svg, read_phase
from photochrom.runtime import StageError


def records(adversarial: bool) -> list[dict]:
    train = [
        {"kind": "train", "step": step, "l1": 1 / step, "seconds": step}
        | ({"gan": 0.7, "d": 0.6} if adversarial else {})
        for step in range(10, 60, 10)
    ]
    val = [
        {"kind": "val", "step": step, "l1": 0.1, "psnr_rgb": 20 + step / 10}
        | {"colourfulness": 10.0, "colourfulness_truth": 40.0}
        | {"ciede2000": 12.0, "auc_balanced": 60.0}
        | ({"kid_lite2": 0.2} if adversarial else {})
        for step in (0, 25, 50)
    ]
    return train + val


def texts(svg: str) -> str:
    return " ".join(ET.fromstring(svg).itertext())


def test_two_kinds_of_adversary_have_a_panel_each() -> None:
    hinge = [
        {("gan-hinge" if name == "gan" else name): value for name, value in record.items()}
        for record in records(adversarial=True)
    ]
    shown = texts(curves_svg([records(adversarial=True), hinge], "both"))
    assert "cross-entropy, nats" in shown
    assert "margin" in shown


def test_axes_units_and_panels() -> None:
    shown = texts(curves_svg([records(adversarial=True)], "quick, phase gan"))
    for text in (
        *("quick, phase gan", "step", "dB", "110 Lab units", "cross-entropy, nats"),
        *("training", "validation", "discriminator", "photographs", "Hasler–Süsstrunk"),
    ):
        assert text in shown
    assert "discriminator" not in texts(curves_svg([records(adversarial=False)], "quick, phase l1"))


def test_equal_logs_give_equal_bytes_whatever_the_time() -> None:
    drawn = curves_svg([records(adversarial=True)], "quick")
    later = [record | {"seconds": 1e6} for record in records(adversarial=True)]
    assert curves_svg([later], "quick") == drawn
    assert "2026" not in drawn


def test_a_phase_of_few_steps_can_be_drawn() -> None:
    assert "PSNR" in texts(curves_svg([records(adversarial=False)[-3:]], "a $ b"))


def test_phases_are_drawn_one_after_the_other(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(each) + "\n" for each in records(adversarial=False)))
    one = read_phase(log)
    alone, both = curves_svg([one], "x"), curves_svg([one, records(adversarial=True)], "x")
    assert "100" in texts(both)
    assert "100" not in texts(alone)
    assert both.count("stroke-dasharray: 1,1.65") > alone.count("stroke-dasharray: 1,1.65")
    assert "Kernel distance" in texts(both)
    assert "Kernel distance" not in texts(alone)


def test_a_log_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("step 1")
    with pytest.raises(StageError, match="is no log of a training phase"):
        read_phase(tmp_path / "log.jsonl")
