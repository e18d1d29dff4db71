"""Bad photographs among good ones, from every source: each is a row with its reason, and the
others go through to shards and splits as if nothing had happened."""

import hashlib
import io
import json
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms

import download
import filter as filter_stage
import measure
import normalize
import split
from faulty_server import LOGIN, at_first, cut, drip, hang_up, serving, silence, status, whole
from photochrom import containers
from photochrom.images import png_bytes
from photochrom.runtime import EXIT_OK, EXIT_REJECTED
from photochrom.shards import read_shard
from photochrom.sources import container, fetch
from photochrom.tables import CATALOG_COLUMNS, SPLIT_COLUMNS, Row, read_table

SIZE = 16


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, with all that a test writes below it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def photos(work: Path) -> Path:
    """A folder with three good photographs."""
    folder = work / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"good-{number}.png").write_bytes(png_bytes(scene(number)))
    return folder


def scene(seed: int = 0) -> np.ndarray:
    """Blocks of colour that no turn or flip leaves as they are, uint8 (40, 56, 3)."""
    coarse = np.random.default_rng(seed).integers(30, 226, (5, 7, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))


def catalog(sources: str = "[{kind: folder, path: photos}]") -> dict[str, Row]:
    """Run download, measure and filter; the catalog by original_name."""
    options = ["--allow-rejects", "--images=images", f"--sources={sources}"]
    assert download.main([*options, "--out=sources.csv"]) == EXIT_OK
    options = ["--allow-rejects", "--sources=sources.csv", "--threads=2"]
    assert measure.main([*options, "--out=measures.csv"]) == EXIT_OK
    options = ["--sources=sources.csv", "--measures=measures.csv", "--filters={}"]
    assert filter_stage.main([*options, "--near-bits=null", "--out=catalog.csv"]) == EXIT_OK
    rows = read_table(Path("catalog.csv"), CATALOG_COLUMNS, "filter.py")
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["original_name"]: row for row in rows}


def reasons(rows: dict[str, Row]) -> dict[str, str]:
    """Why the rows that are dropped are dropped."""
    return {name: row["reason"] for name, row in rows.items() if row["verdict"] == "drop"}


def stored(rows: dict[str, Row]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Run normalize and split; L* and a*, b* of the shard by original_name."""
    options = ["--catalog=catalog.csv", "--shard-size=1000", f"--size={SIZE}", "--index=0"]
    assert normalize.main(["shard", *options, "--out=shard-00000.h5"]) == EXIT_OK
    assert normalize.main(["index", "--shards", "shard-00000.h5", "--out=shards.csv"]) == EXIT_OK
    ratios = {"train": 0.6, "val": 0.2, "test": 0.2, "key": "k"}
    assign = dict(zip(sorted(kept(rows)), ("train", "val", "test"), strict=False))
    text = json.dumps({**ratios, "assign": assign})
    options = ["--shards=shards.csv", "--catalog=catalog.csv", f"--split={text}"]
    assert split.main([*options, "--out=split.csv"]) == EXIT_OK
    ids = {row["id"]: name for name, row in rows.items() if row["verdict"] == "keep"}
    placed = [row["id"] for row in read_table(Path("split.csv"), SPLIT_COLUMNS, "split.py")]
    assert sorted(placed) == sorted(ids)
    shard = read_shard(Path("shard-00000.h5"))
    L = (shard.L * shard.scale + 1) * 50
    ab = shard.ab * shard.scale * 110
    return {ids[id]: (L[index], ab[index]) for index, id in enumerate(shard.ids)}


def kept(rows: dict[str, Row]) -> set[str]:
    return {name for name, row in rows.items() if row["verdict"] == "keep"}


GOOD = {"good-0.png", "good-1.png", "good-2.png"}


def encoded(array: np.ndarray, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format, **options)
    return buffer.getvalue()


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG whose header claims a size, with what chunks follow it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    return data


def test_truncated_files(photos: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    names = []
    for suffix, format in (("jpg", "JPEG"), ("png", "PNG"), ("tif", "TIFF"), ("webp", "WEBP")):
        data = encoded(noise, format)
        for share in range(1, 50, 4):
            names.append(f"cut-{share:02}.{suffix}")
            (photos / names[-1]).write_bytes(data[: len(data) * share // 50])
    rows = catalog()
    assert kept(rows) == GOOD
    found = reasons(rows)
    assert set(found) == set(names)
    allowed = {"unreadable: truncated or damaged", "unreadable: not an image"}
    assert set(found.values()) <= allowed
    assert [found[f"cut-25.{suffix}"] for suffix in ("jpg", "png", "webp")] == [
        "unreadable: truncated or damaged"
    ] * 3
    assert set(stored(rows)) == GOOD


def test_tiny_and_narrow_photographs(photos: Path) -> None:
    generator = np.random.default_rng(2)
    for width, height in ((1, 1), (500, 1), (1, 500), (65000, 1), (1, 65000)):
        pixels = generator.integers(0, 256, (height, width, 3)).astype(np.uint8)
        (photos / f"{width}x{height}.png").write_bytes(png_bytes(pixels))
    rows = catalog()
    assert reasons(rows) == {}
    assert {f"{row['width']}x{row['height']}.png" for row in rows.values()} >= rows.keys() - GOOD
    for L, ab in stored(rows).values():
        assert (L.shape, ab.shape) == ((SIZE, SIZE), (SIZE, SIZE, 2))


def test_a_folder_too_deep_to_name(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as deeper:
        deeper.chdir(photos)
        for _ in range(18):
            Path("d" * 240).mkdir()
            os.chdir("d" * 240)
        Path("deep.png").write_bytes(png_bytes(scene(1)))
    rows = catalog()
    assert list(reasons(rows).values()) == ["unreadable: file name too long"]
    assert kept(rows) == GOOD


def test_what_is_no_image_and_what_only_seems_none(photos: Path) -> None:
    (photos / "zero.jpg").touch()
    (photos / "text.jpg").write_text("a letter")
    (photos / "page.png").write_bytes(LOGIN)
    (photos / "array.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (photos / "png.jpg").write_bytes(png_bytes(scene(3)))
    (photos / "jpeg").write_bytes(encoded(scene(4), "JPEG", quality=95))
    rows = catalog()
    assert reasons(rows) == {
        "zero.jpg": "unreadable: zero bytes",
        "text.jpg": "unreadable: not an image",
        "page.png": "unreadable: not an image",
        "array.npy": "unreadable: not an image",
    }
    assert kept(rows) == {*GOOD, "png.jpg", "jpeg"}


def test_bombs_and_lying_headers(photos: Path) -> None:
    line = zlib.compress(bytes(1 + 3 * 1000))
    (photos / "bomb.png").write_bytes(png(30_000, 30_000, (b"IDAT", line)))
    (photos / "liar.png").write_bytes(png(2**31 - 1, 2**31 - 1, (b"IDAT", line)))
    (photos / "taller.png").write_bytes(png(1000, 4000, (b"IDAT", line)))
    text = b"Comment\0\0" + zlib.compress(bytes(50_000_000), 1)
    (photos / "text-bomb.png").write_bytes(png(1000, 1, (b"zTXt", text), (b"IDAT", line)))
    jpeg = bytearray(encoded(scene(5), "JPEG"))
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = struct.pack(">HH", 65000, 65000)
    (photos / "liar.jpg").write_bytes(jpeg)
    rows = catalog()
    found = reasons(rows)
    assert found.pop("text-bomb.png", "unreadable: truncated or damaged") == (
        "unreadable: truncated or damaged"
    )
    assert found == {
        "bomb.png": "unreadable: too large: 900 MP, limit 300 MP",
        "liar.png": "unreadable: too large: 4611686014132 MP, limit 300 MP",
        "taller.png": "unreadable: truncated or damaged",
        "liar.jpg": "unreadable: too large: 4225 MP, limit 300 MP",
    }
    assert kept(rows) >= GOOD


def test_every_kind_of_samples_is_the_same_photograph(photos: Path) -> None:
    rgb = scene(6)
    grey = rgb[..., 1]
    (photos / "plain.png").write_bytes(png_bytes(rgb))
    (photos / "grey.png").write_bytes(png_bytes(grey))
    tifffile.imwrite(photos / "deep.tif", rgb.astype(np.uint16) * 257, photometric="rgb")
    tifffile.imwrite(photos / "deep-grey.tif", grey.astype(np.uint16) * 257)
    tifffile.imwrite(photos / "inverted-grey.tif", 255 - grey, photometric="miniswhite")
    tifffile.imwrite(photos / "float.tif", (rgb / 255).astype(np.float32), photometric="rgb")
    pyvips.Image.new_from_array(rgb.astype(np.uint16) * 257, interpretation="rgb16").pngsave(
        str(photos / "deep.png")
    )
    colours = np.unique(rgb.reshape(-1, 3), axis=0)
    assert len(colours) <= 256
    palette = Image.fromarray(
        np.array([np.flatnonzero((colours == pixel).all(1))[0] for pixel in rgb.reshape(-1, 3)])
        .reshape(rgb.shape[:2])
        .astype(np.uint8),
        mode="P",
    )
    palette.putpalette(colours.flatten().tolist())
    palette.save(photos / "palette.png")
    opaque = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    (photos / "alpha.png").write_bytes(encoded(np.concatenate([rgb, opaque], axis=-1), "PNG"))
    (photos / "alpha-grey.png").write_bytes(
        encoded(np.stack([grey, opaque[..., 0]], axis=-1), "PNG")
    )
    Image.fromarray(rgb).convert("CMYK").save(photos / "press.jpg", quality=100)
    tifffile.imwrite(photos / "hot.tif", (rgb / 25.0).astype(np.float32), photometric="rgb")
    tifffile.imwrite(photos / "bands.tif", np.dstack([rgb, rgb]), photometric="minisblack")
    rows = catalog()
    found = reasons(rows)
    assert found.pop("hot.tif").startswith("unreadable: floating-point values outside 0..1")
    assert found.pop("bands.tif").startswith("unreadable: ")
    assert found == {}
    values = stored(rows)
    for name in ("deep.tif", "float.tif", "deep.png", "palette.png", "alpha.png"):
        for one, other in zip(values[name], values["plain.png"], strict=True):
            assert np.abs(one - other).max() < 0.6, name  # a level of 8 bits
    for name in ("deep-grey.tif", "inverted-grey.tif", "alpha-grey.png", "grey.png"):
        assert np.abs(values[name][0] - values["grey.png"][0]).max() < 0.6, name
        assert np.abs(values[name][1]).max() < 0.1, name
    # Without a profile, ink is a matter of opinion, but light is light and red is red.
    L, ab = values["press.jpg"]
    assert np.corrcoef(L.ravel(), values["plain.png"][0].ravel())[0, 1] > 0.8
    assert np.corrcoef(ab.ravel(), values["plain.png"][1].ravel())[0, 1] > 0.8


def test_pages_and_frames(photos: Path) -> None:
    tifffile.imwrite(
        photos / "pages.tif", np.stack([scene(1)[..., 0]] * 3), photometric="minisblack"
    )
    frames = [Image.fromarray(scene(seed)) for seed in (1, 2)]
    frames[0].save(photos / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(photos / "moving.webp", save_all=True, append_images=frames[1:])
    frames[0].save(photos / "still.gif")
    rows = catalog()
    assert reasons(rows) == {
        "pages.tif": "unreadable: multi-page: 3 pages or frames",
        "moving.gif": "unreadable: multi-page: 2 pages or frames",
        "moving.webp": "unreadable: multi-page: 2 pages or frames",
    }
    assert kept(rows) == {*GOOD, "still.gif"}


def test_orientations(photos: Path) -> None:
    """The eight orientations, and one that does not exist, are one picture afterwards."""
    upright = scene(7)
    turns: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda a: a,
        lambda a: a[:, ::-1],
        lambda a: a[::-1, ::-1],
        lambda a: a[::-1],
        lambda a: a.transpose(1, 0, 2),
        lambda a: np.rot90(a, 1),
        lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        lambda a: np.rot90(a, -1),
    ]
    for number, turned in enumerate(turns, start=1):
        exif = Image.Exif()
        exif[0x0112] = number
        picture = Image.fromarray(np.ascontiguousarray(turned(upright)))
        picture.save(photos / f"turn-{number}.png", exif=exif)
        picture.save(photos / f"turn-{number}.jpg", exif=exif, quality=100, subsampling=0)
    exif = Image.Exif()
    exif[0x0112] = 99
    Image.fromarray(upright).save(photos / "turn-99.png", exif=exif)
    rows = catalog()
    assert reasons(rows) == {}
    values = stored(rows)
    for name in values.keys() - GOOD:
        assert (rows[name]["width"], rows[name]["height"]) == ("56", "40"), name
        limit = 3.0 if name.endswith("jpg") else 0.05
        assert np.abs(values[name][0] - values["turn-1.png"][0]).max() < limit, name
        assert np.abs(values[name][1] - values["turn-1.png"][1]).max() < 2 * limit, name


def test_colour_profiles(photos: Path) -> None:
    rgb = scene(8)
    plain = pyvips.Image.new_from_array(rgb)
    plain.pngsave(str(photos / "plain.png"))
    plain.icc_transform("p3", input_profile="srgb").pngsave(str(photos / "wide.png"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for name, profile in {"srgb": srgb, "garbage": b"garbage" * 40, "other": lab}.items():
        Image.fromarray(rgb).save(photos / f"{name}.png", icc_profile=profile)
    rows = catalog()
    assert reasons(rows) == {}
    values = stored(rows)
    for name in ("wide.png", "srgb.png", "garbage.png", "other.png"):
        assert np.abs(values[name][0] - values["plain.png"][0]).max() < 1.5, name
        assert np.abs(values[name][1] - values["plain.png"][1]).max() < 3, name


def test_hostile_names(photos: Path) -> None:
    names = [
        b"caf\xe9.png",
        b"new\nline.png",
        b"-rf --help.png",
        b"$(touch hacked);`touch hacked`.png",
        b"quo\"te',comma.png",
        b"50%25.png",
        b"a.npy#7",
        b"a.png[page=3]",
        b"..png",
        "Größe \u202egnp.exe".encode(),
        "e\u0301.png".encode(),
        "\u00e9.png".encode(),
        b"GOOD-0.PNG",
        b"x" * 251 + b".png",
    ]
    for number, name in enumerate(names):
        (photos / os.fsdecode(name)).write_bytes(png_bytes(scene(20 + number)))
    rows = catalog()
    assert reasons(rows) == {}
    assert len(rows) == len(GOOD) + len(names) - 1  # ..png is hidden
    assert set(stored(rows)) == set(rows)
    assert not list(Path().rglob("hacked"))


def test_links_pipes_and_loops(photos: Path, work: Path) -> None:
    (photos / "dangling.png").symlink_to("nowhere.png")
    (photos / "self.png").symlink_to("self.png")
    (photos / "loop").symlink_to(photos)
    (photos / "up").symlink_to("..")
    (photos / "deep").mkdir()
    (photos / "deep" / "back").symlink_to(photos)
    (photos / "linked.png").symlink_to(photos / "good-0.png")
    os.mkfifo(photos / "pipe.png")
    os.mknod(photos / "socket.png", stat.S_IFSOCK | 0o600)
    (photos / "disk.png").symlink_to("/dev/zero")
    rows = catalog()
    assert reasons(rows) == {
        "dangling.png": "unreadable: no such file or directory",
        "self.png": "unreadable: too many levels of symbolic links",
        "loop": "unreadable: a link to a folder, not followed",
        "up": "unreadable: a link to a folder, not followed",
        "deep/back": "unreadable: a link to a folder, not followed",
        "pipe.png": "unreadable: not a regular file",
        "socket.png": "unreadable: not a regular file",
        "disk.png": "unreadable: not a regular file",
    }
    assert kept(rows) == {*GOOD, "linked.png"}


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to read everything; for others nothing changes."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_files_and_folders_without_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest's own folders are closed to nobody.
    place = Path(tempfile.mkdtemp(prefix="photochrom-"))
    try:
        photos = place / "photos"
        for name in ("good-0.png", "locked.png", "closed/a.png", "blind/b.png"):
            (photos / name).parent.mkdir(parents=True, exist_ok=True)
            (photos / name).write_bytes(png_bytes(scene(len(name))))
        place.chmod(0o777)
        (photos / "locked.png").chmod(0)
        (photos / "closed").chmod(0)
        (photos / "blind").chmod(0o444)  # names can be listed, files not reached
        monkeypatch.chdir(place)
        with as_nobody():
            rows = catalog()
        assert reasons(rows) == {
            "locked.png": "unreadable: permission denied",
            "closed": "unreadable: permission denied",
            "blind/b.png": "unreadable: permission denied",
        }
        assert kept(rows) == {"good-0.png"}
    finally:
        for folder in ("closed", "blind"):
            (place / "photos" / folder).chmod(0o755)
        shutil.rmtree(place)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_hostile_archives(
    kind: str, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zip-slip, links, bombs, archives in archives, names that come up twice, and a cut end."""
    monkeypatch.setattr(containers, "RATIO_ALLOWANCE", 100_000)
    (tmp_path / "secret.png").write_bytes(png_bytes(scene(9)))
    outside = sorted(path for path in tmp_path.rglob("*") if work not in path.parents)
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("a.png", png_bytes(scene(10)))
    entries = [
        ("good-0.png", png_bytes(scene(0))),
        ("../slip.png", png_bytes(scene(1))),
        (f"{tmp_path}/absolute.png", png_bytes(scene(1))),
        ("cut.png", png_bytes(scene(1))[:60]),
        ("nested.zip", nested.getvalue()),
        ("good-0.png", png_bytes(scene(2))),
        ("good-1.png", png_bytes(scene(1))),
    ]
    bomb = ("bomb.png", bytes(5_000_000))
    path = work / f"photos.{kind}"
    link = "link.png"
    if kind == "zip":
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            warnings.simplefilter("ignore")  # of the name that comes up twice
            for name, content in [*entries[:5], bomb, *entries[5:]]:
                archive.writestr(name, content)
            info = zipfile.ZipInfo(link)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, str(tmp_path / "secret.png"))
    else:
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as tar:
            linked = tarfile.TarInfo(link)
            linked.type, linked.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.png")
            tar.addfile(linked)
            for name, content in [*entries, bomb]:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    sources = f"[{{kind: folder, path: photos.{kind}}}]"
    options = ["--images=images", f"--sources={sources}", "--out=sources.csv"]
    assert download.main(options) == EXIT_REJECTED
    table = Path("sources.csv").read_text()
    assert table.count("the name comes up twice in the archive") == 1
    rows = catalog(sources)
    found = reasons(rows)
    assert found.pop("../slip.png") == "unreadable: its name leads out of the archive"
    assert found.pop(f"{tmp_path}/absolute.png") == "unreadable: its name is an absolute path"
    assert found.pop("link.png") == "unreadable: a link, not followed"
    assert found.pop("cut.png") == "unreadable: truncated or damaged"
    assert found.pop("nested.zip") == f"unreadable: {container.NESTED}"
    # The second of its name has the first's row in this dictionary.
    assert found.pop("good-0.png") == "unreadable: the name comes up twice in the archive"
    if kind == "zip":
        assert "taken for a bomb" in found.pop("bomb.png")
    elif kind == "tar.gz":
        assert "taken for a bomb" in found.pop("photos.tar.gz")
    else:
        assert found.pop("bomb.png") == "unreadable: not an image"
    assert found == {}
    assert kept(rows) == {"good-1.png"}
    assert sorted(path for path in tmp_path.rglob("*") if work not in path.parents) == outside


def test_an_archive_that_is_cut_off_beside_a_good_folder(photos: Path, work: Path) -> None:
    for name in ("photos.tar", "photos.zip"):
        data = io.BytesIO()
        if name.endswith("tar"):
            with tarfile.open(fileobj=data, mode="w") as tar:
                tar.add(photos, "photos")
        else:
            with zipfile.ZipFile(data, "w") as archive:
                for path in sorted(photos.iterdir()):
                    archive.write(path)
        (work / name).write_bytes(data.getvalue()[: len(data.getvalue()) // 5])
    rows = catalog(
        "[{kind: folder, path: photos.tar}, {kind: folder, path: photos}, "
        "{kind: folder, path: photos.zip}]"
    )
    assert kept(rows) >= GOOD
    assert {"photos.tar", "photos.zip"} <= set(reasons(rows))
    for name in ("photos.tar", "photos.zip"):
        assert "the archive is cut off or damaged" in rows[name]["reason"]


def test_http_faults_beside_a_good_folder(
    photos: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "BACKOFF", 0.001)
    monkeypatch.setattr(fetch, "ATTEMPTS", 2)
    monkeypatch.setattr(fetch, "SILENCE_SECONDS", 0.7)
    monkeypatch.setattr(fetch, "RATE_SECONDS", 0.3)
    picture = png_bytes(scene(11))
    digest = hashlib.sha256(picture).hexdigest()
    with serving() as server:
        server.answers = {
            "/good.png": whole(picture),
            "/resumed.png": at_first(1, cut(picture, 100), whole(picture)),
            "/throttled.png": at_first(1, status(429, Retry_After=1), whole(picture)),
            "/gone.png": status(404),
            "/broken.png": status(500),
            "/login.png": lambda request: request.reply(200, LOGIN),
            "/swapped.png": whole(png_bytes(scene(12))),
            "/cut.png": cut(picture, 100),
            "/cut-unseen.png": cut(picture, 100, length=False),
            "/drip.png": drip(picture, 0.05),
            "/silent.png": silence(2),
            "/hung-up.png": hang_up,
        }
        lines = [f"{server.url(path)},{digest},CC0,A" for path in server.answers]
        (work / "list.csv").write_text("\n".join(["url,sha256,licence,attribution", *lines]))
        rows = catalog(
            "[{kind: folder, path: photos}, {kind: urls, path: list.csv, minimum_rate: 100}]"
        )
        assert kept(rows) == GOOD | {
            server.url(path) for path in ("/good.png", "/resumed.png", "/throttled.png")
        }
        prefix = len("unreadable: ")
        found = {
            name.removeprefix(server.url("/")): reason[prefix:]
            for name, reason in reasons(rows).items()
        }
        assert server.asked["/gone.png"] == 1
        assert ("/resumed.png", "bytes=100-") in server.ranges
    assert found == {
        "gone.png": "HTTP 404 Not Found",
        "broken.png": "HTTP 500 Internal Server Error (2 attempts)",
        "login.png": "a page of HTML instead of an image (a login or an error?)",
        "swapped.png": "differs from its sha256 in the list",
        "cut.png": "the connection broke off (2 attempts)",
        "cut-unseen.png": "differs from its sha256 in the list (2 attempts)",
        "drip.png": found["drip.png"],
        "silent.png": "no answer in time (2 attempts)",
        "hung-up.png": "no connection (2 attempts)",
    }
    assert found["drip.png"].startswith("slower than 100 bytes a second")


def test_flipped_bytes_show_against_a_manifest(photos: Path, work: Path) -> None:
    lines = ["file,licence,attribution,sha256"]
    for path in sorted(photos.iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"{path.name},CC0,A,{digest}")
    (work / "manifest.csv").write_text("\n".join(lines))
    tifffile.imwrite(photos / "good-1.png", scene(1))  # another file of the same picture
    rows = catalog("[{kind: folder, path: photos, manifest: manifest.csv}]")
    assert reasons(rows) == {
        "good-1.png": "unreadable: differs from its sha256 in manifest.csv: damaged or replaced"
    }
    assert {row["licence"] for row in rows.values()} == {"CC0"}


def test_mutated_files_never_stop_a_run(photos: Path) -> None:
    """Seeded mutations of every format: a row each, whatever the decoder makes of it."""
    generator = np.random.default_rng(13)
    count = 0
    for format in ("JPEG", "PNG", "TIFF", "WEBP", "GIF"):
        data = encoded(scene(14), format)
        for _ in range(20):
            mutated = bytearray(data)
            for place in generator.integers(0, len(data), 1 + generator.integers(8)):
                mutated[place] = generator.integers(256)
            (photos / f"mutated-{count}").write_bytes(mutated)
            count += 1
    rows = catalog()
    assert len(rows) == len(GOOD) + count
    assert kept(rows) >= GOOD
    assert all(reason.startswith("unreadable: ") for reason in reasons(rows).values())
    assert set(stored(rows)) == kept(rows)
