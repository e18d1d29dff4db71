"""A web server on this machine that fails in every way that servers do."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Answer = Callable[["Request"], None]

LOGIN = b"\n<!DOCTYPE html>\n<html><body>Please sign in</body></html>\n"


class Request(BaseHTTPRequestHandler):
    """One request; `times` is how often its path was asked for before."""

    protocol_version = "HTTP/1.1"
    server: "FaultyServer"
    times: int

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        with self.server.counting:
            self.times = self.server.asked[path]
            self.server.asked[path] += 1
            self.server.ranges.append((path, self.headers.get("Range", "")))
        answer = self.server.answers.get(path)
        try:
            if answer is None:
                self.reply(404, b"nothing here")
            else:
                answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client hung up, as it should on some of these

    def reply(self, status: int, body: bytes = b"", **headers: object) -> None:
        self.start(status, **{"Content-Length": len(body), **headers})
        self.wfile.write(body)

    def start(self, status: int, **headers: object) -> None:
        """The head of an answer; in names _ stands for -."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        if not any(name.replace("_", "-") == "Content-Length" for name in headers):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Tests need no log."""


class FaultyServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        from threading import Lock

        super().__init__(("127.0.0.1", 0), Request)
        self.answers: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()
        self.ranges: list[tuple[str, str]] = []
        self.counting = Lock()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is expected here."""


@contextmanager
def serving() -> Iterator[FaultyServer]:
    """A server on a free port, which stops at the end."""
    with FaultyServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()


def whole(content: bytes, **headers: object) -> Answer:
    """The file, with ranges as good servers give them."""

    def answer(request: Request) -> None:
        asked = request.headers.get("Range", "")
        if not asked or request.headers.get("If-Range", headers.get("ETag")) != headers.get("ETag"):
            request.reply(200, content, **headers)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            request.reply(416, b"", Content_Range=f"bytes */{len(content)}")
            return
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        request.reply(206, content[start:], Content_Range=span, **headers)

    return answer


def status(code: int, **headers: object) -> Answer:
    return lambda request: request.reply(code, b"no", **headers)


def at_first(times: int, bad: Answer, good: Answer) -> Answer:
    """`bad` for as many requests, then `good`."""
    return lambda request: (bad if request.times < times else good)(request)


def cut(content: bytes, after: int, *, length: bool = True, **headers: object) -> Answer:
    """The head of a whole answer and only the first bytes of the body; `length` tells how many
    there should have been."""

    def answer(request: Request) -> None:
        request.start(200, **({"Content-Length": len(content)} if length else {}), **headers)
        request.wfile.write(content[:after])
        request.close_connection = True

    return answer


def drip(content: bytes, seconds: float) -> Answer:
    """The body byte by byte, each well before any time-out."""

    def answer(request: Request) -> None:
        request.start(200, **{"Content-Length": len(content)})
        for byte in content:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            time.sleep(seconds)

    return answer


def drip_head(seconds: float) -> Answer:
    """A head that never comes to its end."""

    def answer(request: Request) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(1000):
            request.wfile.write(f"X-{number}: 1\r\n".encode())
            request.wfile.flush()
            time.sleep(seconds)

    return answer


def silence(seconds: float) -> Answer:
    def answer(request: Request) -> None:
        time.sleep(seconds)
        request.close_connection = True

    return answer


def verbatim(answer: bytes) -> Answer:
    """These very bytes, whether they are HTTP or not."""

    def send(request: Request) -> None:
        request.wfile.write(answer)
        request.close_connection = True

    return send


def hang_up(request: Request) -> None:
    """No answer at all."""
    request.close_connection = True


def redirect(to: str) -> Answer:
    return lambda request: request.reply(302, b"", Location=to)
