"""Ticks: when rules run, what stretches without events cost, and that skipping them changes no answer."""

from __future__ import annotations

import contextlib
import json
import math
from datetime import datetime, timedelta
from unittest import mock

import pytest
from building import T0, after, loaded, written
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import some

from replaykit import engine
from replaykit.declarations import Action, Table
from replaykit.errors import IsolationError, ReconcilerError
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.window import Window


def jobs(**params):
    """Return a reconciler whose events carry ``{"id", "n"}`` and set a job's status to their kind."""
    found = Reconciler("jobs", {"jobs": Table("id", status="VARCHAR", n="BIGINT", seen="TIMESTAMP")}, params)

    @found.apply("lost", "done")
    def moved(state, event):
        state["jobs"].upsert(id=event.payload["id"], n=event.payload["n"], status=event.kind, seen=event.occurred_at)

    return found


def expanded(run):
    """Return every tick's time, step and counts, and every action at every tick, with ``repeats`` unfolded."""
    interval = run.settings["ticks"].interval or timedelta()
    ticks = [
        (one["tick"] + n, one["at"].to_pydatetime() + n * interval, one["step"], one["actions"], one["violations"])
        for one in run.metrics.to_dict("records")
        for n in range(one["repeats"] + 1)
    ]
    own = run.actions.astype(object).drop(columns=["action", "tick", "at", "repeats"])
    fields = own.where(own.notna(), None).to_dict("records")
    actions = [
        (tick + n, tuple(one.items()))
        for tick, repeats, one in zip(run.actions["tick"], run.actions["repeats"], fields, strict=True)
        for n in range(repeats + 1)
    ]
    return ticks, sorted(actions, key=repr)


def both(recording, reconciler, *given, **options):
    """Replay with and without skipping, and return what is to be compared."""
    skipping = replay(recording, reconciler, *given, **options)
    with mock.patch.object(engine, "_GAP", 10**12):
        walking = replay(recording, reconciler, *given, **options)
    assert not walking.metrics["repeats"].any()
    found = []
    for run in (skipping, walking):
        violations = run.violations.drop(columns="violation").to_csv()
        found.append(
            (*expanded(run), violations, run.problems.to_csv(), {n: run.after[n].to_csv() for n in run.history.keys})
        )
    return *found, skipping


@pytest.fixture(scope="module")
def recording():
    """Job a is lost at 0 s, b at 10 s, done at 25 s; then an hour of nothing, and one more event."""
    events = [(0, "lost", {"id": "a", "n": 1}), (10, "lost", {"id": "b", "n": 2}), (25, "done", {"id": "b", "n": 3})]
    with loaded(*events, (3600, "lost", {"id": "c", "n": 4})) as found:
        yield found


def lost(reconciler):
    """Give the reconciler a rule that names the lost jobs."""

    @reconciler.rule("lost", key="id")
    def lost(state, now):
        for job in state["jobs"].find(status="lost"):
            yield Action("requeue", id=job["id"])

    return reconciler


def test_ticks_end_is_one_tick_at_the_windows_end(recording):
    """The cheapest answer: what would it do now?"""
    run = replay(recording, lost(jobs()), Window(T0, after(30)))

    assert list(run.metrics["at"]) == [after(30)]
    assert list(run.actions["id"]) == ["a"]


def test_ticks_event_is_one_tick_after_each_event_of_the_window(recording):
    """Warm-up events tick nothing."""
    run = replay(recording, lost(jobs()), Window(after(5), after(30)), ticks="event")

    assert list(run.metrics["at"]) == [after(10), after(25)]
    assert list(zip(run.actions["tick"], run.actions["id"], strict=True)) == [(0, "a"), (0, "b"), (1, "a")]


def test_an_event_at_a_ticks_instant_is_applied_before_it(recording):
    """The tick at 10 s sees what happened at 10 s."""
    run = replay(recording, lost(jobs()), Window(T0, after(20)), ticks="5s")

    assert run.actions[run.actions["id"] == "b"]["at"].iloc[0] == after(10)


def test_ticks_are_multiples_since_the_start_and_never_at_the_end(recording):
    """[start, end) holds for ticks as it does for events."""
    run = replay(recording, jobs(), Window(after(2), after(22)), ticks=timedelta(seconds=5))
    ticks, _ = expanded(run)

    assert [at for _, at, *_ in ticks] == [after(2), after(7), after(12), after(17)]


@pytest.mark.parametrize("ticks", ["5 parsecs", "-5s", timedelta(0), 5, None, "", "NaT"])
def test_what_is_no_interval_is_refused_with_the_choices(recording, ticks):
    """Before anything runs."""
    with pytest.raises(ReconcilerError, match="expected 'end', 'event', 'recorded', or a positive timedelta"):
        replay(recording, jobs(), ticks=ticks)


def test_recorded_ticks_need_a_log(recording):
    """And the message says which one."""
    with pytest.raises(ReconcilerError, match=r"holds no ticks, checks or actions; load them as rk\.Log"):
        replay(recording, jobs(), ticks="recorded")


def test_an_hour_of_nothing_is_answered_in_two_evaluations(recording):
    """A rule that compares the clock is evaluated again where a comparison turns, and nowhere else."""
    calls = []
    reconciler = jobs(patience=timedelta(minutes=10))

    @reconciler.rule("requeue", key="id")
    def requeue(state, now):
        calls.append(now)
        for job in state["jobs"].find(status="lost"):
            if now - job["seen"] >= state.params["patience"]:
                yield Action("requeue", id=job["id"])

    run = replay(recording, reconciler, Window(after(30), after(3600)), ticks="5s")

    assert len(calls) <= 3
    assert list(run.actions["at"]) == [after(600)]
    assert list(run.actions["repeats"]) == [(3600 - 600) // 5 - 1]


def test_a_rule_that_formats_the_clock_is_evaluated_at_every_tick(recording):
    """What can't be followed is walked, not guessed."""
    reconciler = jobs()

    @reconciler.rule("log", key=[])
    def log(state, now):
        yield Action("log", text=f"it is {now:%H:%M:%S}")

    run = replay(recording, reconciler, Window(after(30), after(90)), ticks="5s")

    assert run.actions["text"].nunique() == 12


@pytest.mark.parametrize("on_error", ["raise", "undo", "keep"])
@pytest.mark.parametrize("ticks", ["end", "event", "1s"])
def test_a_rule_that_writes_raises_whatever_on_error_says(recording, on_error, ticks):
    """Rules read and appliers write; a rule's write would belong to no step. Also one that raises behind its write."""
    for fail in (False, True):
        reconciler = jobs()

        @reconciler.rule("writes", key=[])
        def writes(state, now, fail=fail):
            state["jobs"].upsert(id="a", n=99)
            if fail:
                raise ValueError

        with pytest.raises(ReconcilerError, match="Rule 'writes' wrote to state at tick 0"):
            replay(recording, reconciler, Window(T0, after(20)), ticks=ticks, on_error=on_error)


@pytest.mark.parametrize("ticks", ["end", "event", "1s"])
def test_a_rule_or_invariant_that_raises_stops_or_is_counted(recording, ticks):
    """The rest of the tick goes on where the caller wants to see it."""
    reconciler = lost(jobs())

    @reconciler.rule("raises", key=[])
    def raises(state, now):
        raise KeyError("owner")

    @reconciler.invariant("breaks", key=[])
    def breaks(state, now):
        yield {"x": 1 / 0}

    window = Window(T0, after(20))
    with pytest.raises(ReconcilerError, match=r"Rule 'raises' raised KeyError\('owner'\)") as caught:
        replay(recording, reconciler, window, ticks=ticks)
    run = replay(recording, reconciler, window, ticks=ticks, on_error="keep")

    assert isinstance(caught.value.__cause__, KeyError)
    assert (caught.value.handler, caught.value.event) == ("raises", None)
    ticked = {"end": 1, "event": 2, "1s": 20}[ticks]
    assert list(zip(run.problems["problem"], run.problems["handler"], run.problems["count"], strict=True)) == [
        ("rule raised", "raises", ticked),
        ("rule raised", "breaks", ticked),
    ]
    assert set(run.actions["id"]) == {"a", "b"}


def test_a_rules_error_names_the_tick_it_happened_at(recording):
    """Half an hour behind the last event, the clock of that event would mislead."""
    reconciler = jobs()

    @reconciler.rule("late", key=[])
    def late(state, now):
        if now >= after(1800):
            raise ValueError("late")

    with pytest.raises(ReconcilerError, match="at 2026-03-26T06:30:00Z, after step 3"):
        replay(recording, reconciler, Window(T0, after(3600)), ticks="5s")


@pytest.mark.parametrize(
    ("yielded", "reason"),
    [
        ("text", "expected rk.Action"),
        (Action("x"), "without 'id', which its key names"),
        (Action("x", id={1, 2}), "a set has no order"),
        (Action("x", id=object()), "neither a scalar nor JSON"),
        (Action("x", id=[{1}]), "yielded"),
    ],
)
def test_an_action_results_can_not_hold_is_refused(recording, yielded, reason):
    """It would be another one in the next process."""
    reconciler = jobs()

    @reconciler.rule("rule", key="id")
    def rule(state, now):
        yield yielded

    for ticks in ("end", "1s"):
        with pytest.raises(ReconcilerError, match=reason):
            replay(recording, reconciler, Window(T0, after(20)), ticks=ticks)


@pytest.mark.parametrize(("row", "reason"), [("text", "expected a mapping"), ({"x": 1}, "gave no 'id'")])
def test_a_breach_needs_its_key(recording, row, reason):
    """Otherwise it could not be followed over ticks."""
    reconciler = jobs()

    @reconciler.invariant("invariant", key="id")
    def invariant(state, now):
        yield row

    with pytest.raises(ReconcilerError, match=reason):
        replay(recording, reconciler)


def test_a_breach_is_one_episode_from_opening_to_closing(recording):
    """Opened at the first tick that saw it, last seen, closed at the first that no longer did, and counted between."""
    reconciler = jobs()
    reconciler.invariant("none lost", "SELECT id, n FROM jobs WHERE status = 'lost' ORDER BY id", key="id")

    run = replay(recording, reconciler, Window(T0, after(3600)), ticks="5s")

    a, b = run.violations.to_dict("records")
    assert (a["entity"], a["opened_at"], a["last_at"], a["ticks"]) == ("a", T0, after(3595), 720)
    assert a["closed_at"] != a["closed_at"]
    assert (b["entity"], b["opened_at"], b["last_at"], b["ticks"]) == ("b", after(10), after(20), 3)
    assert (b["closed_at"], b["closed_tick"], b["opened_step"]) == (after(25), 5, 2)
    assert json.loads(b["detail"]) == {"id": "b", "n": 2}


def test_a_rule_runs_under_the_guard_also_in_a_stretch(recording, tmp_path):
    """And its refusal is not taken for an error of the followed clock."""
    reconciler = jobs()

    @reconciler.rule("hostile", key=[])
    def hostile(state, now):
        if now > after(1000):
            (tmp_path / "x").touch()
        return ()

    with pytest.raises(IsolationError):
        replay(recording, reconciler, ticks="5s", on_error="keep")
    assert not list(tmp_path.iterdir())


def test_draws_in_a_rule_are_the_same_with_and_without_skipping(recording):
    """A rule that numbers its actions is evaluated at every tick, from the number it would have there."""
    reconciler = jobs()

    @reconciler.rule("numbered", key="id")
    def numbered(state, now):
        for _ in state["jobs"].find(status="lost"):
            yield Action("x", id=state.new_id("act"), draw=state.random.random())

    skipping, walking, run = both(recording, reconciler, Window(T0, after(60)), ticks="1s")

    assert skipping == walking
    assert run.actions["id"].is_unique


# Rules in every way the clock may be used. Each takes (job, now, limit) and says whether the job is named, or more.


def _caught(job, now, limit):
    try:
        return datetime.combine(now, job["seen"].time()) > after(limit)
    except TypeError:
        return False


def _suppressed(job, now, limit):
    with contextlib.suppress(TypeError):
        return timedelta(seconds=(now - job["seen"]).total_seconds()) > timedelta(seconds=limit)
    return False


def _in_helper(job, now, limit):
    return _caught(job, now, limit)


CONDITIONS = {
    "difference": lambda job, now, limit: now - job["seen"] > timedelta(seconds=limit),
    "not yet": lambda job, now, limit: not now - job["seen"] >= timedelta(seconds=limit),
    "reflected": lambda job, now, limit: timedelta(seconds=limit) < now - job["seen"],
    "negative": lambda job, now, limit: job["seen"] - now < -timedelta(seconds=limit),
    "deadline": lambda job, now, limit: job["seen"] + timedelta(seconds=limit) <= now,
    "window": lambda job, now, limit: timedelta(seconds=limit / 2) <= now - job["seen"] < timedelta(seconds=limit),
    "exact": lambda job, now, limit: now == job["seen"] + timedelta(seconds=limit),
    "not exact": lambda job, now, limit: now != job["seen"] + timedelta(seconds=limit),
    "seconds": lambda job, now, limit: (now - job["seen"]).total_seconds() > limit,
    "minutes": lambda job, now, limit: (now - job["seen"]).total_seconds() / 60 >= limit / 60,
    "scaled": lambda job, now, limit: (now - job["seen"]) * 3 > timedelta(seconds=limit),
    "divided": lambda job, now, limit: (now - job["seen"]) / 7 > timedelta(seconds=limit / 7),
    "ratio": lambda job, now, limit: (now - job["seen"]) / timedelta(seconds=13) > limit / 13,
    "sums": lambda job, now, limit: 5 + 2 * (now - job["seen"]).total_seconds() - 1 > limit,
    "far from zero": lambda job, now, limit: (now - datetime(1970, 1, 1)).total_seconds() > 1774504800.0 + limit,
    "floor": lambda job, now, limit: (now - job["seen"]) // timedelta(seconds=7) % 2 == limit % 2,
    "modulo": lambda job, now, limit: int((now - job["seen"]).total_seconds()) % 20 < limit % 20,
    "rounded": lambda job, now, limit: round((now - job["seen"]).total_seconds() / 10) % 2 == 0,
    "math": lambda job, now, limit: math.floor((now - job["seen"]).total_seconds() / 9) % 2 == 1,
    "power": lambda job, now, limit: (now - job["seen"]).total_seconds() ** 2 > limit**2,
    "inverse": lambda job, now, limit: 1 / (1 + (now - job["seen"]).total_seconds()) < 1 / (1 + limit),
    "absolute": lambda job, now, limit: abs((now - job["seen"]).total_seconds() - limit) < 10,
    "hour": lambda job, now, limit: (now.minute * 60 + now.second) > limit,
    "text": lambda job, now, limit: f"{now}" > f"{job['seen'] + timedelta(seconds=limit)}",
    "strftime": lambda job, now, limit: now.strftime("%M%S") > "0100",
    "maximum": lambda job, now, limit: max(now, job["seen"] + timedelta(seconds=limit)) == now,
    "minimum": lambda job, now, limit: min((now - job["seen"]).total_seconds(), limit) == limit,
    "sorted": lambda job, now, limit: sorted([now, job["seen"] + timedelta(seconds=limit)])[1] is now,
    "membership": lambda job, now, limit: now in [job["seen"] + timedelta(seconds=limit * n) for n in range(3)],
    "hashed": lambda job, now, limit: now in {job["seen"] + timedelta(seconds=limit * n) for n in range(3)},
    "type": lambda job, now, limit: (
        isinstance(now, datetime) and isinstance(now - job["seen"], timedelta) and now > after(limit)
    ),
    "other type": lambda job, now, limit: now == limit or (now - job["seen"]) == 5 or now > after(limit),
    "caught": _caught,
    "suppressed": _suppressed,
    "in helper": _in_helper,
    "replaced": lambda job, now, limit: now.replace(second=0) - job["seen"] > timedelta(seconds=limit),
    "truthy": lambda job, now, limit: bool((now - job["seen"]).total_seconds() - limit),
    "state.now": None,
    "state.sql": None,
}


def rule_of(kind, limit, escape):
    """Return a rule that uses the clock in one way, and lets it escape into its actions in another."""

    def rule(state, now):
        if kind == "state.sql":
            query = "SELECT id FROM jobs WHERE seen + to_seconds($limit) < $now ORDER BY id"
            yield from [Action("late", id=row["id"]) for row in state.sql(query, limit=limit)]
            return
        for job in state["jobs"].find():
            hit = (
                state.now - job["seen"] > timedelta(seconds=limit)
                if kind == "state.now"
                else CONDITIONS[kind](job, now, limit)
            )
            if hit:
                extra = {"no": {}, "time": {"at": now}, "age": {"age": (now - job["seen"]).total_seconds()}}
                extra |= {"text": {"text": str(now)}, "nested": {"of": {"ages": [(now - job["seen"]).total_seconds()]}}}
                yield Action("late", id=job["id"], **extra[escape])

    return rule


EVENT = st.tuples(
    st.floats(0, 200).map(lambda x: round(x, 3)) | st.integers(0, 40).map(lambda x: 5 * x),
    st.sampled_from(["lost", "done"]),
    st.fixed_dictionaries({"id": st.sampled_from("abc"), "n": st.integers(0, 3)}),
)
EVENTS = st.lists(EVENT, min_size=1, max_size=5).map(lambda events: sorted(events, key=lambda event: event[0]))
RULE = st.tuples(
    st.sampled_from(sorted(CONDITIONS)), st.sampled_from([0, 7, 20, 33.3, 60, 100]),
    st.sampled_from(["no", "no", "no", "time", "age", "text", "nested"]),
)  # fmt: skip


@settings(max_examples=some(20))
@given(events=EVENTS, rules=st.lists(RULE, min_size=3, max_size=10), step=st.sampled_from(["5s", "1s", "1.7s"]))
def test_skipping_stretches_equals_walking_them_for_rules_in_python(events, rules, step):
    """The same actions at the same ticks, however a rule uses the clock."""
    reconciler = jobs()
    for number, (kind, limit, escape) in enumerate(rules):
        reconciler.rule(f"{number} {kind}", key="id")(rule_of(kind, limit, escape))

    with written(events) as recording:
        skipping, walking, _ = both(recording, reconciler, Window(T0, after(events[-1][0] + 150)), ticks=step)

    assert skipping == walking


SQL = [
    "SELECT id FROM jobs WHERE $now - seen > $patience",
    "SELECT id FROM jobs WHERE seen + $patience <= $now",
    "SELECT id FROM jobs WHERE $now BETWEEN seen AND seen + $patience",
    "SELECT id FROM jobs WHERE NOT ($now - seen < INTERVAL 40 SECOND) AND status = 'lost'",
    "SELECT id, $now - seen > $patience AS late FROM jobs",
    "SELECT id, CASE WHEN $now > seen + INTERVAL '50 seconds' THEN 'late' ELSE 'new' END AS age FROM jobs",
    "SELECT id, epoch($now - seen)::BIGINT // 30 AS age FROM jobs",
    "SELECT id FROM jobs WHERE epoch($now) > epoch(seen) + 33",
    "SELECT status AS id, count(*) AS c FROM jobs GROUP BY status HAVING $now - max(seen) > $patience",
    "SELECT a.id FROM jobs AS a JOIN jobs AS b USING (n) WHERE $now > a.seen + $patience AND $now - b.seen > $patience",
    "SELECT id FROM jobs WHERE EXISTS (SELECT 1 FROM jobs AS o WHERE o.id <> jobs.id AND $now - o.seen > $patience)",
    "SELECT id FROM (SELECT id, seen + $patience AS due FROM jobs) WHERE due < $now",
    "WITH jobs AS (SELECT id, seen + INTERVAL 9 SECOND AS seen FROM jobs) FROM jobs WHERE $now - seen > $patience",
    "SELECT count(*) AS id FROM events WHERE $now - occurred_at < $patience",
    "SELECT id FROM jobs WHERE status = 'lost'",
    "SELECT id FROM jobs WHERE $now > TIMESTAMP '2026-03-26 06:01:40'",
    "SELECT id FROM jobs WHERE $now - INTERVAL '1' MINUTE > seen",
    "SELECT id FROM jobs WHERE date_trunc('minute', $now) > seen",
    "SELECT id FROM jobs WHERE $now::TIME > seen::TIME + INTERVAL 1 MINUTE",
    "SELECT id FROM jobs WHERE ($now - seen) * 2 > $patience",
    "SELECT id FROM jobs WHERE $now - seen > to_seconds(n * 20)",
    "SELECT id FROM jobs WHERE greatest($now, seen + $patience) = $now",
    "SELECT id FROM jobs WHERE $now >= (SELECT max(seen) FROM jobs) + $patience",
]


@pytest.mark.parametrize("part", range(3))
@settings(max_examples=some(6) - 1)  # of each part, so that no statement is left out
@given(events=EVENTS, patience=st.sampled_from([0, 17.5, 60]))
def test_skipping_stretches_equals_walking_them_for_rules_in_sql(part, events, patience):
    """With ``$now`` where it can be followed, where it can't, and without."""
    reconciler = jobs(patience=timedelta(seconds=patience))
    for number in range(part, len(SQL), 3):
        reconciler.rule(f"rule {number}", SQL[number] + " ORDER BY ALL", key="id")
        reconciler.invariant(f"invariant {number}", SQL[number] + " ORDER BY ALL", key="id")

    with written(events) as recording:
        skipping, walking, _ = both(recording, reconciler, Window(T0, after(events[-1][0] + 70)), ticks="5s")

    assert skipping == walking


def test_calendar_months_in_sql_are_not_taken_for_a_fixed_length():
    """The 29th, 30th and 31st of March minus a month are all the 28th of February."""
    reconciler = jobs()
    reconciler.rule("minus", "SELECT id FROM jobs WHERE $now - INTERVAL 1 MONTH > seen - INTERVAL 26 DAY", key="id")
    reconciler.rule("apart", "SELECT id FROM jobs WHERE $now - seen >= INTERVAL '1 month'", key="id")
    events = [(0, "lost", {"id": "a", "n": 1}), (86400 * 60, "done", {"id": "b", "n": 1})]

    with written(events) as recording:
        skipping, walking, _ = both(recording, reconciler, ticks="6h")

    assert skipping == walking


@settings(max_examples=some(15))
@given(events=EVENTS, limit=st.sampled_from([0, 7, 20, 60]), apply=st.booleans(), sql=st.booleans())
def test_ticks_equal_a_loop_in_plain_python(events, limit, apply, sql):
    """Open and closed loop, against a dict and two for loops."""
    reconciler = jobs(patience=timedelta(seconds=limit))
    query = "SELECT id FROM jobs WHERE status = 'lost' AND $now - seen > $patience ORDER BY id"
    if sql:
        reconciler.rule("requeue", query, key="id")
    else:

        @reconciler.rule("requeue", key="id")
        def requeue(state, now):
            for job in sorted(state["jobs"].find(status="lost"), key=lambda job: job["id"]):
                if now - job["seen"] > state.params["patience"]:
                    yield Action("requeue", id=job["id"])

    @reconciler.act("requeue")
    def requeued(state, action):
        state["jobs"].update(action["id"], seen=state.now, n=7)

    end = events[-1][0] + 100
    with written(events) as recording:
        run = replay(recording, reconciler, Window(T0, after(end)), ticks="5s", actions="apply" if apply else "collect")

    rows, expected, waiting, tick = {}, [], list(events), 0
    while 5 * tick < end:
        while waiting and waiting[0][0] <= 5 * tick:
            at, kind, given = waiting.pop(0)
            rows[given["id"]] = {"status": kind, "seen": after(at), "n": given["n"]}
        late = [
            k
            for k, r in sorted(rows.items())
            if r["status"] == "lost" and after(5 * tick) - r["seen"] > timedelta(seconds=limit)
        ]
        expected += [(tick, key) for key in late]
        for key in late if apply else ():
            rows[key] |= {"seen": after(5 * tick), "n": 7}
        tick += 1
    for at, kind, given in waiting:
        rows[given["id"]] = {"status": kind, "seen": after(at), "n": given["n"]}
    actions = (
        [
            (t + n, key)
            for t, key, r in zip(run.actions["tick"], run.actions["id"], run.actions["repeats"], strict=True)
            for n in range(r + 1)
        ]
        if len(run.actions)
        else []
    )
    assert sorted(actions) == sorted(expected)
    after_all = run.after["jobs"].set_index("id")
    assert {k: (r["status"], r["n"], r["seen"].to_pydatetime()) for k, r in after_all.iterrows()} == {
        k: (r["status"], r["n"], r["seen"]) for k, r in rows.items()
    }


def test_a_closed_loop_costs_nothing_where_no_rule_acts():
    """A year of ticks every five seconds, six million of them, with two events in it."""
    reconciler = jobs(patience=timedelta(days=100))
    reconciler.rule("requeue", "SELECT id FROM jobs WHERE status = 'lost' AND $now - seen > $patience", key="id")

    @reconciler.act("requeue")
    def requeued(state, action):
        state["jobs"].update(action["id"], status="queued")

    with written([(0, "lost", {"id": "a", "n": 1}), (86400 * 365, "done", {"id": "b", "n": 1})]) as recording:
        run = replay(recording, reconciler, ticks="5s", actions="apply")

    assert list(run.actions["at"]) == [after(86400 * 100 + 5)]
    assert run.metrics["repeats"].sum() + len(run.metrics) == 86400 * 365 // 5 + 1


@given(events=EVENTS, limit=st.sampled_from([0, 7, 20]), cut=st.integers(1, 39))
@settings(max_examples=some(6))
def test_adjacent_windows_compose(events, limit, cut):
    """The second begins in the state the first ended in, and together they emit what one window does."""
    reconciler = jobs(patience=timedelta(seconds=limit))

    @reconciler.rule("requeue", key="id")
    def requeue(state, now):
        for job in state["jobs"].find(status="lost"):
            if now - job["seen"] > state.params["patience"]:
                yield Action("requeue", id=job["id"])

    events = [(0, "lost", {"id": "a", "n": 0}), *events, (200, "done", {"id": "a", "n": 0})]
    end = 200.5
    with written(events) as recording:
        for ticks in ("5s", "event"):
            one, two, whole = (
                replay(recording, reconciler, Window(after(a), after(b)), ticks=ticks)
                for a, b in [(0, 5 * cut), (5 * cut, end), (0, end)]
            )

            assert one.after["jobs"].equals(two.before["jobs"])
            assert whole.after["jobs"].equals(two.after["jobs"])
            assert len(one.events) + len(two.events) == len(whole.events)
            emitted = [(at, fields) for run in (one, two) for _, at, fields in _unfolded(run)]
            assert sorted(emitted, key=repr) == sorted([(at, f) for _, at, f in _unfolded(whole)], key=repr)


def _unfolded(run):
    interval = run.settings["ticks"].interval or timedelta()
    for one in run.actions.to_dict("records"):
        for n in range(one["repeats"] + 1):
            yield one["tick"] + n, one["at"].to_pydatetime() + n * interval, one["id"]
