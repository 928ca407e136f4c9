"""rk.diff of moments: gross ones as a walk over every write gives them, net ones as whole tables give them."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import BASES, COLUMNS, KEYS, STEPS, WRITES, Lives, cells, lives_of, recording, replayed, same, text
from samples import some

import replaykit as rk
from replaykit.churn import churn
from replaykit.results import entity_of

SPANS = st.tuples(st.integers(0, STEPS), st.integers(0, STEPS)).map(sorted)


def walked(lives, first, last):
    """Return what was undone and the numbers by table, one write at a time."""
    undone, numbers = [], {}
    for table, columns in COLUMNS.items():
        there, still = lives.images[first][table], lives.images[last][table]
        log = [one[3:] for one in lives.log if one[1] == table and first < one[0] <= last]
        sets = [(life, name) for what, life, old, new in log if what == "update" for name in columns
                if not same(old[name], new[name])]  # fmt: skip
        of = {life: Lives.key(table, old or new) for _, life, old, new in log}
        inserted, deleted = ([one for one in log if one[0] == what] for what in ("insert", "delete"))
        if log:
            changed = {(of[life], name) for life, name in sets}
            numbers[table] = [len(sets), len(changed), len(inserted), len(deleted), 0, 0, 0]
        keys = [{Lives.key(table, row) for row in rows.values()} for rows in (there, still)]
        for life in sorted(of):
            key, mine = of[life], sorted(other for other in of if of[other] == of[life])
            changes = sum(of[other] == key for other, _ in sets) + sum(of[one[1]] == key for one in inserted + deleted)
            if life == mine[0] and key not in keys[0] | keys[1]:
                undone.append((table, entity_of(key), None, "came and went", changes, None))
                numbers[table][5] += 1
            if life == mine[0] and key in keys[0] & keys[1] and len(mine) > 1:
                undone.append((table, entity_of(key), None, "went and came back", changes, None))
                numbers[table][6] += 1
            for name in columns if life in there and life in still else ():
                times = sets.count((life, name))
                if times and same(there[life][name], still[life][name]):
                    value = text(still[life][name])
                    undone.append((table, entity_of(key), name, "changed and came back", times, value))
                    numbers[table][4] += 1
    return undone, [(table, *found) for table, found in numbers.items()]


@settings(max_examples=some(25))
@given(writes=WRITES, base=BASES, span=SPANS)
def test_a_gross_diff_is_a_walk_over_every_write(writes, base, span):
    """Rows that come and go, go and come back, and cells that change there and back, under any name."""
    run, lives = replayed(writes, base=base), lives_of(writes, base)
    found = rk.diff(run.at(step=span[0]), run.at(step=span[1]), gross=True)
    undone, numbers = walked(lives, *span)

    assert cells(found.churned) == undone
    assert cells(found.tables) == numbers
    assert found.changes.equals(churn(run.history, *span))
    assert len(found) == len(found.changes)


@settings(max_examples=some(25))
@given(writes=WRITES, base=BASES, span=SPANS, turned=st.booleans(), options=st.sampled_from(
    [{}, {"ignore": ["status", "f"]}, {"json": ["v"]}, {"key": KEYS}, {"tolerance": {"n": 1}}]
))  # fmt: skip
def test_a_diff_of_two_moments_equals_one_of_the_whole_tables(writes, base, span, turned, options):
    """Whatever is not read because it is the same version on both sides."""
    run = replayed(writes, base=base)
    one, other = (run.at(step=step) for step in (reversed(span) if turned else span))
    found = rk.diff(one, other, **options)
    whole = rk.diff(dict(one.tables), dict(other.tables), **{"key": KEYS, **options})

    assert found.summary == whole.summary
    for table in COLUMNS:
        mine, theirs = found[table], whole[table]
        assert mine.changed_columns == theirs.changed_columns
        for name in ("added", "removed", "changed", "changed_long"):
            mine_rows, their_rows = getattr(mine, name), getattr(theirs, name)
            assert list(mine_rows.columns) == list(their_rows.columns)
            assert cells(mine_rows) == cells(their_rows), name


def test_two_runs_are_compared_at_any_moment_also_where_only_one_has_a_table():
    """Two reconcilers over the same events: what one keeps and the other does not counts as empty."""
    first, second = (rk.Reconciler(name, {"jobs": rk.Table("id", n="BIGINT")}) for name in ("first", "second"))
    third = rk.Reconciler("third", {"jobs": rk.Table("id", n="BIGINT"), "more": rk.Table("id", id="VARCHAR")})
    for rules, factor in ((first, 1), (second, 1), (third, 2)):

        @rules.apply("go")
        def go(state, event, factor=factor):
            n = event["position"]
            state["jobs"].upsert(id=f"j{n % 3}", n=n * factor if n > 3 else n)
            if factor == 2:
                state["more"].upsert(id=str(n))

    runs = [rk.replay(recording(), rules) for rules in (first, second, third)]

    assert len(rk.diff(runs[0].at(step=5), runs[1].at(step=5))) == 0
    assert len(rk.diff(runs[0].at(step=3), runs[1].at(step=5))) == 2
    across = rk.diff(runs[0].at(step=5), runs[2].at(step=5))
    assert across.tables_added == ("more",)
    assert (len(across["more"].added), across["jobs"].changed_columns) == (5, {"n": 2})
    assert rk.diff(runs[2].at(step=5), runs[0].at(step=5)).tables_removed == ("more",)
    assert len(rk.diff(runs[0], runs[0].at(step=9))) == 0


def story():
    """Return a run in which a cell changes there and back, one row comes and goes, another goes and comes back."""
    put = lambda key, **values: ("jobs", "put", (key,), values)  # noqa: E731
    drop = lambda key: ("jobs", "drop", (key,), {})  # noqa: E731
    return replayed(
        [
            [put("a", status="x"), put("c/d", n=1)], [put("a", status="y")], [put("a", status="x", n=0)],
            [put("b'", status="x")], [put("b'", n=1)], [drop("b'"), drop("c/d")], [put("c/d", n=1)], [], [],
        ]
    )  # fmt: skip


def test_what_a_net_diff_hides_is_named():
    """Three changes of a status that is what it was, and a row nobody sees."""
    run = story()
    found = rk.diff(run.at(step=1), run.after, gross=True)

    assert found.summary == (
        "4 changes of 3 cells, 2 insertions, 2 deletions; 1 cell changed and came back, 1 row came and went, "
        "1 row went and came back"
    )
    assert str(found) == found.summary
    assert repr(found) == f"GrossDiff({found.summary})"
    assert len(rk.diff(run.at(step=1), run.after)) == 1
    assert cells(found.churned) == [
        ("jobs", "a", "status", "changed and came back", 2, "x"),
        ("jobs", "c/d", None, "went and came back", 2, None),
        ("jobs", "b'", None, "came and went", 3, None),
    ]
    assert rk.diff(run.at(step=1), run, gross=True).changes.equals(found.changes)
    taken = found.to_frame()
    taken["step"] = 0
    assert not found.changes.equals(taken)


def test_nothing_at_all_is_said_in_words():
    """And has tables with the same columns."""
    run = story()
    found = rk.diff(run.at(step=7), run.after, gross=True)

    assert found.summary == "nothing changed between step 7 and step 9"
    assert (len(found), len(found.churned), len(found.tables)) == (0, 0, 0)
    assert list(found.churned.columns) == ["table", "key", "column", "what", "changes", "value"]
    assert found._repr_html_().count("<") == 2
    kept = rk.diff(run.at(step=3), run.at(step=4), gross=True)
    assert kept.summary == "1 insertion; no cell or row is back where it was"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda run: (run.at(step=3), run.at(step=1)), "before is step 3 and after is step 1; exchange them"),
        (lambda run: (run.after["jobs"], run.after["jobs"]), r"run.after, but before is a DataFrame"),
        (lambda run: (run.after, {"jobs": run.after["jobs"]}), "but after is a dict, which knows no steps"),
        (lambda run: (run.before, story().after), "these moments belong to two"),
    ],
)
def test_a_gross_diff_of_anything_else_says_what_to_do(asked, message):
    """There are no steps between two tables."""
    with pytest.raises(rk.QueryError, match=message):
        rk.diff(*asked(story()), gross=True)


@pytest.mark.parametrize("option", [{"key": "id"}, {"ignore": ["n"]}, {"tolerance": 1}, {"json": ["v"]}])
def test_a_gross_diff_takes_no_other_option(option):
    """To leave a change out would not be gross."""
    run = story()

    with pytest.raises(rk.QueryError, match=r"Filter its \.changes"):
        rk.diff(run.before, run.after, gross=True, **option)


def test_numbers_that_sql_calls_the_same_are_the_same():
    """0.0 and -0.0 have two texts."""
    rules = rk.Reconciler("zero", {"t": rk.Table("id", f="DOUBLE")})
    values = [0.0, 1.0, -0.0, 2.0]
    rules.apply("go")(lambda state, event: state["t"].upsert(id="a", f=values[event["position"] % 4]))
    run = rk.replay(recording(), rules)
    found = rk.diff(run.at(step=2), run.at(step=4), gross=True)

    assert pd.isna(found.changes["column"]).sum() == 0
    assert list(found.churned["what"]) == ["changed and came back"]
