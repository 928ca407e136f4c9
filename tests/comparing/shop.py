"""A small shop whose orders get stuck, and ways to change its rules, for the tests that compare them."""

from __future__ import annotations

import random
from datetime import timedelta

import pandas as pd

import replaykit as rk

START = pd.Timestamp("2026-03-26T06:00")


def events(seed: int = 0, orders: int = 6) -> pd.DataFrame:
    """Return placed, paid and shipped events of some orders; some are never paid."""
    draw = random.Random(seed)
    rows = []
    for number in range(orders):
        at = draw.randrange(0, 300)
        for kind, chance in (("placed", 1.0), ("paid", 0.6), ("shipped", 0.5)):
            if draw.random() > chance:
                break
            rows.append({"at": START + timedelta(seconds=at), "kind": kind, "body": {"order": f"o{number}"}})
            at += draw.randrange(1, 400)
    frame = pd.DataFrame(rows).sort_values("at", kind="stable", ignore_index=True)
    return frame.assign(id=[f"e{number}" for number in range(1, len(frame) + 1)])


def recorded(seed: int = 0, orders: int = 6, **options) -> rk.Recording:
    """Return a recording of `events`."""
    return rk.load(events(seed, orders), time="at", kind="kind", id="id", payload="body", **options)


def shop(**params) -> rk.Reconciler:
    """Return the shop's rules: remind of what is not paid, ship what is; an order must not wait too long."""
    made = rk.Reconciler(
        "shop",
        {"orders": rk.Table("id", id="VARCHAR", status="VARCHAR", since="TIMESTAMP", reminders="BIGINT")},
        params={"patience": timedelta(seconds=60), **params},
    )

    @made.apply("placed", "paid", "shipped")
    def moved(state, event):
        key = event.payload["order"]
        before = state["orders"].get(key)
        reminders = before["reminders"] if before else 0
        row = {"id": key, "status": event.kind, "since": event.occurred_at, "reminders": reminders}
        state["orders"].upsert(row)

    @made.act("remind")
    def reminded(state, action):
        order = state["orders"].get(action["id"])
        state["orders"].update(action["id"], reminders=order["reminders"] + 1, since=state.now)

    @made.act("ship")
    def ship(state, action):
        """Asks the warehouse only."""

    @made.rule("remind", key="id")
    def remind(state, now):
        for order in state["orders"].find(status="placed"):
            if now - order["since"] >= state.params["patience"]:
                yield rk.Action("remind", id=order["id"], waited=(now - order["since"]).total_seconds() // 60)

    @made.rule("ship", key="id")
    def shipped(state, now):
        for order in state["orders"].find(status="paid"):
            yield rk.Action("ship", id=order["id"])

    made.invariant("waiting", "SELECT id FROM orders WHERE status <> 'shipped' AND $now - since > INTERVAL 4 MINUTE "
                   "ORDER BY id", key="id")  # fmt: skip
    return made


def refactored() -> rk.Reconciler:
    """Return the same rules, one of them written otherwise."""
    made = shop()

    @made.rule("remind", key="id")
    def remind(state, now):
        limit = state.params["patience"]
        late = [one for one in state["orders"].find() if one["status"] == "placed" and not now - one["since"] < limit]
        yield from (
            rk.Action("remind", waited=(now - one["since"]).total_seconds() // 60, id=one["id"]) for one in late
        )

    made.rules = {name: made.rules[name] for name in ("remind", "ship")}
    return made


def inverted() -> rk.Reconciler:
    """Return the rules with the condition of one turned round."""
    made = shop()

    @made.rule("ship", key="id")
    def shipped(state, now):
        for order in state["orders"].find():
            if order["status"] != "paid":
                yield rk.Action("ship", id=order["id"])

    return made


reconciler = shop()
"""What a test that is written down imports."""
