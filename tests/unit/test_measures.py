"""The measures on pictures whose figures are known, and the hash on near-duplicates."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from photochrom.color import lab_to_rgb, rgb_to_lab
from photochrom.images import ImageError, load_square, write_png
from photochrom.measures import (
    Measures,
    measure,
    measure_cells,
    perceptual_hash,
    tint_deviation,
)

LIGHTNESS = rgb_to_lab(data.astronaut())[::2, ::2, 0]


def hash_of(picture: Image.Image, tmp_path: Path) -> int:
    write_png(tmp_path / "hashed.png", np.asarray(picture.convert("RGB")))
    return int(perceptual_hash(rgb_to_lab(load_square(tmp_path / "hashed.png", 256))[..., 0]), 16)


def test_figures_by_hand(tmp_path: Path) -> None:
    # Half a*=+20, half a*=-20, b*=0 throughout: their joint deviation is 20/sqrt(2).
    lab = np.zeros((256, 256, 3))
    lab[..., 0] = 60
    lab[:128, :, 1] = 20
    lab[128:, :, 1] = -20
    rgb = np.rint(lab_to_rgb(lab) * 255).astype(np.uint8)
    write_png(tmp_path / "a.png", rgb)
    found = measure(tmp_path / "a.png")
    assert isinstance(found, Measures)
    assert found.mean_L == pytest.approx(60, abs=0.3)
    assert found.chroma_std == pytest.approx(20 / 2**0.5, abs=0.3)
    assert found.colourfulness > 20
    assert found.max_ab == pytest.approx(20, abs=0.6)


def toned(L: np.ndarray, shadows: tuple[float, float], lights: tuple[float, float]) -> np.ndarray:
    """Lab of a monochrome picture whose tint goes from one ab to another, rounded to 8 bits."""
    share = L[..., None] / 100
    ab = (1 - share) * np.array(shadows) + share * np.array(lights)
    ab = ab * 4 * share * (1 - share)  # paper white and black have none
    rgb = lab_to_rgb(np.concatenate([L[..., None], ab], axis=-1))
    return np.asarray(rgb_to_lab(np.rint(rgb * 255).astype(np.uint8)))


@pytest.mark.parametrize(
    ("shadows", "lights"),
    [((8, 20), (8, 20)), ((-6, -30), (-6, -30)), ((10, 25), (-3, 12)), ((0, 0), (0, 0))],
    ids=["sepia", "cyanotype", "split tone", "grey"],
)
def test_a_tint_is_explained_whatever_it_is(
    shadows: tuple[float, float], lights: tuple[float, float]
) -> None:
    picture = toned(LIGHTNESS, shadows, lights)
    assert tint_deviation(picture[..., 0], picture[..., 1:]) < 1.5
    assert (np.abs(picture[..., 1:]).max() <= 5) == (lights == (0, 0))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket", "retina"])
def test_colour_photographs_are_no_tints(name: str, tmp_path: Path) -> None:
    write_png(tmp_path / "whole.png", getattr(data, name)())
    lab = rgb_to_lab(load_square(tmp_path / "whole.png", 256))
    assert tint_deviation(lab[..., 0], lab[..., 1:]) > 3


@pytest.mark.parametrize("quality", [90, 75, 50])
def test_clipped_lights_and_jpeg_noise_are_no_colours(quality: int, tmp_path: Path) -> None:
    """Grey toned by a filter that drives red, then green, to their limit."""
    grey = data.astronaut()[..., :1] @ np.ones((1, 3)) / 255
    toned = np.clip(grey * np.array([330, 290, 220]), 0, 255).round().astype(np.uint8)
    Image.fromarray(toned).save(tmp_path / "toned.jpg", quality=quality)
    lab = rgb_to_lab(load_square(tmp_path / "toned.jpg", 256))
    assert tint_deviation(lab[..., 0], lab[..., 1:]) < 2
    assert np.abs(lab[..., 1:]).max() > 20


def test_one_tone_has_no_deviation() -> None:
    L, ab = np.full((32, 32), 30.0), np.full((32, 32, 2), 30.0)
    assert tint_deviation(L, ab) == pytest.approx(0, abs=1e-3)


def test_a_curve_of_pieces_is_explained_and_the_rest_is_left() -> None:
    """A tint that bends, and beside it +-5 that no lightness explains."""
    L = np.tile(np.linspace(0, 100, 256), (256, 1))
    ab = np.stack([20 - np.abs(L - 50) / 2.5, np.zeros_like(L)], axis=-1)
    assert tint_deviation(L, ab) < 0.1
    ab[:128, :, 1], ab[128:, :, 1] = 5, -5
    assert tint_deviation(L, ab) == pytest.approx(5, abs=0.05)


def test_large_jpegs_are_measured_at_reduced_size(tmp_path: Path) -> None:
    """The figures are those of the whole to 2 %, the hash to 2 bits, and damage is still found."""
    photograph = Image.fromarray(data.astronaut()).resize((2200, 2200), Image.Resampling.BICUBIC)
    photograph.save(tmp_path / "a.png")
    photograph.save(tmp_path / "a.jpg", quality=90)
    whole, found = measure(tmp_path / "a.png"), measure(tmp_path / "a.jpg")
    assert isinstance(whole, Measures)
    assert isinstance(found, Measures)
    np.testing.assert_allclose(found.figures, whole.figures, rtol=0.02)
    assert (int(found.phash, 16) ^ int(whole.phash, 16)).bit_count() <= 2
    content = (tmp_path / "a.jpg").read_bytes()
    for share in (0.3, 0.9, 0.999):
        (tmp_path / "a.jpg").write_bytes(content[: int(len(content) * share)])
        damaged = measure(tmp_path / "a.jpg")
        assert isinstance(damaged, ImageError)
        assert damaged.reason == "truncated or damaged"


def test_a_damaged_picture_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    found = measure(tmp_path / "a.png")
    assert isinstance(found, ImageError)
    assert measure_cells("x", found) == ("x", *[""] * 6, "truncated or damaged")
    assert measure_cells("x", "zero bytes")[-1] == "zero bytes"


def test_cells_have_a_fixed_precision() -> None:
    cells = measure_cells("x", Measures(50.0, 1 / 3, 20.00001, 7.5, 2.25, "00ff"))
    assert cells == ("x", "50.0000", "0.3333", "20.0000", "7.5000", "2.2500", "00ff", "")


def test_near_duplicates_nearly_share_a_hash(tmp_path: Path) -> None:
    photograph = Image.fromarray(data.astronaut())
    own = hash_of(photograph, tmp_path)
    buffer = BytesIO()
    photograph.save(buffer, "JPEG", quality=25)
    copies = [
        Image.open(buffer),
        photograph.resize((170, 170)),
        photograph.point([min(255, round(255 * (x / 255) ** 0.85)) for x in range(256)] * 3),
        photograph.crop((5, 5, 507, 507)),
    ]
    assert max((own ^ hash_of(copy, tmp_path)).bit_count() for copy in copies) <= 6


def test_different_photographs_do_not(tmp_path: Path) -> None:
    folder = Path(data.data_dir)
    names = ["astronaut.png", "chelsea.png", "coffee.png", "retina.jpg", "rocket.jpg", "ihc.png"]
    hashes = [hash_of(Image.open(folder / name), tmp_path) for name in names]
    distances = [
        (one ^ other).bit_count() for at, one in enumerate(hashes) for other in hashes[:at]
    ]
    assert min(distances) > 12


def test_flat_pictures_have_no_hash() -> None:
    generator = np.random.default_rng(0)
    ramp = np.linspace(20, 90, 256)
    flat = {
        "one tone": np.full((256, 256), 60.0),
        "paper with grain": 85 + generator.normal(0, 1.5, (256, 256)),
        "clear sky": np.tile(ramp[:, None], (1, 256)) + generator.normal(0, 1, (256, 256)),
        "a slanting ramp": ramp[:, None] / 2 + ramp / 2,
    }
    assert {name: perceptual_hash(L) for name, L in flat.items()} == dict.fromkeys(flat, "")
