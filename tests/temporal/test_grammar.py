"""Rules drawn from a grammar over random lives: every way says what asking at every tick says."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruled import T0, after, how, plant, same_in_all, written
from samples import some

import replaykit as rk

KINDS = ["open", "lost", "done", "gone", "linked"]
EVENT = st.tuples(
    st.integers(0, 40).map(lambda n: 2.5 * n) | st.floats(0, 100).map(lambda x: round(x, 2)),
    st.sampled_from(KINDS),
    st.fixed_dictionaries(
        {"id": st.sampled_from("abc"), "b": st.sampled_from("abc")},
        optional={"n": st.sampled_from([None, 0, 1, 2]), "kind": st.sampled_from(["x", None])},
    ),
)
EVENTS = st.lists(EVENT, min_size=1, max_size=14).map(lambda events: sorted(events, key=lambda event: event[0]))


def _compared(alias):
    column = st.sampled_from([f"{alias}.n", f"{alias}.n + 1", "1", "$limit", "$none"])
    return st.builds("{} {} {}".format, column, st.sampled_from(["=", "<", ">=", "<>", "IS DISTINCT FROM"]), column)


def _aged(alias):
    ages = [
        "$now - {}.seen > $patience", "{}.seen + INTERVAL 15 SECOND <= $now", "$now < {}.seen + $patience",
        "$now BETWEEN {}.seen AND {}.seen + $patience", "NOT ($now - {}.seen <= INTERVAL 10 SECOND)",
        "epoch($now - {}.seen) > 20", "$now = {}.seen + INTERVAL 5 SECOND",
    ]  # fmt: skip
    return st.sampled_from(ages).map(lambda text: text.replace("{}", alias))


def _told(alias):
    plain = ["{}.status = 'lost'", "{}.status IN ('open', 'done')", "{}.n IS NULL", "{}.id > 'a'", "true"]
    return st.sampled_from(plain).map(lambda text: text.replace("{}", alias))


@st.composite
def conditions(draw, alias, depth=1):
    """Draw a condition on the rows of a source, and on what else there is."""
    return draw(_conditions(alias, depth))


def _conditions(alias, depth):
    simple = st.one_of(_told(alias), _told(alias), _compared(alias), _aged(alias))
    if depth:
        inner = conditions("s", depth - 1)
        tests = ["EXISTS", "NOT EXISTS"]
        linked = st.sampled_from([f"s.n = {alias}.n", f"s.id <> {alias}.id", f"s.n > {alias}.n", "true"])
        exists = st.builds("{} (SELECT 1 FROM jobs AS s WHERE {} AND {})".format, st.sampled_from(tests), linked, inner)
        inside = st.builds(
            "{}.n {} (SELECT s.n FROM jobs AS s WHERE {} AND {})".format,
            st.just(alias), st.sampled_from(["IN", "NOT IN"]), linked, inner,
        )  # fmt: skip
        link = st.builds(
            "{} (SELECT 1 FROM links AS l WHERE l.a = {}.id)".format, st.sampled_from(tests), st.just(alias)
        )
        simple = st.one_of(simple, simple, exists, inside, link)
    pair = st.builds("({} {} {})".format, simple, st.sampled_from(["AND", "AND", "OR"]), simple)
    return st.one_of(simple, pair, simple.map("NOT ({})".format))


JOIN = st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT JOIN"])
ON = st.one_of(
    st.sampled_from(["a.n = b.n", "a.id = b.id", "a.n < b.n", "a.n = b.n AND a.id <> b.id"]),
    st.builds("a.n = b.n AND {}".format, st.one_of(_told("b"), _aged("a"), _aged("b"))),
)
ORDER = st.sampled_from(["", "", " ORDER BY 1 DESC", " ORDER BY 2", " ORDER BY 2 DESC NULLS FIRST, 1"])
LIMIT = st.sampled_from(["", "", "", " LIMIT 1", " LIMIT 2 OFFSET 1"])
ROWS = st.builds("SELECT a.id, a.n FROM jobs AS a WHERE {}{}{}".format, conditions("a"), ORDER, LIMIT)
JOINED = st.builds(
    "SELECT a.id, b.id AS other, b.n FROM jobs AS a {} jobs AS b ON {} WHERE {}{}".format,
    JOIN, ON, st.one_of(st.just("true"), conditions("a"), conditions("b", 0)), ORDER,
)  # fmt: skip
LINKED = st.builds(
    "SELECT a.id, l.b, c.status FROM jobs AS a {} links AS l ON l.a = a.id {} jobs AS c ON c.id = l.b WHERE {}".format,
    JOIN, JOIN, st.one_of(st.just("true"), conditions("a", 0)),
)  # fmt: skip
GROUPED = st.builds(
    "SELECT a.{}, count(*) AS c, max(a.n) AS m, sum(a.n) AS s FROM jobs AS a WHERE {} GROUP BY 1{}{}".format,
    st.sampled_from(["status", "n"]), conditions("a"),
    st.sampled_from(["", " HAVING count(*) > 1", " HAVING $now - max(a.seen) > $patience", " HAVING max(a.n) IS NULL"]),
    ORDER,
)  # fmt: skip
WHOLE = st.builds("SELECT count(*) AS c, min(a.n) AS m FROM jobs AS a WHERE {}".format, conditions("a"))
WINDOWED = st.builds(
    "SELECT a.id, {} OVER ({}) AS w FROM jobs AS a WHERE {}".format,
    st.sampled_from(["rank()", "count(*)", "max(a.n)", "sum(a.n)", "row_number()", "lag(a.n)"]),
    st.sampled_from(["ORDER BY a.n, a.id", "PARTITION BY a.status ORDER BY a.id", "PARTITION BY a.n", ""]),
    conditions("a", 0),
)  # fmt: skip
EVENTFUL = st.builds(
    "SELECT e.event_id, a.n FROM events AS e {} jobs AS a ON a.id = e.payload->>'id' WHERE {}".format,
    st.sampled_from(["JOIN", "LEFT JOIN"]),
    st.sampled_from(["e.kind = 'lost'", "$now - e.occurred_at > $patience", "e.step > 2 AND a.seen > e.occurred_at"]),
)
TOGETHER = st.builds(
    "SELECT {}n FROM ({}) AS t {} SELECT n FROM jobs WHERE n > 0{}".format,
    st.sampled_from(["", "DISTINCT "]), ROWS, st.sampled_from(["UNION", "UNION ALL", "EXCEPT"]),
    st.sampled_from(["", " ORDER BY 1 DESC"]),
)  # fmt: skip
NAMED = st.builds(
    "WITH t AS (SELECT a.status, count(*) AS n FROM jobs AS a WHERE {} GROUP BY 1) "
    "SELECT t.status, j.id FROM t {} jobs AS j ON j.n = t.n".format,
    conditions("a", 0), st.sampled_from(["JOIN", "LEFT JOIN"]),
)  # fmt: skip
RULES = st.lists(
    st.one_of(ROWS, ROWS, JOINED, JOINED, LINKED, GROUPED, GROUPED, WHOLE, WINDOWED, EVENTFUL, TOGETHER, NAMED),
    min_size=6, max_size=12,
)  # fmt: skip


@st.composite
def rules_of(draw):
    """Draw some rules."""
    return list(dict.fromkeys(draw(RULES)))


@settings(max_examples=some(8), deadline=None, suppress_health_check=list(HealthCheck))
@given(events=EVENTS, rules=rules_of(), ticks=st.sampled_from(["5s", "1s", "event", "3.7s"]))
def test_every_way_says_what_asking_at_every_tick_says(events, rules, ticks):
    """Actions with their order inside a tick, violations from opening to closing, messages, counts."""
    with written(events) as recording:
        runs = same_in_all(recording, plant(*rules), rk.Window(T0, after(120)), ticks=ticks)

    assert set(how(runs["tick by tick"]).values()) == {"tick by tick"}
