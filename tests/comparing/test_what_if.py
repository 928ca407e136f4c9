"""what_if() and ablate(): held to recordings loaded with those events, and to replays of them."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from shop import START, events, recorded, shop

import replaykit as rk
from replaykit.fingerprint import history_digest


@pytest.fixture(scope="module")
def run():
    """Return a closed loop over one recording of the shop."""
    return rk.replay(recorded(), shop(), ticks="20s", actions="apply")


def rewritten(frame, skip, edit, add):
    """Return the event table as if it had been recorded otherwise."""
    rows = frame[~frame["id"].isin(skip)].to_dict("records")
    for row in rows:
        values = edit.get(row["id"], {})
        row["body"] = {**row["body"], **values.get("body", {})}
        row.update({name: value for name, value in values.items() if name != "body"})
    moved = [row for row in rows if "at" in edit.get(row["id"], {})]
    rows = [row for row in rows if row not in moved] + moved + add
    return pd.DataFrame(rows).sort_values("at", kind="stable", ignore_index=True)


def times():
    """Return times inside the shop's window."""
    return st.integers(60, 700).map(lambda seconds: START + timedelta(seconds=seconds))


@settings(max_examples=5, phases=[Phase.generate])
@given(data=st.data())
def test_a_course_of_other_events_is_that_of_a_recording_of_them(data):
    """Skipped, edited, moved and added; states, actions and violations alike."""
    frame = events(data.draw(st.integers(0, 99)), 4)
    window = rk.Window(START, START + timedelta(minutes=20))
    ids = st.sampled_from(list(frame["id"]))
    skip = data.draw(st.lists(ids, unique=True, max_size=2))
    other = st.fixed_dictionaries(
        {}, optional={"at": times(), "body": st.just({"order": "o1"}), "kind": st.just("paid")}
    )
    edit = data.draw(st.dictionaries(ids.filter(lambda one: one not in skip), other.filter(bool), max_size=2))
    add = [
        {"at": at, "kind": "placed", "body": {"order": f"new{n}"}, "id": f"x{n}"}
        for n, at in enumerate(data.draw(st.lists(times(), max_size=2)))
    ]
    if not (skip or edit or add):
        return
    options = {"time": "at", "kind": "kind", "id": "id", "payload": "body"}
    run = rk.replay(rk.load(_stretched(frame), **options), shop(), window, ticks="20s", actions="apply")
    wanted = rk.replay(
        rk.load(_stretched(rewritten(frame, skip, edit, add)), **options), shop(), window, ticks="20s", actions="apply"
    )
    named = {one: {**values, **({"body": values["body"]} if "body" in values else {})} for one, values in edit.items()}
    found = run.what_if(skip=skip, edit=named, add=add)

    assert history_digest(found.new.history) == history_digest(wanted.history)
    pd.testing.assert_frame_equal(found.new.actions, wanted.actions)
    pd.testing.assert_frame_equal(pd.DataFrame(found.new.violations), pd.DataFrame(wanted.violations))
    assert list(found.new.events["event_id"]) == list(wanted.events["event_id"])
    assert history_digest(run.history, found.fork) == history_digest(wanted.history, found.fork) == found.prefix


def _stretched(frame):
    """Return the events with one that nobody handles at either end, so that every window lies in the recording."""
    ends = [{"at": START, "kind": "opened", "body": {}, "id": "first"},
            {"at": START + timedelta(minutes=21), "kind": "closed", "body": {}, "id": "last"}]  # fmt: skip
    return pd.DataFrame([ends[0], *frame.to_dict("records"), ends[1]])


def test_one_event_is_named_and_the_fork_lies_before_it(run):
    """The step before it is the last that both share."""
    found = run.what_if(skip="e3")

    assert found.asked == "without event placed e3"
    assert found.fork == 2
    assert found.sentence.startswith("Without event placed e3: differs, first at 2026-03-26T06:02:51Z in rule remind: ")
    assert found.sentence.endswith("The same up to step 2 (2026-03-26T06:01:15Z).")
    assert found.new.history("orders", "o5")["caused_by"].tolist()[0] == "paid"
    assert found.new.verdict.status == "approximate"
    assert "without event placed e3" in found.new.verdict.sentence
    assert len(repr(found)) < 200


def test_a_row_and_a_frame_of_events_name_them_too(run):
    """As they stand in the notebook."""
    by_id = run.what_if(skip=["e3", "e5"])
    by_rows = run.what_if(skip=run.events[run.events["event_id"].isin(["e3", "e5"])])
    by_row = run.what_if(skip=[run.events.iloc[2], run.events.iloc[4]])

    assert len({history_digest(one.new.history) for one in (by_id, by_rows, by_row)}) == 1


def test_other_rules_and_parameters_are_asked_for_in_the_same_way(run):
    """And are told."""
    without = run.what_if(without=["remind"])
    params = run.what_if(params={"patience": timedelta(minutes=5)})

    assert without.asked == "with rule remind removed"
    assert set(without.case.actions["rule"]) == {"remind"}
    assert params.asked == "with parameter patience 00:01:00 → 00:05:00"
    assert params.new.reconciler.params["patience"] == timedelta(minutes=5)


def test_what_changes_nothing_is_said_to_change_nothing(run):
    """An event that says again what is so."""
    found = run.what_if(add={"at": "2026-03-26T06:13:19Z", "kind": "nothing", "id": "x", "body": {}})

    assert found.case.first is None
    assert found.case.fork is None


def test_a_question_that_asks_nothing_or_of_nothing_is_refused(run):
    """With the next step."""
    for asked, told in [
        ({}, "was asked for nothing else"),
        ({"skip": "e99"}, "applied no event 'e99'; nearest of its 14 are 'e9'"),
        ({"edit": {"e3": {"colour": 1}}}, "the columns of an event are"),
        ({"add": {"kind": "placed"}}, "names no 'occurred_at'"),
        ({"add": {"at": "2026-03-27T06:00:00Z", "kind": "placed"}}, "could have no effect"),
    ]:
        with pytest.raises(rk.QueryError, match=told):
            run.what_if(**asked)
    with pytest.raises(rk.ReconcilerError, match="no parameter"):
        run.what_if(params={"patients": 1})


def test_rules_that_do_not_repeat_themselves_are_found_out():
    """Nothing can be said of what comes after a beginning that is never the same."""
    calls = []
    fickle = shop()

    @fickle.apply("placed")
    def counted(state, event):
        calls.append(event)
        row = {"status": "placed", "since": event.occurred_at, "reminders": len(calls)}
        state["orders"].upsert({"id": event.payload["order"], **row})

    run = rk.replay(recorded(), fickle, ticks="20s")

    with pytest.raises(rk.ReconcilerError, match="came to different states"):
        run.what_if(skip="e9")


def test_ablation_ranks_events_by_what_an_outcome_comes_to_without_them(run):
    """As replays of recordings without each say."""
    tried = [f"e{number}" for number in range(7, 13)]
    found = run.ablate("stuck_minutes", events=tried)
    wanted = {}
    for number in range(7, 13):
        other = run.what_if(skip=f"e{number}").case.outcomes.set_index("outcome").loc["stuck_minutes", "difference"]
        wanted[f"e{number}"] = other

    assert dict(zip(found.table["event_id"], found.table["change"], strict=True)) == pytest.approx(wanted, abs=1e-5)
    assert list(found.table["change"].abs()) == sorted(found.table["change"].abs(), reverse=True)
    assert found.sentence.startswith(f"stuck_minutes ({found.value:g}) hangs on {len(found)} of 6 events, most on ")
    assert run.ablate(lambda one: len(one.actions), events=["e2"]).table["event_id"].tolist() == ["e2"]
    with pytest.raises(rk.QueryError, match="expected one of"):
        run.ablate("happiness")


def test_an_event_without_which_the_replay_raises_comes_first_and_says_so():
    """It is no less decisive."""
    strict = shop()

    @strict.apply("paid")
    def paid(state, event):
        state["orders"].update(event.payload["order"], status="paid")

    run = rk.replay(recorded(), strict, ticks="20s")
    table = run.ablate("violations").table

    assert (table["error"] != "").any()
    assert table["error"].iloc[0] != ""


def test_an_edit_that_changes_nothing_moves_nothing():
    """Not even among events of one instant; and a payload keeps the keys that are not named, under either name."""
    frame = events().assign(at=START)
    run = rk.replay(rk.load(frame, time="at", kind="kind", id="id", payload="body"), shop(), ticks="event")
    same = run.what_if(edit={"e2": {"at": START, "body": {"note": 1}}})
    other = run.what_if(edit={"e2": {"payload": {"note": 1}}})

    assert same.new.events["event_id"].tolist() == run.events["event_id"].tolist()
    assert same.new.events["payload"].iloc[1] == other.new.events["payload"].iloc[1]
    assert '"order"' in same.new.events["payload"].iloc[1]


def test_a_sequence_orders_events_whatever_their_times_say():
    """So an edited time moves none of them."""
    frame = events().assign(n=range(14))
    recording = rk.load(frame, time="at", kind="kind", id="id", payload="body", order="sequence", sequence="n")
    run = rk.replay(recording, shop(), ticks="end")
    found = run.what_if(edit={"e2": {"at": START + timedelta(minutes=10)}})

    assert found.new.events["event_id"].tolist() == run.events["event_id"].tolist()


def test_leaving_out_an_event_that_nobody_handles_changes_nothing_else():
    """Its own tick is gone, and what stood before it and after it stood there, too."""
    noisy = events()
    noise = {"at": noisy["at"].iloc[6] + timedelta(seconds=1), "kind": "noise", "body": {}, "id": "noise"}
    frame = pd.DataFrame([*noisy.to_dict("records"), noise]).sort_values("at", kind="stable", ignore_index=True)
    quiet = shop()
    quiet.ignore("noise")
    run = rk.replay(rk.load(frame, time="at", kind="kind", id="id", payload="body"), quiet, ticks="event")
    found = run.what_if(skip="noise")

    assert set(found.case.actions["difference"]) <= {"changed"}  # `waited` counts on with the clock
    assert len(found.case.violations) == 0


def test_questions_that_contradict_themselves_or_name_no_event_are_refused(run):
    """Instead of being answered in part."""
    frame = run.events
    for asked, told in [
        ({"skip": "e3", "edit": {"e3": {"body": {"order": "o1"}}}}, "is in skip= and in edit="),
        ({"edit": {"e3": {"kind": "paid"}, 3: {"kind": "placed"}}}, "twice"),
        ({"edit": {"e3": {"kind": None}}}, "takes its 'kind' away"),
        ({"edit": {"e3": {"at": None}}}, "takes its 'occurred_at' away"),
        ({"edit": {"e3": {"body": {1, 2}}}}, "a set has no order"),
        ({"edit": "e3"}, "expected a dict of events"),
        ({"edit": {"e3": {}}}, "asked for nothing else"),
        ({"skip": 1.9}, "expected ids of events"),
        ({"skip": True}, "expected ids of events"),
        ({"skip": b"e1"}, "expected ids of events"),
        ({"skip": {"a": 1}}, "has no position"),
        ({"edit": {"e3": {"at": START + timedelta(days=1)}}}, "could have no effect"),
    ]:
        with pytest.raises(rk.QueryError, match=told):
            run.what_if(**asked)
    named = [frame["event_id"].head(2), list(frame.head(2).itertuples()), frame.head(2), {"e1", "e2"}, [1, 2]]
    assert {run.what_if(skip=one).prefix for one in named} == {run.what_if(skip=["e1", "e2"]).prefix}
