"""Why gastown's own invariants in SQL were broken: in an hour of the incident, and on small states."""

from __future__ import annotations

from functools import cache

import pytest
from incident import FOLDER
from sql_scenes import replayed

import replaykit as rk
from replaykit.systems import gastown
from replaykit.systems.gastown import reconciler

TABLES = {name: reconciler.tables[name] for name in ("beads", "agent_metadata", "bead_dependencies")}


@cache
def hour():
    """Return the hour of the incident in which invariants 3 and 4 were broken."""
    window = rk.Window("2026-03-26T14:00", "2026-03-26T15:00")
    return rk.replay(gastown.load_trace(FOLDER), gastown, window, ticks="recorded", actions="recorded")


def broken(number, rows):
    """Return why an invariant is broken on a small state."""
    made = rk.Reconciler("town", TABLES)
    made.invariant(number, reconciler.invariants[number].statement.text, key=reconciler.invariants[number].key)
    run = replayed(made, rows)
    return run.why(run.violations.iloc[0])


def test_every_violation_of_the_hour_has_cells_that_fit_its_state():
    """All statements order by rowid, which is no column of any table."""
    run = hour()
    assert set(run.violations["invariant"]) == {"3", "4"}
    for number in range(len(run.violations)):
        why = run.why(run.violations.iloc[number])
        state = run.at(step=why.step)

        assert why.cells
        assert why.decisive or why.rule == "3"  # of three merge requests two are still too many
        for cell in why.cells:
            row = state[cell.table].set_index(list(state.keys[cell.table])).loc[cell.key[0]]
            assert cell.column in state.keys[cell.table] or row[cell.column] == cell.value


def test_a_breach_by_absence_says_that_it_rests_on_what_was_not_there():
    """Of the bead that waits there are cells; of the merge request that should be there can be none."""
    run = hour()
    four = run.violations[run.violations["invariant"] == "4"].iloc[0]
    why = run.why(four)
    bead = four["entity"]

    assert [cell.name for cell in why.cells] == [f"beads[{bead}].{name}" for name in ("type", "status", "bead_id")]
    assert why.beyond.startswith("It also rests on what was not there, which has no cells: NOT EXISTS(SELECT 1 FROM ")


def test_a_group_names_the_cells_of_each_of_its_rows():
    """Three merge requests of one rig."""
    run = hour()
    why = run.why(run.violations[run.violations["invariant"] == "3"].iloc[0])

    assert why.beyond == ""
    assert len({cell.key for cell in why.cells}) == 3
    assert [cell.column for cell in why.cells] == ["type", "status", "rig_id"] * 3


@pytest.mark.parametrize(
    ("number", "rows", "named", "decisive"),
    [
        (
            "5",
            [(1, "beads", {"bead_id": "c", "type": "convoy", "status": "open"}),
             (2, "beads", {"bead_id": "c", "status": "in_progress"})],
            ["beads[c].type", "beads[c].status", "beads[c].bead_id"],
            ["beads[c].type", "beads[c].status", "beads[c].bead_id"],
        ),
        (
            "6",
            [(1, "agent_metadata", {"bead_id": "a", "current_hook_bead_id": "x"}),
             (2, "agent_metadata", {"bead_id": "b", "current_hook_bead_id": "x"})],
            ["agent_metadata[a].current_hook_bead_id", "agent_metadata[b].current_hook_bead_id"],
            ["agent_metadata[a].current_hook_bead_id", "agent_metadata[b].current_hook_bead_id"],
        ),
        (
            "7",
            [(1, "agent_metadata", {"bead_id": "a", "status": "idle"}),
             (2, "agent_metadata", {"bead_id": "a", "status": "working"})],
            ["agent_metadata[a].status", "agent_metadata[a].current_hook_bead_id", "agent_metadata[a].bead_id"],
            ["agent_metadata[a].status", "agent_metadata[a].current_hook_bead_id", "agent_metadata[a].bead_id"],
        ),
    ],
)  # fmt: skip
def test_the_other_invariants_name_the_cells_that_break_them(number, rows, named, decisive):
    """Each write behind them is one without which there is no breach."""
    why = broken(number, rows)

    assert [cell.name for cell in why.cells] == named
    assert [cell.name for cell in why.decisive] == decisive
    assert why.beyond == ""


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        ("SELECT bead_id FROM beads WHERE type = 'issue' ORDER BY rowid DESC", ["b", "a"]),
        ("SELECT x.bead_id FROM beads x JOIN beads y ON x.ROWID < y.rowid", ["a"]),
        ("SELECT x.bead_id FROM beads x WHERE NOT EXISTS (SELECT 1 FROM beads y WHERE y.rowid < x.rowid)", ["a"]),
        ('SELECT max_by(bead_id, "rowid") AS bead_id FROM beads GROUP BY type', ["b"]),
        ("SELECT * FROM beads WHERE rowid IN (SELECT min(rowid) FROM beads) ORDER BY beads.rowid", ["a"]),
    ],
)
def test_rowid_is_the_order_of_insertion_wherever_it_stands(rule, given):
    """It is a column of every state table that no * stands for, and no cell."""
    made = rk.Reconciler("town", TABLES)
    made.rule("asked", rule, key="bead_id")
    rows = [(1, "beads", {"bead_id": name, "type": "issue", "status": "open"}) for name in "ab"]
    run = replayed(made, rows)

    assert [fields["bead_id"] for _, _, fields, _ in run.emitted] == given
    why = run.why(1)
    assert why.cells
    assert {cell.key for cell in why.cells} >= {(given[0],)}
    assert "rowid" not in {cell.column for cell in why.cells}


def test_a_condition_on_rowid_is_told_like_any_other():
    """There is no cell to set, though."""
    made = rk.Reconciler("town", TABLES)
    made.rule("asked", "SELECT bead_id FROM beads WHERE rowid < 0", key="bead_id")
    run = replayed(made, [(1, "beads", {"bead_id": "a", "type": "issue", "status": "open"})])
    found = run.why_not("asked", bead_id="a").best

    assert (found.stop, found.reason) == ("condition", "condition rowid < 0 failed")
    assert (found.cells, found.needs) == ((), ())
