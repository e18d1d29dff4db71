"""One file over HTTP from a server with every fault."""

import hashlib
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faulty_server import (
    LOGIN,
    Answer,
    FaultyServer,
    at_first,
    cut,
    drip,
    drip_head,
    hang_up,
    redirect,
    serving,
    silence,
    status,
    verbatim,
    whole,
)
from photochrom.sources import fetch as fetch_module
from photochrom.sources.fetch import ATTEMPTS, FetchError, Terms, fetch, new_session

CONTENT = np.random.default_rng(0).bytes(3000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "BACKOFF", 0.001)
    monkeypatch.setattr(fetch_module, "RATE_SECONDS", 0.1)


@pytest.fixture(scope="module")
def running() -> Iterator[FaultyServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running: FaultyServer) -> FaultyServer:
    running.answers.clear()
    running.asked.clear()
    running.ranges.clear()
    return running


def get(
    url: str, folder: Path, sha256: str = DIGEST, seconds: float = 20, rate: float = 0.0
) -> bytes:
    target = folder / "a.jpg"
    terms = Terms(time.monotonic() + seconds, rate)
    with new_session() as session:
        fetch(session, url, target, sha256, terms)
    assert not list(folder.glob("*.part"))
    return target.read_bytes()


def fault(url: str, folder: Path, sha256: str = DIGEST, **terms: float) -> str:
    with pytest.raises(FetchError) as caught:
        get(url, folder, sha256, **terms)
    assert not (folder / "a.jpg").exists()
    return caught.value.reason


@pytest.mark.parametrize("sha256", [DIGEST, ""])
def test_a_file(server: FaultyServer, tmp_path: Path, sha256: str) -> None:
    server.answers["/a"] = whole(CONTENT)
    assert get(server.url("/a"), tmp_path, sha256) == CONTENT
    assert server.asked["/a"] == 1


def test_redirects_are_followed_but_not_for_ever(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/a"] = whole(CONTENT)
    server.answers["/b"] = redirect("/a")
    server.answers["/round"] = redirect("/round")
    assert get(server.url("/b"), tmp_path) == CONTENT
    (tmp_path / "a.jpg").unlink()
    assert fault(server.url("/round"), tmp_path) == "more than 5 redirects"


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_what_the_client_did_wrong_is_not_tried_again(
    server: FaultyServer, tmp_path: Path, code: int
) -> None:
    server.answers["/a"] = status(code)
    assert fault(server.url("/a"), tmp_path).startswith(f"HTTP {code} ")
    assert server.asked["/a"] == 1


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_may_pass_is_tried_again(server: FaultyServer, tmp_path: Path, code: int) -> None:
    server.answers["/a"] = at_first(2, status(code), whole(CONTENT))
    assert get(server.url("/a"), tmp_path) == CONTENT
    server.answers["/never"] = status(code)
    (tmp_path / "a.jpg").unlink()
    assert fault(server.url("/never"), tmp_path).endswith(f"({ATTEMPTS} attempts)")
    assert server.asked["/never"] == ATTEMPTS


def test_retry_after_is_honoured_for_the_whole_host(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/a"] = at_first(1, status(429, Retry_After=1), whole(CONTENT))
    server.answers["/b"] = whole(CONTENT)
    terms = Terms(time.monotonic() + 20, 0)
    started = time.monotonic()
    finished: dict[str, float] = {}

    def work(path: str, delay: float) -> None:
        time.sleep(delay)
        with new_session() as session:
            fetch(session, server.url(path), tmp_path / path[1:], DIGEST, terms)
        finished[path] = time.monotonic() - started

    threads = [threading.Thread(target=work, args=each) for each in (("/a", 0), ("/b", 0.4))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(finished.values()) >= 0.95
    assert server.asked == {"/a": 2, "/b": 1}


def test_a_date_to_wait_for_is_understood_and_a_far_one_ends_it(
    server: FaultyServer, tmp_path: Path
) -> None:
    later = formatdate(time.time() + 3600, usegmt=True)
    server.answers["/a"] = status(503, Retry_After=later)
    started = time.monotonic()
    assert "the deadline comes before another attempt" in fault(server.url("/a"), tmp_path)
    assert time.monotonic() - started < 2
    server.answers["/b"] = at_first(1, status(503, Retry_After="soon"), whole(CONTENT))
    assert get(server.url("/b"), tmp_path) == CONTENT


@pytest.mark.parametrize("tag", ['"v1"', ""])
def test_a_cut_transfer_goes_on_where_it_stopped(
    server: FaultyServer, tmp_path: Path, tag: str
) -> None:
    headers: dict[str, Any] = {"ETag": tag} if tag else {}
    server.answers["/a"] = at_first(1, cut(CONTENT, 1000, **headers), whole(CONTENT, **headers))
    assert get(server.url("/a"), tmp_path) == CONTENT
    assert server.ranges == [("/a", ""), ("/a", "bytes=1000-")]


def test_without_a_digest_only_the_same_version_goes_on(
    server: FaultyServer, tmp_path: Path
) -> None:
    server.answers["/a"] = at_first(1, cut(CONTENT, 1000, ETag='"v1"'), whole(CONTENT, ETag='"v1"'))
    assert get(server.url("/a"), tmp_path, "") == CONTENT
    server.answers["/b"] = at_first(1, cut(CONTENT, 1000), whole(CONTENT))
    assert get(server.url("/b"), tmp_path, "") == CONTENT
    assert [asked for _, asked in server.ranges] == ["", "bytes=1000-", "", ""]
    server.answers["/c"] = at_first(
        1, cut(CONTENT[::-1], 1000, ETag='"v1"'), whole(CONTENT, ETag='"v2"')
    )
    assert get(server.url("/c"), tmp_path, "") == CONTENT
    assert server.ranges[-1] == ("/c", "bytes=1000-")


def test_an_earlier_run_is_gone_on_with_only_by_a_digest(
    server: FaultyServer, tmp_path: Path
) -> None:
    server.answers["/a"] = whole(CONTENT)
    part = tmp_path / "a.jpg.part"
    for sha256, asked in ((DIGEST, "bytes=700-"), ("", "")):
        part.write_bytes(CONTENT[:700])
        assert get(server.url("/a"), tmp_path, sha256) == CONTENT
        assert server.ranges[-1] == ("/a", asked)
    part.write_bytes(CONTENT)  # killed between the last byte and the renaming
    before = server.asked["/a"]
    assert get(server.url("/a"), tmp_path) == CONTENT
    assert server.asked["/a"] == before


@pytest.mark.parametrize("wrong", [b"x" * 700, b"x" * 5000])
def test_a_part_of_something_else_is_thrown_away(
    server: FaultyServer, tmp_path: Path, wrong: bytes
) -> None:
    server.answers["/a"] = whole(CONTENT)
    (tmp_path / "a.jpg.part").write_bytes(wrong)
    assert get(server.url("/a"), tmp_path) == CONTENT


def test_a_server_that_ignores_ranges(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/a"] = lambda request: request.reply(200, CONTENT)
    (tmp_path / "a.jpg.part").write_bytes(CONTENT[:700])
    assert get(server.url("/a"), tmp_path) == CONTENT


def test_a_server_that_sends_another_range(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/a"] = at_first(
        1,
        lambda request: request.reply(206, CONTENT[5:], Content_Range="bytes 5-2999/3000"),
        whole(CONTENT),
    )
    (tmp_path / "a.jpg.part").write_bytes(CONTENT[:700])
    assert get(server.url("/a"), tmp_path) == CONTENT


def test_a_cut_that_http_does_not_show_is_found_by_the_digest(
    server: FaultyServer, tmp_path: Path
) -> None:
    server.answers["/a"] = at_first(2, cut(CONTENT, 1000, length=False), whole(CONTENT))
    assert get(server.url("/a"), tmp_path) == CONTENT
    server.answers["/b"] = cut(CONTENT, 1000, length=False)
    (tmp_path / "a.jpg").unlink()
    assert fault(server.url("/b"), tmp_path).startswith("differs from its sha256 in the list (")


def test_always_cut_at_the_start(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/a"] = cut(CONTENT, 0)
    assert fault(server.url("/a"), tmp_path).endswith(f"({ATTEMPTS} attempts)")


@pytest.mark.parametrize("sha256", [DIGEST, ""])
def test_html_instead_of_an_image(server: FaultyServer, tmp_path: Path, sha256: str) -> None:
    server.answers["/a"] = lambda request: request.reply(200, LOGIN, Content_Type="image/jpeg")
    assert fault(server.url("/a"), tmp_path, sha256).startswith("a page of HTML instead")
    assert server.asked["/a"] == 1


def test_other_content_than_listed(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/a"] = whole(CONTENT[::-1])
    assert fault(server.url("/a"), tmp_path) == "differs from its sha256 in the list"
    assert server.asked["/a"] == 1


def test_a_drip_is_ended_by_the_least_rate(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/a"] = drip(CONTENT, 0.01)
    started = time.monotonic()
    reason = fault(server.url("/a"), tmp_path, rate=1000)
    assert reason.startswith("slower than 1000 bytes a second")
    assert time.monotonic() - started < 5


def test_a_drip_is_ended_by_the_deadline(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/a"] = drip(CONTENT, 0.01)
    started = time.monotonic()
    assert "deadline" in fault(server.url("/a"), tmp_path, seconds=0.5)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (silence(1.0), "no answer in time"),
        (drip_head(0.05), "no answer in time"),
        (hang_up, "no connection"),
    ],
)
def test_no_answer(
    server: FaultyServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    reason: str,
) -> None:
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 2)
    monkeypatch.setattr(fetch_module, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(fetch_module, "HEADER_SECONDS", 0.6)
    server.answers["/a"] = answer
    started = time.monotonic()
    assert fault(server.url("/a"), tmp_path) == f"{reason} (2 attempts)"
    assert time.monotonic() - started < 4


def test_nobody_there_and_no_such_address(tmp_path: Path) -> None:
    with serving() as server:
        gone = server.url("/a")
    assert fault(gone, tmp_path) == f"no connection ({ATTEMPTS} attempts)"
    assert fault("http://[::1", tmp_path) == "not a usable address"


def test_too_much(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 1000)
    server.answers["/a"] = whole(CONTENT)
    server.answers["/b"] = cut(CONTENT, 2000, length=False)
    assert fault(server.url("/a"), tmp_path).startswith("too large")
    assert fault(server.url("/b"), tmp_path).startswith("too large")


def test_packed_answers_are_refused(server: FaultyServer, tmp_path: Path) -> None:
    server.answers["/a"] = whole(CONTENT, Content_Encoding="gzip")
    assert fault(server.url("/a"), tmp_path) == "sent packed (gzip), which was not asked for"


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: "
NONSENSE = {
    "no http": (b"SSH-2.0-OpenSSH_9.2\r\n", "no connection"),
    "headers without end": (OK + b"X: 1\r\n" * 500 + b"\r\n", "no connection"),
    "a length of 5000 digits": (OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nx", "differs"),
    "a negative length": (OK + b"Content-Length: -5\r\n\r\nx", "differs from its sha256"),
    "a length too short": (OK + b"Content-Length: 20\r\n\r\n" + CONTENT, "differs from its sha256"),
    "a chunk of no size": (CHUNKED + b"zz\r\nabc", "the connection broke off"),
    "a chunk that is cut": (CHUNKED + b"ff\r\nabc", "the connection broke off"),
    "a wait of 5000 digits": (BUSY + b"9" * 5000 + b"\r\n\r\n", "HTTP 503 Busy"),
    "a wait until no date": (
        BUSY + b"Wed, 21 Oct 99999999999 07:28:00 GMT\r\n\r\n",
        "HTTP 503 Busy",
    ),
    "another range": (b"HTTP/1.1 206 OK\r\nContent-Length: 1\r\n\r\nx", "the server sent another"),
    "a reason for terminals": (b"HTTP/1.1 404 \x1b[31mred\x00\r\n\r\n", "HTTP 404 ?[31mred?"),
    "a long reason": (b"HTTP/1.1 404 " + b"x" * 5000 + b"\r\n\r\n", f"HTTP 404 {'x' * 40}"),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_a_reason(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 2)
    answer, reason = NONSENSE[case]
    server.answers["/a"] = verbatim(answer)
    found = fault(server.url("/a"), tmp_path)
    assert found.startswith(reason)
    assert len(found) < 80


@pytest.mark.parametrize(
    "to", ["http://[::1", "file:///etc/passwd", "ftp://host/a", "http://127.0.0.1:99999/"]
)
def test_redirects_to_what_is_no_address(server: FaultyServer, tmp_path: Path, to: str) -> None:
    server.answers["/a"] = redirect(to)
    assert fault(server.url("/a"), tmp_path) == "not a usable address"
