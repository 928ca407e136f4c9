"""to_test(): a replay that shows something as a pytest that fails until it is mended, with its fixture beside it."""

from __future__ import annotations

import ast
import datetime as dt
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaykit.comparing.shrink import shrink
from replaykit.comparing.symptoms import Symptom, symptom_of
from replaykit.errors import QueryError, excerpt, show_time
from replaykit.fixtures import fixture, write_fixture
from replaykit.reconciler import Reconciler, reconciler_of

if TYPE_CHECKING:
    import os

    from replaykit.replayed import Replay

__all__ = ["to_test"]

_TEST = '''"""{title}

Written by replaykit's ``run.to_test()`` from a replay of
{events}.
The fixture beside it holds the least that shows it.
"""

{clock}from pathlib import Path

import replaykit as rk
from replaykit import testing
{imports}


def test_{name}():
    """It fails as long as {told}."""
    with testing.fixture(Path(__file__).with_suffix(".json")) as recording:
        run = rk.replay(
            recording,
            {rules},
            rk.Window("{start}", "{end}"),
            ticks={ticks},
            actions="{actions}",
            base={base},
            on_error="{on_error}",
        )

    testing.assert_absent(run, {symptom})
'''


def to_test(
    run: Replay,
    path: str | os.PathLike[str],
    shows: Any = None,
    *,
    reconciler: str | None = None,
    budget: int | None = 500,
) -> Path:
    """Write a test and its fixture: see `replaykit.Replay.to_test`."""
    target = Path(path).expanduser()
    if not re.fullmatch(r"test_\w+\.py", target.name):
        raise QueryError(f"path={str(target)!r}: pytest runs files called test_<name>.py; choose such a name.")
    if not target.parent.is_dir():
        raise QueryError(f"path={str(target)!r}: there is no folder {str(target.parent)!r}; create it first.")
    symptom = symptom_of(run, shows)
    if not isinstance(symptom, Symptom):
        raise QueryError("to_test() writes down what to look for, so shows= has to be a row of violations or actions.")
    data = target.with_suffix(".json")
    there = next((one for one in (target, data) if one.exists()), None)
    if there is not None:
        raise QueryError(f"{str(there)!r} exists and is not overwritten; choose another name, or remove it first.")
    imports, rules, found = _named(run, reconciler)
    small = run if run.plan.altered else shrink(run, symptom, budget=budget).run
    write_fixture(small, data)
    _check_shows(small, found, data, symptom)
    target.write_text(_text(run, target, symptom, imports, rules), encoding="utf-8")
    return target


def _check_shows(small: Replay, rules: Reconciler, data: Path, symptom: Symptom) -> None:
    """Replay the fixture as the test will; a test that could not fail is worse than none."""
    import replaykit

    with fixture(data) as recording:
        base: Any = "empty" if small.plan.base.name == "empty" else recording.snapshot(0)
        again = replaykit.replay(
            recording, rules, small.window, ticks=_ticks(small), actions=small.settings["actions"],
            base=base, on_error=small.settings["on_error"],
        )  # fmt: skip
    if not symptom(again):
        data.unlink()
        raise QueryError(
            f"The fixture and the rules that the test would import do not show that {symptom.sentence}, so no test "
            "was written. What a replay rests on beside its recording (files, a program, what a function closes over) "
            "can't be put into one."
        )


def _ticks(run: Replay) -> Any:
    schedule = run.settings["ticks"]
    return schedule.interval if schedule.mode == "interval" else schedule.mode


def _text(run: Replay, target: Path, symptom: Symptom, imports: str, rules: str) -> str:
    start, end = (show_time(one) for one in run.window.bounds())
    told = symptom.sentence.split(" at 20")[0].removesuffix(" on").split(" from 20")[0]
    fields = {"invariant": symptom.name, "entity": symptom.entity}
    if symptom.what == "action":
        fields = {"rule": symptom.name, "kind": symptom.kind, "entity": symptom.entity}
    return _TEST.format(
        title=_prose(f"{told[:1].upper()}{told[1:]}."),
        events=f"{start} to {end}",
        clock="import datetime\n" if "datetime." in _code(_ticks(run)) + rules else "",
        imports=imports,
        name=target.stem.removeprefix("test_"),
        told=_prose(told),
        rules=rules,
        start=start,
        end=end,
        ticks=_code(_ticks(run)),
        actions=run.settings["actions"],
        base='"empty"' if run.plan.base.name == "empty" else "recording.snapshot(0)",
        on_error=run.settings["on_error"],
        symptom=", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()),
    )


def _prose(text: str) -> str:
    """Return text as it may stand in a docstring."""
    return text.replace("\\", "/").replace('"', "'")


def _code(value: Any) -> str:
    return repr(value) if isinstance(value, dt.timedelta) else json.dumps(value)


def _named(run: Replay, given: str | None) -> tuple[str, str, Reconciler]:
    """Return the line that imports the reconciler, the expression that gives it with the run's parameters, and it."""
    module, name, found = _place(run, given)
    rules = name
    other = {one: value for one, value in run.reconciler.params.items() if _differs(found.params.get(one), value)}
    if other:
        rules += f".with_params({', '.join(f'{one}={_param(one, value)}' for one, value in other.items())})"
    return f"from {module} import {name}", rules, found.with_params(**other)


def _differs(one: Any, other: Any) -> bool:
    return type(one) is not type(other) or repr(one) != repr(other)


def _param(name: str, value: Any) -> str:
    """Return a parameter's value as code."""
    if isinstance(value, (dt.datetime, dt.date, dt.timedelta)) and type(value).__module__ == "datetime":
        return repr(value)
    try:
        same = repr(ast.literal_eval(repr(value))) == repr(value)
    except (ValueError, SyntaxError):
        same = False
    if not same:
        raise QueryError(
            f"Parameter {name} = {excerpt(value)} can't be written as code; put the reconciler with it into a module "
            "and name that: reconciler='package.module:name'."
        )
    return repr(value)


def _place(run: Replay, given: str | None) -> tuple[str, str, Reconciler]:
    """Return module, name and value of the reconciler that a test can import.

    Raises
    ------
    QueryError
        There is none.
    """
    import importlib

    if given is not None:
        module, _, name = given.partition(":")
        try:
            return module, name, reconciler_of(getattr(importlib.import_module(module), name))
        except (ImportError, AttributeError, ValueError) as exc:
            raise QueryError(f"reconciler={given!r}: {exc}; expected 'module:name' of the reconciler.") from exc
    for name, module_of in sorted(sys.modules.items()):
        if name == "__main__" or module_of is None:
            continue
        for attribute, value in list(vars(module_of).items()):
            if isinstance(value, Reconciler) and _same(value, run.reconciler) and attribute.isidentifier():
                return name, attribute, value
    raise QueryError(
        f"A test has to import the reconciler, and no module holds {excerpt(run.reconciler.name)} as it ran. Put it "
        "into a module, or name it: reconciler='package.module:name'."
    )


def _same(one: Reconciler, other: Reconciler) -> bool:
    """Return whether two reconcilers are the same rules, parameters aside: the same functions, not only their text."""
    twins = one.copy(), other.copy()
    for twin in twins:
        twin.params = {}
        twin.tables = {name: type(table)(table.key) for name, table in twin.tables.items()}
    functions = [[*map(id, twin.handlers.values()), *map(id, twin.appliers.values())] for twin in twins]
    for mine, twin in zip(functions, twins, strict=True):
        mine += [id(declared.function) for declared in twin.declared()]
    return twins[0].digest() == twins[1].digest() and functions[0] == functions[1]
