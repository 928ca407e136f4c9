"""Write the messy export of a small shop: orders.csv and two snapshots of its orders table.

Run ``python generate.py [folder]``. The seed is fixed, so the files come out the same, byte for byte.
"""

from __future__ import annotations

import csv
import io
import json
import random
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
FIRST_SNAPSHOT = datetime(2026, 3, 8, 18, 0, tzinfo=UTC)
SECOND_SNAPSHOT = datetime(2026, 3, 15, 18, 0, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=1))  # winter time: the export ends before the clocks change
ORDERS = 236
PAGE = 250  # the shop's export numbers the rows of each page from 1
HEADER = ["#", "When", "What", "order", "customer e-mail", "group", "details"]
PRICES = {"MUG-01": 1290, "TEE-S": 2450, "TEE-M": 2450, "CAP-02": 1890, "POSTER A2": 990, "STICKER": 250}
CARRIERS = ["DHL", "Hermes", "DPD"]
NOTES = [
    "please ring twice",
    'gift, write "Alles Gute" on it',
    "Lieferung bitte nach Möglichkeit\nerst ab Freitag",
    "NULL",
]
STATUS_AFTER = {
    "order_placed": "placed",
    "payment_captured": "paid",
    "shipped": "shipped",
    "delivered": "delivered",
    "cancelled": "cancelled",
    "refunded": "refunded",
}


@dataclass
class Event:
    """One thing that happened, before an export system has spoilt it."""

    at: datetime
    what: str
    order: str
    system: str
    details: dict[str, object] = field(default_factory=dict)


@dataclass
class Order:
    """What the shop's own table says of an order."""

    number: str
    email: str
    group: str
    status: str = "placed"
    total_cents: int = 0
    carrier: str = ""


def later(chance: random.Random, at: datetime, hours: float) -> datetime:
    """Return a moment up to so many hours after another, to the millisecond."""
    return at + timedelta(milliseconds=chance.randrange(60_000, int(hours * 3_600_000)))


def order_life(chance: random.Random, number: str, at: datetime) -> list[Event]:
    """Return everything that happens to one order, in order."""
    lines = [
        {"sku": sku, "qty": chance.randint(1, 3), "cents": PRICES[sku]}
        for sku in chance.sample(sorted(PRICES), chance.randint(1, 3))
    ]
    total = sum(int(str(line["qty"])) * int(str(line["cents"])) for line in lines)
    front = chance.choice(["web", "web", "app", "till"])
    events = [Event(at, "order_placed", number, front, {"lines": lines, "total_cents": total})]
    if chance.random() < 0.15:
        at = later(chance, at, 0.3)
        events.append(Event(at, "note_added", number, front, {"text": chance.choice(NOTES)}))
    while chance.random() < 0.12:
        at = later(chance, at, 0.2)
        events.append(Event(at, "payment_failed", number, front, {"reason": chance.choice(["declined", "timeout"])}))
    if chance.random() < 0.08:
        return [*events, Event(later(chance, at, 20), "cancelled", number, front, {"by": "customer"})]
    at = later(chance, at, 1)
    events.append(Event(at, "payment_captured", number, front, {"amount_cents": total}))
    if chance.random() < 0.06:
        at = later(chance, at, 10)
        events.append(Event(at, "cancelled", number, "web", {"by": chance.choice(["customer", "shop"])}))
        return [*events, Event(later(chance, at, 30), "refunded", number, "web", {"amount_cents": total})]
    return [*events, *parcel(chance, number, at, total)]


def parcel(chance: random.Random, number: str, at: datetime, total: int) -> list[Event]:
    """Return what the warehouse reports, and what happens after."""
    events = []
    at = later(chance, at, 30)
    events.append(Event(at, "picked", number, "warehouse", {"bin": f"R{chance.randint(1, 40):02d}"}))
    at = later(chance, at, 6)
    events.append(Event(at, "shipped", number, "warehouse", {"carrier": chance.choice(CARRIERS), "parcels": 1}))
    if chance.random() < 0.9:
        at = later(chance, at, 60)
        events.append(Event(at, "delivered", number, "warehouse"))
        if chance.random() < 0.07:
            events.append(Event(later(chance, at, 50), "refunded", number, "web", {"amount_cents": total}))
    return events


def accidents(chance: random.Random, lives: dict[str, list[Event]]) -> None:
    """Let a few things go wrong that the shop did not notice: parcels sent after a cancellation, money taken twice."""
    sent = [number for number, life in lives.items() if any(event.what == "shipped" for event in life)]
    for number in chance.sample(sent, 3):
        shipped = next(event for event in lives[number] if event.what == "shipped")
        at = shipped.at - timedelta(minutes=chance.randint(5, 50))
        lives[number].append(Event(at, "cancelled", number, "app", {"by": "customer"}))
    for number in chance.sample(sent, 2):
        first = next(event for event in lives[number] if event.what == "payment_captured")
        lives[number].append(Event(first.at + timedelta(seconds=4), first.what, number, first.system, first.details))


def state_at(orders: dict[str, Order], events: list[Event], at: datetime) -> dict[str, Order]:
    """Return the orders table as the events up to a moment make it."""
    state: dict[str, Order] = {}
    for event in events:
        if event.at > at:
            break
        order = state.setdefault(event.order, Order(event.order, orders[event.order].email, orders[event.order].group))
        order.status = STATUS_AFTER.get(event.what, order.status)
        if event.what == "order_placed":
            order.total_cents = int(str(event.details["total_cents"]))
        if event.what == "shipped":
            order.carrier = str(event.details["carrier"])
    return state


def change_by_hand(chance: random.Random, state: dict[str, Order], old: dict[str, Order]) -> None:
    """Change orders the way a colleague with database access does: without an event."""
    settled = [n for n in sorted(old) if n in state and state[n].status == "delivered" == old[n].status]
    discounted, refunded, resent, deleted = chance.sample(settled, 4)
    state[discounted].total_cents -= 1000
    state[refunded].status = "refunded"
    state[resent].status, state[resent].carrier = "shipped", "DPD"
    del state[deleted]
    state["P-1"] = Order("P-1", "phone@example.org", "retail", "paid", 4980)


def written_time(event: Event) -> str:
    """Return the time as the system that reported the event writes it."""
    if event.system == "app":
        return str(int(event.at.timestamp() * 1000))
    if event.system == "warehouse":
        return event.at.astimezone(BERLIN).isoformat(timespec="seconds")
    if event.system == "till":
        return event.at.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S")
    return event.at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def rows_of(events: list[Event], orders: dict[str, Order]) -> list[list[str]]:
    """Return the rows of the export, warehouse reports in their batches of the full hour."""
    arrived = sorted(
        events,
        key=lambda e: e.at.replace(minute=59, second=59) if e.system == "warehouse" else e.at,
    )
    rows = []
    for place, event in enumerate(arrived):
        order = orders[event.order]
        details = json.dumps(event.details, ensure_ascii=False) if event.details else ""
        number = str(place % PAGE + 1)
        rows.append([number, written_time(event), event.what, event.order, order.email, order.group, details])
    return rows


def spoil(chance: random.Random, rows: list[list[str]]) -> None:
    """Break a few rows: times that are none, JSON that stops, a row that lost its cells."""
    delivered = [row for row in rows if row[2] == "delivered"]
    noted = [row for row in rows if row[2] == "picked"]
    for row, time in zip(chance.sample(delivered, 2), ["0000-00-00 00:00:00", "gestern"], strict=True):
        row[1] = time
    broken = chance.sample(noted, 3)
    broken[0][1] = "2026-02-30T10:00:00+01:00"
    broken[1][6] = broken[1][6][:-3]
    del broken[2][4:]


def table(header: list[str], rows: list[list[str]], newline: str) -> str:
    """Return rows as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=newline)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def snapshot(state: dict[str, Order]) -> bytes:
    """Return the orders table as CSV, the way its database prints it."""
    header = ["order", "status", "total_cents", "carrier", "customer e-mail", "group"]
    rows = [
        [order.number, order.status, str(order.total_cents), order.carrier, order.email, order.group]
        for _, order in sorted(state.items())
    ]
    return table(header, rows, "\n").encode()


def main(folder: Path) -> None:
    """Write the three files."""
    chance = random.Random(20260302)
    orders, lives = {}, {}
    at = START
    for count in range(ORDERS):
        number = f"A-{1001 + count}"
        group = chance.choice(["retail", "retail", "trade"])
        orders[number] = Order(number, f"customer{chance.randint(1, 90)}@example.org", group)
        lives[number] = order_life(chance, number, at)
        at = later(chance, at, 2.6)
    accidents(chance, lives)
    events = sorted((e for life in lives.values() for e in life if e.at <= SECOND_SNAPSHOT), key=lambda e: e.at)
    before, after = state_at(orders, events, FIRST_SNAPSHOT), state_at(orders, events, SECOND_SNAPSHOT)
    change_by_hand(chance, after, before)
    rows = rows_of(events, orders)
    spoil(chance, rows)
    export = "\ufeff" + table(HEADER, rows, "\r\n")
    cut = export.rindex("\r\n", 0, -2) + 2 + 31  # the connection was lost in the last row
    (folder / "orders.csv").write_bytes(export[:cut].encode())
    (folder / "orders_2026-03-08.csv").write_bytes(snapshot(before))
    (folder / "orders_snapshot.csv").write_bytes(snapshot(after))
    print(f"{len(rows)} rows, {len(before)} and {len(after)} orders")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
