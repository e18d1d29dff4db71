"""The figures of a report: what each is called, what it counts in, and the record of one value.

The families live in modules of their own: `pixel`, `colour`, `behaviour`, `perceptual`, and of
whole sets `distances`, `frechet`, `lite2` and `saturation`. `protocols` says which pictures are
compared, `painting` how they are had, `measuring` puts the families together, `sets` those of whole
sets, and `summary` makes a row of them; `bootstrap` gives the intervals.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Better = Literal["higher", "lower", "truth", "none"]


@dataclass(frozen=True)
class Metric:
    """A figure's name in files and on pages, its unit, and where the better values lie.

    `better` is `truth` where the figure should neither fall short of the truth's nor exceed it.
    """

    name: str
    title: str
    unit: str
    better: Better


METRICS = (
    Metric("psnr_rgb", "PSNR in RGB", "dB", "higher"),
    Metric("psnr_ab", "PSNR of ab, peak 220", "dB", "higher"),
    Metric("ssim", "SSIM in RGB", "", "higher"),
    Metric("lpips", "LPIPS, AlexNet, version 0.1", "", "lower"),
    Metric("ciede2000", "Colour difference CIEDE2000", "ΔE00", "lower"),
    Metric("auc", "AuC of the ab error, every pixel alike", "%", "higher"),
    Metric("auc_balanced", "AuC of the ab error, the photograph's colours alike", "%", "higher"),
    Metric(
        "auc_balanced_pooled", "AuC of the ab error, all photographs' colours alike", "%", "higher"
    ),
    Metric("colourfulness", "Colourfulness", "", "truth"),
    Metric("colourfulness_difference", "Colourfulness: difference of the means", "", "lower"),
    Metric("colourfulness_error", "Colourfulness: mean difference per image", "", "lower"),
    Metric("colourfulness_abs", "Colourfulness of absolute opponents", "", "truth"),
    Metric("neutral_drift", "Chroma where the truth is grey", "C*ab", "lower"),
    Metric("edge_bleeding", "Colour bled from its edges", "%", "lower"),
    Metric("colour_coverage", "The truth's colours that the picture has", "%", "higher"),
    Metric("gamut_overflow", "Pixels that sRGB cannot show as predicted", "%", "lower"),
    Metric("gamut_excess", "Chroma taken away to fit sRGB", "C*ab", "lower"),
    Metric("lightness_error", "Lightness error", "L*", "lower"),
    Metric("lightness_error_max", "Largest lightness error of a pixel", "L*", "lower"),
    Metric("fd_lite2", "Fréchet distance of Lite2 features", "", "lower"),
    Metric("fd_lite2_infinity", "FD∞ of Lite2 features, extrapolated in 1/n", "", "lower"),
    Metric("hi_fd_lite2", "HI-FD of Lite2 features, at the truth's colourfulness", "", "lower"),
    Metric("kid_lite2", "Kernel distance of Lite2 features", "", "lower"),
    Metric("fid", "FID", "", "lower"),
    Metric("fid_clean", "FID with clean-fid's resizing", "", "lower"),
    Metric("fid_infinity", "FID∞, extrapolated in 1/n", "", "lower"),
    Metric("hi_fid", "HI-FID, at the truth's colourfulness", "", "lower"),
    Metric("kid", "KID", "", "lower"),
)


@dataclass(frozen=True)
class Figure:
    """One value of a report with all that is needed to believe it.

    `value` is None where it was not computed, the interval's ends are None where there is none;
    `reason` then says why. `n` counts photographs, `data_digest` names their ids and contents,
    `model_digest` what painted them.
    """

    metric: str
    title: str
    unit: str
    better: Better
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    protocol: str
    data_digest: str
    model_digest: str
    reason: str | None = None

    def record(self) -> dict[str, Any]:
        """The figure as JSON has it; `reason` only where there is one."""
        return {key: value for key, value in asdict(self).items() if key != "reason" or value}
