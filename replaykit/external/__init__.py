"""external: a program in any language as reconciler, in a process of its own.

``reconciler.py`` holds `External`, whose handlers, rules and invariants are requests; ``session.py`` is one program
during one replay, ``child.py`` its process (``strays.py`` what that started), ``protocol.py`` the lines between them
and their JSON Schema. Its state lies in a ``scratch.py`` SQLite file watched by ``triggers.py``, whose log
``entries.py`` reads, or in its own memory (``stores.py``); ``edits.py`` brings changes to the working set,
``values.py`` says how values travel. ``program.py`` is the command and what the program says about itself;
``conformance.py`` checks one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replaykit.external.reconciler import External

__all__ = ["external"]


def external(
    command: Sequence[str],
    *,
    state: Literal["sqlite", "json"] = "sqlite",
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 30.0,
    files: Sequence[str] = (),
) -> External:
    """Return a program in any language as a reconciler: it runs as a child process during each replay.

    It is started once now, to hear its name, its tables, its rules. The protocol is one JSON line per request and one
    per reply; ``docs/external.md`` explains it.

    Parameters
    ----------
    command
        The program and its arguments, such as ``["node", "town.mjs"]``. No shell is involved.
    state
        ``"sqlite"``: it works on a scratch SQLite file, and every change is read from there; ``"json"``: it is given
        rows, and reports its changes.
    cwd, env
        Folder to run in, and environment variables beside those of this process.
    timeout
        Seconds a request may take.
    files
        Further files whose content belongs to the reconciler's digest, beside those the command names.

    Returns
    -------
    External
        A `Reconciler`; rules and invariants in Python or SQL may be added to it. Isolation is not guaranteed: nobody
        watches what the program does outside of its state.

    Raises
    ------
    ExternalError
        It can't be started, does not answer hello, or speaks another protocol.
    ImportError
        fastjsonschema is not installed; the message says what to install.
    """
    from replaykit.external.program import Program
    from replaykit.external.reconciler import External

    parts = () if isinstance(command, str) else tuple(map(str, command))
    program = Program(parts, state, None if cwd is None else str(cwd), dict(env or {}), timeout, tuple(map(str, files)))
    return External.started(program)
