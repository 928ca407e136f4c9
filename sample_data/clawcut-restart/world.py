"""One simulated day of clawcut and its three providers, in plain dataclasses: two restarts and one slow provider."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

__all__ = ["END", "RESTARTS", "Event", "Job", "LogLine", "Plan", "Restart", "Truth", "Work", "World", "clock", "live"]
__all__ += ["log_of", "stamp", "truth_of"]

DAY = "2026-05-12"
END = 86_400_000  # every time is a number of milliseconds since midnight; the day ends here, this moment not included
STATUS_AFTER = {"job_created": "queued", "submitted": "pending"}
TERMINAL = ("completed", "failed", "cancelled")
ACTORS = {"job_created": "user", "cancelled": "user", "submitted": "worker", "app_restarted": "system"}


def clock(text: str) -> int:
    """Return the milliseconds since midnight of ``HH:MM:SS`` or ``HH:MM:SS.mmm``."""
    hours, minutes, seconds = text.split(":")
    whole, _, rest = seconds.partition(".")
    return ((int(hours) * 60 + int(minutes)) * 60 + int(whole)) * 1000 + int(rest or 0)


def stamp(at: int | None) -> str:
    """Return a time as the app and the providers write it, and an empty text for none."""
    if at is None:
        return ""
    seconds, rest = divmod(at, 1000)
    return f"{DAY}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}Z"


@dataclass(frozen=True)
class Restart:
    """The app's process ended and began again; only pollers of jobs in these statuses go on."""

    ended: int
    began: int
    reason: str
    resumes: tuple[str, ...] = ()


RESTARTS = (
    Restart(clock("10:31:07"), clock("10:31:07.412"), "deploy"),
    Restart(clock("16:02:40"), clock("16:04:10.118"), "crash", ("processing",)),
)


@dataclass
class Plan:
    """What is to become of a job, before chance has filled in the rest."""

    created: int
    kind: str
    provider: str
    wait: int
    """From its creation until the provider accepts it."""
    queue: int
    """From there until the provider starts."""
    runs: int
    """From acceptance until the provider's end."""
    outcome: str
    request: dict[str, object]
    error: str = ""
    reaches: str = "app"
    """How far the submission gets: ``nobody``, the ``provider``, or with its answer back to the ``app``."""
    cancel_after: int | None = None
    heard: bool = True
    """Whether the provider stops when the user cancels."""


@dataclass
class Work:
    """A job as its provider has it."""

    provider: str
    provider_job_id: str
    job_id: int
    """Known to this world only: no provider knows the app's ids."""
    accepted: int
    started: int | None
    ended: int
    outcome: str
    result_url: str = ""
    error: str = ""


@dataclass
class Job:
    """A row of ``ai_jobs``, and what became of whoever was to ask for it."""

    id: int
    kind: str
    provider: str
    request: dict[str, object]
    created: int
    updated: int
    status: str = "queued"
    provider_job_id: str | None = None
    response: dict[str, object] | None = None
    result_url: str | None = None
    error: str | None = None
    last_poll: int | None = None
    lost_in: Restart | None = None
    """The restart in which its poller, or its request to the provider, went."""


@dataclass
class Event:
    """A row of ``audit_events``, but for its id."""

    at: int
    kind: str
    metadata: dict[str, object]

    @property
    def actor(self) -> str:
        """Return who did it."""
        return ACTORS.get(self.kind, "poller")


@dataclass
class World:
    """Everything that happened, whether the app knows it or not."""

    seed: int
    jobs: list[Job] = field(default_factory=list)
    work: list[Work] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def tell(self, job: Job, at: int, kind: str, **metadata: str) -> None:
        """Write one event and the job's row, as the app does in one transaction."""
        self.events.append(Event(at, kind, {"job_id": job.id, **metadata}))
        job.status = metadata["status"] if kind == "status_polled" else STATUS_AFTER.get(kind, kind)
        job.updated = at
        job.provider_job_id = metadata.get("provider_job_id", job.provider_job_id)
        job.error = metadata.get("error", job.error)
        if kind == "status_polled":
            job.last_poll = at


@dataclass(frozen=True)
class LogLine:
    """A line of the providers' log."""

    at: int
    provider: str
    provider_job_id: str
    event: str
    result_url: str = ""
    error: str = ""


@dataclass(frozen=True)
class Truth:
    """What is true of a job that is not terminal in the app when the day ends."""

    job_id: int
    what: str
    provider_job_id: str = ""
    provider_finished_at: int | None = None
    provider_outcome: str = ""
    restart: int | None = None
    last_poll_at: int | None = None


def live(plans: list[Plan], seed: int) -> World:
    """Let the day happen to jobs planned in the order of their creation; their ids count from 1."""
    world, chance = World(seed), random.Random(f"world {seed}")
    taken: set[str] = set()
    for number, plan in enumerate(plans, 1):
        job = Job(number, plan.kind, plan.provider, plan.request, plan.created, plan.created)
        world.jobs.append(job)
        live_one(world, job, plan, chance, taken)
    world.events += [Event(restart.began, "app_restarted", {"reason": restart.reason}) for restart in RESTARTS]
    world.events.sort(key=lambda event: event.at)
    return world


def live_one(world: World, job: Job, plan: Plan, chance: random.Random, taken: set[str]) -> None:
    """Let one job live from its creation until it is terminal, lost, or the day is over."""
    world.tell(job, plan.created, "job_created")
    accepted = plan.created + plan.wait
    cancelled = None if plan.cancel_after is None else plan.created + plan.cancel_after
    if cancelled is not None and cancelled <= accepted:
        return world.tell(job, cancelled, "cancelled")
    if plan.reaches == "nobody":
        job.lost_in = restart_between(plan.created, accepted)
        return None
    work = accept(world, job, plan, accepted, new_id(chance, taken))
    if plan.reaches == "provider":
        job.lost_in = restart_between(accepted, accepted + 1000)
        return None
    world.tell(job, accepted + chance.randrange(40, 250), "submitted", provider_job_id=work.provider_job_id)
    if plan.provider == "pixl":
        return await_answer(world, job, work, work.ended + chance.randrange(50, 300))
    return poll(world, job, work, cancelled, chance)


def new_id(chance: random.Random, taken: set[str]) -> str:
    """Return a hex id that no provider has given out today."""
    while (fresh := f"{chance.getrandbits(56):014x}") in taken:
        pass
    taken.add(fresh)
    return fresh


def accept(world: World, job: Job, plan: Plan, at: int, provider_job_id: str) -> Work:
    """Let the provider take the job over, with all that will become of it there."""
    started = None if plan.provider == "pixl" else at + plan.queue
    work = Work(plan.provider, provider_job_id, job.id, at, started, at + plan.runs, plan.outcome)
    if plan.cancel_after is not None and plan.heard:
        work.ended, work.outcome = plan.created + plan.cancel_after + 400, "failed"
        work.error = "canceled by client"
    elif work.outcome == "failed":
        work.error = plan.error
    else:
        work.result_url = f"https://{work.provider}.example/r/{provider_job_id}"
    world.work.append(work)
    return work


def restart_between(after: int, until: int) -> Restart | None:
    """Return the restart in which the process ended after one moment and not after another."""
    return next((restart for restart in RESTARTS if after < restart.ended <= until), None)


def settle(world: World, job: Job, work: Work, at: int) -> None:
    """Let the app learn how it ended at the provider."""
    if work.outcome == "failed":
        return world.tell(job, at, "failed", error=work.error)
    job.result_url = work.result_url
    job.response = {"state": "done", "seconds": (work.ended - work.accepted) // 1000}
    return world.tell(job, at, "completed")


def await_answer(world: World, job: Job, work: Work, at: int) -> None:
    """Wait for a provider that answers when it is done; the connection dies with the process."""
    job.lost_in = restart_between(job.updated, at)
    if job.lost_in is None and at < END:
        settle(world, job, work, at)


def poll(world: World, job: Job, work: Work, cancelled: int | None, chance: random.Random) -> None:
    """Ask every 20 to 45 s until it is over for the app, or the one who asks is lost."""
    at = job.updated
    while True:
        before, at = at, at + chance.randrange(20_000, 45_001)
        if cancelled is not None and cancelled <= at:  # no story cancels across a restart
            return world.tell(job, cancelled, "cancelled")
        if restart := restart_between(before, at):
            if job.status not in restart.resumes:
                job.lost_in = restart
                return None
            at = restart.began + chance.randrange(1_000, 20_000)
        if at >= END:
            return None
        if work.ended <= at:
            return settle(world, job, work, at)
        started = work.started is not None and work.started <= at
        world.tell(job, at, "status_polled", status="processing" if started else "pending")


def log_of(world: World) -> list[LogLine]:
    """Return what the providers wrote down before the day ended, in order of time."""
    lines = []
    for work in world.work:
        whose = (work.provider, work.provider_job_id)
        lines.append(LogLine(work.accepted, *whose, "accepted"))
        if work.started is not None and work.started < work.ended:
            lines.append(LogLine(work.started, *whose, "started"))
        lines.append(LogLine(work.ended, *whose, work.outcome, work.result_url, work.error))
    return sorted((line for line in lines if line.at < END), key=lambda line: (line.at, line.provider_job_id))


def truth_of(world: World) -> list[Truth]:
    """Return one line for each job that is not terminal, from the providers' log and from what this world knows."""
    ids = {work.job_id: work.provider_job_id for work in world.work}
    ends = {line.provider_job_id: line for line in log_of(world) if line.event in {"finished", "failed"}}
    found = []
    for job in world.jobs:
        if job.status in TERMINAL:
            continue
        theirs = ids.get(job.id, "")
        end = ends.get(theirs)
        at, outcome = (end.at, end.event) if end else (None, "")
        restart = job.lost_in.ended if job.lost_in else None
        found.append(Truth(job.id, what_is(job, theirs, end is not None), theirs, at, outcome, restart, job.last_poll))
    return found


def what_is(job: Job, theirs: str, ended: bool) -> str:
    """Return the one word for a job that is not terminal."""
    if not theirs:
        return "never_submitted"
    if job.provider_job_id is None:
        return "lost_submission"
    if job.lost_in is None:
        return "finished_unpolled" if ended else "running"
    return "stranded" if ended else "orphaned"
