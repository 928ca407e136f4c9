"""The card of an app's jobs: how they stand, and what to ask of whom, nothing before it was confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import OperationError, QueryError, ReplayKitError, excerpt
from replaykit.systems.clawcut.asking import Question, question_of_job, question_of_jobs, standing, told, why_nobody
from replaykit.systems.clawcut.policy import Policy
from replaykit.systems.clawcut.summary import summary
from replaykit.widgets.aside import Aside
from replaykit.widgets.jobs_frame import BUSY, NOTHING_CHOSEN, JobsFrame

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from datetime import datetime

    from replaykit.systems.clawcut.batches import Batch
    from replaykit.systems.clawcut.checks import Check
    from replaykit.systems.clawcut.outlook import LiveJob
    from replaykit.systems.clawcut.provider import Providers
    from replaykit.systems.clawcut.summary import Summary

__all__ = ["Card"]


class Card:
    """An app's jobs to operate; display it as the last line of a cell. See `replaykit.systems.clawcut.card`.

    Notes
    -----
    `summary`, `last`, `chosen` and `code` are plain values. The methods do what the controls do, and raise what a
    person would read in the card. A question is void as soon as the table, the choice or the checkbox changes.
    """

    def __init__(
        self,
        database: str | os.PathLike[str],
        provider: Providers,
        *,
        now: datetime | str | None,
        policy: Policy,
        limit: int,
        actor: str,
    ) -> None:
        self._database, self._provider, self._now, self._policy = database, provider, now, policy
        self._limit, self._actor = limit, actor
        self._question: Question | None = None
        self._put: Question | None = None
        self.summary: Summary = summary(database, now=now, policy=policy)
        """How the jobs stood when the table was made."""
        self.last: Check | Batch | None = None
        """What came of the last question that was put."""
        self.chosen: LiveJob | None = None
        """The job whose row is chosen."""
        self.error: BaseException | None = None
        """Why the last thing asked for could not be done; None if it could."""
        self._aside = Aside(self._far, self._done, self._failed)
        self._calls: dict[str, Callable[[], object]] = {
            "refresh": self.refresh,
            "chosen": self.ask_chosen,
            "shown": self.ask_shown,
            "writes": lambda: self._void("whether answers are written has changed"),
            "ask": lambda: self.confirm(wait=False),
            "cancel": self.cancel,
            "stop": self.stop,
        }
        self.frame = JobsFrame(
            lambda what: self._try(self._calls[what]), lambda job: self._try(lambda: self._pick(job))
        )
        """The widgets: ``buttons``, ``writes``, ``grid``, ``asking``, ``detail``."""
        self.widget = self.frame.widget
        """Everything, to be put into a layout of your own."""
        self._show()

    @property
    def apply(self) -> bool:
        """Whether answers are written; set it to change that."""
        return bool(self.frame.writes.value)

    @apply.setter
    def apply(self, apply: bool) -> None:
        self.frame.writes.value = apply

    @property
    def question(self) -> str:
        """What will be asked of whom on `confirm`; empty if no question is open."""
        return "" if self._question is None else self._question.sentence

    @property
    def line(self) -> str:
        """What came of the last thing done, as the card says it."""
        return str(self.frame.asking.line)

    @property
    def running(self) -> bool:
        """Whether somebody is being asked."""
        return self._aside.running

    @property
    def code(self) -> str:
        """The plain call that does the same as the open question, else as the last one put, else what is shown."""
        question = self._question or self._put
        if question is None:
            return "clawcut.summary(database)"
        return question.call(self._now, actor=self._actor != "operator", policy=self._policy != Policy())

    def refresh(self) -> None:
        """Read the database again and show it; a question that is open is void."""
        self._void("the table was read again")
        try:
            self.summary = summary(self._database, now=self._now, policy=self._policy)
        except BaseException as error:
            self._fail(error, "The table is as it was before.")
            raise
        self.error = None
        self._show()

    def choose(self, job_id: Any) -> None:
        """Choose the row of a job.

        Raises
        ------
        QueryError
            No job shown has that id.
        """
        found = next((job for job in self.summary.jobs if job.job_id == job_id), None)
        if found is None:
            raise QueryError(f"No job shown has the id {excerpt(job_id)}; card.summary.table lists them.")
        self._pick(found)
        self.frame.grid.select(self.summary.jobs.index(found))

    def ask_chosen(self) -> None:
        """Put the question about the job chosen; nobody is asked before `confirm`.

        Raises
        ------
        OperationError
            No job is chosen, nobody can be asked about it, or somebody is being asked just now.
        """
        if self.chosen is None:
            raise OperationError(NOTHING_CHOSEN)
        self._ask(question_of_job(self.chosen, self._provider, apply=self.apply, policy=self._policy))

    def ask_shown(self) -> None:
        """Put the question about the oldest jobs shown; nobody is asked before `confirm`.

        Raises
        ------
        OperationError
            No job shown is old enough, nobody can be asked about them, or somebody is being asked just now.
        """
        self._ask(question_of_jobs(self.summary, self._provider, limit=self._limit, apply=self.apply))

    def confirm(self, *, wait: bool = True) -> Check | Batch | None:
        """Ask what the question says; if waited for, return what came of it or raise what went wrong.

        Raises
        ------
        OperationError
            No question is open, or the database is missing or locked.
        """
        if self._question is None:
            raise OperationError(BUSY if self.running else "There is no question to confirm: ask_chosen, ask_shown.")
        question, self._question, self.error = self._question, None, None
        self._put = question
        self._able(busy=True)  # first: the keyboard must not be led to a button that is about to rest
        self.frame.asking.begin(question.sentence.partition(":")[0], stoppable=question.batch)
        self._aside.start(lambda: self._asked(question), wait=wait)
        if wait and self.error is not None:
            raise self.error
        return self.last if wait else None

    def cancel(self) -> None:
        """Withdraw the question; nobody is asked."""
        if self._question is not None:
            self._withdraw("note", "Cancelled; nobody was asked.")

    def stop(self) -> None:
        """End a batch after the job at hand."""
        self._aside.stop()

    def _asked(self, question: Question) -> Check | Batch:
        """Ask, in a thread of its own."""
        return question.put(
            self._database,
            self._provider,
            now=self._now,
            actor=self._actor,
            policy=self._policy,
            progress=self._aside.step,
        )

    def _ask(self, question: Question) -> None:
        if self.running:
            raise OperationError(BUSY)
        self._question, self.error = question, None
        self.frame.asking.put(question.sentence, question.details)
        self.frame.copier.text = self.code

    def _pick(self, job: LiveJob) -> None:
        if job != self.chosen:
            self._void("another job was chosen")
        self.chosen = job
        self._able(busy=self.running)

    def _void(self, why: str) -> None:
        if self._question is not None:
            self._withdraw("void", f"The question is void: {why}. Nobody was asked.")

    def _withdraw(self, status: str, text: str) -> None:
        self._question = None
        self.frame.asking.say(status, text)
        self.frame.copier.text = self.code

    def _try(self, call: Callable[[], object]) -> None:
        """Do what a person asked for; an exception is said in the card, since nobody would see it elsewhere."""
        try:
            call()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - as said
            if error is not self.error:
                self._fail(error)

    def _far(self, done: int, total: int) -> None:
        if total:
            self.frame.asking.far(f"{done:,} of {total:,}", done, total)

    def _done(self, found: Check | Batch) -> None:
        assert self._put is not None
        line = told(self._put, found, stopped=self._aside.stopped)
        self._try(self.refresh)  # first, so that who sees the line sees the table it belongs to
        self.last = found
        if self.error is None:
            self.frame.asking.say(standing(self._put, found), line)
        else:
            self.frame.asking.say("error", f"{line} But the table is as it was before: {_sentence(self.error)}")

    def _failed(self, error: BaseException) -> None:
        self._try(self.refresh)
        self._fail(error)

    def _fail(self, error: BaseException, more: str = "") -> None:
        self.error, self._question = error, None
        self._able(busy=self.running)
        self.frame.asking.say("error", f"{_sentence(error)} {more}".strip())

    def _show(self) -> None:
        """Make every part say what the summary says; the job chosen stays so as long as it is there."""
        self.frame.show(self.summary, fixed=self._now is not None)
        known = [] if self.chosen is None else [self.chosen.job_id]
        place = next((place for place, job in enumerate(self.summary.jobs) if job.job_id in known), None)
        self.chosen = None if place is None else self.summary.jobs[place]
        self.frame.grid.select(place)
        self._able(busy=self.running)

    def _able(self, *, busy: bool = False) -> None:
        self.frame.choose(self.chosen)
        why = NOTHING_CHOSEN if self.chosen is None else why_nobody(self.chosen, self._provider)
        self.frame.able({"chosen": why, "shown": self._why_none()}, busy=busy)
        self.frame.copier.text = self.code

    def _why_none(self) -> str:
        try:
            question_of_jobs(self.summary, self._provider, limit=self._limit, apply=False)
        except OperationError as error:
            return str(error)
        return ""

    def __repr__(self) -> str:
        return f"Card({len(self.summary.jobs)} jobs that are not over)"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return the widget, and for readers without a kernel what it says."""
        html = self.frame.without_kernel(self.summary)
        return {**self.widget._repr_mimebundle_(), "text/plain": repr(self), "text/html": html}


def _sentence(error: BaseException) -> str:
    """Return what may be shown of an error: of somebody else's only the name, since its text may hold secrets."""
    if isinstance(error, (ReplayKitError, ImportError)):
        return str(error)
    return f"{type(error).__name__} was raised; card.error holds it."
