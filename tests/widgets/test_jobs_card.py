"""The card of an app's jobs: nobody is asked before it was confirmed, and then those that were named and no others."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import hostile
import pytest

from replaykit.errors import OperationError, QueryError
from replaykit.systems import clawcut

spec = importlib.util.spec_from_file_location("clawcut_app", Path(__file__).parents[1] / "systems" / "clawcut_app.py")
app = importlib.util.module_from_spec(spec)
spec.loader.exec_module(app)

SECRETS = {
    "provider_job_id": "op-secret-1",
    "request_json": '{"prompt": "secret-2"}',
    "response_json": '{"key": "secret-3"}',
    "result_url": "https://x.invalid/secret-4",
    "error": "secret-5",
}
JOBS = [
    app.job(479, 90),
    app.job(480, 70, provider="runway"),
    app.job(481, 30),
    app.job(482, 3),
    app.job(483, 40, provider_job_id=None),
    app.job(484, None),
    app.job(485, 45, kind="image"),
    app.job(486, 50, status="completed"),
]


class Counting:
    """A provider that notes whom it was asked about."""

    def __init__(self, state="completed", error=None, also=lambda: None):
        self.state, self.error, self.also, self.asked = state, error, also, []

    def look_up(self, provider_job_id):
        """Answer, or raise."""
        self.asked.append(provider_job_id)
        self.also()
        if self.error is not None:
            raise self.error
        return clawcut.Answer(self.state, "https://x.invalid/secret-6", "secret-7", {"token": "secret-8"})


def opened(folder, jobs=JOBS, provider=None, events=(), **options):
    """Return a card on a new database, the provider, and the path."""
    provider = Counting() if provider is None else provider
    path = app.make_app(folder, jobs, events)
    return clawcut.card(path, provider, **{"now": app.NOW, **options}), provider, path


def click(card, what, number=None):
    """Do what a browser does when a button of the question is clicked."""
    asking = card.frame.asking
    asking._handle_custom_msg({"do": what, "number": asking.number if number is None else number}, [])


def pick(card, job_id):
    """Choose a row as the browser does."""
    place = [job.job_id for job in card.summary.jobs].index(job_id)
    card.frame.grid.table.selected_rows = [place]


async def until(test):
    """Wait until something is so."""
    while not test():  # noqa: ASYNC110 - the card has no event to wait for
        await asyncio.sleep(0.02)


def says(card):
    """Return everything a person may read of a card, escaped as it is sent."""
    frame = card.frame
    traits = [*frame.asking.get_state().values(), frame.copier.text, frame.copier.title, frame.grid._text]
    tooltips = [button.tooltip for button in frame.buttons.values()]
    cells = "" if frame.grid.table is None else [frame.grid.table.get_state(), frame.grid._texts()[0].to_string()]
    bundle = card._repr_mimebundle_()
    return "\n".join(map(str, [*hostile.shown_by(card.widget), *traits, *tooltips, cells, bundle, card, card.last]))


def test_nobody_is_asked_before_the_question_is_confirmed(tmp_path):
    """Making it, choosing, both questions, the checkbox, refresh and cancel: none of them is traffic."""
    card, provider, path = opened(tmp_path)
    before = app.contents(path)
    pick(card, 479)
    for name in ("chosen", "shown", "chosen"):
        card.frame.buttons[name].click()
        assert card.question.startswith("Ask ")
        click(card, "cancel")
        assert (card.question, card.line) == ("", "Cancelled; nobody was asked.")
    card.ask_shown()
    card.frame.writes.value = True
    card.frame.buttons["refresh"].click()

    assert provider.asked == []
    assert app.contents(path) == before
    assert card.last is None


def test_the_question_says_what_will_be_asked_of_whom(tmp_path):
    """The same sentence before the button that asks, for one job and for the batch, as a dry run and not."""
    card, _, _ = opened(tmp_path)
    card.choose(479)
    card.ask_chosen()
    told = [card.question]
    card.apply = True
    for ask in (card.ask_chosen, card.ask_shown):
        ask()
        assert card.frame.asking.question == card.question
        told.append(card.question)
    card.apply = False
    card.ask_shown()

    assert told == [
        "Ask veo about job 479: 1 request. Dry run: nothing is written.",
        "Ask veo about job 479: 1 request. The answer is written, in one transaction.",
        "Ask veo about 2 jobs and runway about 1: 3 requests. The answers are written, one transaction per job.",
    ]
    assert card.question == "Ask veo about 2 jobs and runway about 1: 3 requests. Dry run: nothing is written."
    assert card.frame.asking.about == "Jobs 479, 480, 481."


def test_ask_asks_once_whatever_is_clicked_after(tmp_path):
    """A second click, and one about a question of before, find no question."""
    card, provider, path = opened(tmp_path)
    before = app.contents(path)
    card.choose(479)
    card.ask_chosen()
    number = card.frame.asking.number
    click(card, "ask")
    click(card, "ask")
    click(card, "ask", number)
    with pytest.raises(OperationError, match="no question to confirm"):
        card.confirm()

    assert provider.asked == ["p479"]
    assert app.contents(path) == before
    assert (card.last.job_id, card.last.outcome, card.last.applied) == (479, "completed", False)
    assert card.frame.asking.status == "done"
    assert card.line == ("Job 479: completed. The provider has finished it; nothing was written, this was a dry run.")


def test_a_late_click_confirms_no_other_question(tmp_path):
    """It was about the question whose number it carries; what a browser may send besides is passed over."""
    card, provider, _ = opened(tmp_path)
    card.choose(479)
    card.ask_chosen()
    late = card.frame.asking.number
    card.ask_shown()
    click(card, "ask", late)
    for odd in ({}, [], None, {"do": "refresh"}, {"do": ["ask"], "number": late + 1}, {"number": late + 1}):
        card.frame.asking._handle_custom_msg(odd, [])

    assert provider.asked == []
    assert card.question.startswith("Ask veo about 2 jobs")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda card: card.refresh(), "the table was read again"),
        (lambda card: pick(card, 481), "another job was chosen"),
        (lambda card: setattr(card, "apply", True), "whether answers are written has changed"),
    ],
)
def test_a_question_is_void_when_what_it_was_about_changes(tmp_path, change, why):
    """Who confirms must have seen what stands there."""
    card, provider, _ = opened(tmp_path)
    pick(card, 479)
    card.frame.buttons["chosen"].click()
    number = card.frame.asking.number
    change(card)
    click(card, "ask", number)

    assert provider.asked == []
    assert (card.question, card.line) == ("", f"The question is void: {why}. Nobody was asked.")


def test_every_dry_run_says_that_nothing_was_written(tmp_path):
    """Whatever the answer was, and nothing was, not even beside the database."""
    for state in ("completed", "failed", "running", "not_found"):
        folder = tmp_path / state
        folder.mkdir()
        card, _, path = opened(folder, provider=Counting(state))
        before = app.contents(path)
        card.choose(479)
        card.ask_chosen()
        card.confirm()
        assert "nothing was written" in card.line, state
        card.ask_shown()
        card.confirm()
        assert "dry run, nothing was written" in card.line, state
        assert app.contents(path) == before, state


def test_an_answer_is_written_where_that_was_confirmed(tmp_path):
    """The job is over, one audit event says by whom, and the table no longer has it."""
    card, _, path = opened(tmp_path, actor="operator")
    card.apply = True
    card.choose(479)
    card.ask_chosen()
    check = card.confirm()

    assert (check.applied, app.row(path, 479)["status"]) == (True, "completed")
    assert [event["job_id"] for event in app.audited(path, "reconcile_checked")] == [479]
    assert card.line == "Job 479: completed. The provider has finished it; the job now says so."
    assert card.chosen is None
    assert 479 not in [job.job_id for job in card.summary.jobs]
    assert len(card.frame.grid._frame) == len(JOBS) - 2


def test_a_batch_asks_the_jobs_named_and_shows_the_rest_again(tmp_path):
    """Old enough and with a provider id; a question is for these, its result has one check each."""
    card, provider, path = opened(tmp_path)
    card.apply = True
    card.ask_shown()
    batch = card.confirm()

    assert provider.asked == ["p479", "p480", "p481"]
    assert (batch.scanned_count, batch.count, dict(batch.results)) == (5, 3, {"completed": 3})
    assert len(app.audited(path, "reconcile_checked")) == 3
    assert card.line == "3 of 5 candidates checked: 3 completed; 3 jobs written."
    assert [job.job_id for job in card.summary.jobs] == [485, 483, 482, 484]
    assert card.frame.buttons["shown"].disabled
    assert card.frame.buttons["shown"].tooltip == (
        "No job that can be asked about was last updated 10 min ago or earlier."
    )


def test_a_batch_asks_about_nobody_who_came_in_meanwhile(tmp_path):
    """Two of three were named. One of them ends before the click, and the third does not take its place."""
    card, provider, path = opened(tmp_path, limit=2)
    card.ask_shown()
    assert card.frame.asking.about == "Jobs 479, 480. 1 further job old enough: beyond the limit of 2."
    app.change(path, "UPDATE ai_jobs SET status = 'completed' WHERE id = 479")
    card.confirm()

    assert provider.asked == ["p480"]
    assert card.line.endswith("nothing was written. 1 job had moved on since, and nobody was asked about it.")
    assert card.frame.asking.status == "look"


MOVES = {
    "another provider": "UPDATE ai_jobs SET provider = 'runway' WHERE id = 479",
    "another status": "UPDATE ai_jobs SET status = 'queued' WHERE id = 479",
    "a later update": "UPDATE ai_jobs SET updated_at = '2026-05-12T11:20:00.000Z' WHERE id = 479",
    "another kind, and by that an update": (
        "UPDATE ai_jobs SET kind = 'image', updated_at = '2026-05-12T11:20:00.000Z' WHERE id = 479"
    ),
}


@pytest.mark.parametrize("move", MOVES)
def test_only_who_was_named_is_asked_about_a_job_and_only_as_it_was_told(tmp_path, move):
    """Between question and click it may move to a provider that nobody confirmed."""
    veo, runway = Counting(), Counting()
    card, _, path = opened(tmp_path, provider={"veo": veo, "runway": runway})
    card.apply = True
    for ask, others in ((card.ask_chosen, ([], [])), (card.ask_shown, (["p481"], ["p480"]))):
        card.choose(479)
        ask()
        app.change(path, MOVES[move])
        moved = app.row(path, 479)
        card.confirm()
        assert (veo.asked, runway.asked) == others
        assert app.row(path, 479) == moved
        assert card.frame.asking.status == "look"
        app.change(path, "UPDATE ai_jobs SET provider = 'veo', status = 'processing', kind = 'video', updated_at = ? "
                   "WHERE id = 479", app.row(path, 483)["created_at"])  # fmt: skip
        card.refresh()

    assert card.summary.jobs[0].job_id == 479


def test_a_job_that_is_not_as_it_was_told_says_so(tmp_path):
    """In the line below."""
    card, _, path = opened(tmp_path)
    card.choose(479)
    card.ask_chosen()
    app.change(path, MOVES["another provider"])
    card.confirm()

    assert card.line.startswith("Job 479: changed meanwhile. It was left alone: it is not as it was told any more.")
    assert card.line.endswith("Dry run: nothing was written.")


def test_the_question_says_how_often_a_request_may_be_repeated(tmp_path):
    """What was confirmed is the traffic that may come of it; a provider that does not tell is left out."""
    patient, once, silent = Counting(), Counting(), Counting()
    patient.retries, once.retries = 2, 1
    card, _, path = opened(tmp_path, provider={"veo": patient, "runway": silent})
    card.choose(479)
    card.ask_chosen()
    told = [card.question]
    card.ask_shown()
    told.append(card.question)
    for provider in (once, silent, clawcut.HTTPProvider("https://veo.invalid", retries=0)):
        card = clawcut.card(path, provider, now=app.NOW)
        card.ask_shown()
        told.append(card.question)

    end = "Dry run: nothing is written."
    assert told == [
        f"Ask veo about job 479: 1 request, which may be repeated up to 2 times. {end}",
        f"Ask veo about 2 jobs and runway about 1: 3 requests, each may be repeated up to 2 times. {end}",
        f"Ask veo about 2 jobs and runway about 1: 3 requests, each may be repeated once. {end}",
        *[f"Ask veo about 2 jobs and runway about 1: 3 requests. {end}"] * 2,
    ]


def test_jobs_nobody_can_be_asked_about_and_jobs_nobody_knows_keep_no_other_from_its_turn(tmp_path):
    """However old they are: a limit that they fill would ask about the same jobs again, for ever."""
    jobs = [app.job(1, 90, provider="gone"), app.job(2, 80), app.job(3, 70), app.job(4, 60)]
    unknown = [app.event("reconcile_checked", 20, job_id=2, outcome="not_found")]
    card, provider, _ = opened(tmp_path, jobs=jobs, provider={"veo": Counting()}, events=unknown, limit=2)
    card.ask_shown()
    about = card.frame.asking.about
    batch = card.confirm()

    assert about == (
        "Jobs 3, 4. For 1 other job nobody was named to be asked. 1 further job old enough: beyond the limit of 2."
    )
    assert provider["veo"].asked == ["p3", "p4"]
    assert (batch.count, card.frame.asking.status) == (2, "done")


def test_what_can_be_no_provider_policy_or_limit_is_refused_when_the_card_is_made(tmp_path):
    """Not at the click, when it would come to an error of every job; without a limit the policy's counts."""
    path = app.make_app(tmp_path, JOBS)
    for wrong in ({"provider": Counting}, {"provider": "veo"}, {"policy": 5}, {"limit": -1}, {"limit": "2"}):
        with pytest.raises(OperationError, match=next(iter(wrong))):
            clawcut.card(path, wrong.pop("provider", Counting()), now=app.NOW, **wrong)
    told = []
    for options in ({"policy": clawcut.Policy(limit=2)}, {"limit": 0}):
        card = clawcut.card(path, Counting(), now=app.NOW, **options)
        told.append(card.frame.buttons["shown"].disabled or (card.ask_shown(), len(card._question.jobs))[1])

    assert told == [2, True]
    assert card.frame.buttons["shown"].tooltip == "The limit is 0 jobs, so that nobody is asked about any."


def test_a_job_that_ended_meanwhile_is_left_alone(tmp_path):
    """The app heard of it between question and click."""
    card, provider, path = opened(tmp_path)
    card.apply = True
    card.choose(479)
    card.ask_chosen()
    app.change(path, "UPDATE ai_jobs SET status = 'failed' WHERE id = 479")
    check = card.confirm()

    assert provider.asked == []
    assert (check.outcome, app.row(path, 479)["status"]) == ("terminal", "failed")
    assert (card.frame.asking.status, card.line) == (
        "look",
        "Job 479: terminal. It has ended already; nobody was asked.",
    )


def test_a_job_that_changed_while_the_provider_was_asked_is_left_alone(tmp_path):
    """And that is said."""
    path = tmp_path / "app.sqlite"
    provider = Counting(also=lambda: app.change(path, "UPDATE ai_jobs SET status = 'cancelled' WHERE id = 479"))
    card, _, _ = opened(tmp_path, provider=provider)
    card.apply = True
    card.choose(479)
    card.ask_chosen()
    card.confirm()

    assert app.row(path, 479)["status"] == "cancelled"
    assert card.frame.asking.status == "look"
    assert card.line.startswith("Job 479: changed meanwhile. It was left alone")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (clawcut.ProviderError("timeout"), "it did not answer in time"),
        (RuntimeError("secret-9 https://x.invalid"), "asking it raised RuntimeError"),
    ],
)
def test_a_provider_without_an_answer_is_a_failure_in_one_line(tmp_path, error, told):
    """For one job and for a batch, which goes on; the text of its exception is nobody's business."""
    card, provider, _ = opened(tmp_path, provider=Counting(error=error))
    card.choose(479)
    card.ask_chosen()
    card.confirm()
    one = (card.frame.asking.status, card.line)
    card.ask_shown()
    card.confirm()

    assert one == (
        "failed",
        f"Job 479: provider error. The provider gave no answer: {told}. Dry run: nothing was written.",
    )
    assert (card.frame.asking.status, len(provider.asked)) == ("failed", 4)
    assert card.line == "3 of 5 candidates checked: 3 provider error; dry run, nothing was written."
    assert "secret" not in says(card)


def test_a_database_that_is_gone_is_said_in_the_card_and_raised_in_python(tmp_path):
    """The table stays as it was, and says so; a path is shown nowhere."""
    card, provider, path = opened(tmp_path)
    rows = len(card.frame.grid._frame)
    card.choose(479)
    card.ask_chosen()
    path.unlink()
    with pytest.raises(OperationError, match="There is no database"):
        card.confirm()
    assert card.line.startswith("There is no database at the path given")
    card.frame.buttons["refresh"].click()
    assert card.line.endswith("The table is as it was before.")
    assert (card.frame.asking.status, type(card.error)) == ("error", OperationError)
    with pytest.raises(OperationError):
        card.refresh()
    with pytest.raises(OperationError):
        clawcut.card(path, provider)

    assert provider.asked == []
    assert len(card.frame.grid._frame) == rows
    assert str(tmp_path) not in says(card)


def test_an_error_of_a_click_is_said_in_the_card(tmp_path):
    """JupyterLab would show it nowhere; somebody else's text is left out, and the card can go on."""
    card, provider, _ = opened(tmp_path, actor="")
    card.choose(479)
    card.ask_chosen()
    click(card, "ask")
    assert card.line.startswith("actor: expected a word")
    card._calls["shown"] = lambda: 1 / 0
    card.frame.buttons["shown"].click()

    assert card.line == "ZeroDivisionError was raised; card.error holds it."
    assert not card.frame.buttons["chosen"].disabled
    assert provider.asked == []


def test_a_job_nobody_can_be_asked_about_says_why(tmp_path):
    """The button is off and its tooltip is the reason; Python raises the same."""
    card, _, _ = opened(tmp_path, provider={"veo": Counting()})
    button = card.frame.buttons["chosen"]
    assert (button.disabled, button.tooltip[:17]) == (True, "No job is chosen:")
    found = {}
    for job in card.summary.jobs:
        card.choose(job.job_id)
        found[job.job_id] = (button.disabled, button.tooltip)
        if button.disabled:
            with pytest.raises(OperationError) as raised:
                card.ask_chosen()
            assert str(raised.value) == button.tooltip
    card.ask_shown()

    assert found.pop(483) == (True, "It has no provider id: it can't be known whether the provider got it.")
    assert found.pop(480) == (True, "Nobody was named to ask about jobs of runway.")
    assert {disabled for disabled, _ in found.values()} == {False}
    assert card.question.startswith("Ask veo about 2 jobs: 2 requests.")
    assert card.frame.asking.about == "Jobs 479, 481. For 1 other job nobody was named to be asked."


def test_rows_tell_apart_what_heals_itself_and_what_needs_a_person(tmp_path):
    """A word and a glyph each, not a colour alone; oldest update first."""
    card, _, _ = opened(tmp_path)
    texts, columns = card.frame.grid._texts()
    rows = texts.set_index("job")

    assert list(texts["job"]) == ["479", "480", "485", "483", "481", "482", "484"]
    assert rows.loc["479", ["age", "bucket", "outlook"]].tolist() == ["1 h 30 min", "‼ very_stale", "→ will be checked"]
    assert rows.loc["482", ["bucket", "outlook"]].tolist() == ["✓ fresh", "↻ heals itself"]
    assert rows.loc["484", ["age", "bucket", "outlook"]].tolist() == ["not known", "? unknown", "⚑ needs a person"]
    assert {"targets": 4, "orderable": False} in columns
    assert texts.columns[4] == "age"


def test_a_long_id_is_short_in_the_table_and_whole_for_the_row_chosen(tmp_path):
    """Also after the table was read again: the row stays chosen."""
    id = "5d0c7e1e-9a4b-4c1d-8f43-6a2f9d1b0c77"
    path = app.make_app(tmp_path, [app.job(id, 90), app.job("other", 95)], text_ids=True)
    card = clawcut.card(path, Counting(), now=app.NOW)
    pick(card, id)
    card.refresh()

    assert list(card.frame.grid._texts()[0]["job"]) == ["other", "5d0c7e1e…"]
    assert id in card.frame.detail.value
    assert (card.chosen.job_id, card.frame.grid.selected["job"].job) == (id, card.chosen)
    with pytest.raises(QueryError, match="No job shown has the id 'nobody'"):
        card.choose("nobody")


def test_without_jobs_it_says_that_none_waits(tmp_path):
    """And there is nothing to ask."""
    card, _, _ = opened(tmp_path, jobs=[app.job(1, 30, status="completed")])

    assert "No job waits." in card.frame.grid._text
    assert [card.frame.buttons[name].disabled for name in ("refresh", "chosen", "shown")] == [False, True, True]


def test_the_code_does_the_same(tmp_path):
    """Pasted into a cell, with the card's own arguments."""
    card, provider, path = opened(tmp_path)
    assert card.code == "clawcut.summary(database)"
    names = {"clawcut": clawcut, "database": path, "provider": provider}
    card.choose(479)
    for ask in (card.ask_chosen, card.ask_shown):
        ask()
        code = card.code
        assert card.frame.copier.text == code
        assert repr(card.confirm()) == repr(eval(code, names))
        assert card.code == code
    card.refresh()
    plain = clawcut.card(path, provider, actor="ops", policy=clawcut.Policy(min_age=timedelta(minutes=7)), limit=3)
    plain.choose(479)
    plain.ask_chosen()

    assert code == (
        "clawcut.check_batch(database, provider, jobs=[479, 480, 481], limit=25, min_age_minutes=10, apply=False, "
        "now='2026-05-12T12:00:00Z')"
    )
    assert plain.code == "clawcut.check(database, 479, provider, apply=False, actor=actor, policy=policy)"


def test_stop_ends_a_batch_after_the_job_at_hand(tmp_path):
    """What was asked is kept and told."""
    provider = Counting(also=lambda: len(provider.asked) == 2 and card.stop())
    card, _, path = opened(tmp_path, jobs=[app.job(id, 60 + id) for id in range(1, 6)], provider=provider)
    card.apply = True
    card.ask_shown()
    batch = card.confirm()

    assert (provider.asked, batch.count) == (["p5", "p4"], 2)
    assert card.line == "Stopped after 2 of 5. 2 of 5 candidates checked: 2 completed; 2 jobs written."
    assert [row["status"] for row in app.rows(path)] == ["processing"] * 3 + ["completed"] * 2
    card.ask_shown()
    assert card.confirm().count == 3


def test_an_interrupted_batch_ends_after_the_job_at_hand(tmp_path):
    """An answer that is about to be written is; the card says how far it came, and can go on."""

    def interrupt():
        if len(provider.asked) == 2:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.1)

    provider = Counting(also=interrupt)
    card, _, path = opened(tmp_path, jobs=[app.job(id, 60 + id) for id in range(1, 6)], provider=provider)
    card.apply = True
    card.ask_shown()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            card.confirm()
    finally:
        signal.signal(signal.SIGINT, before)

    assert card.line.startswith("Stopped after 2 of 5.")
    assert [row["status"] for row in app.rows(path)] == ["processing"] * 3 + ["completed"] * 2
    assert not card.running
    assert not card.frame.buttons["shown"].disabled


def test_asking_leaves_the_kernel_free(tmp_path):
    """It runs in a thread, tells how far it is, and a person can stop it meanwhile."""
    go, seen = threading.Semaphore(0), []
    provider = Counting(also=lambda: go.acquire(timeout=10))
    card, _, _ = opened(tmp_path, provider=provider)

    async def hand():
        card.ask_shown()
        click(card, "ask")
        assert card.running
        assert {button.tooltip for button in card.frame.buttons.values()} == {"Somebody is being asked just now."}
        for again in (card.ask_shown, card.confirm):
            with pytest.raises(OperationError, match="being asked"):
                again()
        click(card, "ask")
        go.release()
        await until(lambda: card.frame.asking.done == 1)
        seen.append((card.frame.asking.running, card.frame.asking.stoppable))
        click(card, "stop")
        go.release()
        await until(lambda: not card.running)

    asyncio.run(hand())
    assert seen == [("1 of 3", True)]
    assert provider.asked == ["p479", "p480"]
    assert card.line.startswith("Stopped after 2 of 3.")
    assert (card.frame.asking.running, card.frame.buttons["shown"].disabled) == ("", False)


def test_nothing_secret_is_in_it(tmp_path):
    """In every column that may hold a secret, in what the provider answers and in what it writes."""
    jobs = [app.job(id, 30 + id, **SECRETS) for id in (1, 2, 3)]
    events = [app.event("failed", 9, actor="secret-a", job_id=1, error="secret-b")]
    folder = tmp_path / "secret-folder"
    folder.mkdir()
    card, _, path = opened(folder, jobs=jobs, events=events)
    card.apply = True
    card.choose(1)
    card.ask_chosen()
    card.confirm()
    card.ask_shown()
    card.confirm()

    assert "secret" not in says(card)
    assert "completed" in says(card)
    assert path.read_bytes().count(b"secret") > 10


def test_hostile_texts_are_escaped(tmp_path):
    """Ids may hold anything; what is no plain word in other columns is not shown."""
    names = [name for name in hostile.CORPUS if name not in {"surrogate", "nul", "huge"}]
    jobs = [app.job(hostile.CORPUS[name] + str(place), 60, provider=hostile.CORPUS[name], kind="video")
            for place, name in enumerate(names)]  # fmt: skip
    card = clawcut.card(app.make_app(tmp_path, jobs, text_ids=True), Counting(), now=app.NOW)
    for job in card.summary.jobs:
        card.choose(job.job_id)
        card.ask_chosen()
        for html in hostile.shown_by(card.widget):
            assert hostile.Found(html).marked == [], job.job_id
        assert len(card.question) < 200
    card.confirm()

    assert hostile.Found(card._repr_mimebundle_()["text/html"]).marked == []
    assert "(no plain word)" in card.question or "(no plain word)" in card.frame.detail.value


def test_it_is_the_same_line_every_time(tmp_path):
    """No memory address; without a kernel there is a table to read."""
    card, _, _ = opened(tmp_path)
    bundle = card._repr_mimebundle_()

    assert repr(card) == bundle["text/plain"] == "Card(7 jobs that are not over)"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "<td" in bundle["text/html"]
    assert "needs a person" in bundle["text/html"]
    assert "2026-05-12 12:00:00 UTC, a fixed time." in card.frame.head.value
    assert "No pass has run." in card.frame.passed.value


def test_the_clock_is_the_machines_unless_one_is_given(tmp_path):
    """It goes on between two refreshes."""
    card, _, _ = opened(tmp_path, now=None)
    first = card.summary.at
    card.refresh()

    assert card.summary.at > first
    assert "fixed" not in card.frame.head.value


def test_importing_clawcut_loads_no_widgets():
    """The card is loaded by the call that makes one."""
    code = "import sys, replaykit.systems.clawcut as c; c.card; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert {"ipywidgets", "anywidget", "pandas", "replaykit.widgets.jobs_card"} & set(loaded) == set()
