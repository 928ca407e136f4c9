"""Questions to one long replay, each asked at random places, timed, and answered once more from the bare history."""

from __future__ import annotations

import statistics
import time
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import replaykit as rk
from benchmarks.workload import COLUMNS, by_handlers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from benchmarks.measuring import Clock
    from replaykit.blame import Blame

__all__ = ["ask"]

_TIMES = 15
_APART = 1_000
_RULE = "SELECT job_id FROM jobs WHERE status = 'failed' AND $now - updated_at > $patience ORDER BY job_id"
_RARE = "SELECT job_id FROM jobs WHERE status = 'failed' AND attempts > $least"


def ask(clock: Clock, recording: str) -> dict[str, Any]:
    """Replay once, which the clock counts, then ask; returns the median seconds of each question.

    Raises
    ------
    AssertionError
        An answer is not what the bare history says.
    """
    with rk.open(recording) as opened:
        with clock:
            span = opened.span
            assert span is not None
            start, end = span.bounds()
            run = rk.replay(opened, _with_rules((end - start) / 120), ticks=(end - start) / 60)
        asked = _Asked(run)
        return {name: statistics.median(asked.seconds(question)) for name, question in asked.questions.items()}


def _with_rules(patience: timedelta) -> rk.Reconciler:
    """Return the handlers with one rule said twice, in Python and in SQL."""
    jobs = by_handlers()
    jobs.params = {"patience": patience}

    @jobs.rule("in Python", key="job_id")
    def retry(state: Any, now: Any) -> Iterator[rk.Action]:
        for job in state["jobs"].find(status="failed"):
            if now - job["updated_at"] > state.params.patience:
                yield rk.Action("retry", job_id=job["job_id"])

    jobs.rule("in SQL", _RULE, key="job_id", action="retry by SQL")
    return jobs


class _Asked:
    """A replay, its history as pandas reads it, and the questions."""

    def __init__(self, run: rk.Replay) -> None:
        self._run = run
        self._draw = Random(11)
        self._versions = run.sql("SELECT * FROM history.jobs ORDER BY change")
        self._last = run.after_step
        self.questions: dict[str, Callable[[], tuple[Callable[[], Any], Callable[[Any], Any]]]] = {
            "at": self._at,
            "blame": self._blame,
            "touched": self._touched,
            "first": self._first,
            "when": self._when,
            "diff": lambda: self._diff(self._step(), _APART),
            "diff of all": lambda: self._diff(0, self._last),
            "gross diff": self._gross,
            "why": lambda: self._why("in Python"),
            "why sql": lambda: self._why("in SQL"),
            "why not": lambda: self._why_not("retry"),
            "why not sql": lambda: self._why_not("retry by SQL"),
        }

    def seconds(self, question: Callable[[], tuple[Callable[[], Any], Callable[[Any], Any]]]) -> list[float]:
        """Return how long a question took each time; the first, which imports and plans, is not counted."""
        found = []
        for number in range(_TIMES + 1):
            asked, check = question()
            start = time.perf_counter()
            answer = asked()
            took = time.perf_counter() - start
            check(answer)
            found += [took] if number else []
        return found

    def _step(self) -> int:
        return self._draw.randint(1, max(1, self._last - _APART))

    def _state(self, step: int) -> pd.DataFrame:
        """Return the last version of each job up to a step; nothing of this workload is ever deleted."""
        known = self._versions[self._versions["valid_from"] <= step]
        return known.drop_duplicates("job_id", keep="last").sort_values("born")[list(COLUMNS)].reset_index(drop=True)

    def _of(self, job: str, step: int) -> pd.DataFrame:
        return self._versions[(self._versions["job_id"] == job) & (self._versions["valid_from"] <= step)]

    def _at(self) -> Any:
        step = self._step()
        return lambda: self._run.at(step=step)["jobs"], lambda found: _equal(found, self._state(step))

    def _blame(self) -> Any:
        step = self._step()
        job = str(self._versions["job_id"].iloc[self._draw.randrange(step)])

        def check(found: Blame) -> None:
            life = self._of(job, step)
            changed = life["status"] != life["status"].shift()
            _same((found.step, found.value), (life.loc[changed, "valid_from"].iloc[-1], life["status"].iloc[-1]))

        return lambda: self._run.at(step=step).blame("jobs", job, "status"), check

    def _touched(self) -> Any:
        step = self._step()

        def check(found: rk.Touched) -> None:
            job = str(self._versions.loc[self._versions["valid_from"] == step, "job_id"].iloc[0])
            life = self._of(job, self._last)
            differs = _differs(life)
            place = int(np.flatnonzero(life["valid_from"] == step)[0])
            columns = [name for name in COLUMNS if place and differs[name].iloc[place]]
            _same([one for one in found.changes["column"] if isinstance(one, str)], columns)
            later = [life["valid_from"].iloc[place + 1 :][differs[name].iloc[place + 1 :]].min() for name in columns]
            told = list(found.later["until"]) if columns else []
            _same(*([-1 if pd.isna(one) else int(one) for one in steps] for steps in (told, later)))

        return lambda: self._run.history.touched(event=f"ev-{step - 1}"), check

    def _matching(self) -> tuple[int, pd.DataFrame]:
        least = self._draw.randint(1, 6)
        return least, self._versions[(self._versions["status"] == "failed") & (self._versions["attempts"] > least)]

    def _first(self) -> Any:
        least, found = self._matching()
        wanted = found["valid_from"].min() if len(found) else None
        return lambda: self._run.first(_RARE, least=least), lambda answer: _same(answer.step, wanted)

    def _when(self) -> Any:
        least, found = self._matching()
        turns = np.zeros(self._last + 2, dtype=np.int64)
        np.add.at(turns, found["valid_from"], 1)
        np.add.at(turns, found["valid_to"].fillna(self._last + 1).astype(np.int64), -1)
        holds = np.cumsum(turns)[: self._last + 1] > 0
        return lambda: self._run.when(_RARE, least=least), lambda answer: _same(answer.steps, int(holds.sum()))

    def _diff(self, step: int, apart: int) -> Any:
        end = min(step + apart, self._last)

        def check(found: Any) -> None:
            one, other = self._state(step).set_index("job_id"), self._state(end).set_index("job_id")
            both = other.loc[one.index]
            cells = {name: int((~_alike(one[name], both[name])).sum()) for name in one.columns}
            _same(len(found["jobs"].added), len(other) - len(one))
            _same(found["jobs"].changed_columns, {name: n for name, n in cells.items() if n})

        return lambda: rk.diff(self._run.at(step=step), self._run.at(step=end)), check

    def _gross(self) -> Any:
        step = self._step()
        end = min(step + _APART, self._last)

        def check(found: rk.GrossDiff) -> None:
            jobs = self._versions.loc[self._versions["valid_from"].between(step + 1, end), "job_id"].unique()
            lives = self._versions[self._versions["job_id"].isin(jobs) & (self._versions["valid_from"] <= end)]
            lives = lives.sort_values(["born", "change"])
            inside = lives["valid_from"] > step
            opens = lives["born"] != lives["born"].shift()
            changes = int((_differs(lives)[inside & ~opens]).to_numpy().sum()) + int((inside & opens).sum())
            _same(len(found), changes)

        return lambda: rk.diff(self._run.at(step=step), self._run.at(step=end), gross=True), check

    def _why(self, rule: str) -> Any:
        actions = self._run.actions
        row = actions[actions["rule"] == rule].iloc[self._draw.randrange(int((actions["rule"] == rule).sum()))]
        life = self._of(row["job_id"], row["step"])

        def check(found: Any) -> None:
            read = {cell.column: cell.value for cell in found.cells if cell.key == (row["job_id"],)}
            wanted = {name: life[name].iloc[-1] for name in ("status", "updated_at")}
            _same({name: read[name] for name in wanted}, wanted)
            _same(found.cause.blame.step, int(life["valid_from"].iloc[-1]))

        return lambda: self._run.why(row), check

    def _why_not(self, kind: str) -> Any:
        ticks = self._run.metrics
        tick = ticks.iloc[self._draw.randrange(1, len(ticks))]
        state = self._state(int(tick["step"]))
        others = state[state["status"] != "failed"]
        job = others.iloc[self._draw.randrange(len(others))]

        def check(found: Any) -> None:
            (need,) = found.best.needs
            _same((need.key, need.column, need.value), ((job["job_id"],), "status", "failed"))
            _same(found.best.cells[0].value, job["status"])

        return lambda: self._run.why_not(kind, job_id=job["job_id"], at=tick["at"]), check


def _differs(versions: pd.DataFrame) -> pd.DataFrame:
    """Return which cells are not as in the row before."""
    return pd.DataFrame({name: ~_alike(versions[name], versions[name].shift()) for name in COLUMNS})


def _alike(one: pd.Series[Any], other: pd.Series[Any]) -> pd.Series[bool]:
    alike: pd.Series[bool] = ((one == other).fillna(False) | (one.isna() & other.isna())).astype(bool)
    return alike


def _equal(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    if len(found) != len(wanted) or not all(_alike(found[name], wanted[name]).all() for name in COLUMNS):
        raise AssertionError(f"A state of {len(found):,} rows is not the one of {len(wanted):,} rows it should be.")


def _same(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise AssertionError(f"The answer is {found!r}; the bare history says {wanted!r}.")
