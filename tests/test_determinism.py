"""Every clock, draw and order of a set that replayed Python uses is named with handler and line; the rest is not."""

from __future__ import annotations

import cProfile
import gc
import importlib
import itertools
import linecache
import os
import subprocess
import sys
import sysconfig
import textwrap
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import replaykit as rk
from replaykit.determinism import UNKNOWN, Determinism
from replaykit.errors import VerdictError

START = datetime(2026, 3, 26, 6)
HEAD = """
import collections, functools, heapq, itertools, json, logging, math, os, random, secrets, time, uuid
import datetime as datetimes
import numpy as np
import pandas as pd
from dataclasses import field, make_dataclass
from datetime import date, datetime, datetime as dt, timedelta
from os import urandom
from random import choice, random as draw
from time import time as clock
from uuid import uuid4 as fresh

jobs = rk.Reconciler("jobs", tables={"t": rk.Table("k", v="VARCHAR")})
now, ticking, pull, made = datetime.now, time.monotonic, np.random.random, pd.Timestamp.now
late = functools.partial(datetime.utcnow)
own = random.Random(7)
rng = np.random.default_rng(7)
ELSEWHERE = {"a", "b", "c"}

def names(): return {"a", "b", "c", "d"}
def frozen(): return frozenset(names())
"""
_CELLS = itertools.count(1)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> rk.Recording:
    """Eighty events, each of a kind of its own."""
    rows = [{"at": START + timedelta(seconds=n), "kind": f"k{n}", "job": f"j{n % 3}", "n": n} for n in range(80)]
    path = tmp_path_factory.mktemp("determinism") / "events.duckdb"
    return rk.load(events=pd.DataFrame(rows), time="at", kind="kind", save=path)


def cell(text: str, *, source: bool = True, **names: Any) -> dict[str, Any]:
    """Run text the way a notebook runs a cell: its source is in linecache and nowhere else."""
    file, text = f"<cell {next(_CELLS)}>", textwrap.dedent(text)
    if source:
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    space = {"__name__": "__main__", "rk": rk, **names}
    exec(compile(text, file, "exec"), space)
    return space


def written(expression: str, number: int) -> str:
    """Return a handler of one kind of event that writes what an expression gives; lines of it may come before."""
    *before, last = expression.split("\n")
    lines = [f"@jobs.apply('k{number}')", f"def handler_{number}(state, event):"]
    lines += [f"    {line}" for line in before]
    return "\n".join([*lines, f"    state['t'].insert(k=event.kind, v=str({last}))", ""])


def checked(recording: rk.Recording, text: str, **options: Any) -> Determinism:
    """Return the determinism of a notebook that makes a reconciler `jobs`."""
    space = cell(HEAD + text, source=options.pop("source", True))
    return rk.replay(recording, space["jobs"], **options).check_determinism()


def output_of(script: Path, **environment: str) -> str:
    """Return what a script prints in a Python of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(rk.__file__).parents[1]), **environment}
    return subprocess.run(
        [sys.executable, str(script)], check=True, capture_output=True, text=True, env=environment
    ).stdout


def table_of(recording: rk.Recording, expressions: list[str]) -> Determinism:
    """Return the determinism of one handler for each expression."""
    return checked(recording, "\n".join(written(one, number) for number, one in enumerate(expressions)))


TEN = {
    "time.time()": "time.time",
    "datetime.now()": "datetime.now",
    "datetime.utcnow()": "datetime.utcnow",
    "pd.Timestamp.now()": "pandas.Timestamp.now",
    "time.monotonic()": "time.monotonic",
    "random.random()": "random.random",
    "uuid.uuid4()": "uuid.uuid4",
    "os.urandom(4)": "os.urandom",
    "np.random.rand()": "numpy.random.rand",
    "[x for x in names()]": "set order",
}
ALIASES = {
    "clock()": "time.time",
    "ticking()": "time.monotonic",
    "time.perf_counter_ns()": "time.perf_counter_ns",
    "now()": "datetime.now",
    "dt.now(None)": "datetime.now",
    "datetimes.datetime.now()": "datetime.now",
    "late()": "datetime.utcnow",
    "date.today()": "date.today",
    "getattr(time, 'ti' + 'me')()": "time.time",
    "time.localtime()": "time.localtime",
    "time.strftime('%H')": "time.strftime",
    "made()": "pandas.Timestamp.now",
    "pd.Timestamp('now')": "pandas.Timestamp('now')",
    "np.datetime64('now')": "numpy.datetime64('now')",
    "draw()": "random.random",
    "choice([1, 2, 3])": "random.choice",
    "random.shuffle([1, 2, 3])": "random.shuffle",
    "random.Random().random()": "random.Random without a seed",
    "own.randint(1, 6)": "random.Random.randint",
    "random.SystemRandom().random()": "random.SystemRandom.random",
    "secrets.token_hex(2)": "secrets.token_hex",
    "fresh()": "uuid.uuid4",
    "uuid.uuid1()": "uuid.uuid1",
    "urandom(2)": "os.urandom",
    "pull()": "numpy.random.random",
    "np.random.normal(size=2)": "numpy.random.normal",
    "np.random.default_rng().random()": "numpy.random.default_rng without a seed",
    "rng.random()": "numpy.random.Generator.random",
    "pd.Series([1, 2, 3]).sample(1).iloc[0]": "numpy.random through pandas.core.generic.NDFrame.sample",
    "list(map(random.random, []))": "random.random through map",
    "collections.defaultdict(time.time)['x']": "time.time through collections.defaultdict",
    "sorted([1], key=lambda x: random.random())": "random.random",
    "hash('text')": "hash of text",
    "eval('time.time()')": "time.time",
    "make_dataclass('D', [('at', str, field(default_factory=datetime.now))])()": "datetime.now",
}
LEAKS = [
    "value = ''\nfor x in names(): value += x\nvalue",
    "[x for x in names()]",
    "{x: 1 for x in names()}",
    "list(x for x in names())",
    "list(names())",
    "tuple(frozen())",
    "list(ELSEWHERE)",
    "','.join(names())",
    "''.join(sorted([x for x in names()], key=len))",
    "next(iter(names()))",
    "names().pop()",
    "[*names()]",
    "(lambda *parts: parts)(*names())",
    "a, b, *c = names()\na",
    "found = []\nfor x in names():\n    if x != 'a': found.append(x)\nfound",
    "def first():\n    for x in names():\n        if x > 'a': return x\nfirst()",
    "parts = list(names())\nparts.sort(key=len)\nparts",
    "parts = []\nparts += names()\nparts",
    "parts = []\nparts.extend(names())\nparts",
    "parts = [1]\nparts[1:] = names()\nparts",
    "dict.fromkeys(names())",
    "list(enumerate(names()))",
    "list(zip(names(), range(9)))",
    "list(map(str.upper, names()))",
    "list(itertools.chain(names(), 'z'))",
    "list(itertools.chain.from_iterable([names()]))",
    "list(map(list, [names()]))",
    "json.dumps({'x': names()}, default=list)",
    "collections.deque(names())",
    "collections.Counter(names()).most_common(1)",
    "functools.reduce(lambda a, b: a + b, names())",
    "min(names(), key=len)",
    "sorted(names(), key=len)",
    "sum({0.1, 0.2, 0.3, 1e20, -1e20})",
    "names()",
    "f'{frozen()}'",
    "'%s' % names()",
    "[x for x in names() | {'z'}]",
    "[x for x in {'a': 1, 'b': 2}.keys() & names()]",
]
HARMLESS = [
    "sorted(names())",
    "sorted(x.upper() for x in names())",
    "sorted(list(names()))",
    "sorted(map(str.upper, names()))",
    "sorted({x for x in names()})",
    "sorted(names() | ELSEWHERE - {'z'})",
    "sorted(names(), key=ord)",
    "max(names(), key=ord)",
    "len(names())",
    "len([x for x in names()])",
    "'a' in names()",
    "names() == ELSEWHERE",
    "any(x == 'a' for x in names())",
    "all(map(str.isalpha, names()))",
    "min(names()) + max(names())",
    "sum(1 for x in names())",
    "sum({1, 2, 3})",
    "math.fsum({0.1, 0.2, 0.3})",
    "seen = set()\nseen.update(x for x in names())\nsorted(seen)",
    "sorted(set().union(*[names()], names()))",
    "sorted({*names(), 'z'})",
    "list({'a'})",
    "parts = list(names())\nparts.sort()\nparts",
    "seen, n = set(), 0\nfor x in names():\n    if x != 'a': seen.add(x.upper())\n    n += 1\nsorted(seen)",
    "def has(what):\n    for x in names():\n        if x == what: return True\n    return False\nhas('c')",
    "def depth(n): return 0 if n == 0 else 1 + depth(n - 1)\ndepth(600)",
    "parts = {}\nparts.setdefault('x', names()).add('z')\nlen(parts)",
    "len(state['t'].find(k=names()))",
    "isinstance(names(), set)",
    "list(dict.fromkeys('xyz'))",
    "sorted(itertools.chain.from_iterable([names(), ELSEWHERE]))",
    "[event.occurred_at, state.now, state.step]",
    "[state.random.random(), state.random.choice('xyz'), state.random.gauss(0, 1)]",
    "state.new_id('x')",
    "random.Random(event['n']).random()",
    "random.seed(event['n'])\nrandom.random()",
    "np.random.default_rng(event['n']).random()",
    "np.random.Generator(np.random.PCG64(3)).random()",
    "np.random.seed(3)\nnp.random.rand()",
    "uuid.uuid5(uuid.NAMESPACE_URL, 'x')",
    "time.strftime('%Y', time.gmtime(0))",
    "datetime.fromisoformat('2026-01-01') + timedelta(1)",
    "pd.Timestamp('2026-01-01')",
    "hash(7)",
    "logging.getLogger('replayed').error('x')",
    "event.payload",
]


@pytest.fixture(scope="module")
def noted(recording: rk.Recording) -> Determinism:
    """One replay with a handler for every name of a source."""
    return table_of(recording, [*TEN, *ALIASES])


@pytest.fixture(scope="module")
def leaked(recording: rk.Recording) -> Determinism:
    """One replay with a handler for every way an order gets out."""
    return table_of(recording, LEAKS)


@pytest.fixture(scope="module")
def harmless(recording: rk.Recording) -> Determinism:
    """One replay with a handler for everything that is fine."""
    return table_of(recording, HARMLESS)


@pytest.mark.parametrize(("number", "code", "source"), [(n, *one) for n, one in enumerate({**TEN, **ALIASES}.items())])
def test_each_source_is_named_with_handler_kind_and_line(
    noted: Determinism, number: int, code: str, source: str
) -> None:
    """The ten of the issue, and the names they go by: one finding each, on the line that reads them."""
    found = noted.findings[noted.findings["on"] == f"event k{number}"]

    assert list(found["source"]) == [source]
    assert set(found["handler"]) == {f"handler_{number}"}
    assert code in found["code"].iloc[0]
    assert linecache.getline(found["file"].iloc[0], int(found["line"].iloc[0])).strip() == found["code"].iloc[0]
    assert (found["count"].iloc[0], found["step"].iloc[0]) == (1, number + 1)


@pytest.mark.parametrize(("number", "code"), list(enumerate(LEAKS)))
def test_a_set_whose_order_gets_out_is_a_finding(leaked: Determinism, number: int, code: str) -> None:
    """A set's order differs from process to process, and a replay twice in one process would never show it."""
    found = leaked.findings[leaked.findings["on"] == f"event k{number}"]

    assert set(found["source"]) == {"set order"}, code


@pytest.mark.parametrize(("number", "code"), list(enumerate(HARMLESS)))
def test_what_is_the_same_in_every_replay_is_no_finding(harmless: Determinism, number: int, code: str) -> None:
    """A check that cries wolf is switched off: the ways that are right stay silent."""
    found = harmless.findings[harmless.findings["on"] == f"event k{number}"]

    assert list(found["source"]) == [], code


def test_one_source_neither_hides_nor_explains_another(recording: rk.Recording) -> None:
    """Each alone is the same one finding; these are the kinds that are noticed in three different ways."""
    for code, source in list(TEN.items())[-3:]:
        found = table_of(recording, ["sorted(names())", code])

        assert list(found.findings["source"]) == [source]
        assert found.findings["handler"].iloc[0] == "handler_1"
        assert not found.ok


def test_a_reconciler_that_uses_only_its_inputs_is_ok(recording: rk.Recording) -> None:
    """The clean case says so, with nothing left unchecked."""
    found = table_of(recording, HARMLESS)

    assert found.ok
    assert found.raise_for_determinism() is found
    assert found.differing == found.reordered == ()
    assert found.unchecked.empty
    assert f"{len(HARMLESS)} Python functions" in found.sentence
    assert repr(found) == "Determinism(ok, results agree)"


def test_a_handler_in_a_test_file_with_asserts_is_looked_into(recording: rk.Recording) -> None:
    """An assert is compiled into other code than the source says, and tests are where the check belongs."""
    jobs = rk.Reconciler("jobs", tables={"t": rk.Table("k", v="VARCHAR")})

    @jobs.apply("k1")
    def one(state: Any, event: Any) -> None:
        assert event.kind == "k1", "a message"
        state["t"].insert(k="x", v=",".join({"a", "b"}))

    found = rk.replay(recording, jobs).check_determinism()

    assert list(found.findings["source"]) == ["set order"]
    assert found.findings["code"].iloc[0] == 'state["t"].insert(k="x", v=",".join({"a", "b"}))'
    assert found.unchecked.empty


FOLLOWED = """
@jobs.apply("k1", "k2", "k3")
def one(state, event): state["t"].upsert(k=event.kind, v=event.occurred_at.isoformat())
@jobs.rule("late", key="k")
def late_rule(state, now):
    for row in state["t"]:
        since = now - datetime.fromisoformat(row["v"])
        if max(since, timedelta(0)) >= timedelta(seconds=9) and since.total_seconds() < 50 and sum([1, 2]) == 3:
            yield rk.Action("late", k=row["k"], seen=len({1, 2}))
@jobs.rule("drawn", key="k")
def drawn(state, now):
    if now >= datetime(2026, 3, 26, 6, 1) and state["t"]:
        yield rk.Action("drawn", k=state.random.choice("xyz"))
"""


def test_a_clock_that_is_followed_over_quiet_stretches_stays_followed(recording: rk.Recording) -> None:
    """Hooks stand between a rule and the clock it compares; how often it is evaluated is part of the results."""
    found = checked(recording, FOLLOWED, ticks="250ms")

    assert found.ok, found.sentence
    assert found.differing == found.reordered == ()
    assert found.functions == 3


RULES = """
@jobs.apply("k1")
def one(state, event): state["t"].insert(k="x", v="")
@jobs.rule("by_clock", key="k")
def by_clock(state, now):
    for row in state["t"]:
        yield rk.Action("ping", k=row["k"], at=str(datetime.now()))
@jobs.rule("in_a_set", key="k")
def in_a_set(state, now):
    return {rk.Action("a", k="1"), rk.Action("b", k="2")}
@jobs.invariant("drawn", key="k")
def drawn(state, now):
    return [{"k": "x", "v": random.random()}] if len(state["t"]) else None
@jobs.act("ping")
def ping(state, action): state["t"].update(action["k"], v=str(uuid.uuid4()))
@jobs.act("a", "b")
def other(state, action): pass
"""


def test_rules_invariants_and_appliers_are_looked_into_too(recording: rk.Recording) -> None:
    """A rule is a generator: its body runs where it is read, not where it is called."""
    found = checked(recording, RULES, actions="apply").findings.set_index("on")

    assert found["source"].to_dict() == {
        "rule by_clock": "datetime.now",
        "rule in_a_set": "set order",
        "invariant drawn": "random.random",
        "action ping": "uuid.uuid4",
    }
    assert found["handler"].to_dict()["action ping"] == "ping"
    assert "str(datetime.now())" in found.loc["rule by_clock", "code"]


HELPERS = """
class Stamp:
    __slots__ = ("__at",)
    def __init__(self): self.__at = clock()
    @property
    def at(self): return self.__at
class Better(Stamp):
    def __init__(self, *, pick=choice):
        super().__init__()
        self.pick = pick
def make(limit):
    count = 0
    def inside(names, *, joined=", "):
        nonlocal count
        count += 1
        return joined.join([name for name in names][:limit])
    return inside
join = make(2)
def outer(state):
    def inner(): return join(names())
    return inner()
@jobs.apply("k1")
def one(state, event, *, extra=time.monotonic):
    state["t"].insert(k="x", v=f"{Better().at} {outer(state)} {extra()}")
class Handlers:
    def two(self, state, event): state["t"].insert(k="y", v=str(self.limit))
    @property
    def limit(self): return datetime.now()
    def __call__(self, state, event): self.two(state, event); state["t"].delete("y")
jobs.apply("k2")(Handlers().two)
jobs.apply("k3")(functools.partial(lambda state, event, at: at(), at=now))
jobs.apply("k0")(Handlers())
"""


def test_helpers_methods_closures_and_defaults_are_followed_to_the_line(recording: rk.Recording) -> None:
    """The handler that was registered is named, and the line that reads the clock wherever it stands."""
    found = checked(recording, HELPERS)

    seen = {(row.source, row.on, row.function) for row in found.findings.itertuples()}
    assert seen == {
        ("time.time", "event k1", "Stamp.__init__"),
        ("set order", "event k1", "make.<locals>.inside"),
        ("time.monotonic", "event k1", "one"),
        ("datetime.now", "event k2", "Handlers.limit"),
        ("datetime.now", "event k0", "Handlers.limit"),
        ("datetime.now", "event k3", "<lambda>"),
    }
    assert found.unchecked.empty
    assert set(found.findings.loc[found.findings["on"] == "event k1", "handler"]) == {"one"}


KEPT = """
count = itertools.count()
@jobs.apply("k1")
def one(state, event): state["t"].insert(k="x", v="")
@jobs.apply("k2")
def two(state, event): state["t"].update("x", v=str(next(count)))
"""


def test_results_that_differ_without_a_known_source_are_a_finding(recording: rk.Recording) -> None:
    """A counter beside the state goes on counting in the next replay; no clock is read, and the answer changes."""
    found = checked(recording, KEPT)

    assert list(found.findings["source"]) == [UNKNOWN]
    assert found.differing == ("history of t",)
    assert found.findings[["handler", "on", "step"]].iloc[0].to_list() == ["two", "event k2", 3]
    assert "other results: history of t" in found.sentence


def test_the_order_of_a_set_is_shown_to_change_the_results(recording: rk.Recording) -> None:
    """Sets keep their order within one process, so replaying twice agrees; another order does not."""
    changes = table_of(recording, ["[x for x in names()]"])
    does_not = table_of(recording, ["sorted(x + y for x in names() for y in [z for z in names()])"])

    assert (changes.differing, changes.reordered) == ((), ("history of t",))
    assert not does_not.ok
    assert does_not.reordered == ()


def test_code_without_source_is_said_to_be_unchecked(recording: rk.Recording) -> None:
    """Clocks are heard without source; sets are not, and silence would be taken for a clean bill."""
    text = written("time.time()", 1) + written("[x for x in names()]", 2) + written("np.random.rand()", 3)
    found = checked(recording, text, source=False)

    assert list(found.findings["source"]) == ["time.time", "numpy.random"]
    assert {"handler_1", "handler_2", "handler_3", "names"} == set(found.unchecked["function"])
    assert "its source is not kept" in found.unchecked["reason"].iloc[0]
    assert "Not checked: " in found.sentence


def test_a_file_edited_after_its_import_is_not_taken_for_what_runs(
    recording: rk.Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hooks in other code than the code that runs would prove something about neither."""
    file = tmp_path / "edited_rules.py"
    file.write_text("import replaykit as rk\n" + HEAD + written("[x for x in names()]", 1), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("edited_rules")
    run = rk.replay(recording, module.jobs)
    before = run.check_determinism()
    file.write_text(file.read_text().replace("[x for x in", "[y for y in"), encoding="utf-8")
    linecache.checkcache(str(file))
    after = run.check_determinism()

    assert list(before.findings["source"]) == ["set order"]
    assert before.findings["file"].iloc[0] == str(file)
    assert list(after.unchecked["function"]) == ["handler_1"]
    assert "not what runs" in after.unchecked["reason"].iloc[0]


def test_what_never_ran_is_said_to_be_unchecked(recording: rk.Recording) -> None:
    """A window without an event of a kind says nothing about its handler."""
    found = checked(recording, written("1", 1) + "jobs.apply('absent')(lambda state, event: time.time())")

    assert found.ok
    assert list(found.unchecked["reason"]) == ["it never ran: no event absent in this replay"]


def test_a_set_handed_to_a_package_is_said_to_be_unchecked(recording: rk.Recording) -> None:
    """Packages are not recompiled: whether they iterate can't be seen."""
    found = table_of(recording, ["pd.Series(['a']).isin(names()).sum()"])

    assert found.ok
    assert "a set was handed to pandas.core.series.Series.isin" in found.unchecked["reason"].iloc[0]


CACHED = """
@functools.lru_cache
def started(): return time.time()
@jobs.apply("k1")
def one(state, event): state["t"].insert(k="x", v=str(started()))
"""


def test_what_a_cache_answers_is_said_to_be_unchecked(recording: rk.Recording) -> None:
    """The clock was read once, in the first replay, and will be read again in the next process."""
    found = checked(recording, CACHED)

    assert found.ok
    assert list(found.unchecked["function"]) == ["started"]
    assert "cached" in found.sentence


def test_a_profile_function_is_put_back(recording: rk.Recording) -> None:
    """A debugger's or a profiler's function must survive the check, also one that ends in an error."""
    space = cell(HEAD + written("time.time()", 1))
    run = rk.replay(recording, space["jobs"])
    calls: list[str] = []

    def profile(frame: Any, event: str, argument: Any) -> None:
        calls.append(event)

    sys.setprofile(profile)
    try:
        run.check_determinism()
        kept = sys.getprofile()
    finally:
        sys.setprofile(None)
    assert kept is profile
    assert calls


def test_a_running_cprofile_goes_on_afterwards(recording: rk.Recording) -> None:
    """CProfile's profiler is no function: setting it as one would raise at the next call."""
    space = cell(HEAD + written("time.time()", 1))
    run = rk.replay(recording, space["jobs"])
    profiler = cProfile.Profile()

    found = profiler.runcall(run.check_determinism)

    assert list(found.findings["source"]) == ["time.time"]
    profiler.create_stats()
    assert any("determinism" in file for file, _, _ in profiler.stats)  # type: ignore[attr-defined]


INTERRUPTED = """
runs = []
@jobs.apply("k1")
def one(state, event):
    runs.append(1)
    if len(runs) == STOP: raise KeyboardInterrupt
    state["t"].insert(k="x", v=[x for x in names()][0])
"""


@pytest.mark.parametrize("stop", [2, 3])
def test_an_interrupt_leaves_functions_and_profile_as_they_were(recording: rk.Recording, stop: int) -> None:
    """Whichever of the two replays is interrupted: the notebook's own functions stay its own."""
    space = cell(HEAD + INTERRUPTED, STOP=stop)
    codes = {name: one.__code__ for name, one in space.items() if hasattr(one, "__code__")}
    run = rk.replay(recording, space["jobs"])

    with pytest.raises(KeyboardInterrupt):
        run.check_determinism()

    assert sys.getprofile() is None
    assert all(space[name].__code__ is code for name, code in codes.items())
    assert gc.get_freeze_count() == 0


RAISES = """
runs = []
@jobs.apply("k1")
def one(state, event):
    runs.append(1)
    if len(runs) == 2: raise ValueError("<b>second</b> time")
"""


def test_a_replay_that_raises_the_second_time_is_a_finding(recording: rk.Recording) -> None:
    """An error is a result: one that comes at times depends on something else."""
    found = checked(recording, RAISES)

    assert list(found.findings["source"]) == [UNKNOWN]
    assert found.differing == ("it raised ValueError: '<b>second</b> time'",)
    with pytest.raises(VerdictError, match="Not deterministic: something that changes from replay to replay"):
        found.raise_for_determinism()


def test_what_is_shown_is_escaped_and_bounded(recording: rk.Recording) -> None:
    """Code and messages are somebody's text, and there may be hundreds of lines."""
    text = written("time.time() or '<script>alert(1)</script>'", 1) + "\n".join(
        written("time.time()", number) for number in range(2, 40)
    )
    shown = checked(recording, text)._repr_html_()

    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "19 more rows" in shown
    assert len(shown) < 40_000


def test_handlers_raise_and_are_undone_as_before(recording: rk.Recording) -> None:
    """The watched replays are the same replay: their problems are compared like the rest."""
    text = written("{}['missing']", 1) + written("sorted(names())", 2)
    found = checked(recording, text, on_error="undo", ticks="event")

    assert found.ok
    assert found.differing == ()


def test_a_reconciler_in_sql_alone_has_nothing_to_look_into(recording: rk.Recording) -> None:
    """The guard refuses clocks in SQL; what is left is that the replay agrees with itself."""
    jobs = rk.Reconciler("sql", tables={"t": rk.Table("kind", n="BIGINT")})
    jobs.project("t", "SELECT step, kind, n FROM events")
    found = rk.replay(recording, jobs).check_determinism()

    assert found.ok
    assert found.sentence.startswith("No Python function ran. The same replay gave the same results")


def test_shipped_and_installed_reconcilers_are_looked_into(recording: rk.Recording, monkeypatch: Any) -> None:
    """A handler's own file counts as the user's, also where packages are installed."""
    space = cell(HEAD + written("[x for x in names()]", 1) + written("time.time()", 2))
    everywhere = dict.fromkeys(["stdlib", "platstdlib", "purelib", "platlib"], "<cell")
    monkeypatch.setattr(sysconfig, "get_paths", lambda: everywhere)
    found = rk.replay(recording, space["jobs"]).check_determinism()

    assert list(found.findings["source"]) == ["set order", "time.time"]


def test_findings_do_not_depend_on_the_hash_seed(tmp_path: Path, recording: rk.Recording) -> None:
    """The check itself is as deterministic as what it asks for."""
    script = tmp_path / "run.py"
    handlers = [written(one, number) for number, one in enumerate([*LEAKS[:6], "time.time()", *HARMLESS[:8]])]
    script.write_text(
        f"import replaykit as rk\n{HEAD}\n{chr(10).join(handlers)}\n"
        f"found = rk.replay(rk.open({str(recording.path)!r}), jobs).check_determinism()\n"
        "print(found.findings.to_csv(index=False), found.sentence)\n",
        encoding="utf-8",
    )
    out = [output_of(script, PYTHONHASHSEED=seed) for seed in ("1", "2")]

    assert out[0] == out[1]
    assert out[0].count("set order") >= 6


def test_it_works_in_a_real_ipython(tmp_path: Path, recording: rk.Recording) -> None:
    """IPython compiles a cell statement by statement and keeps its source in its own cache."""
    pytest.importorskip("IPython")
    script = tmp_path / "shell.py"
    check = f"found = rk.replay(rk.open({str(recording.path)!r}), jobs).check_determinism()"
    code = f"import replaykit as rk\n{HEAD}\n{written('[x for x in names()]', 1)}\n{written('clock()', 2)}"
    script.write_text(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        f"shell = InteractiveShell.instance()\nshell.run_cell({code!r}).raise_error()\n"
        f"shell.run_cell({check!r}).raise_error()\n"
        "found = shell.user_ns['found']\n"
        "print(found.findings[['source', 'code']].to_csv(index=False), len(found.unchecked))\n",
        encoding="utf-8",
    )
    out = output_of(script)

    assert "set order" in out
    assert "time.time" in out
    assert "str([x for x in names()])" in out
    assert out.rstrip().endswith(" 0")
