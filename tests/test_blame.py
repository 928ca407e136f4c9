"""blame(): which step set a cell, as a walk over the writes gives it, and errors that say what there is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import BASES, COLUMNS, KEYS, ODD, STEPS, WRITES, lives_of, replayed, same
from samples import some

import replaykit as rk


def walked(lives, table, column, step):
    """Return for each live row what set its cell, one write at a time: value, step, before, inserted, all values."""
    found = {}
    for at, where, _, what, life, old, new in lives.log:
        if where != table or at > step:
            continue
        if what == "insert":
            found[life] = [(at, new[column])]
        elif what == "update" and not same(old[column], new[column]):
            found[life].append((at, new[column]))
    return {life: found[life] for life in lives.images[step][table]}


@settings(max_examples=some(15))
@given(writes=WRITES, base=BASES, step=st.integers(0, STEPS), where=st.sampled_from(["jobs", ODD]))
def test_blame_is_a_walk_over_every_write(writes, base, step, where):
    """Rows changed several times in a step, there and back, gone and back, under any name and with any value."""
    moment, lives = replayed(writes, base=base).at(step=step), lives_of(writes, base)
    for column in COLUMNS[where]:
        for life, sets in walked(lives, where, column, step).items():
            key = tuple(lives.images[step][where][life][name] for name in KEYS[where])
            found = moment.blame(where, key if len(key) > 1 else key[0], column)

            assert found.step == sets[-1][0]
            assert same(found.value, sets[-1][1])
            assert same(found.before, sets[-2][1] if len(sets) > 1 else None)
            assert found.inserted == (len(sets) == 1)
            assert found.values["step"].tolist() == [at for at, _ in sets]
            assert found.event_id == (f"e{found.step}" if found.step else None)
            assert found.input == ("event" if found.step else "base")


def story():
    """Return a run in which one row is put, changed, dropped and put again."""
    put = lambda **values: ("jobs", "put", ("a",), values)  # noqa: E731
    drop = ("jobs", "drop", ("a",), {})
    return replayed([[put(status="x")], [put(status="y"), put(status="x")], [drop], [put(status="z")], *([[]] * 5)])


def test_the_sentence_says_value_step_cause_and_before():
    """It is read in a terminal as well."""
    run = story()

    assert str(run.at(step=2).blame("jobs", "a", "status")) == (
        "jobs[a].status is x since step 2, 2026-03-26T06:00:02Z: event go e2; y before."
    )
    assert str(run.after.blame("jobs", "a", "status")).endswith("event go e4; inserted with the row.")
    assert "1 value of this cell" in run.after.blame("jobs", "a", "status")._repr_html_()


@pytest.mark.parametrize(
    ("step", "asked", "message"),
    [
        (9, ("job", "a", "status"), "no state table 'job'; the tables are"),
        (9, ("jobs", "a", "state"), r"no column 'state'; it has \['id', 'status'"),
        (9, ("jobs", ("a", 1), "status"), "has 2 parts; the key of 'jobs' is"),
        (9, ("jobs", "b", "status"), "no row 'b' at step 9, nor at any other; its key is"),
        (0, ("jobs", "a", "status"), "step 1 is the first that inserts it"),
        (3, ("jobs", "a", "status"), r"step 3 deleted it \(event go\)"),
    ],
)
def test_a_question_that_has_no_answer_says_what_there_is(step, asked, message):
    """A guess at a name is mended by the message alone."""
    with pytest.raises(rk.QueryError, match=message):
        story().at(step=step).blame(*asked)
