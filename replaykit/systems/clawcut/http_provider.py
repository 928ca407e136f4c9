"""A provider that is asked over HTTP: bounded in time, tries and size, and silent about where it lives."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from replaykit.errors import OperationError
from replaykit.systems.clawcut.http_answers import read_answer, read_json
from replaykit.systems.clawcut.http_wire import bounded, ended, in_time, seconds, sendable, whole
from replaykit.systems.clawcut.provider import Answer, ProviderError
from replaykit.systems.clawcut.quiet import quiet

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Retry

__all__ = ["HTTPProvider"]

_LARGEST = 8 * 1024 * 1024
_AGAIN = (429, 500, 502, 503, 504)
_GONE = (404, 410)
_PAUSE = 0.5


class HTTPProvider:
    """Asks ``GET {base_url}/{provider_job_id}``; its repr shows neither the URL nor the headers.

    Redirects are not followed, since credentials would go with them, certificates are verified, proxies of the
    environment are not used, and a body above 8 MB is not read. Nothing of it is logged.

    Parameters
    ----------
    base_url
        ``https://host/path``; a query is kept. Credentials belong into `headers`.
    headers
        Sent with every request.
    timeout
        Seconds for a connection, and again for the whole answer, head and body.
    retries
        How often to ask again where there was no connection or no answer, or one of 429, 500, 502, 503 and 504.
    longest_wait
        Seconds to wait between two requests at most. A provider that wants more (``Retry-After``) is not asked again;
        the error then says how long it wants.
    read
        Makes an `Answer` of the JSON object that came; None reads ``status``, ``result_url`` and ``error`` with their
        common synonyms, where no other state stands further inside; see `read_answer`.

    Notes
    -----
    404 and 410 mean that the provider does not know the job.

    Raises
    ------
    OperationError
        An argument is none that can work; the message does not show it.
    ImportError
        urllib3 is not installed; the message says what to install.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        retries: int = 2,
        longest_wait: float = 30.0,
        read: Callable[[dict[str, Any]], Answer] | None = None,
    ) -> None:
        self._timeout = seconds("timeout", timeout, above=True)
        self._longest_wait = seconds("longest_wait", longest_wait)
        self._retries = whole("retries", retries)
        reader: object = read
        if reader is not None and (not callable(reader) or iscoroutinefunction(reader)):
            raise OperationError("HTTPProvider: expected read as a function that makes an Answer of a dict, or None.")
        self._read = read
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "replaykit",
            **sendable(headers),
        }
        self._pool, self._path, self._query = _opened(base_url, self._timeout)
        self._retry = _retry(self._retries, self._longest_wait)

    @property
    def retries(self) -> int:
        """How often a request that failed is repeated at most."""
        return self._retries

    def __repr__(self) -> str:
        return f"HTTPProvider(timeout {self._timeout:g} s, {self._retries} retries)"

    def look_up(self, provider_job_id: str) -> Answer:
        """Return what the provider says of a job; raises ProviderError."""
        failure: ProviderError | None = None
        with quiet("urllib3"):
            try:
                status, body = self._ask(self._target(provider_job_id))
                return self._answer(status, body, provider_job_id)
            except ProviderError as error:
                failure = ProviderError(error.reason, error.retry_after)
            except Exception:  # noqa: BLE001  its text may hold the URL, an id or a header
                failure = ProviderError("unreachable")
        raise failure from None

    def _target(self, provider_job_id: str) -> str:
        if provider_job_id in ("", ".", ".."):
            raise ProviderError("refused")  # would ask for another path
        return f"{self._path}/{quote(provider_job_id, safe='')}{self._query}"

    def _answer(self, status: int, body: bytes, provider_job_id: str) -> Answer:
        try:
            if status in _GONE:
                return Answer("not_found")
            told = read_json(body)
            if not isinstance(told, dict):
                raise ProviderError("unreadable")
            answer = read_answer(told, provider_job_id) if self._read is None else self._read(told)
        except ProviderError:
            raise
        except Exception:  # noqa: BLE001  a reader is the user's own, and stumbles over what it does not expect
            raise ProviderError("unreadable") from None
        if not isinstance(answer, Answer):
            raise ProviderError("unreadable")
        return answer

    def _ask(self, target: str) -> tuple[int, bytes]:
        """Return status and body, asking again where that may help."""
        from urllib3.exceptions import MaxRetryError

        retry = self._retry
        while True:
            try:
                with ended(self._request(target)) as response:
                    failure, again = _failure(response.status, _wait(retry, response)), response.status in _AGAIN
                    if failure is None:
                        return response.status, self._body(response)
            except ProviderError as error:
                failure = error
                again = error.reason in {"timeout", "unreachable"}
            wait = failure.retry_after
            if not again or (wait is not None and wait > self._longest_wait):
                raise failure
            try:
                retry = retry.increment("GET", "")
            except MaxRetryError:
                raise failure from None
            time.sleep(wait if wait is not None else retry.get_backoff_time())

    def _request(self, target: str) -> BaseHTTPResponse:
        from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError

        try:
            return self._pool.urlopen(
                "GET", target, headers=self._headers, retries=False, redirect=False, preload_content=False
            )
        except NewConnectionError:  # urllib3 derives it from its timeouts
            raise ProviderError("unreachable") from None
        except TimeoutError:
            raise ProviderError("timeout") from None
        except (HTTPError, OSError):
            raise ProviderError("unreachable") from None

    def _body(self, response: BaseHTTPResponse) -> bytes:
        """Return a body, read as it comes, so that one that never ends is left in time."""
        from urllib3.exceptions import HTTPError, TimeoutError

        parts, size = [], 0
        try:
            while part := response.read1(65536, decode_content=False):
                parts.append(part)
                size += len(part)
                if size > _LARGEST:
                    raise ProviderError("unreadable")
            in_time(response)
        except TimeoutError:
            raise ProviderError("timeout") from None
        except (HTTPError, OSError):
            in_time(response)  # else it was we who hung up
            raise ProviderError("unreachable") from None
        return b"".join(parts)


def _failure(status: int, wait: float | None) -> ProviderError | None:
    if 200 <= status < 300 or status in _GONE:
        return None
    if status == 429:
        return ProviderError("rate_limited", wait)
    return ProviderError("server_error" if status >= 500 else "refused", wait)


def _wait(retry: Retry, response: BaseHTTPResponse) -> float | None:
    """Return how many seconds an answer wants us to wait; None if it does not say, or in no known form."""
    from urllib3.exceptions import HTTPError

    with suppress(HTTPError, ValueError, OverflowError):
        return retry.get_retry_after(response)
    return None


def _retry(retries: int, longest_wait: float) -> Retry:
    from urllib3 import Retry

    return Retry(total=retries, backoff_factor=_PAUSE, backoff_max=longest_wait, retry_after_max=24 * 3600)


def _opened(base_url: str, timeout: float) -> tuple[HTTPConnectionPool, str, str]:
    """Return a pool of connections to the host, and path and query of the base URL."""
    try:
        from urllib3 import Timeout, connection_from_url
        from urllib3.exceptions import LocationValueError
        from urllib3.util import parse_url
    except ImportError as exc:
        raise ImportError("HTTPProvider needs urllib3: pip install 'replaykit[clawcut]'") from exc
    url = None
    with suppress(LocationValueError, ValueError, AttributeError, TypeError):
        url = parse_url(base_url)
    if url is None or url.scheme not in {"http", "https"} or not url.host or url.auth or url.fragment:
        raise OperationError(
            "HTTPProvider: expected base_url as https://host/path, without user, password or fragment; "
            "credentials belong into headers=."
        )
    pool = connection_from_url(f"{url.scheme}://{url.netloc}", timeout=Timeout(connect=timeout, read=timeout))
    pool.ConnectionCls = bounded(pool.ConnectionCls, timeout)
    return pool, (url.path or "").rstrip("/"), f"?{url.query}" if url.query else ""
