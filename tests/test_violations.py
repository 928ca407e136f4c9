"""Violations: the messages one would send about them, what is muted, and that the frame stays one."""

from __future__ import annotations

import copy
import pickle
import re
from datetime import datetime, timedelta
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replaykit import engine
from replaykit.declarations import Table
from replaykit.errors import QueryError
from replaykit.outcomes import Episode, TickRecord
from replaykit.reconciler import Invariant, Reconciler
from replaykit.replay import replay
from replaykit.results import violations_frame
from replaykit.sources import load
from replaykit.systems.gastown import load_trace
from replaykit.systems.gastown import reconciler as gastown
from replaykit.violations import Violations
from replaykit.window import Window

T0 = datetime(2026, 3, 26, 6)
SECOND = timedelta(seconds=1)
BLIND = None  # what a tick saw at which the invariant raised


def after(seconds):
    """Return the instant `seconds` after the first tick."""
    return T0 + seconds * SECOND


def ticked(tick, at=None):
    """Return the record of a tick."""
    return TickRecord(tick, after(tick), 0, 0, 0, checked_at=after(tick if at is None else at))


def told(ticks, *, compress=True, blind=True):
    """Return the violations of a walk: ``ticks[n][invariant]`` is what tick n saw, a set of entities or BLIND."""
    invariants = {
        name: Invariant(name, None, None, ("id",)) for name in sorted({name for seen in ticks for name in seen})
    }
    episodes, standing, raised, records = [], {}, [], []
    for tick, seen in enumerate(ticks):
        for name, entities in seen.items():
            if entities is BLIND:
                raised.append((name, tick))
                continue
            for one in [key for key in standing if key[0] == name and key[1] not in entities]:
                standing.pop(one).closed = (tick, after(tick))
            for entity in sorted(entities):
                known = standing.get((name, entity))
                if known is None:
                    opened = (tick, after(tick), 0)
                    known = Episode(invariants[name], (entity,), opened, opened[:2], {"id": entity}, ticks=0)
                    standing[name, entity] = known
                    episodes.append(known)
                known.ticks += 1
                known.last = (tick, after(tick))
        if compress and records and ticks[tick - 1] == seen:
            records[-1].repeats += 1
        else:
            records.append(ticked(tick))
    return violations_frame(episodes, records, SECOND if compress else None, raised if blind else ())


def walked(ticks, clean):
    """Return the messages of a walk, told one tick after another by somebody who remembers only what he saw."""
    found = []
    asked, held, broken = set(), {}, {}
    for tick, seen in enumerate(ticks):
        closed, opened = [], []
        for name, entities in seen.items():
            for key in [key for key in broken if key[0] == name]:
                if entities is BLIND:
                    held[key] = 0
                elif key[1] in entities:
                    broken[key][0] += 1
                    held[key] = 0
                    broken[key][2] = None
                else:
                    held[key] += 1
                    broken[key][2] = broken[key][2] if broken[key][2] is not None else tick
                    if held[key] == clean:
                        number, since, free = broken.pop(key)
                        closed.append(("closed", *key, tick, after(tick), number, after(free) - after(since)))
            for entity in sorted(entities or ()):
                if (name, entity) not in broken:
                    broken[name, entity] = [1, tick, None]
                    held[name, entity] = 0
                    what = "opened" if name in asked else "open at start"
                    opened.append((what, name, entity, tick, after(tick), 1, timedelta()))
            if entities is not BLIND:
                asked.add(name)
        found += [*sorted(closed), *sorted(opened, key=lambda one: one[1:])]
    return found


def listed(changes):
    """Return messages as plain tuples, without text and row."""
    rows = changes.drop(columns=["text", "violation"]).itertuples(index=False, name=None)
    return [(*row[:4], row[4].to_pydatetime(), row[5], row[6].to_pytimedelta()) for row in rows]


def seen_as(text):
    """Return the ticks of one invariant from a text: x is broken, . holds, ? raised."""
    return [{"idle": {"x": {"a"}, ".": set(), "?": BLIND}[one]} for one in text]


def messages(text, clean=3):
    """Return what and tick of each message."""
    changes = told(seen_as(text)).changes(clean)
    return list(zip(changes["what"], changes["tick"], strict=True))


_entities = st.sets(st.sampled_from("ab"), max_size=2)
_walks = st.lists(st.fixed_dictionaries({"idle": st.none() | _entities, "lost": st.none() | _entities}), min_size=1)


@given(_walks, st.integers(1, 4), st.booleans())
def test_messages_are_those_of_a_walk_from_tick_to_tick(ticks, clean, compress):
    """Whatever is skipped and grouped, an alert that looked at each tick would have said the same."""
    found = listed(told(ticks, compress=compress).changes(clean))

    order = lambda one: (one[3], one[0] != "closed", one[1:3])  # noqa: E731
    assert sorted(found, key=order) == sorted(walked(ticks, clean), key=order)
    assert [one[3] for one in found] == sorted(one[3] for one in found)


def test_one_message_opens_and_one_closes():
    """Closed is said at the last of three clean ticks; it had lasted until the first."""
    changes = told(seen_as(".xx....")).changes()

    assert listed(changes) == [
        ("opened", "idle", "a", 1, after(1), 1, timedelta()),
        ("closed", "idle", "a", 5, after(5), 2, timedelta(seconds=2)),
    ]
    assert changes["text"].tolist() == [
        "idle: a opened, 2026-03-26T06:00:01Z",
        "idle: a closed after 2 ticks, 00:00:02",
    ]


def test_a_breach_that_returns_too_soon_goes_on():
    """Two clean ticks are not three, so a flapping invariant is one opening and one closing."""
    assert messages(".x..x.x...x") == [("opened", 1), ("closed", 9), ("opened", 10)]
    assert messages(".x..x", clean=2) == [("opened", 1), ("closed", 3), ("opened", 4)]
    text = told(seen_as(".x..x.x...")).changes()["text"].iloc[-1]
    assert text == "idle: a closed after 3 ticks, 00:00:06, with 2 pauses"


def test_nothing_closes_before_enough_clean_ticks_were_seen():
    """A replay that ends sooner does not know."""
    assert messages(".x..") == [("opened", 1)]


def test_nothing_closes_over_ticks_that_could_not_be_asked():
    """A raise is no sign of health, nor does it open or end anything."""
    assert messages(".x??????") == [("opened", 1)]
    assert messages(".x..?..?.x") == [("opened", 1)]
    assert messages(".x..?...") == [("opened", 1), ("closed", 7)]
    assert messages(".x?x...") == [("opened", 1), ("closed", 6)]


def test_what_was_there_when_first_asked_is_open_at_the_start():
    """Nobody saw it open; a tick that raised was no look."""
    assert messages("x") == [("open at start", 0)]
    assert messages("??x") == [("open at start", 2)]
    assert messages("?.x") == [("opened", 2)]


def test_keys_that_read_alike_are_told_apart():
    """("a", "b/c") and ("a/b", "c") are both shown as a/b/c."""
    pair = Invariant("pair", None, None, ("x", "y"))
    one = Episode(pair, ("a", "b/c"), (0, T0, 0), (0, T0), {"x": "a", "y": "b/c"}, closed=(1, after(1)))
    two = Episode(pair, ("a/b", "c"), (1, after(1), 0), (1, after(1)), {"x": "a/b", "y": "c"})

    changes = violations_frame([one, two], [ticked(0), ticked(1)]).changes(1)

    assert changes[["what", "violation"]].to_numpy().tolist() == [["open at start", 1], ["closed", 1], ["opened", 2]]


def test_a_message_says_what_the_invariant_said():
    """An invariant that yields a message has put it best; it may hold anything."""
    idle = Invariant("idle", None, None, ("id",))
    odd = Episode(idle, ("a\n",), (0, T0, 0), (0, T0), {"id": "a\n", "message": "agent \x1b[31ma is idle" + 500 * "!"})

    text = violations_frame([odd], [ticked(0)]).changes()["text"].item()

    assert text.startswith("idle: a\\n open at start, 2026-03-26T06:00:00Z: agent \\x1b[31ma is idle!")
    assert len(text) == 300


@pytest.mark.parametrize("clean", [0, -1, True, 1.0, "3", None])
def test_clean_is_a_number_of_ticks(clean):
    """Zero clean ticks would close what is broken."""
    with pytest.raises(QueryError, match="expected a whole number of ticks from 1"):
        told(seen_as("x")).changes(clean)


def test_a_frame_without_its_ticks_says_so():
    """Frames of two replays put together share no ticks; and a column may have been dropped."""
    one = told(seen_as("x"))

    with pytest.raises(QueryError, match=r"Ask run.violations.changes\(\) of one replay"):
        pd.concat([one, one]).changes()
    with pytest.raises(QueryError, match="no column 'invariant'; their columns are violation, entity"):
        one.drop(columns="invariant").changes()


def test_ticks_whose_numbers_start_again_tell_no_messages():
    """Then tick 0 may be either of two; a recorded log of ticks may do that."""
    records = [ticked(0), ticked(0)]

    with pytest.raises(QueryError, match="ascending numbers"):
        violations_frame([], records).changes()


def test_ticks_with_gaps_in_their_numbers_are_counted_one_by_one():
    """Recorded ticks may be numbered by tens; three clean ones are three."""
    idle = Invariant("idle", None, None, ("id",))
    episode = Episode(idle, ("a",), (20, after(1), 0), (20, after(1)), {"id": "a"}, closed=(30, after(2)))
    records = [ticked(10 * n, n - 1) for n in range(1, 6)]

    assert listed(violations_frame([episode], records).changes())[1][:5] == ("closed", "idle", "a", 50, after(4))


def test_a_tick_whose_invariants_were_not_asked_is_no_look():
    """The window may end between a tick's rules and its check."""
    idle = Invariant("idle", None, None, ("id",))
    episode = Episode(idle, ("a",), (0, T0, 0), (0, T0), {"id": "a"})
    unasked = TickRecord(2, after(2), 0, 0, 0)

    assert len(violations_frame([episode], [ticked(0), ticked(1), unasked]).changes(2)) == 1
    assert len(violations_frame([episode], [ticked(0), ticked(1), ticked(2)]).changes(2)) == 2


def jobs():
    """Return a reconciler that knows when each job was last seen, with one invariant in Python and one in SQL."""
    found = Reconciler("jobs", {"jobs": Table("id", seen="TIMESTAMP")})

    @found.apply("seen")
    def seen(state, event):
        state["jobs"].upsert(id=event.payload["id"], seen=event.occurred_at)

    @found.invariant("lost", key="id")
    def lost(state, now):
        return [{"id": job["id"]} for job in state["jobs"] if now - job["seen"] > timedelta(seconds=20)]

    found.invariant("newest", "SELECT id FROM jobs ORDER BY seen DESC LIMIT 1", key="id")
    return found


@pytest.fixture(scope="module")
def recording():
    """Job a is seen at 0 s, 60 s, 62 s and 200 s, job b at 1 s."""
    rows = [(0, "a"), (1, "b"), (60, "a"), (62, "a"), (200, "a")]
    frame = pd.DataFrame(
        [
            {"at": after(at), "what": "seen", "id": f"e{n}", "body": f'{{"id": "{job}"}}'}
            for n, (at, job) in enumerate(rows)
        ]
    )
    with load(frame, time="at", kind="what", id="id", payload="body") as found:
        yield found


def test_a_replay_tells_the_same_messages_whether_it_walks_its_ticks_or_skips_them(recording):
    """Stretches without events are answered at once; the messages in them have their ticks and times all the same."""
    skipping = replay(recording, jobs(), ticks="5s")
    with mock.patch.object(engine, "_GAP", 10**12):
        walking = replay(recording, jobs(), ticks="5s")

    assert len(skipping.metrics) < len(walking.metrics) == 41
    changes = skipping.violations.changes()
    pd.testing.assert_frame_equal(changes, walking.violations.changes())
    assert changes[["what", "invariant", "entity", "tick", "ticks"]].to_numpy().tolist() == [
        ["open at start", "newest", "a", 0, 1],
        ["opened", "newest", "b", 1, 1],
        ["closed", "newest", "a", 3, 1],
        ["opened", "lost", "a", 5, 1],
        ["opened", "lost", "b", 5, 1],
        ["opened", "newest", "a", 12, 1],
        ["closed", "newest", "b", 14, 11],
        ["closed", "lost", "a", 14, 7],
        ["opened", "lost", "a", 17, 1],
    ]
    assert changes["at"].tolist() == [after(5 * tick) for tick in changes["tick"]]


@pytest.mark.parametrize("gap", [3, 10**12])
def test_an_invariant_that_raises_closes_nothing(recording, gap):
    """Job a is back from 60 s to 80 s; whoever does not see all of that can't say so."""

    def asleep_until(until):
        reconciler = jobs()

        @reconciler.invariant("asleep", key="id")
        def asleep(state, now):
            if after(60) <= now <= until:
                raise RuntimeError("no answer")
            return [{"id": "a"}] if now - state["jobs"]["a"]["seen"] > timedelta(seconds=20) else []

        with mock.patch.object(engine, "_GAP", gap):
            run = replay(recording, reconciler, Window(T0, after(90)), ticks="5s", on_error="keep")
        return run.violations[run.violations["invariant"] == "asleep"]

    found = [asleep_until(after(80)), asleep_until(after(65))]

    assert [one["ticks"].tolist() for one in found] == [[8], [7, 1]]
    assert [one["closed_tick"].tolist() for one in found] == [[pd.NA], [14, pd.NA]]
    told = [list(zip(one.changes()["what"], one.changes()["tick"], strict=True)) for one in found]
    assert told == [[("opened", 5)], [("opened", 5), ("closed", 16), ("opened", 17)]]


def test_half_an_hour_of_the_incident_is_told_as_its_log_of_violations_tells_it():
    """Retraced tick by tick; invariants were asked at other times than rules, and ticks have their own numbers."""
    folder = Path(__file__).parent.parent / "sample_data" / "gastown-incident"
    with load_trace(folder) as recording:
        window = Window("2026-03-26T08:15:00Z", "2026-03-26T08:45:00Z")
        run = replay(recording, gastown, window, ticks="recorded", actions="recorded", on_error="keep")
    ticks = pd.read_parquet(folder / "ticks.parquet").sort_values("tick")
    ticks = ticks[(ticks["reconcile_at"] >= "2026-03-26T08:15") & (ticks["finished_at"] < "2026-03-26T08:45")]
    found = pd.read_parquet(folder / "violations.parquet")
    found["message"] = found["message"].str.replace(r"has \d+ MRs", "has n MRs", regex=True)
    seen = found.groupby("tick")["message"].agg(set)
    asked = [
        (tick, at, {"": seen.get(tick, set())}) for tick, at in zip(ticks["tick"], ticks["finished_at"], strict=True)
    ]

    changes = run.violations.changes()

    expected = [(one[0], *asked[one[3]][:2]) for one in walked([row[2] for row in asked], clean=3)]
    at = [f"{one:%Y-%m-%dT%H:%M:%S}.{one.microsecond // 1000:03}Z" for one in changes["at"]]
    assert list(zip(changes["what"], changes["tick"], at, strict=True)) == expected
    assert len(expected) == 8


def test_the_frame_stays_violations_through_what_pandas_does():
    """Filtered, sorted, copied and pickled, it still knows its ticks."""
    whole = told([*seen_as(".x..."), {"idle": {"b"}}])
    twins = [whole.copy(), copy.deepcopy(whole), pickle.loads(pickle.dumps(whole)), whole.sort_values("entity")]
    twins += [whole.reset_index(drop=True), whole[whole["ticks"] > 0], whole.query("ticks > 0"), whole.head(9)]

    for twin in twins:
        assert isinstance(twin, Violations)
        pd.testing.assert_frame_equal(twin.changes(), whole.changes())
    assert whole[whole["entity"] == "b"].changes()["what"].tolist() == ["opened"]


def test_no_violations_have_no_messages():
    """The good day; types are those of any other."""
    none, some = told(seen_as("...")), told(seen_as("x"))

    assert len(none.changes()) == 0
    assert none.changes().dtypes.to_dict() == some.changes().dtypes.to_dict()
    assert len(none.mute("ticks > 0").changes()) == 0
    assert len(none.muted) == 0
    assert "<p" in none._repr_html_()
    assert len(violations_frame([], []).changes()) == 0


def three():
    """Return three episodes: idle a of 2 ticks, idle b of 1, lost c of 3."""
    return told(
        [
            {"idle": {"a"}, "lost": {"c"}},
            {"idle": {"a", "b"}, "lost": {"c"}},
            {"idle": set(), "lost": {"c"}},
            *3 * [{"idle": set(), "lost": set()}],
        ]
    )


@pytest.mark.parametrize(
    ("predicate", "text"),
    [
        ("invariant == 'idle'", "invariant == 'idle'"),
        (lambda row: row["invariant"] == "idle", "<lambda>"),
        ({"invariant": "idle"}, "invariant = 'idle'"),
        ({"invariant": "idle", "entity": ["a", "b"]}, "invariant = 'idle' and entity = ['a', 'b']"),
        ({"entity": {"b", "a", None}}, "entity = ['a', 'b', None]"),
    ],
)
def test_a_mute_takes_rows_out_and_keeps_account(predicate, text):
    """What is not shown is counted; by query, by function or by values."""
    muted = three().mute(predicate, reason="known")

    assert muted["entity"].tolist() == ["c"]
    assert muted.mutes[["reason", "episodes", "ticks"]].to_numpy().tolist() == [["known", 2, 3]]
    assert muted.muted[["entity", "ticks", "reason"]].to_numpy().tolist() == [["a", 2, "known"], ["b", 1, "known"]]
    assert muted.muted["predicate"].unique().tolist() == [text]
    assert muted.changes()["what"].tolist() == ["open at start", "closed"]
    assert muted.changes().attrs["muted"] == muted.mutes.to_dict("records")
    assert len(three()) == 3


def test_mutes_accumulate_and_are_shown():
    """Each with its own reason; one that matches nothing is said as well, since it may be misspelt."""
    muted = three().mute({"entity": "a"}, reason="mayors <b>").mute("ticks > 2").mute({"entity": "zz"})
    notes = ["muted: 2 ticks in 1 episode: mayors <b>", "muted: 3 ticks in 1 episode: ticks > 2"]
    notes.append("muted: nothing matches: entity = 'zz'")

    assert muted["entity"].tolist() == ["b"]
    assert repr(muted).splitlines()[-3:] == notes
    html = muted._repr_html_()
    assert re.findall(r"<p[^>]*>(.*?)</p>", html)[1] == "muted: 2 ticks in 1 episode: mayors &lt;b&gt;"
    assert html == three().mute({"entity": "a"}, "mayors <b>").mute("ticks > 2").mute({"entity": "zz"})._repr_html_()
    assert muted[["entity"]]._repr_html_().count("muted: ") == 3


def test_what_pandas_makes_of_violations_is_shown_as_pandas_does():
    """A count per invariant is no longer a table of violations; some of the columns still say what was muted."""
    muted = three().mute({"entity": "a"})
    counted, narrow = muted.groupby("invariant").agg(episodes=("violation", "size")), muted[["entity", "ticks"]]

    assert counted._repr_html_() == pd.DataFrame(counted)._repr_html_()
    assert narrow._repr_html_().startswith(pd.DataFrame(narrow)._repr_html_())
    assert narrow._repr_html_().endswith("muted: 2 ticks in 1 episode: entity = &#x27;a&#x27;</p>")


def test_the_display_is_bounded_and_escaped():
    """Names of entities are anybody's text, and a bad day has thousands."""
    many = told([{"idle": {f"<img src=x{n}>" for n in range(500)}}])
    for n in range(30):
        many = many.mute({"entity": f"nobody {n}"})

    html = many._repr_html_()

    assert "<img" not in html
    assert html.count("<tr>") == 51
    assert html.count("muted: ") == 10
    assert "… 20 more mutes: .mutes" in html


def test_a_query_may_use_the_callers_names():
    """As DataFrame.query does; a missing number matches nothing."""
    known = ["a", "c"]  # noqa: F841 - the query uses it

    assert three().mute("entity in @known")["entity"].tolist() == ["b"]
    assert told(seen_as("xx"))["closed_tick"].isna().all()
    assert len(told(seen_as("xx")).mute("closed_tick > 0")) == 1
    assert len(told(seen_as("xx")).mute({"closed_tick": None})) == 0


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        (
            "rule == 'idle'",
            r"mute\(\"rule == 'idle'\"\) can't be asked: UndefinedVariableError.*The columns are violation,",
        ),
        ("invariant ==", "SyntaxError.*The columns are violation, invariant"),
        ("ticks", "says nothing about rows; compare a column, of violation, invariant"),
        ("ticks = 1", "says nothing about rows"),
        ("entity > 1", "can't be asked: TypeError"),
        ({"rule": "idle"}, "no column 'rule'; their columns are violation, invariant, entity"),
        (lambda row: row["rule"], r"raised KeyError\('rule'\) at row 0.*whose columns are violation, invariant"),
        (lambda row: row.rule, "raised AttributeError"),
        ({}, "expected a query text, a function of a row, or a mapping"),
        (7, "predicate is 7; expected a query text"),
    ],
)
def test_a_predicate_that_can_not_be_asked_names_the_columns(predicate, message):
    """A mute that silently took nothing, or everything, would be worse than none."""
    with pytest.raises(QueryError, match=message):
        three().mute(predicate)
