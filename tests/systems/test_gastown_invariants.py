"""gastown's five invariants in SQL, asked over intervals and by LATERAL, on every state of the vectors."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from town import VECTORS, Town, read_vectors

import replaykit as rk
from replaykit.systems.gastown import reconciler
from replaykit.temporal import only

START = pd.Timestamp("2026-03-26T06:00:00").to_pydatetime()
SECOND = timedelta(seconds=1)
TABLES = ("beads", "agent_metadata", "bead_dependencies")


def states() -> list[dict[str, list[dict[str, Any]]]]:
    """Return the states of all scenarios: at the start, and after the events."""
    found = []
    for scenario in read_vectors(VECTORS):
        town = Town(scenario["state"], scenario["now"], scenario["options"]["town_id"])
        found.append({name: rows for name, rows in town.state.image().items() if name in TABLES})
        for event in scenario["events"]:
            town.event(event)
        found.append({name: rows for name, rows in town.state.image().items() if name in TABLES})
    return found


@pytest.fixture(scope="module")
def runs() -> dict[str, rk.Replay]:
    """One replay that goes from one state to the next, a tick behind each, in every way."""
    all_states = states()
    rules = rk.Reconciler("vectors", {name: reconciler.tables[name] for name in TABLES})

    @rules.apply("state")
    def state(state: Any, event: Any) -> None:
        for name, rows in all_states[event.payload].items():
            for key in [*(tuple(row[part] for part in state[name].key) for row in state[name].find())]:
                state[name].delete(key if len(key) > 1 else key[0])
            for row in rows:
                state[name].insert(dict(row))

    for name, invariant in reconciler.invariants.items():
        assert invariant.statement is not None
        rules.invariant(name, invariant.statement.text, key=invariant.key)
    events = pd.DataFrame(
        [{"at": START + n * SECOND, "kind": "state", "body": json.dumps(n)} for n, _ in enumerate(all_states)]
    )
    found = {}
    with rk.load(events, time="at", kind="kind", payload="body") as recording:
        for way in ("tick by tick", "intervals", "lateral"):
            with only(way):
                found[way] = rk.replay(recording, rules, ticks="1s")
    return found


@pytest.mark.parametrize("way", ["intervals", "lateral"])
def test_the_invariants_find_on_every_vector_what_they_find_tick_by_tick(runs: dict[str, rk.Replay], way: str) -> None:
    """The same breaches, opened and closed at the same states, in the same order, with the same messages."""
    assert set(runs[way].evaluation["how"]) == {way}
    assert len(runs[way].evaluation) == 5
    assert len(runs[way].violations) > 50
    assert runs[way].violations.to_csv() == runs["tick by tick"].violations.to_csv()
    assert runs[way].violations.changes().to_csv() == runs["tick by tick"].violations.changes().to_csv()
    assert runs[way].metrics["violations"].tolist() == runs["tick by tick"].metrics["violations"].tolist()
