"""Uncertainty as confidence: fitted curves, and what a damaged table gets."""

import json
from pathlib import Path

import numpy as np
import pytest

from photochrom.calibration import ERROR_LIMIT, LEAST_PHOTOGRAPHS, fit, read, record
from photochrom.runtime import EXIT_MODEL, StageError


def photographs(count: int, seed: int = 0) -> tuple[list[float], list[float]]:
    """Errors that are uniform in 0..40 u: above the limit with the chance 1 - 10 / 40 u."""
    generator = np.random.default_rng(seed)
    uncertainty = generator.uniform(0.1, 1, count)
    return uncertainty.tolist(), (40 * uncertainty * generator.uniform(0, 1, count)).tolist()


def test_the_curves_find_the_true_chances() -> None:
    curves = fit(*photographs(4000))
    for u in (0.3, 0.5, 0.7, 0.9):
        assert curves.confidence_at(u) == pytest.approx(min(1, ERROR_LIMIT / (40 * u)), abs=0.08)
        assert curves.error_at(u) == pytest.approx(20 * u, abs=1.5)


def test_confidence_holds_for_photographs_that_were_not_fitted() -> None:
    curves = fit(*photographs(1000, seed=1))
    uncertainty, error = photographs(1000, seed=2)
    confidence = np.array([curves.confidence_at(u) for u in uncertainty])
    right = np.array(error) <= ERROR_LIMIT
    for low, high in ((0.2, 0.4), (0.4, 0.7), (0.7, 1.0)):
        chosen = (confidence >= low) & (confidence < high)
        if chosen.sum() > 50:
            assert right[chosen].mean() == pytest.approx(confidence[chosen].mean(), abs=0.12)


def test_curves_are_monotone_and_never_certain() -> None:
    curves = fit(*photographs(60, seed=3))
    assert (np.diff(curves.confidence) <= 0).all()
    assert (np.diff(curves.error) >= 0).all()
    assert (np.diff(curves.uncertainty) >= 0).all()
    assert min(curves.confidence) > 0
    assert max(curves.confidence) < 1
    assert curves.confidence_at(0) == curves.confidence[0]  # beyond the ends: the ends


def test_the_order_of_photographs_does_not_matter() -> None:
    uncertainty, error = photographs(80)
    assert fit(uncertainty, error) == fit(uncertainty[::-1], error[::-1])


def test_too_few_photographs_are_said(tmp_path: Path) -> None:
    few = [(str(n), 0.1 * n, 1.0) for n in range(LEAST_PHOTOGRAPHS - 1)]
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(record("m", few, "d")))
    curves, reason = read(path, "m")
    assert curves is None
    assert reason == "not computed: 49 photographs; it takes 50"


def test_a_table_comes_back(tmp_path: Path) -> None:
    uncertainty, error = photographs(70)
    rows = [(str(n), u, e) for n, (u, e) in enumerate(zip(uncertainty, error, strict=True))]
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(record("m", rows, "d")))
    assert read(path, "m") == (fit(uncertainty, error), "")
    assert read(tmp_path / "none.json", "m")[0] is None


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"format": 1, "model_sha256": "m"}'])
def test_a_damaged_table_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(damage)
    with pytest.raises(StageError, match="make it again or remove it") as caught:
        read(path, "m")
    assert caught.value.code == EXIT_MODEL


def test_the_table_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(record("other", [], "d")))
    with pytest.raises(StageError, match="another model"):
        read(path, "m")
