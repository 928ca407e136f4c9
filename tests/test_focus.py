"""Focus: which row of a table it stands at, and where it goes when a row is chosen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import hostile
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replaykit.focus import Focus, names_entity

T0 = datetime(2026, 3, 26, 6)
NAMES = st.sampled_from(["a", "b", "a/b", "None", "nan", "NaT", "", "7"])


def at(seconds):
    """Return a time."""
    return T0 + timedelta(seconds=seconds)


def walked(focus, rows, keys=()):
    """Return where the focus stands in rows with event_id, at and the key columns, by looking at each in turn."""
    for place, row in enumerate(rows):
        if focus.event is not None and row["event_id"] == focus.event:
            return place
    fitting = list(range(len(rows)))
    if focus.entity is not None:
        fitting = [n for n, row in enumerate(rows) if "/".join(row[name] or "" for name in keys) == focus.entity]
    reached = [
        n for n in fitting if focus.time is not None and rows[n]["at"] is not None and rows[n]["at"] <= focus.time
    ]
    if reached:
        return max(reached, key=lambda n: (rows[n]["at"], -n))
    return fitting[0] if fitting and focus.entity is not None else None


ROWS = st.lists(
    st.fixed_dictionaries(
        {"event_id": st.none() | NAMES, "at": st.none() | st.integers(0, 4).map(at), "k": NAMES, "l": NAMES}
    ),
    max_size=6,
)


@settings(max_examples=150)
@given(
    rows=ROWS, time=st.none() | st.integers(-1, 5).map(at), event=st.none() | NAMES, both=st.booleans(), data=st.data()
)  # fmt: skip
def test_it_stands_where_a_walk_over_the_rows_finds_it(rows, time, event, both, data):
    """Texts that read like missing values are no missing values, and times that are missing are at no time."""
    keys = ("k", "l") if both else ("k",)
    known = [None, "nowhere", *("/".join(row[name] for name in keys) for row in rows)]
    focus = Focus(time, data.draw(st.sampled_from(known)), event)
    frame = pd.DataFrame(rows, columns=["event_id", "at", "k", "l"]).astype({"at": "datetime64[us]"})
    objects = frame.astype(object)

    assert focus.place_in(frame, keys) == walked(focus, rows, keys)
    assert focus.place_in(objects, keys) == walked(focus, rows, keys)


def test_a_frame_without_entities_is_placed_by_time_alone():
    """The last tick up to the time, wherever it stands, and none if all are later."""
    frame = pd.DataFrame({"tick": [3, 1, 2], "at": [at(3), at(1), at(2)]})

    assert Focus(at(2.5), "a").place_in(frame) == 2
    assert Focus(at(9), "a").place_in(frame) == 0
    assert Focus(at(0), "a").place_in(frame) is None
    assert Focus(None, "a", "e1").place_in(frame) is None


def test_a_frame_that_names_others_marks_none_of_them():
    """The row of another entity would pass for the one in focus."""
    frame = pd.DataFrame({"at": [at(1), at(2)], "entity": ["a", "b"]})

    assert Focus(at(2), "c").place_in(frame) is None
    assert Focus(at(2), "a").place_in(frame) == 0
    assert Focus(at(0), "b").place_in(frame) == 1


def test_a_frame_of_one_entity_stands_at_its_first_row_without_a_time():
    """Every row is the one meant."""
    assert Focus(entity="a").place_in(pd.DataFrame({"entity": ["a", "a"]})) == 0


def test_nothing_in_focus_and_empty_frames_have_no_place():
    """Whatever their columns."""
    frame = pd.DataFrame({"at": [at(1)], "entity": ["a"], "event_id": ["e"]})

    assert Focus().place_in(frame) is None
    for empty in (frame.iloc[:0], pd.DataFrame(), pd.DataFrame(columns=["at", "entity", "event_id"])):
        for focus in (Focus(), Focus(at(1), "a", "e"), Focus(at(1)), Focus(entity="a")):
            assert focus.place_in(empty) is None
            assert focus.place_in(empty, ("entity", "x")) is None


def test_the_column_that_names_most_decides():
    """A key before an entity before any other id; one without the entity is passed over."""
    frame = pd.DataFrame({"parent_id": ["a", "b", "c"], "id": ["b", "c", "a"], "name": ["c", "a", "b"]})

    assert Focus(entity="a").place_in(frame) == 2
    assert Focus(entity="a").place_in(frame, ("name",)) == 1
    assert Focus(entity="d").place_in(frame.assign(other_id=["x", "d", "y"])) == 1


def test_columns_of_the_same_name_are_read_as_the_first():
    """A join may give two."""
    frame = pd.DataFrame([[at(1), at(9), "a", "x"], [at(2), at(8), "b", "a"]], columns=["at", "at", "id", "id"])

    assert Focus(at(5), "a").place_in(frame) == 0
    assert Focus(at(5), "b").place_in(frame) == 1
    assert Focus(at(5), "b").place_in(frame, ("id", "at")) is None


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_times_with_a_zone_are_placed_as_utc(zone):
    """And moved to as naive UTC."""
    frame = pd.DataFrame({"at": pd.to_datetime([at(1), None, at(3)]).tz_localize("UTC").tz_convert(zone)})

    assert Focus(at(2)).place_in(frame) == 0
    assert Focus(at(3)).place_in(frame) == 2
    assert Focus().moved(frame.iloc[2].to_dict()).time == at(3)
    assert Focus().moved({"at": at(3).replace(tzinfo=UTC)}).time == at(3)


def test_a_column_of_texts_called_time_is_no_time():
    """A state table may have one; the next one that holds times counts."""
    frame = pd.DataFrame({"at": ["06:00", "07:00"], "time": [at(1), at(2)], "occurred_at": [1.5, 2.5]})

    assert Focus(at(1)).place_in(frame) == 0
    assert Focus().moved(frame.iloc[1].to_dict()).time == at(2)
    assert Focus(at(5)).moved({"at": "yesterday", "time": 12}).time == at(5)
    assert Focus(at(5)).place_in(frame[["at"]]) is None


def test_a_number_beside_missing_ones_is_named_as_a_number():
    """Pandas makes 7.0 of it."""
    frame = pd.DataFrame({"id": [None, 7, 8], "x": [0, 1, 2]})
    moved = Focus().moved(frame.iloc[1].to_dict())

    assert moved.entity == "7"
    assert moved.place_in(frame) == 1


def test_moving_to_a_row_takes_its_time_event_and_entity():
    """What the row does not say is left, but for the event, which is another one's."""
    before = Focus(at(1), "old", "e1")

    assert before.moved({"occurred_at": pd.Timestamp(at(2)), "event_id": "e2", "entity": "a"}) == Focus(
        at(2), "a", "e2"
    )
    assert before.moved({"at": pd.NaT, "event_id": None, "entity": float("nan")}) == Focus(at(1), "old")
    assert before.moved({"at": pd.NaT, "applied_at": pd.Timestamp(at(3))}).time == at(3)
    assert before.moved({"bead_id": pd.NA, "rig_id": "r"}).entity == "r"
    assert before.moved({"event_id": "", "key": ""}) == Focus(at(1), "old")
    assert before.moved({}) == Focus(at(1), "old")
    assert before.moved({0: "x", ("a", "b_id"): 1}) == Focus(at(1), "old")
    assert type(before.moved({"at": pd.Timestamp("2026-03-26T06:00:00.000000999")}).time) is datetime


def test_moving_to_a_cell_takes_the_id_in_it():
    """Where the cell names something; else the row's own key."""
    row = {"id": "a", "part": 2, "owner_id": "x", "note": "hello", "event_id": "e"}

    assert Focus().moved(row, "owner_id").entity == "x"
    assert Focus().moved(row, "note").entity == "a"
    assert Focus().moved(row, "note", ("id", "part")).entity == "a/2"
    assert Focus().moved(row, "part", ("id", "part")).entity == "2"
    assert Focus().moved(row, "event_id", ("part",)).entity == "2"
    assert Focus().moved({**row, "owner_id": None}, "owner_id").entity == "a"
    assert Focus().moved({"id": "a"}, None, ("id", "part")).entity == "a"


@pytest.mark.parametrize("name", sorted(set(hostile.CORPUS) - {"empty"}))
def test_hostile_names_are_found_again(name):
    """As they are: nothing is trimmed, folded or taken for a pattern."""
    text = hostile.CORPUS[name]
    frame = pd.DataFrame({"at": [at(1), at(2)], "event_id": ["x", text], "entity": [f"{text} ", text]}, dtype=object)
    moved = Focus().moved(frame.iloc[1].to_dict())

    assert moved == Focus(at(2), text, text)
    assert moved.place_in(frame) == 1
    assert Focus(entity=text).place_in(frame) == 1
    assert Focus(entity=f"{text}/{text}").place_in(frame, ("event_id", "entity")) == 1
    assert len(moved.sentence) < 250
    assert moved.sentence.isprintable()


def test_which_columns_name_something():
    """Ids do, but for those of events; a key does, whatever it is called."""
    named = [name for name in ("id", "bead_id", "entity", "key", "event_id", "note", "idle") if names_entity(name)]

    assert named == ["id", "bead_id", "entity", "key"]
    assert names_entity("note", ("note",))
