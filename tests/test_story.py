"""story: everything recorded about one entity, in order."""

from __future__ import annotations

import pytest
from incident import incident

from replaykit.errors import QueryError
from replaykit.findings import story


def test_a_reviews_story_has_every_source_in_order():
    """235 polls between the hand-over to the refinery and the merge; then the snapshots that saw it."""
    found = incident().story("new-bead-0004")

    assert found.frame["source"].value_counts().to_dict() == {"actions": 239, "writes": 3, "snapshot": 3, "events": 1}
    assert found.frame["at"].is_monotonic_increasing
    assert found.frame["order"].tolist() == list(range(1, 247))
    assert found.frame["kind"].iloc[0] == "transition_bead"
    assert found.sentence.startswith("new-bead-0004: 246 entries, 239 from actions, 1 from events,")


def test_neighbours_that_say_the_same_are_folded():
    """A person reads eleven lines, not 246."""
    folded = story(incident(), "new-bead-0004").folded

    assert len(folded) == 11
    assert folded["times"].sum() == 246
    assert folded.query("kind == 'poll_pr'")["times"].tolist() == [236]


def test_entries_are_those_that_name_it():
    """The same as looking for the quoted id in every action."""
    found = story(incident(), "rpc-bead-0003").frame
    actions = incident().log("actions")

    assert (found["source"] == "actions").sum() == actions["payload"].str.contains('"rpc-bead-0003"').sum()
    assert (found["source"] == "checks").sum() == incident().log("checks")["message"].str.contains(
        r"\brpc-bead-0003\b"
    ).sum()


def test_snapshots_tell_which_cells_changed():
    """Old and new values side by side; the first snapshot shows what was there."""
    told = story(incident(), "prerpc-bead-0015").frame.query("source == 'snapshot'")

    assert told["kind"].iloc[0] == "first snapshot"
    assert told["detail"].str.contains("status: in_progress → closed; updated_at: ").any()


def test_an_entity_nobody_names_is_an_error():
    """A part of a key names nothing; the error says what was looked through."""
    with pytest.raises(QueryError, match="Nothing in the recording names 'new-bead-000'"):
        story(incident(), "new-bead-000")


def test_the_display_is_bounded_and_escaped():
    """Long stories are folded and cut."""
    html = story(incident(), "rpc-bead-0003")._repr_html_()

    assert len(html) < 80_000
    assert "<script" not in html
