"""Figures that compare two pictures pixel by pixel: PSNR, SSIM, the lightness that was kept.

Pictures are sRGB, uint8 (H, W, 3), both of one size; colours are CIE Lab.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

Picture = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

# Rounding to 8 bits alone has a mean square error of 1/12, so agreement beyond it (58.92 dB)
# cannot be told apart; without the bound a picture that agrees in every pixel would have no PSNR.
ROUNDING_MSE = 1 / 12
PSNR_LIMIT = 10 * math.log10(255**2 / ROUNDING_MSE)

# The peak of the PSNR of ab: the width of [-110, 110], to which networks' a* and b* are scaled.
# Published figures on normalized ab take the range of whatever they normalized by, so they compare
# with no other. The bound is again the error of rounding, to whole Lab units: 57.64 dB.
AB_RANGE = 220
PSNR_AB_LIMIT = 10 * math.log10(AB_RANGE**2 / ROUNDING_MSE)

# Side of the window of SSIM, in pixels.
SSIM_WINDOW = 11


def psnr_rgb(truth: Picture, picture: Picture) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels, at most PSNR_LIMIT."""
    error = float(np.mean((truth.astype(np.float64) - picture) ** 2))
    return 10 * math.log10(255**2 / max(error, ROUNDING_MSE))


def psnr_ab(truth_ab: Floats, ab: Floats) -> float:
    """PSNR in dB of colour alone, at most PSNR_AB_LIMIT.

    `truth_ab` and `ab` are (H, W, 2) in Lab units; the mean square error is that over all pixels
    and both channels, the peak AB_RANGE.
    """
    error = float(np.mean((np.asarray(truth_ab, np.float64) - ab) ** 2))
    return 10 * math.log10(AB_RANGE**2 / max(error, ROUNDING_MSE))


def ssim(truth: Picture, picture: Picture) -> float:
    """Structural similarity, -1..1, the mean over R, G and B.

    Wang et al. 2004: Gaussian window of sigma 1.5 (11 x 11 pixels), K1 = 0.01, K2 = 0.03,
    range 255, population covariance; by scikit-image, in single precision, which moves it by less
    than 1e-6. NaN where a side has less than 11 pixels.
    """
    if min(truth.shape[:2]) < SSIM_WINDOW:
        return math.nan
    return float(
        structural_similarity(
            truth.astype(np.float32),
            picture.astype(np.float32),
            channel_axis=-1,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            K1=0.01,
            K2=0.03,
        )
    )


def lightness_error(truth_L: Floats, picture_L: Floats) -> float:
    """Mean absolute difference of two lightnesses (H, W), in L* units."""
    return float(np.mean(np.abs(picture_L - truth_L)))


def lightness_error_max(truth_L: Floats, picture_L: Floats) -> float:
    """Largest absolute difference of two lightnesses (H, W), in L* units."""
    return float(np.max(np.abs(picture_L - truth_L)))
