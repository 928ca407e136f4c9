"""compare(): what two reconcilers did differently, held to plain references."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from multiprocessing import get_context

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from shop import events, inverted, recorded, refactored, shop

import replaykit as rk
from replaykit.comparing.axis import Axis
from replaykit.comparing.spans import differences
from replaykit.comparing.states import first_fork

PATIENCE = st.integers(10, 500).map(lambda seconds: timedelta(seconds=seconds))


@pytest.fixture(scope="module")
def recording():
    """Return one recording of the shop."""
    return recorded()


def at_each_tick(run, axis, side):
    """Return every action at every tick, unfolded, in the order of rules, key and fields."""
    found = {}
    for row, (tick, kind, fields, rule) in zip(run.actions.itertuples(), run.emitted, strict=True):
        for further in range(row.repeats + 1):
            found[axis.place(side, tick) + further, rule, kind, fields["id"]] = json.dumps(dict(fields), sort_keys=True)
    return found


def unfolded(found):
    """Return what the differences say of every tick."""
    said = {}
    for one in found:
        for place in range(one.first, one.last + 1):
            old, new = (
                None if side is None else json.dumps(dict(side.fields), sort_keys=True) for side in (one.old, one.new)
            )
            said[place, one.shown.rule, one.shown.kind, one.shown.fields["id"]] = (old, new)
    return said


@settings(max_examples=5, phases=[Phase.generate])
@given(seed=st.integers(0, 10**6), patience=PATIENCE, other=PATIENCE, ticks=st.sampled_from(["7s", "event"]))
def test_the_differences_are_those_of_every_action_at_every_tick(seed, patience, other, ticks):
    """Folding neighbouring ticks into one row loses none and adds none."""
    recording = recorded(seed, 4)
    old, new = (rk.replay(recording, shop(patience=one), ticks=ticks) for one in (patience, other))
    axis = Axis(old, new)
    mine, theirs = at_each_tick(old, axis, 0), at_each_tick(new, axis, 1)
    wanted = {key: (mine.get(key), theirs.get(key)) for key in mine | theirs if mine.get(key) != theirs.get(key)}

    assert unfolded(differences(old, new, axis)) == wanted


@settings(max_examples=5, phases=[Phase.generate])
@given(seed=st.integers(0, 10**6), patience=PATIENCE, other=PATIENCE)
def test_the_states_fork_at_the_first_time_after_which_a_table_differs(seed, patience, other):
    """As one finds it who looks at the state after each instant."""
    recording = recorded(seed, 4)
    old, new = (rk.replay(recording, shop(patience=one), ticks="20s", actions="apply") for one in (patience, other))
    times = sorted({*old.steps["applied_at"], *new.steps["applied_at"]})
    states = [[run.at(step=run.history.step_at(at))["orders"] for at in times] for run in (old, new)]
    wanted = next((at for at, mine, theirs in zip(times, *states, strict=True) if not mine.equals(theirs)), None)
    found = first_fork(old, new)

    if wanted is not None:
        assert found is not None
        assert found.at == wanted or (found.at < wanted and not found.rows)
    elif found is not None:
        assert not found.rows


def test_a_rule_written_otherwise_is_identical(recording):
    """Though its source, and so the reconciler's digest, is another."""
    found = rk.compare(recording, shop(), refactored(), ticks="5s")

    assert found.identical
    assert len(found) == 0
    assert found.changed == ("rule remind rewritten",)
    assert found.sentence.startswith("identical: 14 events,")
    assert found[0].rules["old"].sum() > 3


def test_a_rule_turned_round_is_named_as_the_one_that_diverges(recording):
    """With the cells it decided on, and what stopped the other side."""
    found = rk.compare(recording, shop(), inverted(), ticks="5s")
    first = found[0].first

    assert not found.identical
    assert set(found[0].actions["rule"]) == {"ship"}
    assert found[0].rules.set_index("rule").loc["remind", ["missing", "extra", "changed"]].sum() == 0
    assert (first.rule, first.difference, first.entity) == ("ship", "extra", "o4")
    assert ["orders", "o4", "status", "placed", "placed"] in first.cells.iloc[:, :5].to_numpy().tolist()
    assert "the reconcilers differ in rule ship rewritten. The old replay did not: ship: " in first.stopped
    assert "in rule ship: " in found.sentence


def test_another_parameter_is_told_tick_by_tick(recording):
    """From the tick at which the shorter patience was over, as long as only it was."""
    found = rk.compare(recording, shop(), shop(patience=timedelta(seconds=90)), ticks="5s")
    rows = found[0].actions

    assert found.changed == ("parameter patience 00:01:00 → 00:01:30",)
    assert set(rows["rule"]) == {"remind"}
    assert set(rows["difference"]) == {"missing"}
    assert (rows["ticks"] == 6).any()
    assert found[0].diff is None
    assert found[0].outcomes.set_index("outcome").loc["actions", "difference"] == -rows["ticks"].sum()


def test_in_a_closed_loop_states_violations_and_outcomes_differ_too(recording):
    """A rule left out leaves orders waiting, and reminders at none."""
    found = rk.compare(recording, shop(), shop().without("remind"), ticks="5s", actions="apply")
    case = found[0]
    outcomes = case.outcomes.set_index("outcome")

    assert case.first.stopped == "The new reconciler has no rule remind."
    assert case.fork.tables == ("orders",)
    assert set(case.diff["orders"].changed_columns) == {"since", "reminders"}
    assert set(case.violations["change"]) == {"gained"}
    assert outcomes.loc["stuck_minutes", "difference"] > 0
    assert outcomes.loc["without_effect", "old"] == outcomes.loc["without_effect", "new"] > 0
    assert "violations gained" in case.changes


def test_an_action_by_another_rule_or_in_another_order_is_told_as_that(recording):
    """A rule of another name emits the same; rules change places."""
    renamed, turned = shop(), shop()
    rule = renamed.rules.pop("ship")

    @renamed.rule("dispatch", key="id")
    def dispatch(state, now):
        yield from rule.function(state, now)

    turned.rules = dict(reversed(turned.rules.items()))
    by = rk.compare(recording, shop(), renamed, ticks="5s")[0]
    order = rk.compare(recording, shop(), turned, ticks="event")[0]

    assert set(by.actions["difference"]) == {"other rule"}
    assert by.changes.endswith("ship by another rule")
    assert set(order.actions["difference"]) <= {"reordered"}


def test_several_recordings_and_windows_are_cases_of_their_own(recording):
    """One line says how many differ, and where the first does."""
    names = {f"incident {seed}": recorded(seed) for seed in range(4)}
    names["quiet"] = rk.load(events().head(1), time="at", kind="kind", id="id", payload="body")
    found = rk.compare(names, shop(), inverted(), ticks="event")
    halves = [rk.Window("2026-03-26T06:00Z", "2026-03-26T06:05Z"), rk.Window("2026-03-26T06:05Z", "2026-03-26T06:10Z")]
    apart = rk.compare(recording, shop(), inverted(), halves, ticks="5s")

    assert found.sentence.startswith("5 cases, 0 identical, 5 differ, first at 2026-03-26T06:0")
    assert found["quiet"].events == 1
    assert list(found.table["name"]) == list(names)
    assert [case.window for case in apart] == halves
    assert len({case.name for case in apart}) == 2


@pytest.mark.parametrize(
    ("pool", "workers"), [(ThreadPoolExecutor, 2), (ProcessPoolExecutor, 1), (ProcessPoolExecutor, 2)]
)
def test_results_are_the_same_for_every_number_of_workers(pool, workers):
    """Rules defined in a test, which no module of the other process holds, are sent along with their source."""
    recordings = [recorded(seed) for seed in range(3)]
    here = rk.compare(recordings, shop(), inverted(), ticks="event")
    context = {"mp_context": get_context("spawn")} if pool is ProcessPoolExecutor else {}
    with pool(workers, **context) as executor:
        found = rk.compare(recordings, shop(), inverted(), ticks="event", executor=executor)

    assert found.to_json() == here.to_json()
    assert found[0].first.explained == here[0].first.explained


def test_comparing_nothing_is_an_error(recording):
    """No recording, no window, no event, no tick."""
    silent = rk.Window("2026-03-26T06:00:52Z", "2026-03-26T06:00:52.000001Z")
    with pytest.raises(rk.QueryError, match="nothing to compare: recordings="):
        rk.compare([], shop(), shop())
    with pytest.raises(rk.QueryError, match="nothing to compare"):
        rk.compare(recording, shop(), shop(), [])
    with pytest.raises(rk.QueryError, match=r"Nothing was compared in .*: no tick lies in it"):
        rk.compare(recording, shop(), shop(), silent, ticks="event")
    with pytest.raises(rk.QueryError, match=r"Nothing was compared in .*: no event and no other input"):
        rk.compare(recording, shop(), shop(), silent, ticks="1us")
    with pytest.raises(rk.WindowError, match="holds no events"):
        rk.compare(rk.load(events().head(0), time="at", kind="kind", id="id", payload="body"), shop(), shop())
    with (
        ProcessPoolExecutor(1, mp_context=get_context("fork")) as forks,
        pytest.raises(rk.QueryError, match="forks this process"),
    ):
        rk.compare(recording, shop(), shop(), executor=forks)
    with pytest.raises(rk.QueryError, match="expected a recording"):
        rk.compare(3, shop(), shop())
    with pytest.raises(rk.QueryError, match=r"expected an rk\.Window"):
        rk.compare(recording, shop(), shop(), "06:00")


def test_a_replay_that_raises_makes_a_case_that_says_so(recording):
    """The others are compared all the same."""
    broken = shop()

    @broken.apply("shipped")
    def never(state, event):
        raise KeyError("sku")

    quiet = rk.load(events().head(2), time="at", kind="kind", id="id", payload="body")
    found = rk.compare({"all": recording, "quiet": quiet}, shop(), broken, ticks="event")

    assert "KeyError('sku')" in found["all"].error
    assert found["quiet"].identical
    assert found.sentence == "2 cases, 1 identical, 1 could not be compared"
    with pytest.raises(rk.VerdictError, match="1 could not be compared"):
        found.raise_for_differences()


def test_a_comparison_is_a_small_value(recording):
    """It is pickled without a replay, reads in one line, and its HTML is bounded and escaped."""
    wild = recorded(orders=3)
    found = rk.compare({"<b>one</b>": recording, "two": wild}, shop(), inverted(), ticks="5s")
    again = pickle.loads(pickle.dumps(found))

    assert again.to_json() == found.to_json()
    assert json.loads(found.to_json())["cases"][0]["first"]["rule"] == "ship"
    assert all(len(repr(one)) < 200 and "\n" not in repr(one) for one in (found, *found, found[0].first))
    assert "<b>" not in found._repr_html_()
    assert len(found._repr_html_()) < 100_000


def table(columns, rows, **options):
    """Return rules that write some rows of a table at each event, and emit what `emit` gives at each tick."""
    made = rk.Reconciler("t", {"t": rk.Table("id", {"id": "VARCHAR", **columns})})

    @made.apply("placed", "paid", "shipped")
    def written(state, event):
        for row in rows(event):
            state["t"].upsert(row)

    for name, function in options.items():
        made.rule(name, key="id")(lambda state, now, function=function: function(state, now))
    return made


def emits(*fields):
    """Return a rule that emits these at each tick."""
    return lambda state, now: iter([rk.Action("x", **one) for one in fields])


def test_columns_are_compared_by_name_and_values_to_the_last_digit(recording):
    """Not by place; a fraction that is no number equals itself."""
    amounts = {"a": "BIGINT", "b": "BIGINT"}
    one = table(amounts, lambda event: [{"id": event.id, "a": 1, "b": -1}])
    swapped = table(dict(reversed(amounts.items())), lambda event: [{"id": event.id, "a": -1, "b": 1}])
    turned = table(dict(reversed(amounts.items())), lambda event: [{"id": event.id, "b": -1, "a": 1}])
    renamed = table({"a": "BIGINT", "c": "BIGINT"}, lambda event: [{"id": event.id, "a": 1, "c": -1}])
    more = table(amounts, lambda event: [{"id": event.id, "a": 1, "b": -1}])
    more.tables["empty"] = rk.Table("id", id="VARCHAR")
    nothing = [table({"a": type}, lambda event: [{"id": event.id, "a": float("nan")}]) for type in ("double", "DOUBLE")]
    exact = [Decimal("12345678901234567.01"), Decimal("12345678901234567.03")]
    acts = [table({}, lambda event: [], act=emits({"id": "a", "amount": amount})) for amount in exact]

    assert not rk.compare(recording, one, swapped).identical
    assert not rk.compare(recording, one, renamed).identical
    assert rk.compare(recording, one, turned).identical
    assert rk.compare(recording, one, more).identical
    assert rk.compare(recording, nothing[0], nothing[0]).identical
    assert not rk.compare(recording, *acts).identical


def test_a_row_that_no_moment_shows_is_no_difference(recording):
    """Written and taken away within one step."""
    plain = table({}, lambda event: [{"id": event.id}])
    busy = table({}, lambda event: [{"id": event.id}])

    @busy.apply("placed", "paid", "shipped")
    def written(state, event):
        state["t"].upsert({"id": "tmp"})
        state["t"].delete("tmp")
        state["t"].upsert({"id": event.id})

    assert rk.compare(recording, plain, busy).identical


def test_effects_and_problems_are_compared_too(recording):
    """Though neither actions nor states differ."""

    def mails(to):
        made = table({}, lambda event: [], act=emits({"id": "a"}))
        made.act("x")(lambda state, action: rk.Action("mail", to=to))
        return made

    def raises(error):
        def wrong(state, now):
            raise error

        return table({}, lambda event: [], wrong=wrong)

    effects = rk.compare(recording, mails("bob"), mails("eve"), ticks="event", actions="apply")
    problems = rk.compare(recording, raises(KeyError("a")), raises(ValueError("a")), ticks="event", on_error="undo")

    assert effects[0].beside == ("effects",)
    assert effects[0].changes == "other effects"
    assert problems[0].beside == ("problems",)
    assert not effects.identical
    assert not problems.identical


def test_a_gap_is_not_told_as_more_and_an_earlier_other_order_comes_first(recording):
    """The line for the pull request has the right sign, and the first is the first."""

    def at(number, *fields):
        return lambda state, now: emits(*fields)(state, now) if len(state["t"].find()) == number else iter(())

    def gap(state, now):
        return iter(()) if len(state["t"].find()) == 5 else emits({"id": "a"})(state, now)

    rows = lambda event: [{"id": event.id}]  # noqa: E731
    whole, holed = table({}, rows, act=emits({"id": "a"})), table({}, rows, act=gap)
    both = [{"id": "a"}, {"id": "b"}]
    old, new = table({}, rows, act=at(2, *both)), table({}, rows, act=at(2, *reversed(both)), late=at(6, {"id": "c"}))
    other_key = table({}, rows)
    other_key.rule("act", key=["id", "n"])(emits({"id": "a", "n": 1}))
    same_key = table({}, rows, act=emits({"id": "a", "n": 1}))

    assert rk.compare(recording, whole, holed, ticks="event")[0].changes == "1 x at other ticks or for others"
    assert rk.compare(recording, old, new, ticks="event")[0].first.difference == "reordered"
    assert rk.compare(recording, same_key, other_key, ticks="event").identical


def test_what_can_not_be_asked_is_refused_before_anything_is_replayed(recording):
    """With what would be right."""
    for options, told in [
        ({"outcomes": {"identical": len}}, "a column of the table already"),
        ({"outcomes": {"problems": len}}, "a column of the table already"),
        ({"outcomes": [len]}, "expected a dict"),
        ({"outcomes": {"mine": lambda run: "x"}}, "Outcome 'mine' gave 'x'; expected a number"),
        ({"outcomes": {"mine": lambda run: 1 / 0}}, "Outcome 'mine' raised ZeroDivisionError"),
        ({"executor": 4}, "concurrent.futures.Executor"),
        ({"tick": "5s"}, "takes no tick="),
    ]:
        with pytest.raises(rk.QueryError, match=told):
            rk.compare(recording, shop(), shop(), **options)
    with pytest.raises(rk.ReconcilerError, match="no parameter"):
        rk.compare(recording, shop(), shop(), params={"patients": 1})
