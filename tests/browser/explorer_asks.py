"""A person who asks an explorer why, and why not: each with a click on what is shown and one on a button."""

from __future__ import annotations

__all__ = ["ask"]


def ask(hand, seen):
    """Ask why a cell is so, why an action was emitted, and what stopped the rules 21 seconds before."""
    hand.open("State at")
    hand.cell(0, "title").click()
    key = hand.cell(0, "bead_id").inner_text()
    hand.until(lambda: hand.focus()["Entity"] == key, "the cell")
    seen["cell"], seen["why a cell"] = key, answer(hand, "Why")
    table = hand.open("Actions")
    place = max(n for n, row in enumerate(table["rows"]) if {"agent lost", "rpc-bead-0085"} <= set(row))
    seen["asked why"] = dict(zip(table["columns"], table["rows"][place], strict=True))
    hand.cell(place, "rule").click()
    hand.until(lambda: hand.focus()["Time"] == seen["asked why"]["opened_at"], "the focus")
    seen["why"] = answer(hand, "Why")
    answer(hand, "Why not")
    hand.enter("Time", "2026-03-26T14:25:10Z")
    hand.until(lambda: "was not emitted" in hand.caption("Why not"), "the answer of another time")
    seen["why not"] = hand.caption("Why not"), hand.open("Why not")
    hand.button("Clear focus").click()
    hand.until(lambda: hand.button("Why not?").is_disabled(), "the button to rest")


def answer(hand, view):
    """Press the button of a view; return the line above its table, and the rows by column."""
    hand.button(f"{view}?").click()
    table = hand.open(view)
    return hand.caption(view), [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
