"""What the report and the review page share: templates, pictures in pages, numbers in prose.

Templates escape every value they print; a page's Content-Security-Policy allows no script but its
own and no request to anywhere.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote_from_bytes

import jinja2
import numpy as np
import pyvips
from markupsafe import Markup
from numpy.typing import NDArray

from photochrom.images import jpeg_bytes, load_rgb, path_from_text
from photochrom.runtime import duration

TEMPLATES = Path(__file__).resolve().parents[2] / "report"

# From 90 on, libvips keeps the chroma of JPEG at full resolution: colour is what is shown.
JPEG_QUALITY = 90


def render(
    template: str,
    scripts: Sequence[str] = ("page.js",),
    styles: Sequence[str] = ("page.css",),
    /,
    **values: object,
) -> str:
    """A page from `template` in TEMPLATES; style sheets and scripts are written into it, as one."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        number=number, interval=interval, counted=counted, duration=duration, p_words=p_words
    )
    environment.filters["comma"] = lambda count: f"{count:,}"
    script, style = (
        "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)
        for names in (scripts, styles)
    )
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return environment.get_template(template).render(
        style=Markup(style),
        script=Markup(script),
        script_digest=f"sha256-{digest}",
        **values,
    )


def data_uri(pixels: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> str:
    """A picture (H, W, 3) as a JPEG inside a data: URI."""
    return jpeg_uri(jpeg_bytes(pixels, quality))


def jpeg_uri(content: bytes) -> str:
    """A JPEG file inside a data: URI."""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")


def number(value: float, decimals: int, sign: bool = False) -> str:
    """A number for prose and tables: thousands separated, a true minus, never a negative zero."""
    text = f"{value:+,.{decimals}f}" if sign else f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = f"{0:.{decimals}f}"
    return text.replace("-", "\u2212")


def interval(low: float, high: float, decimals: int) -> str:
    """`0.21 to 1.05`, on one line."""
    return f"{number(low, decimals)}\u00a0to\u00a0{number(high, decimals)}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 picture`, `2,000 pictures`."""
    return f"{count:,}\u00a0{noun if count == 1 else plural or noun + 's'}"


def p_words(p: float) -> str:
    """A p-value on one line: `p = 0.012`, `p < 0.001`."""
    return ("p < 0.001" if p < 0.001 else f"p = {p:.3f}").replace(" ", "\u00a0")


def decimals_for(values: Iterable[float | None]) -> int:
    """Decimals at which a row of a table shows about four digits of its largest value."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    return 3 if largest <= 1 else 2 if largest < 100 else 1


def preview(path: Path, size: int, margin: int = 0) -> NDArray[np.uint8]:
    """A picture shrunk to at most `size` pixels on its longer side, uint8 sRGB (H, W, 3).

    Without the `margin`, so many rows at its lower edge. Raises ImageError.
    """
    pixels = load_rgb(path)
    pixels = pixels[: len(pixels) - margin]
    scale = size / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return np.asarray(pyvips.Image.new_from_array(pixels).resize(scale).numpy())


def link(text: str) -> str:
    """The address, relative to the page, of a file whose path is written by `path_to_text`."""
    return quote_from_bytes(os.fsencode(path_from_text(text)))
