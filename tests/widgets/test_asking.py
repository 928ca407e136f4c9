"""The explorer leads from what it shows to why, why not and blame, each answer as a call of the replay."""

from __future__ import annotations

import hostile
import pandas as pd
import pytest
from test_explorer import WINDOW, grid, opened, pasted

import replaykit as rk
from replaykit import views
from replaykit.focus import Focus


@pytest.fixture(scope="module")
def explorer():
    """Return an explorer that has replayed ten minutes."""
    found = opened()
    found.replay()
    return found


@pytest.fixture(autouse=True)
def nothing_chosen(request):
    """Let no test begin with what another chose."""
    yield
    if "explorer" in request.fixturenames:
        found = request.getfixturevalue("explorer")
        found.choice.asked = ()
        for name, value in {"changed": "", "gross": False, "every": False, "why_not_kind": ""}.items():
            setattr(found.choice, name, value)
        found.window, found.focus, found.view = WINDOW, Focus(), "Actions"


def pick(explorer, view, test, column=None):
    """Choose the first row of a view that passes a test, as a hand would; return it."""
    explorer.view = view
    frame = grid(explorer)._frame
    place = next(number for number, row in enumerate(frame.to_dict("records")) if test(row))
    explorer._hands.picked(grid(explorer)._row(place), column)
    assert explorer.error is None
    return grid(explorer)._row(place)


def answer(explorer, view):
    """Press the button of a view and return its last line of code and its caption, once code and table agree."""
    explorer.frame.asks[view].click()
    assert explorer.view == view
    frame, shown = pasted(explorer.code), grid(explorer)._frame
    pd.testing.assert_frame_equal(shown.reset_index(drop=True), frame[shown.columns])
    assert explorer.code == explorer.frame.code_area.value == explorer.frame.copier.text
    return explorer.code.splitlines()[-1], grid(explorer)._text


@pytest.mark.parametrize("every", [True, False])
def test_an_action_leads_to_why_it_was_emitted(explorer, every):
    """One by one, and as an episode: there the first action of it."""
    explorer.choice.every = every
    explorer.view = "Actions"
    row = pick(explorer, "Actions", lambda row: row["kind"] == "transition_bead" and row["reason"] == "agent lost")
    code, said = answer(explorer, "Why")
    why = explorer.run.why(row["action"])

    assert code == f"run.why({row['action']}).to_frame()"
    assert said == f"Why: {len(why.cells)} rows. {why.sentence}"
    assert why.kind == "transition_bead"
    if not every:
        first = views.actions(explorer.run, every=True).query("kind == @why.kind and entity == @row['entity']")
        assert row["action"] in first["action"].tolist()
        assert why.at == row["opened_at"].to_pydatetime()


def test_a_violation_leads_to_why_it_was_found(explorer):
    """Also where the rows are in another order."""
    explorer.choice.violation_sort = "-ticks"
    explorer.refresh()
    row = pick(explorer, "Violations", lambda row: row["invariant"] == "3")
    code, said = answer(explorer, "Why")
    explorer.choice.violation_sort = ""

    assert code == f"run.why(run.violations.iloc[{row['violation'] - 1}]).to_frame()"
    assert "Invariant 3 was broken by" in said
    assert row["entity"] in said


def test_a_cell_of_the_state_leads_to_what_set_it(explorer):
    """By a click on it; a row alone means what its step changed; another column is chosen from a list."""
    explorer.view = "State at"
    explorer.pages.bound["State at"]["table"].value = "beads"
    explorer.pages.scrubber.value = 842
    row = pick(explorer, "State at", lambda row: row["change"] == "update", "status")
    clicked = answer(explorer, "Why")
    chosen = pick(explorer, "State at", lambda row: row["change"] == "update")
    alone = answer(explorer, "Why")
    column = explorer.pages.bound["Why"]["asked_column"]
    column.value = "title"
    other = answer(explorer, "Why")

    blame = explorer.run.at(step=842).blame("beads", row["bead_id"], "status")
    assert clicked == (
        f"run.at(step=842).blame('beads', '{row['bead_id']}', 'status').values",
        f"Why: {len(blame.values)} rows. {blame.sentence}",
    )
    assert alone[0] == f"run.at(step=842).blame('beads', '{chosen['bead_id']}', 'status').values"
    assert "'title'" in other[0]
    assert "since the base" in other[1]


def test_every_cell_of_the_state_tells_which_it_is(explorer):
    """The browser says a cell's place in any column, not only in those that name something."""
    explorer.view = "State at"
    explorer.pages.bound["State at"]["table"].value = "beads"
    frame = grid(explorer)._frame
    column = list(frame.columns).index("priority")
    assert column in grid(explorer).table._dt_args["replaykitCells"]
    explorer.frame.brush._received(None, {"do": "cell", "grid": "State at", "row": 3, "column": column}, None)

    assert explorer.focus.entity == frame["bead_id"].iloc[3]
    assert (explorer.choice.asked[2:], explorer.choice.asked_column) == (
        ("beads", (frame["bead_id"].iloc[3],)),
        "priority",
    )


@pytest.mark.parametrize(("changed", "gross"), [("", False), ("beads", False), ("", True)])
def test_a_change_leads_to_what_made_it(explorer, changed, gross):
    """A net one to what set the cell in the end, one of all to what set it at that step."""
    explorer.choice.changed, explorer.choice.gross = changed, gross
    explorer.view = "State diff"
    row = pick(
        explorer, "State diff", lambda row: "beads" in (changed, row.get("table")) and row["change"] != "removed"
    )
    code, said = answer(explorer, "Why")

    step = row["step"] if gross else explorer.run.after_step
    assert code.startswith(f"run.at(step={step}).blame('beads', '{row.get('key') or row['bead_id']}', ")
    assert "since step" in said
    if gross:
        assert f"since step {step:,}," in said
        assert row["column"] in code


def test_why_not_asks_for_the_entity_and_the_time_in_focus(explorer):
    """Kind and field follow the action chosen, and can be chosen from lists."""
    row = pick(explorer, "Actions", lambda row: row["kind"] == "transition_bead")
    code, said = answer(explorer, "Why not")
    at = rk.errors.show_time(explorer.focus.time)
    assert code == f"run.why_not('transition_bead', bead_id='{row['entity']}', at='{at}').to_frame()"
    assert said.endswith(f"was emitted at {at} by {row['rule']}.")
    bound = explorer.pages.bound["Why not"]
    assert bound["why_not_field"].options[0] == ("where it was seen: bead_id", "")
    bound["why_not_kind"].value = "dispatch_agent"
    bound["why_not_field"].value = "bead_id"
    explorer.focus = Focus(entity="pre-bead-0004")
    code, said = answer(explorer, "Why not")

    assert code == "run.why_not('dispatch_agent', bead_id='pre-bead-0004').to_frame()"
    assert "was not emitted" in said
    bound["why_not_kind"].value = "transition_agent"
    assert bound["why_not_field"].value == ""
    assert "run.why_not('transition_agent', agent_id='pre-bead-0004')" in explorer.code


def test_an_action_on_a_pair_is_asked_for_by_its_part(explorer):
    """The entity of such an action is both, joined by a slash."""
    row = pick(explorer, "Actions", lambda row: row["kind"] == "dispatch_agent" and "/" in row["entity"])
    code, said = answer(explorer, "Why not")

    assert f"run.why_not('dispatch_agent', bead_id='{row['bead_id']}', at=" in code
    assert "was emitted" in said


def test_without_anything_chosen_the_views_say_what_to_choose(explorer):
    """And their buttons rest."""
    told = {}
    for view in ("Why", "Why not"):
        explorer.view = view
        told[view] = grid(explorer)._text
        assert explorer.code.splitlines()[-1] == "run"
        assert explorer.frame.asks[view].disabled
        assert "choose" in explorer.frame.asks[view].tooltip
    explorer.focus = Focus(entity="pre-bead-0004")

    assert "Choose an action, a violation, or a cell" in told["Why"]
    assert "type an id into Entity" in told["Why not"]
    assert not explorer.frame.asks["Why not"].disabled
    assert explorer.frame.asks["Why"].disabled


def test_choices_are_plain_values_and_a_bad_one_is_said_in_the_view(explorer):
    """Set from a cell; what is not there is a sentence, and what was said before is gone."""
    explorer.choice.asked = ("action", 6)
    explorer.view = "Why"
    assert "B3 emitted" in grid(explorer)._text
    told = []
    for asked in (
        ("action", 9999),
        ("cell", 5, "nothing", ("a",)),
        ("cell", 99_999, "beads", ("a",)),
        ("cell", 5, "beads", ("a",)),
    ):
        explorer.choice.asked = asked
        explorer.refresh()
        told.append(grid(explorer)._text)

    assert "There is no action 9999" in told[0]
    assert "nothing" in told[1]
    assert "99999" in told[2]
    assert "has no row 'a'" in told[3]
    assert not any("B3 emitted" in text for text in told)
    explorer.choice.why_not_kind, explorer.focus = "dispatch_agent", Focus(entity="nobody")
    explorer.view = "Why not"
    assert "dispatch_agent(bead_id=nobody) was not emitted" in grid(explorer)._text


def test_another_replay_forgets_what_was_asked_by_number():
    """Action 6 is another one there."""
    with rk.load(
        pd.DataFrame({"at": ["2026-01-01", "2026-01-02"], "n": [1, 2]}), time="at", kind=False, id=False
    ) as small:
        made = rk.Reconciler("made", {"seen": rk.Table(key="n", n="BIGINT")})
        made.rule("odd", "SELECT n FROM seen WHERE n % 2 = 1", key="n", action="mark")
        made.rule("never", "SELECT n FROM seen WHERE n > 5", key="n")
        made.apply("event")(lambda state, event: state["seen"].insert(n=event["n"]))
        found = rk.explore(small, made)
        found.replay()
        pick(found, "Actions", lambda row: row["n"] == 1)
        asked = found.choice.asked
        found.replay()

        assert (asked, found.choice.asked) == (("action", 1), ())
        assert found.frame.asks["Why"].disabled
        bound = found.pages.bound["Why not"]
        assert [value for _, value in bound["why_not_kind"].options] == ["mark", "never"]
        bound["why_not_kind"].value = "never"
        found.focus = Focus(entity="2")
        found.view = "Why not"
        assert found.code.splitlines()[-1] == "run.why_not('never', n=2).to_frame()"  # a number, as the rule has it


def test_the_answers_escape_what_a_rule_read():
    """Cells, keys, kinds and fields may hold anything."""
    markup = hostile.CORPUS["handler"]
    with hostile.recording(["handler"]) as recording:
        made = rk.Reconciler("made", {"things": rk.Table(key="id", id="VARCHAR", note="VARCHAR")})
        kinds = sorted(set(hostile.frame(["handler"])["kind"]))
        made.apply(*kinds)(lambda state, event: state["things"].upsert(id=event.id, note=event["note"]))

        @made.rule("act", key=["id", markup])
        def act(state, now):
            yield from (rk.Action(markup, **{"id": row["id"], markup: row["note"]}) for row in state["things"].find())

        found = rk.explore(recording, made, base="empty")
        found.replay()
        row = pick(found, "Actions", lambda row: True)
        for view in ("Why", "Why not"):
            found.view = view
            assert hostile.Found(grid(found).caption.value).marked == []
            assert "hostile-marker" in grid(found)._text
        found.pages.bound["Why not"]["why_not_field"].value = markup
        found.focus = Focus(entity=row[markup])

        assert repr(markup) in found.code
        assert "was emitted" in grid(found)._text
