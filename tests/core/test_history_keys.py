"""A row's history is asked for with a key read off another table."""

from __future__ import annotations

import pandas as pd

import replaykit as rk


def test_a_key_taken_from_a_frame_is_understood():
    """A cell of a frame is a numpy number, which DuckDB can't take as a parameter."""
    frame = pd.DataFrame({"at": ["2026-01-01T00:00Z", "2026-01-01T00:01Z"], "kind": ["made", "made"], "n": [1, 2]})
    rules = rk.Reconciler("things", {"things": rk.Table(key="n", n="BIGINT")})
    rules.apply("made")(lambda state, event: state["things"].insert(n=event["n"]))
    with rk.load(frame, time="at", kind="kind", id=False, payload=False) as recording:
        run = rk.replay(recording, rules)

    number = run.after["things"]["n"].iloc[-1]
    assert type(number).__module__ == "numpy"
    assert run.history("things", number)["valid_from"].tolist() == [2]
