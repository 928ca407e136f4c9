"""A provider over HTTP on 127.0.0.1 that misbehaves as told, for tests of the client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

Behaviour = Callable[["Handler", str, int], None]
"""What to do with a request: the handler, the provider's id of the job, and how often it was asked about before."""


class Handler(BaseHTTPRequestHandler):
    """Does what the server was told to for the job's id; says nothing on stderr."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer one request."""
        self.server.seen.append((self.path, dict(self.headers)))
        id = unquote(self.path.partition("?")[0].rpartition("/")[2])
        times = self.server.asked.count(id)
        self.server.asked.append(id)
        behaviour = self.server.behaviours.get(id)
        if behaviour is None:
            self.say(404, {"error": "no such job"})
        else:
            behaviour(self, id, times)

    def say(self, status: int, told: Any = None, **headers: str) -> None:
        """Send a status and JSON, or bytes as they are."""
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep stderr to the test."""


class Server(ThreadingHTTPServer):
    """The provider: what it does for each id, and what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behaviours: dict[str, Behaviour]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviours = behaviours
        self.asked: list[str] = []
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.leave = threading.Event()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what is tried."""


@contextmanager
def serving(**behaviours: Behaviour) -> Iterator[Server]:
    """Serve on a free port until the end."""
    with Server(behaviours) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.leave.set()
            server.shutdown()
            thread.join()


def done(handler: Handler, id: str, times: int) -> None:
    """Say that the job is done."""
    handler.say(200, {"status": "succeeded", "result_url": f"https://cdn.example/{id}"})


def then_done(count: int, behaviour: Behaviour) -> Behaviour:
    """Misbehave so many times, then say that the job is done."""

    def act(handler: Handler, id: str, times: int) -> None:
        (behaviour if times < count else done)(handler, id, times)

    return act


def status(code: int, told: Any = None, **headers: str) -> Behaviour:
    """Answer with a status."""
    return lambda handler, _id, _times: handler.say(code, told, **headers)


def raw(text: str) -> Behaviour:
    """Send something that need not be HTTP, and hang up."""

    def act(handler: Handler, id: str, times: int) -> None:
        handler.wfile.write(text.encode())
        handler.close_connection = True

    return act


def silent(handler: Handler, id: str, times: int) -> None:
    """Say nothing until the test is over."""
    handler.server.leave.wait(20)
    handler.close_connection = True


def hang_up(handler: Handler, id: str, times: int) -> None:
    """End the connection in the middle of an answer."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    handler.close_connection = True


def dripping(beginning: bytes, drop: bytes = b"x") -> Behaviour:
    """Begin an answer, then send a little now and then, without an end."""

    def act(handler: Handler, id: str, times: int) -> None:
        handler.wfile.write(beginning)
        while not handler.server.leave.wait(0.05):
            handler.wfile.write(drop)
            handler.wfile.flush()

    return act


def endless(handler: Handler, id: str, times: int) -> None:
    """Send a body that has no end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not handler.server.leave.is_set():
        handler.wfile.write(b" " * 65536)


def slow(seconds: float) -> Behaviour:
    """Take a while, then say that the job is done."""

    def act(handler: Handler, id: str, times: int) -> None:
        time.sleep(seconds)
        done(handler, id, times)

    return act
