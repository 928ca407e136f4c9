"""gastown's port against vectors made by the original code; ``--vectors=FILE`` runs others of the same format."""

from __future__ import annotations

from typing import Any

import pytest
from town import VECTORS, Town, analytics, comparable, made, plain, read_vectors, reason_of

from replaykit.systems.gastown.reading import GastownError


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each scenario, under its id."""
    path = metafunc.config.getoption("--vectors", default=None) or VECTORS
    scenarios = read_vectors(path)
    metafunc.parametrize("scenario", scenarios, ids=[scenario["id"] for scenario in scenarios])


def test_the_port_does_what_the_original_did(scenario: dict[str, Any]) -> None:
    """Every expectation of the scenario, in the order in which a tick goes through them."""
    expected = scenario["expected"]
    town = _town(scenario)

    results = [_result(town, event) for event in scenario["events"]]
    after_events = town.tables()
    emitted_actions, reconcile_error = _reconciled(town)
    chosen = scenario["given_actions"]
    applied, emitted = _applied(town, chosen if chosen is not None else emitted_actions or [])

    assert results == expected["event_results"]
    assert after_events == _tables(expected["state_after_events"])
    assert (reconcile_error, emitted_actions) == (expected["reconcile_error"], expected["actions"])
    assert [list(action) for action in emitted_actions or []] == [list(one) for one in expected["actions"] or []]
    assert applied == expected["apply_results"]
    assert emitted == expected["emitted"]
    assert town.tables() == _tables(expected["state_after_actions"])
    assert town.violations() == expected["violations"]
    for call in scenario.get("calls", ()):
        _check_call(scenario, call)


def _town(scenario: dict[str, Any]) -> Town:
    return Town(scenario["state"], scenario["now"], scenario["options"]["town_id"])


def _tables(tables: dict[str, Any]) -> dict[str, Any]:
    return {name: [comparable(row) for row in rows] for name, rows in tables.items()}


def _result(town: Town, event: dict[str, Any]) -> dict[str, Any]:
    reason = town.event(event)
    return {"event_id": event["event_id"], "ok": reason is None, "error": reason}


def _reconciled(town: Town) -> tuple[list[dict[str, Any]] | None, str | None]:
    try:
        return [plain(action) for action in town.reconcile()], None
    except GastownError as error:
        return None, error.reason


def _applied(town: Town, actions: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    results, emitted = [], []
    for action in map(made, actions):
        effects: list[Any] = []
        reason = reason_of(lambda action=action, effects=effects: effects.append(town.act(action)))
        effect = effects[0] if effects else None
        results.append({"ok": reason is None, "side_effect": effect is not None, "error": reason})
        found = analytics(town, action)
        emitted += [found] if found is not None else []
    return results, emitted


def _check_call(scenario: dict[str, Any], call: dict[str, Any]) -> None:
    town, rows = _town(scenario), scenario["town_events"]
    before = town.tables()
    answers: list[Any] = []
    reason = reason_of(lambda: answers.append(town.call(call["method"], call["args"], rows)))

    assert (answers[0] if answers else None, reason) == (call["result"], call["error"]), call["method"]
    assert town.tables() == before
