"""curves.svg: what it shows, and that equal logs give equal bytes."""

import xml.etree.ElementTree as ET

from photochrom.curves import curves_svg


def records(adversarial: bool) -> list[dict]:
    train = [
        {"kind": "train", "step": step, "l1": 1 / step, "seconds": step}
        | ({"gan": 0.7, "d": 0.6} if adversarial else {})
        for step in range(10, 60, 10)
    ]
    val = [
        {"kind": "val", "step": step, "l1": 0.1, "psnr_rgb": 20 + step / 10}
        | {"colourfulness": 10.0, "colourfulness_truth": 40.0}
        for step in (0, 25, 50)
    ]
    return train + val


def texts(svg: str) -> str:
    return " ".join(ET.fromstring(svg).itertext())


def test_axes_units_and_panels() -> None:
    shown = texts(curves_svg(records(adversarial=True), "quick, phase gan"))
    for text in (
        *("quick, phase gan", "step", "dB", "110 Lab units", "cross-entropy, nats"),
        *("training", "validation", "discriminator", "photographs", "Hasler–Süsstrunk"),
    ):
        assert text in shown
    assert "discriminator" not in texts(curves_svg(records(adversarial=False), "quick, phase l1"))


def test_equal_logs_give_equal_bytes_whatever_the_time() -> None:
    drawn = curves_svg(records(adversarial=True), "quick")
    later = [record | {"seconds": 1e6} for record in records(adversarial=True)]
    assert curves_svg(later, "quick") == drawn
    assert "2026" not in drawn


def test_a_phase_of_few_steps_can_be_drawn() -> None:
    assert "PSNR" in texts(curves_svg(records(adversarial=False)[-3:], "a $ b"))
