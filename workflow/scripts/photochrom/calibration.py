"""What a model's uncertainty is worth: measured on photographs whose colours are known.

For each photograph of a set that the model was not trained on there is the mean uncertainty over
its pixels and its true error, the mean CIEDE2000 between the painted and the true picture. Two
monotone curves are fitted over uncertainty by isotonic regression (pool adjacent violators): the
error to expect, and the confidence, which is the share of photographs with an error of at most
ERROR_LIMIT. They are kept as a small table beside the model, calibration.json.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from photochrom.runtime import EXIT_MODEL, StageError

FORMAT_VERSION = 1

# Mean CIEDE2000 up to which a picture counts as rightly coloured. Grey scores 11 to 14 on
# photographs in general.
ERROR_LIMIT = 10.0
# Fewer photographs say nothing about shares.
LEAST_PHOTOGRAPHS = 50


@dataclass(frozen=True)
class Calibration:
    """The curves: knots of uncertainty in rising order, and confidence and error at each."""

    uncertainty: tuple[float, ...]
    confidence: tuple[float, ...]
    error: tuple[float, ...]
    photographs: int

    def confidence_at(self, uncertainty: float) -> float:
        return float(np.interp(uncertainty, self.uncertainty, self.confidence))

    def error_at(self, uncertainty: float) -> float:
        return float(np.interp(uncertainty, self.uncertainty, self.error))


def fit(uncertainty: Sequence[float], error: Sequence[float]) -> Calibration:
    """Fit both curves to photographs, one number each; the order does not matter.

    Confidence is smoothed toward one half as by one photograph of each outcome in every step
    (Laplace's rule), so that it is never quite 0 or 1. ValueError when there are fewer than
    LEAST_PHOTOGRAPHS.
    """
    if len(uncertainty) != len(error) or len(error) < LEAST_PHOTOGRAPHS:
        raise ValueError(f"{len(error)} photographs; it takes {LEAST_PHOTOGRAPHS}")
    order = np.lexsort((error, uncertainty))
    u, e = np.asarray(uncertainty)[order], np.asarray(error)[order]
    shares, sizes = _steps((e <= ERROR_LIMIT).astype(float), increasing=False)
    confidence = (shares * sizes + 1) / (sizes + 2)
    errors, _ = _steps(e, increasing=True)
    # Laplace's rule may bend a monotone curve where a step is small.
    confidence = isotonic_regression(confidence, increasing=False).x
    keep = np.unique(np.linspace(0, len(u) - 1, min(len(u), 33)).round().astype(int))

    def knots(values: NDArray[np.float64]) -> tuple[float, ...]:
        return tuple(np.round(values[keep], 5).tolist())

    return Calibration(knots(u), knots(confidence), knots(errors), photographs=len(e))


def _steps(
    values: NDArray[np.float64], increasing: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The isotonic fit at each value, and how many values share its step."""
    fitted = isotonic_regression(values, increasing=increasing)
    sizes = np.diff(fitted.blocks)
    return fitted.x, np.repeat(sizes, sizes).astype(float)


def record(
    model_sha256: str, rows: Sequence[tuple[str, float, float]], data_digest: str
) -> dict[str, Any]:
    """What calibration.json holds: the curves, or why there are none, and what they are from.

    `rows` are (photograph, uncertainty, error), `data_digest` names their set.
    """
    made: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "model_sha256": model_sha256,
        "data_digest": data_digest,
        "error": f"mean CIEDE2000; confidence is the share with at most {ERROR_LIMIT:g}",
        "photographs": [
            {"id": name, "uncertainty": round(u, 5), "ciede2000": round(e, 4)}
            for name, u, e in rows
        ],
    }
    try:
        curves = fit([u for _, u, _ in rows], [e for _, _, e in rows])
    except ValueError as error:
        return {**made, "curves": None, "reason": f"not computed: {error}"}
    return {
        **made,
        "curves": {
            "uncertainty": curves.uncertainty,
            "confidence": curves.confidence,
            "ciede2000": curves.error,
        },
        "reason": None,
    }


def read(path: Path, model_sha256: str) -> tuple[Calibration | None, str]:
    """The curves of a model, or None and why it is not calibrated.

    StageError when the file is damaged or belongs to another model.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, "there is no calibration.json beside the model"
    except (OSError, ValueError) as error:
        raise StageError(
            f"{path} cannot be read: make it again or remove it", EXIT_MODEL
        ) from error
    try:
        if given["format"] != FORMAT_VERSION or given["model_sha256"] != model_sha256:
            raise StageError(
                f"{path} belongs to another model or version; make it again or remove it",
                EXIT_MODEL,
            )
        curves = given["curves"]
        if curves is None:
            return None, str(given["reason"])
        columns = (curves["uncertainty"], curves["confidence"], curves["ciede2000"])
        knots, confidence, error_ = (tuple(map(float, column)) for column in columns)
        if not 0 < len(knots) == len(confidence) == len(error_):
            raise ValueError("columns of unequal length")
        return Calibration(knots, confidence, error_, len(given["photographs"])), ""
    except (KeyError, TypeError, ValueError) as error:
        raise StageError(
            f"{path} is no calibration; make it again or remove it", EXIT_MODEL
        ) from error
