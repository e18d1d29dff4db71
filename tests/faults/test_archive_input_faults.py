"""Faults of an archive's files: each is a row with its reason and stops nothing.

One archive for each fault, with a good scan before and after it in the order of names, through
plan, colorize and gather as the workflow calls them.
"""

import io
import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image, PngImagePlugin

import colorize
import gather
import plan
from archive_room import contents, grey, read, save
from photochrom.archive.records import Status, read_rows
from photochrom.models import build, save_model
from photochrom.runtime import run_stage

SCRIPTS = Path(colorize.__file__).parent


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    network = {"name": "zhang16", "width": 4, "neighbours": 5, "temperature": 0.38}
    metadata = {"network": network, "size": 16, "experiment": "x", "phase": "y"}
    save_model(path, build(network), metadata)
    return path


def colorized(
    archive: Path, out: Path, model: Path, planner: int = os.geteuid()
) -> tuple[int, dict[str, Status]]:
    """The exit code of colorize, and the archive's table; the user `planner` reads the archive."""
    table, planned = out / "status" / "shard-00000.csv", out / "plan"
    user = os.geteuid()
    os.seteuid(planner)
    try:
        assert run_stage("plan", partial(plan.main, [str(archive), f"--out={planned}"])) == 0
    finally:
        os.seteuid(user)
    arguments = [f"--plan={planned}/shard-00000.csv", f"--out={out}", f"--status={table}"]
    code = run_stage("colorize", partial(colorize.main, [*arguments, f"--model={model}"]))
    arguments = [f"--plan={planned}", f"--status={table}", f"--root={out}", "--archive=scans"]
    arguments += [f"--out={out}/status.csv", f"--manifest={out}/manifest-sha256.txt"]
    arguments += [f"--events={out}/events.csv", f"--review={out}/review.html"]
    assert run_stage("gather", partial(gather.main, arguments)) == 0
    return code, {row.path: row for row in read_rows(out / "status.csv", Status, "gather.py")}


def encoded(suffix: str, **options: object) -> bytes:
    picture = pyvips.Image.new_from_array(grey(60, 80)).copy(interpretation="b-w")
    return bytes(picture.write_to_buffer(suffix, **options))


def cut(suffix: str, **options: object) -> bytes:
    whole = encoded(suffix, **options)
    return whole[: len(whole) * 2 // 3]


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels, with hardly any behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A small PNG with a note that unpacks to 200 MB."""
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "x" * 200_000_000, zip=True)
    stored = io.BytesIO()
    Image.fromarray(grey(30, 20).reshape(30, 20)).save(stored, "png", pnginfo=notes)
    return stored.getvalue()


def pages() -> bytes:
    one = Image.fromarray(grey(30, 20).reshape(30, 20))
    stored = io.BytesIO()
    one.save(stored, "tiff", save_all=True, append_images=[one, one])
    return stored.getvalue()


def coloured() -> bytes:
    ramp = np.linspace(0, 255, 40, dtype=np.uint8)
    rgb = np.stack([*np.meshgrid(ramp, ramp), np.full((40, 40), 128, np.uint8)], axis=-1)
    stored = io.BytesIO()
    Image.fromarray(rgb).save(stored, "png")
    return stored.getvalue()


def profiled() -> bytes:
    """A grey JPEG with a profile that is none."""
    stored = io.BytesIO()
    tones = Image.fromarray(grey(40, 30).reshape(40, 30))
    tones.save(stored, "jpeg", icc_profile=b"no profile" * 20)
    return stored.getvalue()


# What the file holds, its name, its status, the exit code, and how its reason begins.
FAULTS: dict[str, tuple[Callable[[], bytes], str, str, int, str]] = {
    "cut JPEG": (partial(cut, ".jpg"), "m.jpg", "failed", 3, "truncated or damaged"),
    "cut PNG": (partial(cut, ".png"), "m.png", "failed", 3, "truncated or damaged"),
    "cut TIFF": (partial(cut, ".tif"), "m.tif", "failed", 3, "truncated or damaged"),
    "cut WebP": (partial(cut, ".webp"), "m.webp", "failed", 3, "truncated or damaged"),
    "no bytes": (lambda: b"", "m.jpg", "failed", 0, "zero bytes"),
    "a text that claims to be a JPEG": (lambda: b"words", "m.jpg", "failed", 3, "not an image"),
    "a text": (lambda: b"words", "m.txt", "skipped", 0, "not an image"),
    "a PDF": (lambda: b"%PDF-1.7 ...", "m.pdf", "failed", 0, "a PDF that is damaged"),
    "pixel bomb": (
        *(partial(png_of, 60_000, 60_000), "m.png", "failed", 3),
        "too large: 3600 MP, limit 300 MP",
    ),
    "a header that lies": (partial(png_of, 900, 900), "m.png", "failed", 3, "truncated"),
    "several pages": (pages, "m.tif", "skipped", 0, "its 3 pages are rows"),
    "colour": (coloured, "m.png", "skipped", 0, "already in colour"),
    "another suffix": (partial(encoded, ".png"), "m.jpg", "done", 0, ""),
    "no profile": (profiled, "m.jpg", "done-with-warning", 0, "its colour profile cannot be used"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_a_row_and_its_neighbours_are_done(
    fault: str, tmp_path: Path, model: Path
) -> None:
    content, name, status, code, reason = FAULTS[fault]
    archive, out = tmp_path / "scans", tmp_path / "out"
    for good in ("a.png", "z.tif"):
        save(archive / good, grey(40, 30, seed=len(good)))
    (archive / name).write_bytes(content())
    before = contents(archive)
    found, rows = colorized(archive, out, model)
    assert found == code
    assert contents(archive) == before
    assert [rows[good].status for good in ("a.png", "z.tif")] == ["done", "done"]
    assert rows[name].status == status
    assert rows[name].reason.startswith(reason)
    assert bool(rows[name].output) == status.startswith("done")
    beside = [path for path in out.glob("m.*") if path.is_file()]  # pages have a folder
    assert len(beside) == (3 if status.startswith("done") else 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (5000, 1)])
def test_the_smallest_and_the_narrowest_keep_their_size(
    size: tuple[int, int], tmp_path: Path, model: Path
) -> None:
    archive, out = tmp_path / "scans", tmp_path / "out"
    save(archive / "m.png", grey(*size))
    code, rows = colorized(archive, out, model)
    assert (code, rows["m.png"].status.split("-")[0]) == (0, "done"), rows
    picture = read(out / rows["m.png"].output)
    assert (picture.height, picture.width) == size


@pytest.mark.parametrize("orientation", [1, 3, 6, 8, 99])
def test_an_orientation_is_applied_once(orientation: int, tmp_path: Path, model: Path) -> None:
    archive, out = tmp_path / "scans", tmp_path / "out"
    tones = Image.fromarray(grey(40, 30).reshape(40, 30))
    exif = Image.Exif()
    exif[0x0112] = orientation
    archive.mkdir()
    tones.save(archive / "m.jpg", quality=95, exif=exif)
    code, rows = colorized(archive, out, model)
    assert (code, rows["m.jpg"].status) == (0, "done")
    made = Image.open(out / rows["m.jpg"].output)
    assert made.getexif().get(0x0112, 1) == 1
    assert made.size == ((40, 30) if orientation in (6, 8) else (30, 40))


def test_what_is_no_regular_file_is_told_and_not_followed(tmp_path: Path, model: Path) -> None:
    archive, out = tmp_path / "scans", tmp_path / "out"
    save(archive / "a.png", grey(40, 30))
    os.mkfifo(archive / "pipe.jpg")
    (archive / "self.jpg").symlink_to("self.jpg")
    (archive / "gone.jpg").symlink_to("nowhere.jpg")
    (archive / "loop").symlink_to(".", target_is_directory=True)
    code, rows = colorized(archive, out, model)
    assert code == 0  # the plan has refused them
    assert {name: (row.status, row.reason) for name, row in rows.items()} == {
        "a.png": ("done", ""),
        "pipe.jpg": ("failed", "not a regular file"),
        "self.jpg": ("failed", "unreadable: too many levels of symbolic links"),
        "gone.jpg": ("failed", "unreadable: no such file or directory"),
        "loop": ("skipped", "a link to a folder, not followed"),
    }


def test_what_may_not_be_read_is_told(tmp_path: Path, model: Path) -> None:
    archive, out = tmp_path / "scans", tmp_path / "out"
    save(archive / "a.png", grey(40, 30))
    save(archive / "m.png", grey(40, 30, seed=2)).chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o777)
    nobody = 65534 if os.geteuid() == 0 else os.geteuid()
    code, rows = colorized(archive, out, model, nobody)
    assert code == 0
    assert rows["a.png"].status == "done"
    assert (rows["m.png"].status, rows["m.png"].reason) == (
        "failed",
        "unreadable: permission denied",
    )


def test_names_of_any_bytes_and_copies(tmp_path: Path, model: Path) -> None:
    archive, out = tmp_path / "scans", tmp_path / "out"
    content = save(archive / "a.png", grey(40, 30)).read_bytes()
    for name in (b"latin-\xe9.png", b"new\nline.png", b"-rf.png", b"$(x).png", b"100%.png"):
        (archive / os.fsdecode(name)).write_bytes(content)
    code, rows = colorized(archive, out, model)
    assert code == 0
    assert len(rows) == 6
    assert {row.status for row in rows.values()} == {"done"}
    assert sum(row.reason.startswith("same file as ") for row in rows.values()) == 5
    assert len({row.output_sha256 for row in rows.values()}) == 1


@pytest.mark.parametrize(
    "bomb", [partial(png_of, 60_000, 60_000), partial(png_of, 2**31 - 1, 2**31 - 1), text_bomb]
)
def test_bombs_are_refused_in_little_memory(bomb: Callable[[], bytes], tmp_path: Path) -> None:
    """By the header, within an address space that what they promise would burst."""
    path = tmp_path / "m.png"
    path.write_bytes(bomb())
    program = (
        "import sys; from pathlib import Path\n"
        "from photochrom.archive.scan import open_scan\n"
        "from photochrom.images import ImageError\n"
        "try: open_scan(Path(sys.argv[1]))\n"
        "except ImageError as error: print(error.reason)\n"
        "else: print('opened')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=SCRIPTS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("too large", "truncated or damaged", "opened"))
    if bomb is not text_bomb:
        assert done.stdout.startswith("too large")


def test_what_the_plan_refuses_counts_in_the_exit_code_of_the_whole(
    tmp_path: Path, model: Path
) -> None:
    archive = tmp_path / "scans"
    save(archive / "a.png", grey(40, 30))
    arguments = [str(archive), str(tmp_path / "out"), f"--model={model}"]
    assert run_stage("colorize", partial(colorize.main, arguments)) == 0
    (archive / "empty.jpg").touch()
    assert run_stage("colorize", partial(colorize.main, arguments)) == 3
    assert run_stage("colorize", partial(colorize.main, [*arguments, "--allow-rejects"])) == 0
