"""The policy: times in whatever form, who is a candidate, how stale a job is, and when it may be checked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import replaykit as rk
from replaykit.systems import clawcut
from replaykit.systems.clawcut.policy import UNANSWERED, age_text, backoff, is_candidate, next_due
from replaykit.systems.clawcut.times import read_time, written_like

NOW = datetime(2026, 5, 12, 10, 36)
POLICY = clawcut.Policy()
SAMPLES = [
    "2026-05-12T10:31:07.412Z",
    "2026-05-12T10:31:07.412345Z",
    "2026-05-12 10:31:07",
    "2026-05-12 10:31:07.4 UTC",
    "2026-05-12T12:31:07+02:00",
    "2026-05-12T10:31:07.412+0000",
    1_778_581_867,
    1_778_581_867_412,
    1_778_581_867_412_000,
    1_778_581_867.5,
    "1778581867",
    "1778581867412",
]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_the_usual_forms_of_one_time_are_read_alike(sample):
    """An app's database is what it is; its times must not become "unknown" for want of a Z."""
    assert abs(read_time(sample) - datetime(2026, 5, 12, 10, 31, 7)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "  ",
        "soon",
        "1e5",
        "12",
        0,
        -1,
        5,
        True,
        float("nan"),
        float("inf"),
        10**400,
        b"\xff",
        "2026-13-01",
        [],
        {},
    ],
    ids=repr,
)
def test_what_is_no_time_is_none_and_no_error(value):
    """One broken row must not hide the others."""
    assert read_time(value) is None


@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from(SAMPLES),
)
def test_a_time_written_in_the_form_of_its_column_is_read_back(moment, sample):
    """What a check writes into updated_at must be a time to the app, and to the next check."""
    written = written_like(moment, sample)

    assert type(written) is type(sample)
    assert timedelta(0) <= moment - read_time(written) <= timedelta(seconds=1)


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)))
def test_a_time_beside_nothing_is_iso_text(moment):
    """A column without a value says nothing about its form."""
    assert written_like(moment, None) == moment.isoformat(timespec="milliseconds") + "Z"
    assert read_time(moment.replace(tzinfo=UTC)) == moment


@pytest.mark.parametrize(
    ("minutes", "bucket", "eligible"),
    [
        (0, "fresh", False),
        (4.99, "fresh", False),
        (5, "watch", False),
        (9.99, "watch", False),
        (10, "stale", True),
        (59.99, "stale", True),
        (60, "very_stale", True),
        (6000, "very_stale", True),
    ],
)
def test_a_bucket_begins_at_its_threshold(minutes, bucket, eligible):
    """An age right at a limit must fall on one side, and always on the same."""
    hints = clawcut.hints(NOW - timedelta(minutes=minutes), NOW, POLICY)

    assert (hints.bucket, hints.eligible) == (bucket, eligible)
    assert hints.eligible_at == NOW - timedelta(minutes=minutes) + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("updated", "reason"),
    [(None, "missing"), ("", "missing"), ("soon", "can't be read"), (NOW + timedelta(seconds=6), "lies ahead")],
)
def test_a_job_of_unknown_age_is_never_eligible_and_says_why(updated, reason):
    """Nothing is asked about what might have been updated this second."""
    hints = clawcut.hints(updated, NOW, POLICY)

    assert (hints.bucket, hints.age, hints.eligible, hints.eligible_at) == ("unknown", None, False, None)
    assert reason in hints.advice


@pytest.mark.parametrize(
    "change", [{"kind": "image"}, {"status": "completed"}, {"status": "?"}, {"has_provider_id": False}]
)
def test_a_candidate_is_a_live_video_the_provider_knows(change):
    """Each of the three conditions counts."""
    job = {"kind": "video", "status": "processing", "has_provider_id": True}

    assert is_candidate(job, POLICY)
    assert not is_candidate({**job, **change}, POLICY)


def test_the_pause_after_checks_without_an_end_doubles_up_to_the_longest():
    """A job that hangs at the provider for days must not cost a request every ten minutes."""
    pauses = [backoff(attempts, POLICY) / timedelta(minutes=1) for attempts in (0, 1, 2, 3, 6, 7, 10**9)]

    assert pauses == [0, 10, 20, 40, 320, 360, 360]
    assert next_due(0, None, POLICY) is None
    assert next_due(3, NOW, POLICY) == NOW + timedelta(minutes=40)


@pytest.mark.parametrize("seconds", [0.5, 5])
def test_a_job_of_a_moment_ahead_is_one_of_now(seconds):
    """The app's clock and this one differ a little, or the app wrote after the clock was read."""
    hints = clawcut.hints(NOW + timedelta(seconds=seconds), NOW, POLICY)

    assert (hints.bucket, hints.age, hints.eligible) == ("fresh", timedelta(0), False)
    assert not clawcut.hints(NOW + timedelta(seconds=1), NOW, POLICY.with_(min_age=timedelta(0))).eligible


def test_a_check_without_an_answer_is_followed_by_one_plain_pause():
    """After an outage of six hours nobody wants to wait for as long again."""
    for outcome in UNANSWERED:
        assert next_due(6, NOW, POLICY, outcome) == NOW + timedelta(minutes=10)
    hints = clawcut.hints(NOW - timedelta(hours=1), NOW, POLICY, last_checked_at=NOW, last_outcome="provider_error")

    assert (hints.eligible, hints.attempts, hints.eligible_at) == (False, 0, NOW + timedelta(minutes=10))
    assert "no answer" in hints.advice


@given(st.integers(0, 200), st.integers(0, 12), st.integers(0, 300), st.integers(0, 120), st.integers(0, 1000))
def test_a_job_is_eligible_exactly_from_the_time_that_is_told_on(age, attempts, since, gate, later):
    """The card says "from 10:42 on"; the pass must agree with the card."""
    policy = POLICY.with_(min_age=timedelta(minutes=gate))
    updated, last = NOW - timedelta(minutes=age), NOW - timedelta(minutes=since)
    told = clawcut.hints(updated, NOW, policy, attempts=attempts, last_checked_at=last).eligible_at

    then = NOW + timedelta(minutes=later)
    hints = clawcut.hints(updated, then, policy, attempts=attempts, last_checked_at=last)

    assert hints.eligible is (then >= told)
    assert hints.eligible_at == told


@pytest.mark.parametrize(
    "wrong",
    [
        {"stale_after": timedelta(minutes=1)},
        {"min_age": timedelta(-1)},
        {"min_age": 10},
        {"backoff": None},
        {"limit": -1},
        {"limit": "25"},
        {"limit": True},
        {"kinds": "video"},
        {"kinds": (1,)},
    ],
)
def test_thresholds_that_contradict_each_other_are_refused(wrong):
    """A bucket that can't be reached would hide jobs."""
    with pytest.raises(rk.ReconcilerError, match=r"Policy: .*expected"):
        clawcut.Policy(**wrong)


@pytest.mark.parametrize(
    ("age", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (11_100, "3 h 05 min"), (187_200, "2 d 4 h")],
)
def test_ages_are_told_as_people_say_them(age, text):
    """A number of seconds would have to be divided in the head."""
    assert age_text(timedelta(seconds=age)) == text
    assert age_text(None) == "not known"
