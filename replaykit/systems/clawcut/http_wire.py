"""What keeps an exchange over HTTP in bounds: the time it may take, and what is refused before anything is sent."""

from __future__ import annotations

import math
import operator
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from numbers import Real
from typing import Any

from replaykit.errors import OperationError
from replaykit.systems.clawcut.provider import ProviderError

__all__ = ["bounded", "ended", "in_time", "seconds", "sendable", "whole"]

_LONGEST = 24 * 3600.0
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class _Watch:
    """Shuts a socket when an answer takes too long: each byte in time is not the whole in time."""

    def __init__(self, sock: Any, timeout: float) -> None:
        self._sock = sock
        self.late = threading.Event()
        self._timer = threading.Timer(timeout, self._shut)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Let the socket be."""
        self._timer.cancel()

    def _shut(self) -> None:
        self.late.set()
        with suppress(OSError, AttributeError, ValueError):
            self._sock.shutdown(socket.SHUT_RDWR)


def bounded(connection: Any, timeout: float) -> Any:
    """Return a class of connections whose answers end in time, head and body, whoever reads them."""

    class Bounded(connection):  # type: ignore[misc]
        def getresponse(self) -> Any:
            watch = _Watch(self.sock, timeout)
            try:
                response = super().getresponse()
            except BaseException:
                watch.stop()
                if watch.late.is_set():
                    raise TimeoutError from None
                raise
            response.replaykit_watch = watch
            return response

    return Bounded


def in_time(response: Any) -> None:
    """Raise ProviderError if an answer was cut off since it took too long: what was read of it may look whole."""
    if response.replaykit_watch.late.is_set():
        raise ProviderError("timeout")


@contextmanager
def ended(response: Any) -> Iterator[Any]:
    """Close a response at the end, and leave its socket, which may serve another request by then."""
    try:
        yield response
    finally:
        response.replaykit_watch.stop()
        response.close()


def seconds(name: str, value: object, *, above: bool = False) -> float:
    """Return a number of seconds, up to a day; raise OperationError if it is none."""
    wanted = f"HTTPProvider: expected {name} as seconds {'above' if above else 'from'} 0, at most a day."
    if isinstance(value, bool) or not isinstance(value, Real):
        raise OperationError(wanted)
    number = float(value)
    if not math.isfinite(number) or not 0 <= number <= _LONGEST or (above and not number):
        raise OperationError(wanted)
    return number


def whole(name: str, value: object) -> int:
    """Return a whole number from 0 on; raise OperationError if it is none."""
    with suppress(TypeError):
        number = -1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
        if number >= 0:
            return number
    raise OperationError(f"HTTPProvider: expected {name} as a whole number from 0 on.")


def sendable(headers: object) -> dict[str, str]:
    """Return headers; raise OperationError, which shows none of them, if they can't be sent."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping) or not all(isinstance(name, str) for name in (*headers, *headers.values())):
        raise OperationError("HTTPProvider: expected headers as names and values of text.")
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers.items()):
        raise OperationError(
            "HTTPProvider: a header can't be sent; expected one line without a line break at its end, in Latin-1."
        )
    return dict(headers)
