"""check: SQL invariants over snapshots and logs, their breaches as episodes."""

from __future__ import annotations

import pandas as pd
import pytest
from incident import incident

from replaykit.errors import GuardError, QueryError, VerdictError
from replaykit.findings import check

OPEN_REVIEWS = """
    SELECT b.rig_id, count(*) AS reviews FROM beads AS b JOIN review_metadata USING (bead_id)
    WHERE b.status = 'in_progress' GROUP BY b.rig_id HAVING count(*) > 1 -- invariant 3
"""


def test_state_is_seen_as_of_each_snapshot():
    """The same count made from the snapshots' frames one by one."""
    found = incident().check("one_review", OPEN_REVIEWS, ["rig_id"])

    seen = []
    for snapshot in incident().snapshots:
        rows = snapshot["beads"].merge(snapshot["review_metadata"], on="bead_id").query("status == 'in_progress'")
        counts = rows.groupby("rig_id").size()
        seen += [(snapshot.number, rig) for rig in counts.index[counts > 1]]
    assert found.frame["ticks"].sum() == len(seen)
    assert found.frame[["rig_id", "opened_tick", "closed_tick", "reviews"]].to_numpy().tolist() == [
        ["a3f91c07-1d52-4e0b-9c7e-6b2d5a40e811", 1, 5, 2],
        ["a3f91c07-1d52-4e0b-9c7e-6b2d5a40e811", 6, 7, 3],
        ["a3f91c07-1d52-4e0b-9c7e-6b2d5a40e811", 10, 11, 3],
    ]


def test_now_and_the_logs_are_those_of_the_snapshot():
    """A recorded action from after a snapshot was not there yet when it was taken."""
    found = check(incident(), "log", "SELECT count(*) AS n, $now AS t, $m AS m FROM actions", params={"m": 7})
    events = check(incident(), "log", "SELECT max(position) AS last FROM events")

    assert found.frame["n"].iloc[0] == 0
    assert found.frame["n"].iloc[-1] == 8890
    assert found.frame["t"].tolist() == [snapshot.at for snapshot in incident().snapshots]
    assert events.frame["last"].dropna().tolist() == [
        s.after_position for s in incident().snapshots if s.after_position
    ]


def test_a_log_is_asked_once_and_its_breaches_have_a_place():
    """At most five triage requests may be open; here: actions asked for at the same tick, twice."""
    sql = """SELECT payload ->> 'bead_id' AS bead_id, max(position) AS position, count(*) AS n FROM actions
        WHERE kind = 'dispatch_agent' GROUP BY ALL HAVING count(*) > 8"""
    found = check(incident(), "dispatched_often", sql, ["bead_id"], over="actions")

    assert len(found) == len(found.frame) > 0
    assert set(found.frame["n"]) == {n for n in found.frame["n"] if n > 8}
    assert found.frame["opened_tick"].is_monotonic_increasing
    with pytest.raises(QueryError, match=r"max\(position\) AS position"):
        check(incident(), "x", "SELECT count(*) AS n FROM actions", over="actions")


def test_what_holds_says_so_and_what_does_not_raises_when_asked():
    """Findings are data; failing is a choice."""
    good = check(incident(), "known", "SELECT bead_id FROM beads WHERE status = 'lost'")
    bad = check(incident(), "one_review", OPEN_REVIEWS, "rig_id")

    good.raise_for_violations()
    assert good.sentence == "known: holds over 13 snapshots."
    with pytest.raises(VerdictError, match="one_review: 3 episodes of breach over 13 snapshots"):
        bad.raise_for_violations()
    assert repr(bad) == "Check('one_review', 3 episodes over 13 snapshots)"
    assert "<script" not in bad._repr_html_()


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("DROP TABLE beads", GuardError, "DROP"),
        ("SELECT now()", GuardError, r"\$now"),
        ("SELECT 1; SELECT 2", GuardError, "2 statements"),
        ("SELECT * FROM read_csv('/etc/passwd')", GuardError, "read_csv"),
        ("SELECT * FROM nowhere", QueryError, "nowhere"),
        ("SELECT $limit AS x", QueryError, r"params=\{'limit': ...\}"),
    ],
)
def test_harmful_or_broken_sql_is_refused(sql, error, message):
    """The guard comes first; what DuckDB says comes with the invariant's name."""
    with pytest.raises(error, match=message):
        check(incident(), "mine", sql)


def test_a_key_that_is_not_selected_and_an_unknown_log_are_errors():
    """Errors list what there is."""
    with pytest.raises(QueryError, match="No key column 'rig'"):
        check(incident(), "one_review", OPEN_REVIEWS, "rig")
    with pytest.raises(QueryError, match="'snapshots', 'events'"):
        check(incident(), "one_review", OPEN_REVIEWS, over="ticks")


def test_a_check_leaves_nothing_behind():
    """Views and the moment's table live on a cursor of the check alone."""
    check(incident(), "one_review", OPEN_REVIEWS, "rig_id")

    tables = incident()._fetch("SELECT table_name FROM information_schema.tables WHERE table_catalog = 'temp'")
    assert tables == []
    assert pd.notna(len(incident().sql("SELECT * FROM events")))
