"""Divergence: emitted beside recorded actions, held to a plain reference."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replaykit as rk
from replaykit.divergence import _differences, _Emitted
from replaykit.sameness import Forms

KINDS = st.sampled_from(["start", "stop"])
ACTIONS = st.lists(st.tuples(KINDS, st.integers(0, 2), st.integers(0, 1)), max_size=7)


def differences(recorded, emitted):
    """Return what differs between lists of ``(kind, id, n)``."""
    theirs = [rk.Action(kind, id=id, n=n) for kind, id, n in recorded]
    mine = [_Emitted(kind, {"n": n, "id": id}, "rule", ("id",)) for kind, id, n in emitted]
    return list(_differences(theirs, mine, Forms([], [])))


def triple(kind, text):
    """Return an action in the frame as ``(kind, id, n)``."""
    fields = json.loads(text)
    return kind, fields["id"], fields["n"]


def without(actions, taken):
    """Return a list without the first occurrence of each of some actions."""
    left = list(actions)
    for one in taken:
        left.remove(one)
    return left


@settings(max_examples=300, deadline=None)
@given(ACTIONS, ACTIONS)
def test_the_differences_lead_from_the_recorded_list_to_the_emitted_one(recorded, emitted):
    """Nothing is lost, counted twice or made up."""
    found = differences(recorded, emitted)
    by = {
        what: [one for one in found if one["difference"] == what]
        for what in ("missing", "changed", "extra", "reordered")
    }
    gone = [triple(one["kind"], one["recorded"]) for what in ("missing", "changed") for one in by[what]]
    come = [triple(one["kind"], one["emitted"]) for what in ("extra", "changed") for one in by[what]]
    moved = [triple(one["kind"], one["recorded"]) for one in by["reordered"]]

    assert len(found) == sum(map(len, by.values()))
    assert Counter(recorded) - Counter(gone) + Counter(come) == Counter(emitted)
    assert (not found) == (recorded == emitted)
    assert not set(gone) & set(come)
    for one in by["changed"]:
        (kind, id, n), (other, same_id, m) = triple(one["kind"], one["recorded"]), triple(one["kind"], one["emitted"])
        assert (kind, id) == (other, same_id)
        assert n != m
        assert one["fields"] == "n"
    assert not Counter(moved) - Counter(recorded)


@settings(max_examples=300, deadline=None)
@given(st.permutations(list(range(6))))
def test_as_few_as_can_be_are_called_reordered(places):
    """Without those the rest stands in the recorded order, and no fewer would do."""
    recorded = [("start", n, 0) for n in range(6)]
    emitted = [("start", n, 0) for n in places]
    found = differences(recorded, emitted)
    moved = {triple(one["kind"], one["recorded"]) for one in found}
    longest = _longest_rising(places)

    rest = [one for one in emitted if one not in moved]
    assert {one["difference"] for one in found} <= {"reordered"}
    assert rest == [one for one in recorded if one not in moved]
    assert len(moved) == 6 - longest


def _longest_rising(places):
    best = [1] * len(places)
    for n in range(len(places)):
        best[n] = 1 + max((best[m] for m in range(n) if places[m] < places[n]), default=0)
    return max(best)


@settings(max_examples=200, deadline=None)
@given(ACTIONS, ACTIONS)
def test_recorded_ones_come_in_their_order_and_extra_ones_behind(recorded, emitted):
    """So the first difference is the first place at which the replay departs."""
    found = differences(recorded, emitted)
    shown = [triple(one["kind"], one["recorded"]) for one in found if one["recorded"]]
    coming = iter(recorded)

    assert all(one in coming for one in shown)
    assert [one["difference"] == "extra" for one in found] == sorted(one["difference"] == "extra" for one in found)


def run(recorded, emitted, key="job_id"):
    """Return a replay whose rule emits `emitted` at the one tick at which `recorded` was logged."""
    log = pd.DataFrame({"t": ["2026-03-26T06:00:05Z"] * len(recorded), "k": [k for k, _ in recorded],
                        "p": [json.dumps(fields) for _, fields in recorded]})  # fmt: skip
    frame = pd.DataFrame({"at": ["2026-03-26T06:00:00Z", "2026-03-26T06:01:00Z"], "what": "seen", "id": ["a", "b"]})
    rules = rk.Reconciler("rules", {"jobs": rk.Table("id", n="BIGINT")})
    rules.ignore("seen")
    rules.rule("all", key=key)(lambda state, now: [rk.Action(kind, **fields) for kind, fields in emitted])
    recording = rk.load(frame, time="at", kind="what", id="id", actions=rk.Log(log, time="t", kind="k", payload="p"))
    return rk.replay(recording, rules, ticks="recorded")


SAME = {
    "a whole number that was logged as a float": (1, 1.0),
    "a decimal": (Decimal("1.5"), 1.5),
    "a time logged as ISO text": (datetime(2026, 3, 26, 6), "2026-03-26T06:00:00Z"),
    "a time logged as str() gives it": (datetime(2026, 3, 26, 6), "2026-03-26 06:00:00"),
    "a list": ([1, {"b": 2, "a": 1}], [1, {"a": 1, "b": 2}]),
    "a mapping": ({"b": 1, "a": None}, {"a": None, "b": 1}),
    "text that looks like a time": ("2026-03-26", "2026-03-26"),
    "text beyond ASCII": ("é💥", "é💥"),
    "nothing": (None, None),
}
OTHER = {
    "a number and its text": (1, "1"),
    "true and one": (True, 1),
    "another time": (datetime(2026, 3, 26, 6), "2026-03-26T06:00:01Z"),
    "text and nothing": ("", None),
    "lists in another order": ([1, 2], [2, 1]),
    "times as text that are not the same text": ("2026-03-26T06:00:00Z", "2026-03-26T06:00:00.000Z"),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_what_json_can_not_tell_apart_is_the_same(pair):
    """A faithful rule is not contradicted for having been logged as JSON."""
    mine, theirs = pair
    found = run([("do", {"job_id": "j", "v": theirs})], [("do", {"job_id": "j", "v": mine})])

    assert len(found.divergence) == 0
    assert found.verdict.status == "verified"


@pytest.mark.parametrize("pair", OTHER.values(), ids=OTHER)
def test_what_json_can_tell_apart_is_not(pair):
    """And the field that differs is named."""
    mine, theirs = pair
    found = run([("do", {"job_id": "j", "v": theirs})], [("do", {"job_id": "j", "v": mine})]).divergence

    assert (found.first["difference"], found.first["fields"]) == ("changed", "v")


def test_a_field_that_is_null_is_not_a_field_that_is_missing():
    """The one is named, although both read as nothing."""
    found = run([("do", {"job_id": "j", "v": None})], [("do", {"job_id": "j"})]).divergence

    assert (found.first["difference"], found.first["fields"]) == ("changed", "v")


def test_only_differing_ticks_count():
    """The sentence says how many, what, and where it began."""
    found = run([("do", {"job_id": "j"}), ("do", {"job_id": "k"})], [("do", {"job_id": "k"}), ("no", {"job_id": "x"})])

    assert list(found.divergence.frame["difference"]) == ["missing", "extra"]
    assert found.divergence.sentence == (
        "1 tick of 1 differ (1 extra, 1 missing); the first is tick 0 at 2026-03-26T06:00:05Z: missing do j."
    )
    assert found.verdict.status == "contradicted"


def test_what_is_shown_is_escaped_and_bounded():
    """Actions hold whatever the system was given."""
    hostile = "<script>alert(1)</script>" + "x" * 20_000 + "\u202e\x00"
    fields = [(hostile, {"job_id": hostile, hostile: hostile, "n": n}) for n in range(60)]
    found = run(fields, [(kind, {**one, "n": -1}) for kind, one in fields[:40]]).divergence
    html = found._repr_html_()

    assert len(found) == 60
    assert "<script" not in html
    assert "\u202e" not in html
    assert len(html) < 200_000
    assert len(repr(found)) < 2_000


def test_it_needs_recorded_ticks_and_actions():
    """Otherwise there is nothing to compare."""
    frame = pd.DataFrame({"at": ["2026-03-26T06:00:00Z"], "what": "seen", "id": ["a"]})
    recording = rk.load(frame, time="at", kind="what", id="id")

    with pytest.raises(rk.QueryError, match="ticks='recorded'"):
        _ = rk.replay(recording, rk.Reconciler("none", {})).divergence
