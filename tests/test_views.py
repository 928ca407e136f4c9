"""The views behind an explorer: each table equals what plain Python makes of the same replay, and its expression it."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache

import hostile
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import BASES, COLUMNS, ODD, STEPS, T0, WRITES, Lives, cells, lives_of, recording, replayed, same, text
from samples import some

import replaykit as rk
from replaykit import views
from replaykit.churn import churn
from replaykit.errors import QueryError, WindowError
from replaykit.focus import Focus
from replaykit.glance import glance
from replaykit.looks import VIEWS, Choice, evaluated, expression
from replaykit.results import entity_of
from replaykit.views.happened import event_at, event_place
from replaykit.views.standing import entity_place, first_touched, state_size, touched_by

# ---- a table as of a step


def stood(lives, table, step):
    """Return the rows of a table after a step as dicts, with ``change`` and ``was``, from the images alone."""
    after, before = lives.images[step][table], lives.images[step - 1][table] if step else {}
    written = {life for at, name, _, _, life, _, _ in lives.log if (at, name) == (step, table)}
    found = []
    for life in sorted({*after, *before}):
        row, old = after.get(life), before.get(life)
        change = "delete" if row is None else None if not step or life not in written else "update" if old else "insert"
        was = None
        if change == "update":
            was = {n: "∅" if old[n] is None else text(old[n]) for n in row if not same(old[n], row[n])}
        found.append((change, was, *(old if row is None else row).values()))
    return found


def read(frame):
    """Return the rows of `state` with what was there as a dict."""
    return [(row[0], None if row[1] is None else json.loads(row[1]), *row[2:]) for row in cells(frame)]


def like(rows):
    """Return rows with NaN as None, as pandas has it."""
    return [tuple(None if same(cell, float("nan")) else cell for cell in row) for row in rows]


@settings(max_examples=some(8))
@given(writes=WRITES, base=BASES, step=st.integers(0, STEPS), page=st.tuples(st.integers(0, 4), st.integers(0, 4)))
def test_a_table_as_of_a_step_is_the_difference_of_two_images(writes, base, step, page):
    """With the rows the step deleted where they were, page by page the same, and each helper counting the same rows."""
    run, lives = replayed(writes, base=base), lives_of(writes, base)
    limit, offset = page
    for table in COLUMNS:
        rows = like(stood(lives, table, step))
        touched = [place for place, row in enumerate(rows) if row[0]]
        frame = views.state(run, table, step=step)
        live = frame[frame["change"].isna() | (frame["change"] != "delete")]

        assert read(frame) == rows
        assert list(frame.columns) == ["change", "was__" if table == ODD else "was", *COLUMNS[table]]
        assert [row[2:] for row in cells(live)] == cells(run.at(step=step)[table])
        assert read(views.state(run, table, step=step, limit=limit, offset=offset)) == rows[offset : offset + limit]
        assert read(views.state(run, table, step=step, offset=offset)) == rows[offset:]
        assert state_size(run, table, step=step) == len(rows)
        assert first_touched(run, table, step=step) == (touched[0] if touched else None)
        places = {}
        for place, row in enumerate(rows):
            key = entity_of(dict(zip(COLUMNS[table], row[2:], strict=True))[name] for name in run.history.keys[table])
            places.setdefault(key, place)
        for key in [*places, "nobody", "", "' OR true --"]:
            assert entity_place(run, table, key, step=step) == places.get(key)


@settings(max_examples=some(4))
@given(writes=WRITES)
def test_touched_rows_are_those_a_step_wrote(writes):
    """A row put back as it was, or that came and went, was written as well."""
    run, lives = replayed(writes), lives_of(writes)

    assert touched_by(run, 0) == {}
    for step in range(1, STEPS + 1):
        pairs = {(name, life) for at, name, _, _, life, _, _ in lives.log if at == step}
        counts = {name: sum(one == name for one, _ in pairs) for name in COLUMNS}
        assert touched_by(run, step) == {name: rows for name, rows in counts.items() if rows}


def jobs(*writes):
    """Return a run that writes jobs: each step a list of status by id, None to drop."""
    steps = [
        [("jobs", "drop" if status is None else "put", (job,), {} if status is None else {"status": status})
         for job, status in step]
        for step in writes
    ]  # fmt: skip
    return replayed(steps + [[]] * (STEPS - len(steps)))


def test_a_row_deleted_and_put_again_in_one_step_is_shown_twice():
    """It is another row, at the end; one that came and went is not shown at all."""
    run = jobs([("a", "x"), ("b", "x")], [("a", None), ("a", "y"), ("c", "z"), ("c", None)])

    assert cells(views.state(run, "jobs", step=2)[["change", "was", "id", "status"]]) == [
        ("delete", None, "a", "x"), (None, None, "b", "x"), ("insert", None, "a", "y"),
    ]  # fmt: skip


def test_there_and_back_within_a_step_is_an_update_of_no_cell():
    """The step wrote the row; the state does not show it."""
    run = jobs([("a", "x")], [("a", "y"), ("a", "x")])

    assert cells(views.state(run, "jobs", step=2)[["change", "was"]]) == [("update", "{}")]
    assert views.changes(run).shape[0] == 1


def test_a_step_or_table_that_is_not_there_is_explained():
    """Everywhere, and a step read off a frame, a numpy number, is there."""
    run = jobs([("a", "x")], [("a", "y")])
    for ask in (views.state, state_size, first_touched):
        for step in (-1, STEPS + 1):
            with pytest.raises(QueryError, match=f"no step {step}; this replay has steps 0 .the base. to {STEPS}"):
                ask(run, "jobs", step=step)
        with pytest.raises(QueryError, match="no state table 'job'"):
            ask(run, "job")
    for step in (-1, STEPS + 1):
        with pytest.raises(QueryError, match=f"no step {step}"):
            touched_by(run, step)
    with pytest.raises(QueryError, match="no state table 'job'"):
        entity_place(run, "job", "a")
    number = run.steps["step"].iloc[1]
    assert views.state(run, "jobs", step=number).equals(views.state(run, "jobs", step=2))
    assert touched_by(run, number) == {"jobs": 1}


def test_rules_without_tables_have_no_table_to_touch():
    """Only rules over events."""
    rules = rk.Reconciler("none", {})
    rules.ignore("go")
    run = rk.replay(recording(), rules)

    assert touched_by(run, 1) == {}
    assert views.changes(run).empty
    assert views.changes(run, gross=True).empty


# ---- what the window changed


@settings(max_examples=some(8))
@given(writes=WRITES, base=BASES, start=st.integers(1, STEPS))
def test_net_changes_are_the_difference_of_the_ends_and_gross_ones_are_churn(writes, base, start):
    """Cell by cell, in all tables and in one."""
    run = replayed(writes, rk.Window(T0 + timedelta(seconds=start), T0 + timedelta(seconds=STEPS + 1)), base=base)
    net, lives = views.changes(run), lives_of(writes, base)
    found = {(row.table, row.change, row.key, row.column): (row.before, row.after) for row in net.itertuples()}
    expected = {}
    for table, columns in COLUMNS.items():
        key = run.history.keys[table]
        old, new = (
            {Lives.key(table, row): row for row in lives.images[step][table].values()} for step in (start - 1, STEPS)
        )
        for one in {*old, *new}:
            name = entity_of(one)
            if one in old and one in new:
                for column in columns:
                    if not same(old[one][column], new[one][column]):
                        expected[table, "changed", name, column] = (old[one][column], new[one][column])
            else:
                expected[table, "added" if one in new else "removed", name, None] = (None, None)
        shown = views.changes(run, table)
        kinds = [cells(net[(net["table"] == table) & (net["change"] == one)][["key"]].drop_duplicates())
                 for one in ("changed", "added", "removed")]  # fmt: skip
        rows = [(entity_of(row[name] for name in key),) for row in shown.to_dict("records")]
        assert rows == [one for several in kinds for one in several]
        assert list(shown["change"]) == [
            change for change, several in zip(("changed", "added", "removed"), kinds, strict=True) for _ in several
        ]
        changed = [c for c in columns if any(k[0] == table and k[3] == c for k in expected)]
        others = [c for c in columns if c not in (*key, *changed)] if kinds[1] or kinds[2] else []
        assert list(shown.columns) == ["change", *key, *changed, *others]

    plain = {key: tuple(*like([pair])) for key, pair in expected.items()}
    assert {
        key if isinstance(key[3], str) else (*key[:3], None): tuple(*like([pair])) for key, pair in found.items()
    } == plain
    for table in (None, *COLUMNS):
        tables = None if table is None else [table]
        assert views.changes(run, table, gross=True).equals(churn(run.history, start - 1, STEPS, tables))


def test_cells_show_before_and_after_and_changed_columns_come_first():
    """Unchanged ones follow only where a whole row came or went."""
    run = jobs([("a", "x"), ("b", "x")], [("a", "y")])
    window = rk.Window(T0 + timedelta(seconds=2), T0 + timedelta(seconds=3))
    some = rk.replay(recording(), run.reconciler, window)

    assert cells(views.changes(some, "jobs")) == [("changed", "a", "x → y")]
    assert cells(views.changes(run, "jobs")) == [("added", "a", "y", None, None), ("added", "b", "x", None, None)]


def test_keys_may_be_called_as_the_columns_of_the_view():
    """Rows are told apart by their own cells."""
    names = ["column", "before", "after", "table", "key"]
    rules = rk.Reconciler("r", {"t": rk.Table(names, {**dict.fromkeys(names, "VARCHAR"), "n": "BIGINT"})})
    rules.apply("go")(lambda state, event: state["t"].upsert(dict.fromkeys(names, "k"), n=event["position"]))
    run = rk.replay(recording(), rules, rk.Window(T0 + timedelta(seconds=2), T0 + timedelta(seconds=4)))

    assert cells(views.changes(run)) == [("t", "changed", "k/k/k/k/k", "n", 1, 3)]
    assert cells(views.changes(run, "t")) == [("changed", *"kkkkk", "1 → 3")]
    assert set(views.changes(run, gross=True)["key"]) == {"k/k/k/k/k"}


def test_a_table_that_is_not_there_has_no_changes():
    """Net and gross."""
    for gross in (False, True):
        with pytest.raises(QueryError, match="no state table 'job'"):
            views.changes(jobs([]), "job", gross=gross)


# ---- actions


EVENTS = st.lists(
    st.tuples(st.integers(0, 4000), st.sampled_from(["a", "b"]), st.sampled_from(["up", "down", "hot", "odd"])),
    min_size=1, max_size=6, unique_by=lambda one: one[0],
).map(sorted)  # fmt: skip


def waves(events, seconds):
    """Replay jobs two rules speak of, one of them only for some time, over hours in which nothing happens."""
    frame = pd.DataFrame(
        [(T0 + timedelta(seconds=at), "go", f"e{n}") for n, (at, _, _) in enumerate(events)],
        columns=["at", "kind", "id"],
    )
    end = pd.DataFrame([(T0 + timedelta(seconds=5000), "end", "end")], columns=["at", "kind", "id"])
    rules = rk.Reconciler("waves", {"jobs": rk.Table("id", status="VARCHAR", since="TIMESTAMP", n="BIGINT")})
    rules.ignore("end")

    @rules.apply("go")
    def go(state, event):
        at, job, status = events[event["position"] - 1]
        state["jobs"].upsert(id=job, status=status, since=event["occurred_at"], n=at if at % 2 else None)

    @rules.rule("wave", key="id")
    def wave(state, now):
        for job in state["jobs"].find(status=["up", "hot"]):
            yield rk.Action("wave", id=job["id"], note=job["status"], n=job["n"])

    @rules.rule("late", key="id")
    def late(state, now):
        for job in state["jobs"].find(status=["hot", "odd"]):
            if timedelta(seconds=100) < now - job["since"] < timedelta(seconds=900):
                yield rk.Action("wave" if job["status"] == "hot" else "late", id=job["id"], note="Late (.*)", m=1.5)

    @rules.invariant("quiet", key="id")
    def quiet(state, now):
        return [{"id": job["id"], "note": "Loud"} for job in state["jobs"].find(status="hot")]

    with rk.load(pd.concat([frame, end]), time="at", kind="kind", id="id", payload=False) as found:
        return rk.replay(found, rules, ticks=f"{seconds}s")


def unfolded(run, frame):
    """Return the ticks at which each kind and entity was emitted, every repetition walked."""
    ticks = {}
    for row in frame.itertuples():
        ticks.setdefault((row.kind, row.entity), set()).update(range(row.tick, row.tick + row.repeats + 1))
    return ticks


def episodes_of(run, frame, interval):
    """Return episodes as ``(kind, entity, opened, last, closed tick, ticks)`` from the unfolded emissions."""
    origin = run.metrics["at"].iloc[0] - run.metrics["tick"].iloc[0] * interval
    final = int((run.metrics["tick"] + run.metrics["repeats"]).iloc[-1])
    found = []
    for (kind, entity), ticks in unfolded(run, frame).items():
        starts = sorted(tick for tick in ticks if tick - 1 not in ticks)
        for start in starts:
            last = next(tick for tick in range(start, final + 1) if tick + 1 not in ticks)
            closed = None if last == final else last + 1
            times = [None if tick is None else origin + tick * interval for tick in (start, last, closed)]
            found.append((start, kind, entity, *times, last - start + 1))
    return [one[1:] for one in sorted(found, key=lambda one: one[:3])]


SHOWN = ["kind", "entity", "opened_at", "last_at", "closed_at", "ticks"]


@settings(max_examples=some(9))
@given(events=EVENTS, seconds=st.sampled_from([5, 60, 700]))
def test_episodes_are_those_of_every_emission_unfolded(events, seconds):
    """Also where two rules ask for the same, one of them longer, and over stretches that were skipped."""
    run, interval = waves(events, seconds), timedelta(seconds=seconds)

    assert cells(views.actions(run)[SHOWN]) == episodes_of(run, run.actions, interval)
    for kind in ("wave", "late"):
        some = run.actions[run.actions["kind"] == kind]
        assert cells(views.actions(run, kinds=[kind])[SHOWN]) == episodes_of(run, some, interval)
        assert views.actions(run, kinds=[kind], every=True).equals(some.reset_index(drop=True))


@cache
def hot():
    """Return a run with two rules that overlap, ten thousand ticks of which few were walked."""
    return waves([(0, "a", "hot"), (7, "b", "odd"), (300, "a", "down"), (2001, "b", "hot"), (3000, "a", "up")], 1)


def test_two_rules_that_ask_for_the_same_are_one_episode():
    """The one that asks longer says how long; the ticks both asked in count once."""
    run = hot()
    found = views.actions(run, target="b", kinds=["wave"])

    assert len(run.metrics) < 30
    assert set(views.actions(run, target="b", kinds=["wave"], every=True)["rule"]) == {"wave", "late"}
    assert cells(found[["opened_at", "last_at", "ticks", "note"]]) == [
        (T0 + timedelta(seconds=2001), T0 + timedelta(seconds=5000), 3000, "hot")
    ]


def holding(frame, test):
    """Return the rows of a frame with a cell that passes a test, cell by cell."""
    return [any(cell is not None and test(str(cell)) for cell in row) for row in cells(frame)]


TEXTS = [
    "LATE (.*)",
    "late",
    "(.*)",
    "[",
    "\\",
    "nan",
    "none",
    "<na>",
    "1.5",
    "2001",
    "2026-03-26 06:05",
    "hot",
    "",
    "HOT",
]


@pytest.mark.parametrize("asked", TEXTS)
def test_text_is_looked_for_in_every_cell_capital_or_not(asked):
    """As it stands, not as a pattern; what is missing holds nothing."""
    run = hot()
    for whole, ask in ((run.actions, views.actions), (pd.DataFrame(run.violations), views.violations)):
        options = {"every": True} if ask is views.actions else {}
        expected = whole[holding(whole, lambda cell: asked.lower() in cell.lower())] if asked else whole
        pd.testing.assert_frame_equal(ask(run, text=asked, **options), expected.reset_index(drop=True))


@pytest.mark.parametrize(
    "asked", ["a", "A", "b", "hot", "1.5", "2001", "wave", "late", "1", "nan", "None", "Late (.*)"]
)
def test_a_target_is_an_entity_or_a_field_whole(asked):
    """Not the kind, the rule, nor a number of ours."""
    run = hot()
    named = run.actions[["entity", "id", "note", "n", "m"]]
    expected = run.actions[holding(named, lambda cell: cell == asked)]

    pd.testing.assert_frame_equal(views.actions(run, target=asked, every=True), expected.reset_index(drop=True))


@pytest.mark.parametrize("every", [True, False])
def test_rows_are_sorted_stably_both_ways_with_missing_ones_last(every):
    """By every column there is."""
    run = hot()
    frame = views.actions(run, every=every)
    for name in frame.columns:
        column = cells(frame[[name]])
        there = [place for place, (cell,) in enumerate(column) if cell is not None]
        missing = [place for place, (cell,) in enumerate(column) if cell is None]
        for falling in (False, True):
            order = sorted(there, key=lambda place: column[place][0], reverse=falling) + missing
            expected = frame.iloc[order].reset_index(drop=True)
            pd.testing.assert_frame_equal(views.actions(run, every=every, sort=f"{'-' * falling}{name}"), expected)


def test_fields_of_mixed_types_are_sorted_as_text_and_names_may_begin_with_a_dash():
    """A rule may say 1 here and "b" there."""
    rules = rk.Reconciler("r", {"t": rk.Table("id", id="VARCHAR")})
    rules.apply("go")(lambda state, event: None)

    @rules.rule("say", key="id")
    def say(state, now):
        for n, value in enumerate([2, "b", None, 10, "1"]):
            yield rk.Action("say", **{"id": n, "mixed": value, "-x": -n})

    run = rk.replay(recording(), rules)

    assert list(views.actions(run, sort="mixed", every=True)["id"]) == [4, 3, 0, 1, 2]
    assert list(views.actions(run, sort="-mixed", every=True)["id"]) == [1, 0, 3, 4, 2]
    assert list(views.actions(run, sort="-x")["id"]) == [4, 3, 2, 1, 0]
    assert list(views.actions(run, sort="--x")["id"]) == [0, 1, 2, 3, 4]
    assert list(views.actions(run, target="10", every=True)["id"]) == [3]


def test_a_column_that_is_not_there_is_explained():
    """With those that are, also where there is nothing to sort."""
    for ask in (views.actions, views.violations):
        for run in (hot(), jobs([])):
            for sort in ("when", "-when", "-"):
                with pytest.raises(QueryError, match=r"no column '(when)?' to sort by; the columns are"):
                    ask(run, sort=sort)
    assert list(views.actions(jobs([])).columns[:7]) == ["kind", "entity", "rule", *SHOWN[2:5], "ticks"]


def test_filters_that_fit_nothing_leave_the_columns():
    """No kinds are none; an empty text is any."""
    run = hot()
    for options in ({"kinds": []}, {"kinds": ["x"]}, {"text": "nowhere"}, {"target": "nowhere"}):
        for every in (False, True):
            found = views.actions(run, every=every, **options)
            assert found.empty
            assert list(found.columns) == list(views.actions(run, every=every).columns)
    assert views.actions(run, text="", target="").equals(views.actions(run))


# ---- events


@cache
def noisy():
    """Return sixty events at twenty instants, some without an id or a kind, and one text column of their own."""
    rows = [
        {
            "at": T0 + timedelta(minutes=n // 3), "kind": ["a", "B", "it's", None][n % 4],
            "id": None if n % 7 == 0 else f"e{n}" if n != 33 else "e32",
            "payload": json.dumps({"n": n, "text": ["Up", "100%", "a_b", "\\", '"q"'][n % 5]}),
            "note": ["Straße", "plain", None][n % 3], "size": n,
        }
        for n in range(60)
    ]  # fmt: skip
    return rk.load(pd.DataFrame(rows), time="at", kind="kind", id="id", payload="payload")


def picked(window, kinds, asked):
    """Return the events a filter leaves, by pandas."""
    frame = noisy().events
    start, end = (T0, T0 + timedelta(days=1)) if window is None else window.bounds()
    fits = (frame["occurred_at"] >= start) & (frame["occurred_at"] < end)
    if kinds is not None:
        fits &= frame["kind"].fillna("").isin(kinds)
    if asked:
        cell = frame[["event_id", "payload", "note"]].fillna("")
        fits &= pd.Series([any(asked.lower() in one.lower() for one in row) for row in cells(cell)], index=frame.index)
    return frame[fits]


FILTERS = {
    "kinds": st.none() | st.lists(st.sampled_from(["a", "B", "it's", "", "b", "none"]), max_size=3, unique=True),
    "text": st.sampled_from(
        [None, "", "UP", "100%", "%", "_", "a_b", "\\", '"', "'", "e3", "straße", "plain", "nan", "58"]
    ),
}
MINUTES = st.none() | st.tuples(st.integers(0, 19), st.integers(1, 21)).filter(lambda one: one[0] < one[1])


@settings(max_examples=some(60))
@given(
    minutes=MINUTES, limit=st.none() | st.integers(0, 70), offset=st.integers(0, 70),
    minute=st.none() | st.integers(-1, 21), event=st.none() | st.integers(0, 60), **FILTERS,
)  # fmt: skip
def test_events_and_their_places_are_what_pandas_finds(minutes, limit, offset, minute, event, kinds, text):
    """In windows, by kind and text, page by page."""
    window = None if minutes is None else rk.Window(*(T0 + timedelta(minutes=one) for one in minutes))
    expected = picked(window, kinds, text)
    stop = None if limit is None else offset + limit
    found = views.events(noisy(), window, kinds=kinds, text=text, limit=limit, offset=offset)

    assert cells(found) == cells(expected.iloc[offset:stop])
    window = window or rk.Window(T0, T0 + timedelta(days=1))
    focus = Focus(
        None if minute is None else T0 + timedelta(minutes=minute), None, None if event is None else f"e{event}"
    )
    place = None
    if event is not None:
        hits = [n for n, one in enumerate(expected["event_id"]) if one == f"e{event}"]
        place = hits[0] if hits else None
    elif minute is not None:
        place = int((expected["occurred_at"] < focus.time).sum())
    assert event_place(noisy(), window, focus, kinds=kinds, text=text) == place


def test_the_event_at_an_instant_is_the_first_and_named_if_it_has_an_id():
    """Three share each minute; every seventh has none."""
    frame = noisy().events
    for minute in range(-1, 21):
        at = T0 + timedelta(minutes=minute)
        here = frame[frame["occurred_at"] == at]["event_id"]
        expected = None if here.empty or pd.isna(here.iloc[0]) else here.iloc[0]
        assert event_at(noisy(), at) == expected
    assert event_at(noisy(), T0 + timedelta(seconds=1)) is None


def test_a_window_outside_and_a_recording_without_events_are_explained():
    """As everywhere."""
    with pytest.raises(WindowError, match="outside the recording"):
        views.events(noisy(), rk.Window("2027-01-01", "2027-01-02"))
    nothing = pd.DataFrame({"at": pd.Series([], dtype="datetime64[us]"), "kind": pd.Series([], dtype=str)})
    with (
        rk.load(nothing, time="at", kind="kind", id=False, payload=False) as empty,
        pytest.raises(QueryError, match="holds no events"),
    ):
        views.events(empty)


# ---- expressions


@cache
def attacked():
    """Return a run in which hostile texts are kinds, ids, entities, fields and cells."""
    found = hostile.recording([name for name in hostile.CORPUS if name not in {"surrogate", "huge"}])
    rules = rk.Reconciler(
        "hostile", {"t": rk.Table("id", note="VARCHAR", n="BIGINT"), ODD: rk.Table("note", note="VARCHAR")}
    )

    @rules.apply(*found.kinds["kind"])
    def take(state, event):
        state["t"].upsert(id=event["event_id"], note=event["note"], n=len(event["note"] or "") or None)
        state[ODD].upsert(note=event["note"] or "none")

    @rules.rule("say", key="id")
    def say(state, now):
        for row in state["t"].find():
            yield rk.Action(row["note"] or "say", id=row["id"], note=row["note"], n=row["n"])

    @rules.invariant("quiet", key="id")
    def quiet(state, now):
        return state["t"].find(lambda row: row["n"])

    return rk.replay(found, rules)


def called(view, choice, run):
    """Return a view's table by calling what it stands for."""
    if view == "Events":
        return views.events(
            run.recording, choice.window, kinds=choice.kinds or None, text=choice.text, limit=200, offset=choice.offset
        )
    if view == "Actions":
        kinds = choice.action_kinds or None
        return views.actions(
            run, kinds=kinds, target=choice.target, text=choice.action_text, every=choice.every, sort=choice.action_sort
        )
    if view == "State diff":
        return views.changes(run, choice.changed or None, gross=choice.gross)
    if view == "State at":
        return views.state(run, choice.table, step=choice.step)
    if view == "Violations":
        return views.violations(run, text=choice.violation_text, sort=choice.violation_sort)
    if view == "Story":
        return run.recording.story(choice.focus.entity).frame
    if view == "Why":
        what, *told = choice.asked
        if what == "cell":
            return run.at(step=told[0]).blame(told[1], *told[2], choice.asked_column).values
        return run.why(told[0] if what == "action" else run.violations.iloc[told[0]]).to_frame()
    if view == "Why not":
        return run.why_not(choice.why_not_kind, at=choice.focus.time, **choice.why_not_fields).to_frame()
    plain = {
        "Metrics": lambda: run.metrics, "Verdict": lambda: run.verdict.checks, "Problems": lambda: run.problems,
        "Differing cells": lambda: run.verdict.cells, "Kinds": lambda: glance(run.recording, choice.window).kinds,
        "Unexplained": lambda: glance(run.recording, choice.window).unexplained,
    }  # fmt: skip
    return plain[view]()


def outcome(make):
    """Return a table, or the error and its message."""
    try:
        return make()
    except QueryError as exc:
        return f"{type(exc).__name__}: {exc}"


TEXT = st.sampled_from(sorted(hostile.CORPUS.values(), key=len))
ASKED = st.one_of(
    st.tuples(st.just("action"), st.integers(1, 9)), st.tuples(st.just("violation"), st.integers(0, 3)),
    st.tuples(st.just("cell"), st.integers(0, 9), st.sampled_from(["t", ODD, "none"]),
        st.tuples(st.sampled_from([text for name, text in hostile.CORPUS.items() if name != "surrogate"]))),
)  # fmt: skip
CHOICES = st.builds(
    Choice,
    window=st.sampled_from([rk.Window("2026-01-01", "2026-01-02"), rk.Window("00:00:05", "00:00:20.5")]),
    kinds=st.lists(TEXT, max_size=2).map(tuple), text=st.just("") | TEXT,
    action_kinds=st.lists(TEXT, max_size=2).map(tuple), target=st.just("") | TEXT, action_text=st.just("") | TEXT,
    action_sort=st.sampled_from(["", "note", "-n", "ticks"]) | TEXT, every=st.booleans(),
    changed=st.sampled_from(["", "t", ODD]), gross=st.booleans(), table=st.sampled_from(["t", ODD]),
    step=st.sampled_from([None, 0, 1, 17]), violation_text=st.just("") | TEXT,
    violation_sort=st.sampled_from(["", "-closed_at", "entity"]) | TEXT, offset=st.sampled_from([0, 3]),
    focus=st.builds(Focus, entity=TEXT), asked=ASKED, asked_column=st.sampled_from(["note", "n"]) | TEXT,
    why_not_kind=TEXT | st.just("say"),
    why_not_fields=st.builds(lambda name, value: {name: value}, st.sampled_from(["id", "note"]) | TEXT, TEXT),
)  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
@settings(max_examples=some(25))
@given(choice=CHOICES)
def test_an_expression_gives_what_calling_the_view_gives(view, choice):
    """With any text in any control; what the call refuses, the expression refuses with the same words."""
    run = attacked()
    shown = outcome(lambda: evaluated(expression(view, choice, "town"), run.recording, run, "town"))
    expected = outcome(lambda: called(view, choice, run))

    if isinstance(expected, str):
        assert shown == expected
    else:
        pd.testing.assert_frame_equal(shown, expected)


def test_nothing_asked_is_the_replay_itself():
    """The code still runs, and the view says what to choose."""
    run = jobs([("a", "x")])

    assert [expression(view, Choice(run.window)) for view in ("Why", "Why not")] == ["run", "run"]


def test_the_base_is_a_step_one_can_choose():
    """Step 0 equals False, which in other options chooses nothing."""
    run = jobs([("a", "x")])
    choice = Choice(run.window, table="jobs", step=0)

    assert "step=0" in expression("State at", choice)
    assert evaluated(expression("State at", choice), run.recording, run).empty


def test_a_page_is_the_same_expression_with_a_limit():
    """And without one the whole table."""
    run = attacked()
    choice = Choice(rk.Window("2026-01-01", "2026-01-02"), table="t", step=30, offset=5)
    for view in ("Events", "State at"):
        whole = evaluated(expression(view, choice, "rec", (0, 0)), run.recording, run, "rec")
        page = evaluated(expression(view, choice, "rec", (4, 3)), run.recording, run, "rec")
        assert "limit" not in expression(view, choice, "rec", (0, 0))
        assert cells(page) == cells(whole)[3:7]


@pytest.mark.parametrize("name", hostile.CORPUS)
def test_hostile_texts_find_what_holds_them(name):
    """As kind, target and text; what no recording can hold is found nowhere, or refused in words."""
    run, asked = attacked(), hostile.CORPUS[name]
    everything = views.actions(run, every=True)
    for options, test in (({"text": asked}, lambda cell: asked.lower() in cell.lower()), ({"kinds": [asked]}, None)):
        hit = holding(everything, test) if test else [kind == asked for kind in everything["kind"]]
        expected = everything if options.get("text") == "" else everything[hit]
        assert len(views.actions(run, every=True, **options)) == len(expected)
    if name == "surrogate":
        with pytest.raises(QueryError, match="surrogate"):
            views.events(run.recording, kinds=[asked])
    else:
        kinds = list(run.recording.events["kind"])
        assert len(views.events(run.recording, kinds=[asked])) == kinds.count(asked)
