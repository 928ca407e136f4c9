"""Write one day of clawcut: app.sqlite, provider_log.csv and truth.csv.

Run ``python generate.py [folder] [--seed N] [--jobs N] [--scale N]``. The same options give the same rows. What happens
to a job is in ``world.py`` beside this file; here is what is asked of it, and how it is written down.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import random
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["generate", "plans", "write"]


def beside(name: str) -> ModuleType:
    """Import a module of this folder, from wherever this one was imported."""
    spec = importlib.util.spec_from_file_location(f"clawcut_restart_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


world = beside("world")
clock = world.clock

SEED = 20260512
JOBS = 2000
VIDEO_SHARE = 0.43
HOURS = (14, 10, 8, 6, 6, 8, 14, 26, 40, 52, 58, 60, 56, 58, 60, 58, 56, 54, 52, 50, 46, 38, 28, 20)  # jobs of an hour
SLOW = (clock("13:00:00"), clock("14:20:00"))  # of what veo accepts between these, everything takes long
SECOND, MINUTE = 1000, 60_000
ERRORS = ("content policy", "internal error", "no capacity", "input could not be read")
LOOKS = ("a quiet", "a bright", "an old", "a tiny", "a crowded", "a rainy")
THINGS = ("harbour", "kitchen", "mountain road", "market", "library", "greenhouse", "train")
STYLES = ("at dawn", "in winter", "from above", "in slow motion", "as a sketch")
REQUESTS: tuple[dict[str, object], ...] = (
    {
        "prompt": "雨の中の猫、\n窓の外を見る",
        "options": {"avoid": ["文字", "透かし"], "notes": {"de": "bitte ohne Straßenlärm", "ar": "بدون موسيقى"}},
    },
    {"prompt": "a fox 🦊 and an astronaut 👩‍🚀 dancing", "seconds": 8},
    {"prompt": "bring this to life", "image": "https://files.example/in.png?size=2&token=not-a-real-token"},
    {"prompt": 'He said "don\'t stop";\n-- DROP TABLE ai_jobs; --', "seconds": 6},
    {"prompt": "NULL", "note": '{"job_id":1,"status":"completed","provider_job_id":"0"}'},
)
ODD_ERROR = "The provider said: \"prompt refused\",\nsee 'terms' at https://veo.example/terms?a=1&b=%22"
TABLES = """
    CREATE TABLE ai_jobs (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, provider TEXT NOT NULL, status TEXT NOT NULL,
        provider_job_id TEXT, request_json TEXT, response_json TEXT, result_url TEXT, error TEXT,
        created_at TEXT NOT NULL, updated_at TEXT);
    CREATE TABLE audit_events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, actor TEXT, created_at TEXT NOT NULL,
        metadata TEXT);
"""


def planned(chance: random.Random, created: int, kind: str, provider: str, **more: Any) -> Any:
    """Return a plan for one job; what is not given is drawn."""
    runs = {"image": chance.randrange(2_000, 9_000), "audio": chance.randrange(3_000, 15_000)}.get(kind)
    wait = chance.randrange(200, 1_200)
    slow = provider == "veo" and SLOW[0] <= created + wait < SLOW[1]
    failed = chance.random() < 0.04
    drawn = {
        "wait": wait,
        "queue": chance.randrange(1_500, 40_000),
        "runs": runs or video_runs(chance, slow=slow),
        "outcome": "failed" if failed else "finished",
        "request": request(chance, kind),
        "error": chance.choice(ERRORS),
    }
    return world.Plan(created, kind, provider, **{**drawn, **more})


def video_runs(chance: random.Random, *, slow: bool) -> int:
    """Return how long a video takes at its provider: most 1.5 to 8 minutes, of a slow one 25 to 70."""
    while True:
        usual = chance.lognormvariate(1.22, 0.4)
        minutes = usual * chance.uniform(6, 10) if slow else usual
        if (25 <= minutes <= 70) if slow else (0.75 <= minutes <= 15):
            return int(minutes * MINUTE)


def request(chance: random.Random, kind: str) -> dict[str, object]:
    """Return what a user asks for."""
    text = f"{chance.choice(LOOKS)} {chance.choice(THINGS)} {chance.choice(STYLES)}"
    if kind == "audio":
        return {"text": text, "voice": chance.choice(["mira", "otto"])}
    return {"prompt": text, "seconds": chance.choice([5, 8])} if kind == "video" else {"prompt": text, "size": 1024}


def several(chance: random.Random, count: int, times: str, minutes: tuple[float, float], by: str = "") -> list[Any]:
    """Return plans for videos created between two times, that take so many minutes and end well."""
    first, last = (clock(time) for time in times.split())
    found = []
    for _ in range(count):
        runs = chance.randrange(int(minutes[0] * MINUTE), int(minutes[1] * MINUTE))
        provider = by or chance.choice(["veo", "runway"])
        created = chance.randrange(first, last)
        found.append(planned(chance, created, "video", provider, runs=runs, outcome="finished"))
    return found


def story(chance: random.Random, scale: int) -> list[Any]:
    """Return the plans for what makes this day this day; groups of jobs are ``scale`` times as large."""
    campaign = several(chance, 12 * scale, "10:27:20 10:30:40", (4, 8))
    before_crash = several(chance, 6 * scale, "16:02:18 16:02:35", (1.5, 6))
    waiting = several(chance, 2 * scale, "16:01:20 16:01:40", (3, 6))
    for plan in waiting:
        plan.queue = chance.randrange(90_000, 120_000)  # the provider lets them wait: asked once, and still pending
    for failing in (campaign[0], campaign[5], before_crash[3]):
        failing.outcome = "failed"
    campaign[0].request, campaign[0].error = REQUESTS[2], ODD_ERROR
    campaign[1].request, before_crash[0].request, before_crash[1].request = REQUESTS[0], REQUESTS[1], REQUESTS[4]
    slow = several(chance, 3 * scale, "13:04:00 14:05:00", (61, 69), "veo")
    slowest = several(chance, 3 * scale, "14:12:00 14:19:00", (113, 125), "veo")
    slow[0].request = REQUESTS[3]
    late = several(chance, 5 * scale, "23:53:00 23:59:30", (7.5, 11))
    groups = [*campaign, *before_crash, *waiting, *slow, *slowest, *late]
    return [*groups, *lost(chance), *cancelled(chance), odd_failure(chance)]


def lost(chance: random.Random) -> list[Any]:
    """Return the plans for three jobs a restart caught at a bad moment: two submissions and an image being made."""
    accepted = {"runs": 4 * MINUTE, "outcome": "finished"}
    return [
        planned(chance, clock("10:31:05.204"), "video", "veo", wait=1_317, reaches="provider", **accepted),
        planned(chance, clock("16:02:39.611"), "video", "runway", wait=980, reaches="nobody"),
        planned(chance, clock("16:02:36.480"), "image", "pixl", wait=450, runs=5_200, outcome="finished"),
    ]


def cancelled(chance: random.Random) -> list[Any]:
    """Return the plans for what users cancel; runway does not hear of one of them and works on."""
    long = {"runs": 4 * MINUTE, "outcome": "finished"}
    return [
        planned(chance, clock("09:14:08.130"), "video", "runway", wait=6_000, cancel_after=2_900),
        planned(chance, clock("11:40:31.902"), "video", "runway", cancel_after=71_040, **long),
        planned(chance, clock("13:30:12.077"), "video", "veo", cancel_after=22 * MINUTE + 417),
        planned(chance, clock("15:05:44.318"), "video", "runway", cancel_after=95_260, heard=False, **long),
        planned(chance, clock("18:20:03.655"), "image", "pixl", wait=4_000, cancel_after=1_730),
    ]


def odd_failure(chance: random.Random) -> Any:
    """Return the plan for a failure that the app learns of, whose text is hard to write down."""
    return planned(chance, clock("08:15:20.540"), "video", "veo", outcome="failed", error=ODD_ERROR)


def plans(seed: int, jobs: int, scale: int) -> list[Any]:
    """Return the plans for all jobs of the day in the order of their creation: the story's, and others besides."""
    chance = random.Random(f"plans {seed}")
    found = story(chance, scale)
    if jobs < len(found):
        msg = f"The story alone has {len(found)} jobs at scale={scale}, got jobs={jobs}. Ask for more jobs."
        raise ValueError(msg)
    while len(found) < jobs:
        hour = chance.choices(range(24), HOURS)[0]
        video = chance.random() < VIDEO_SHARE
        kind = "video" if video else chance.choice(["image", "image", "image", "audio"])
        created = away_from_restarts(chance, hour * 60 * MINUTE + chance.randrange(60 * MINUTE), kind)
        found.append(planned(chance, created, kind, chance.choice(["veo", "runway"]) if video else "pixl"))
    return sorted(found, key=lambda plan: plan.created)


def away_from_restarts(chance: random.Random, at: int, kind: str) -> int:
    """Return when a job is created: while the app is about to end or gone, its user comes again a little later."""
    for restart in world.RESTARTS:
        if restart.ended - (5 if kind == "video" else 25) * SECOND <= at <= restart.began:
            at = restart.began + chance.randrange(1_000, 60_000)
    latest: int = clock("23:59:30")  # what is asked for later would not be accepted before the day ends
    return min(at, latest)


def compact(value: object) -> str | None:
    """Return JSON without blanks and with text of any language as it is; None stays None."""
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def job_row(job: Any) -> list[object]:
    """Return a row of ``ai_jobs``."""
    asked = [job.provider_job_id, compact(job.request), compact(job.response), job.result_url, job.error]
    return [job.id, job.kind, job.provider, job.status, *asked, world.stamp(job.created), world.stamp(job.updated)]


def truth_row(truth: Any) -> list[object]:
    """Return a row of ``truth.csv``."""
    end = [world.stamp(truth.provider_finished_at), truth.provider_outcome]
    times = [world.stamp(truth.restart), world.stamp(truth.last_poll_at)]
    return [truth.job_id, truth.what, truth.provider_job_id, *end, *times]


def write_app(path: Path, day: Any) -> None:
    """Write the app's database anew, as it was when the day ended."""
    path.unlink(missing_ok=True)
    events = [
        (number, event.kind, event.actor, world.stamp(event.at), compact(event.metadata))
        for number, event in enumerate(day.events, 1)
    ]
    database = sqlite3.connect(path)
    database.executescript(TABLES)
    database.executemany("INSERT INTO ai_jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(job_row, day.jobs))
    database.executemany("INSERT INTO audit_events VALUES (?, ?, ?, ?, ?)", events)
    database.commit()
    database.execute("PRAGMA journal_mode=DELETE")  # the app has WAL; a file with sidecars can't be committed
    database.execute("VACUUM")
    database.close()


def write_table(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV, UTF-8, lines ended by a line feed."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split())
        writer.writerows(rows)


def write(folder: Path, day: Any) -> None:
    """Write the three files of a day."""
    folder.mkdir(parents=True, exist_ok=True)
    write_app(folder / "app.sqlite", day)
    log = [
        (world.stamp(line.at), line.provider, line.provider_job_id, line.event, line.result_url, line.error)
        for line in world.log_of(day)
    ]
    write_table(folder / "provider_log.csv", "time provider provider_job_id event result_url error", log)
    header = "job_id what provider_job_id provider_finished_at provider_outcome restart last_poll_at"
    write_table(folder / "truth.csv", header, map(truth_row, world.truth_of(day)))


def generate(folder: str | Path, seed: int = SEED, jobs: int = JOBS, scale: int = 1) -> Any:
    """Simulate one day, write its three files into a folder and return it as a ``World``."""
    day = world.live(plans(seed, jobs, scale), seed)
    write(Path(folder), day)
    return day


def main() -> None:
    """Read the options, write the files and say what is in them."""
    parser = argparse.ArgumentParser(description="Write one simulated day of clawcut.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=SEED, help="another seed is another day with the same story")
    parser.add_argument("--jobs", type=int, default=JOBS, help="how many jobs, those of the story among them")
    parser.add_argument("--scale", type=int, default=1, help="how many times as large the story's groups of jobs are")
    asked = parser.parse_args()
    day = generate(asked.folder, asked.seed, asked.jobs, asked.scale)
    print(f"{len(day.jobs)} jobs, {len(day.events)} events, {len(world.truth_of(day))} jobs not terminal")


if __name__ == "__main__":
    main()
