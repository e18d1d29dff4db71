"""A list of addresses as a source: in parallel, resumable, with statistics."""

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faulty_server import (
    LOGIN,
    FaultyServer,
    Request,
    cut,
    drip,
    serving,
    silence,
    status,
    whole,
)
from photochrom.images import load_rgb, path_from_text, png_bytes
from photochrom.runtime import StageError, log
from photochrom.sources import SourceImage, list_all
from photochrom.sources import fetch as fetch_module


def picture(tone: int = 100) -> bytes:
    return png_bytes(np.full((4, 6, 3), tone, np.uint8))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def impatient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fetch_module, "BACKOFF", 0.001)
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 2)
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with serving() as server:
        yield server


def listed(rows: list[str], **options: Any) -> list[SourceImage]:
    Path("list.csv").write_text("\n".join(["url,sha256,licence,attribution", *rows]) + "\n")
    return list(list_all([{"kind": "urls", "path": "list.csv", **options}], Path("images")))


def test_passwords_stay_out_of_tables_and_logs(
    server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["/good.png"] = whole(picture())
    server.answers["/none.png"] = status(404)
    open_ones = [server.url("/good.png"), server.url("/none.png")]
    rows = [f"{url.replace('//', '//me:secret@')},,CC0,me" for url in open_ones]
    good, missing = listed(rows)
    assert (good.error, good.original_name) == ("", open_ones[0])
    assert missing.error
    assert "secret" not in repr((good, missing)) + caplog.text


def test_every_address_is_a_row_in_order(server: FaultyServer) -> None:
    for tone in range(5):
        server.answers[f"/{tone}.png"] = whole(picture(tone))
    rows = [f'{server.url(f"/{tone}.png")},{digest(picture(tone))},CC0,"B, Å"' for tone in range(5)]
    images = listed(rows)
    for tone, image in enumerate(images):
        assert image.error == ""
        assert image.original_name == server.url(f"/{tone}.png")
        assert image.id == digest(picture(tone))[:16]
        assert (image.source, image.licence, image.attribution) == ("urls:list.csv", "CC0", "B, Å")
        assert image.path.startswith("images/urls/")
        assert image.path.endswith(".png")
        assert load_rgb(path_from_text(image.path))[0, 0, 0] == tone


def test_what_is_there_is_not_fetched_again(
    server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["/a.png"] = whole(picture())
    server.answers["/b.png"] = whole(picture(7))
    rows = [f"{server.url('/a.png')},{digest(picture())},,", f"{server.url('/b.png')},,,"]
    first = listed(rows)
    assert listed(rows) == first
    assert server.asked == {"/a.png": 1, "/b.png": 1}
    assert "2 of 2 addresses usable, 2 of them fetched before" in caplog.text
    path_from_text(first[0].path).write_bytes(b"torn by a power cut")
    assert listed(rows) == first
    server.answers["/b.png"] = whole(picture(9))  # the list now asks for another version
    changed = listed([rows[0], f"{server.url('/b.png')},{digest(picture(9))},,"])
    assert changed[1].sha256 == digest(picture(9))


def test_faults_are_rows_and_are_counted(
    server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    answers = {
        "/good.png": whole(picture()),
        "/gone.png": status(404),
        "/gone-too.png": status(404),
        "/busy.png": status(503),
        "/login.png": lambda request: request.reply(200, LOGIN, Content_Type="image/png"),
        "/text.png": whole(b"hello"),
        "/other.png": whole(picture(1)),
        "/cut.png": cut(picture(), 30),
        "/empty.png": whole(b""),
    }
    server.answers.update(answers)
    rows = [f"{server.url(path)},{digest(picture())},CC0," for path in answers]
    rows[5] = f"{server.url('/text.png')},,CC0,"
    rows[8] = f"{server.url('/empty.png')},,CC0,"
    rows += [
        "ftp://example.org/a.png,,,",
        "http://[::1,,,",
        ",,CC0,",
        f"{server.url('/short.png')},abc,,",
        rows[0],
    ]
    images = listed(rows)
    assert [image.error for image in images] == [
        "",
        "HTTP 404 Not Found",
        "HTTP 404 Not Found",
        "HTTP 503 Service Unavailable (2 attempts)",
        "a page of HTML instead of an image (a login or an error?)",
        "not an image",
        "differs from its sha256 in the list",
        "the connection broke off (2 attempts)",
        "zero bytes",
        "not an http or https address",
        "not an http or https address",
        "not an http or https address",
        "its sha256 in the list is not 64 hexadecimal digits",
        "in the list before, on line 2",
    ]
    assert all(image.licence == "CC0" for image in images[:9])
    assert len({image.id for image in images}) == len(images)
    assert [path.name for path in Path("images/urls").iterdir() if path.suffix != ".part"] == [
        Path(images[0].path).name
    ]
    host = f"127.0.0.1:{server.server_port}"
    assert "1 of 14 addresses usable, 0 of them fetched before" in caplog.text
    assert f"2 failed: HTTP 404 Not Found ({host} 2)" in caplog.text
    assert "3 failed: not an http or https address (no host 3)" in caplog.text


def test_transfers_run_in_parallel_and_not_more_than_asked_for(server: FaultyServer) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def slow(request: Request) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        request.reply(200, picture())

    for number in range(12):
        server.answers[f"/{number}"] = slow
    images = listed([f"{server.url(f'/{number}')},,," for number in range(12)], parallel=4)
    assert all(not image.error for image in images)
    assert most[0] == 4


def test_no_server_can_delay_the_deadline(server: FaultyServer) -> None:
    server.answers["/silent"] = silence(20)
    server.answers["/drip"] = drip(picture(), 1)
    server.answers["/good"] = whole(picture())
    paths = ["/good", "/silent", "/drip", "/never-asked-for"]
    started = time.monotonic()
    images = listed([f"{server.url(path)},,," for path in paths], parallel=2, deadline=0.7)
    assert time.monotonic() - started < 4
    assert images[0].error == ""
    assert all("deadline" in image.error for image in images[1:])
    assert server.asked["/never-asked-for"] == 0


def test_the_least_rate_is_the_source_s_to_say(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "RATE_SECONDS", 0.1)
    server.answers["/drip"] = drip(picture(), 0.01)
    (image,) = listed([f"{server.url('/drip')},,,"], minimum_rate=5000)
    assert image.error.startswith("slower than 5000 bytes a second")
    (image,) = listed([f"{server.url('/drip')},,,"], minimum_rate=10)
    assert image.error == ""


def test_a_full_disk_ends_it(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch_module, "_copy", full)
    server.answers["/a"] = whole(picture())
    with pytest.raises(OSError, match="No space left"):
        listed([f"{server.url('/a')},,,"])


def test_a_list_is_needed() -> None:
    with pytest.raises(StageError, match=r"needs a path, such as list\.csv"):
        list(list_all([{"kind": "urls"}], Path("images")))
    with pytest.raises(StageError, match=r"cannot read none\.csv"):
        list(list_all([{"kind": "urls", "path": "none.csv"}], Path("images")))
