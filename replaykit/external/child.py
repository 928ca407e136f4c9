"""Child: a program in a process of its own, one line for one line, that never outlives whoever started it."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from replaykit.errors import ExternalError
from replaykit.external.strays import MARK, end_all, mark
from replaykit.interrupt import raise_if_interrupted

if TYPE_CHECKING:
    from replaykit.external.program import Program

__all__ = ["Child"]

_SLICE = 0.05  # seconds between two looks at whether it still runs
_CHUNK = 1 << 16
_TAIL = 1 << 14  # bytes of stderr that are kept
_LINES = 10
_GRACE = 2.0  # seconds to end in after bye


class Child:
    """A running program.

    Nothing is read between two requests; of what it writes to stderr the end is kept.
    """

    def __init__(self, program: Program) -> None:
        if os.name != "posix":
            raise ExternalError("rk.external needs POSIX pipes and process groups; it does not run on this system.")
        self._program = program
        self._mark = mark()
        self._inbox = bytearray()
        self._errors = bytearray()
        self.requests = 0
        env = {**os.environ, **program.env, MARK: self._mark}
        try:
            process: Any = subprocess.Popen(  # noqa: S603 - the user's own command
                program.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd=program.cwd, env=env, start_new_session=True, bufsize=0,
            )  # fmt: skip
        except (OSError, ValueError) as exc:
            raise ExternalError(f"{program.name} can't be started: {exc}. Check the command and cwd=.") from exc
        self._process = process
        self._selector = selectors.DefaultSelector()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            os.set_blocking(pipe.fileno(), False)
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._selector.register(self._process.stderr, selectors.EVENT_READ)
        self._listening = False
        self._closed = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self._process.pid)

    def ask(self, line: bytes, request: str) -> bytes:
        """Send a line and return the next line it writes.

        Raises
        ------
        ExternalError
            It ended, said nothing in time, wrote without being asked or more than a line may hold.
        """
        self.requests += 1
        self._receive(0)
        if self._inbox:
            raise self.failure(f"wrote {self._heard()} to stdout without being asked", request)
        deadline = time.monotonic() + self._program.timeout
        left = memoryview(line)
        scanned = 0
        while True:
            left = self._send(left)
            raise_if_interrupted()  # one that came while DuckDB was asked was swallowed there
            alive = self._receive(min(_SLICE, max(0.0, deadline - time.monotonic())))
            end = self._inbox.find(b"\n", scanned)
            if end >= 0:
                return self._taken(end)
            scanned = len(self._inbox)
            if not alive:
                raise self.failure("", request, gone=True)
            if scanned > self._program.longest:
                raise self.failure(f"wrote a line of more than {self._program.longest:,} bytes", request)
            if time.monotonic() >= deadline:
                said = f", only {self._heard()}" if self._inbox else ""
                hint = said or " (does it flush its output after every line?)"
                raise self.failure(f"said nothing for {self._program.timeout:g} s{hint}", request)

    def _taken(self, end: int) -> bytes:
        line = bytes(self._inbox[: end + 1])
        del self._inbox[: end + 1]
        return line

    def _heard(self) -> str:
        text = bytes(self._inbox[:200]).decode("utf-8", "replace")
        return repr(text if len(text) <= 80 else text[:79] + "…")

    def _send(self, left: memoryview) -> memoryview:
        """Write as much as the pipe takes; listen for room if that was not all."""
        if left:
            try:
                left = left[os.write(self._process.stdin.fileno(), left) :]
            except BlockingIOError:
                pass
            except BrokenPipeError:  # it listens no more; what it still says is read
                left = left[len(left) :]
        if bool(left) != self._listening:
            self._listening = bool(left)
            if left:
                self._selector.register(self._process.stdin, selectors.EVENT_WRITE)
            else:
                self._selector.unregister(self._process.stdin)
        return left

    def _receive(self, seconds: float) -> bool:
        """Read what is there, waiting so long for something; return whether more may come."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            if key.fileobj is self._process.stdin:
                continue
            with suppress(BlockingIOError):
                self._keep(key.fileobj, os.read(key.fd, _CHUNK))
        if self._process.stdout not in self._selector.get_map():
            return False
        # A process it started may hold its stdout open when it is gone.
        return bool(ready) or self._process.poll() is None

    def _keep(self, pipe: Any, data: bytes) -> None:
        if not data:
            self._selector.unregister(pipe)
        elif pipe is self._process.stdout:
            self._inbox += data
        else:
            self._errors += data
            del self._errors[:-_TAIL]

    def failure(self, what: str, request: str, *, gone: bool = False) -> ExternalError:
        """End the program and return the error that says what it did, at which request, and what it had said."""
        code = self._exit_code() if gone else self._process.poll()
        with suppress(ValueError, OSError):
            while self._receive(0) and len(self._inbox) < _CHUNK and self._process.poll() is not None:
                pass
        self.kill()
        if gone:
            what = f"ended {_exit(code)}" if code is not None else "closed its stdout"
            if self._inbox:
                what += f" in the middle of a line ({self._heard()})"
        said = self._said()
        told = f" Its stderr ended: {' | '.join(said)}" if said else " It wrote nothing to stderr."
        return ExternalError(
            f"{self._program.name} {what}, at request {self.requests}, {request}.{told}",
            request=request, exit_code=code, stderr=tuple(said),
        )  # fmt: skip

    def _exit_code(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return int(self._process.wait(_GRACE / 2))
        return None

    def _said(self) -> list[str]:
        lines = self._errors.decode("utf-8", "replace").splitlines()[-_LINES:]
        return [line if len(line) <= 200 else line[:199] + "…" for line in lines]

    def end(self, line: bytes = b"", seconds: float | None = None) -> int | None:
        """Say goodbye, close its stdin, leave it a moment, and end whatever is left of it.

        Returns
        -------
        int or None
            The exit code with which it ended by itself; None if it did not.
        """
        code: int | None = None
        try:
            if not self._closed and self._process.poll() is None:
                self._send(memoryview(line))
                self._process.stdin.close()
            deadline = time.monotonic() + (_GRACE if seconds is None else seconds)
            while (code := self._process.poll()) is None and time.monotonic() < deadline:
                self._receive(0.005)
        except (OSError, ValueError, KeyError):
            pass  # it is ended below in any case
        finally:
            self.kill()
        return code

    def kill(self) -> None:
        """End the program and all it started; once is enough."""
        if self._closed:
            return
        self._closed = True
        running = self._process.poll() is None
        end_all(self._process.pid if running or not _has_proc() else None, self._mark)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                pipe.close()


def _has_proc() -> bool:
    return os.path.isdir("/proc/self")  # noqa: PTH112 - asked at every end


def _exit(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    return f"by signal {-code}"
