"""The quickstart's orders in Node and in Go give the same history, actions and violations as in Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import replaykit as rk

TWINS = Path(__file__).parent / "twins"
WINDOW = rk.Window("2026-03-02T00:00Z", "2026-03-16T00:00Z")
STATUS = {
    "order_placed": "placed",
    "payment_captured": "paid",
    "payment_failed": "unpaid",
    "picked": "picked",
    "shipped": "shipped",
    "delivered": "delivered",
    "cancelled": "cancelled",
    "refunded": "refunded",
}


def found(command: str) -> str:
    """Return where a command is; where CI demands it, its absence is no reason to skip."""
    path = shutil.which(command)
    if path is None:
        reason = f"there is no {command} on this machine"
        if os.environ.get("REPLAYKIT_PROGRAMS") == "required":
            pytest.fail(f"REPLAYKIT_PROGRAMS=required, and {reason}")
        pytest.skip(reason)
    return path


def command_of(language: str, folder: Path) -> list[str]:
    """Return how a twin is run; the one in Go is compiled first."""
    if language == "node":
        return [found("node"), str(TWINS / "orders.mjs")]
    go, target = found("go"), folder / "orders"
    env = {**os.environ, "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "GOFLAGS": ""}
    built = subprocess.run(
        [go, "build", "-o", str(target), str(TWINS / "orders.go")], env=env, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return [str(target)]


@pytest.fixture(scope="module", params=["node", "go"])
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> rk.Reconciler:
    """Return the orders as a program in another language."""
    return rk.external(command_of(request.param, tmp_path_factory.mktemp("twin")), state="json")


@pytest.fixture(scope="module")
def shop(sample_data: Path) -> rk.Recording:
    """Return the shop of the quickstart."""
    return rk.load(
        str(sample_data / "orders" / "orders.csv"),
        time="When",
        kind="What",
        payload="details",
        tz="Europe/Berlin",
        mask=["customer e-mail"],
        mask_key="tests",
    )


@pytest.fixture(scope="module")
def orders() -> rk.Reconciler:  # noqa: C901 - one function for each thing orders do
    """Return the orders in Python."""
    columns = {"status": "VARCHAR", "since": "TIMESTAMP", "moves": "BIGINT"}
    orders = rk.Reconciler("orders", {"orders": rk.Table("order", columns)}, {"patience_hours": 48})

    @orders.apply(*STATUS)
    def moved(state, event):
        before = state["orders"].get(event["order"])
        moves = 1 + (before["moves"] if before else 0)
        state["orders"].upsert(
            {"order": event["order"], "status": STATUS[event.kind], "since": event.occurred_at, "moves": moves}
        )

    orders.ignore("note_added")

    @orders.act("remind")
    def remind(state, action):
        state["orders"].update(action["order"], status="reminded", since=state.now)

    @orders.rule("remind_unpaid", key="order")
    def remind_unpaid(state, now):
        for order in state["orders"].find(status="unpaid"):
            yield rk.Action("remind", order=order["order"])

    @orders.rule("chase_carrier", key="order")
    def chase_carrier(state, now):
        for order in state["orders"].find(status="shipped"):
            if now - order["since"] > pd.Timedelta(hours=state.params["patience_hours"]):
                yield rk.Action("chase", order=order["order"])

    @orders.invariant("paid for a day", key="order")
    def paid_for_a_day(state, now):
        for order in state["orders"].find(status="paid"):
            if now - order["since"] > pd.Timedelta(days=1):
                since = order["since"].isoformat(timespec="milliseconds") + "Z"
                yield {"order": order["order"], "since": since}

    return orders


@pytest.mark.parametrize("actions", ["collect", "apply"])
def test_a_twin_gives_the_same_as_the_python_one(shop, orders, twin, actions):
    """Every version of every row, every action at every tick in the same order, every violation."""
    ours = rk.replay(shop, orders, WINDOW, ticks="2h", actions=actions)
    theirs = rk.replay(shop, twin, WINDOW, ticks="2h", actions=actions)

    versions = "SELECT * FROM history.orders ORDER BY change"
    assert_frame_equal(theirs.history.frame(versions), ours.history.frame(versions))
    assert_frame_equal(theirs.steps, ours.steps)
    assert theirs.emitted == ours.emitted
    assert_frame_equal(theirs.actions, ours.actions)
    assert_frame_equal(pd.DataFrame(theirs.violations), pd.DataFrame(ours.violations))
    assert len(theirs.events) > 1_000
    assert {"remind", "chase"} == set(theirs.actions["kind"])
    assert len(theirs.violations) > 5
    assert_frame_equal(theirs.problems, ours.problems)


def test_two_replays_of_a_twin_are_compared_as_any_other(shop, twin):
    """A changed parameter of a program in another language is reported tick by tick."""
    window = rk.Window("2026-03-06T00:00Z", "2026-03-09T00:00Z")

    found = rk.compare(shop, twin, twin.with_params(patience_hours=36), window=window, ticks="2h")

    assert "chase_carrier" in str(found)


def test_why_reads_what_the_twin_says(shop, twin):
    """A program says in one line per action what Python is watched for."""
    run = rk.replay(shop, twin, WINDOW, ticks="12h")

    why = run.why(run.actions.query("kind == 'chase'").iloc[0])

    assert [cell.column for cell in why.cells] == ["status", "since"]
    assert why.cause.blame.kind == "shipped"
