"""Diff of 1,000,000 rows x 20 columns beside datacompy on polars and one exact full join written by hand.

datacompy reads polars only in versions that exclude the pandas and polars of this project, so it runs in a process of
its own on packages in a folder of their own: `python -m benchmarks.bench_diff --install-peers` fills it from the
configured package index. Without the folder that line is left out and the result says so.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from replaykit.diff import Diff, diff

__all__ = ["run"]

ROWS = 1_000_000
PEERS = Path(os.environ.get("REPLAYKIT_PEERS", Path(__file__).parent / ".peers"))
_PACKAGES = ["datacompy==1.1.0", "polars==1.44.2", "polars-runtime-32==1.44.2"]

_DATACOMPY = """
import json, sys, time
import datacompy, polars
before, after = (polars.read_ipc(path, memory_map=False) for path in sys.argv[1:3])
seconds = []
for _ in range(2):
    start = time.perf_counter()
    found = datacompy.PolarsCompare(before, after, join_columns="id")
    seconds.append(time.perf_counter() - start)
shared = found.intersect_rows.height
print(json.dumps({
    "seconds": seconds[1], "added": found.df2_unq_rows.height, "removed": found.df1_unq_rows.height,
    "changed": shared - found.count_matching_rows(),
}))
"""


def frames(rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return two tables in different row orders: 0.1 % of the rows changed in two columns, 0.01 % removed and added."""
    draw = np.random.default_rng(7)
    columns: dict[str, Any] = {"id": draw.permutation(rows)}
    columns |= {f"whole_{n}": draw.integers(0, 1_000, rows) for n in range(7)}
    columns |= {f"real_{n}": draw.random(rows) for n in range(6)}
    words = np.array([f"word-{n:04d}" for n in range(1_000)])
    columns |= {f"text_{n}": pd.array(words[draw.integers(0, 1_000, rows)], dtype="str") for n in range(4)}
    start = np.datetime64("2026-01-01", "us")
    columns |= {f"time_{n}": start + draw.integers(0, 10**12, rows).astype("timedelta64[us]") for n in range(2)}
    before = pd.DataFrame(columns)
    after = before.sample(frac=1, random_state=7).reset_index(drop=True)
    changed = np.arange(rows // 1_000)
    for name in ("whole_3", "real_2"):
        after.loc[changed, name] += 1
    added = before.iloc[: rows // 10_000].assign(id=lambda new: new["id"] + rows)
    return before, pd.concat([after.iloc[: rows - rows // 10_000], added], ignore_index=True)


def by_hand(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, int]:
    """Count what differs with the exact full join that one would write for these two frames."""
    names = [name for name in before.columns if name != "id"]
    differs = " OR ".join(f"b.{name} IS DISTINCT FROM a.{name}" for name in names)
    connection = duckdb.connect()
    connection.register("b", before)
    connection.register("a", after)
    rows = connection.execute(
        f"SELECT b.id, a.id FROM b FULL JOIN a ON b.id = a.id WHERE b.id IS NULL OR a.id IS NULL OR {differs} "
        "ORDER BY coalesce(b.id, a.id)"
    ).fetchall()
    connection.close()
    added = sum(row[0] is None for row in rows)
    removed = sum(row[1] is None for row in rows)
    return {"added": added, "removed": removed, "changed": len(rows) - added - removed}


def counts(found: Diff) -> dict[str, int]:
    """Return the numbers on which all peers must agree."""
    return {"added": len(found.added), "removed": len(found.removed), "changed": len(found.changed)}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and result of one call."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def write_arrow(frame: pd.DataFrame, path: str) -> None:
    """Write a frame for the process of datacompy."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)


def datacompy(paths: list[str]) -> tuple[float, dict[str, int]]:
    """Return the seconds and counts of datacompy on polars: of its second run, since the first one warms up."""
    output = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _DATACOMPY, *paths],
        env={**os.environ, "PYTHONPATH": str(PEERS)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = json.loads(output)
    return found.pop("seconds"), found


def run(rows: int = ROWS, repeats: int = 5) -> list[dict[str, Any]]:
    """Return one line for each peer: name, seconds, peer (seconds), ratio, aim. Raises if two of them disagree.

    The peers take turns, so that a busy machine slows them alike; each figure is the median.
    """
    before, after = frames(rows)
    has_datacompy = (PEERS / "datacompy").exists()
    seconds: dict[str, list[float]] = {"ours": [], "hand": [], "datacompy": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{name}.arrow") for name in ("before", "after")]
        if has_datacompy:
            write_arrow(before, paths[0])
            write_arrow(after, paths[1])
        for _ in range(repeats):
            spent, found = timed(lambda: diff(before, after, key="id"))
            seconds["ours"].append(spent)
            spent, expected = timed(lambda: by_hand(before, after))
            seconds["hand"].append(spent)
            _agree("full join by hand", counts(found), expected)
            if has_datacompy:
                spent, expected = datacompy(paths)
                seconds["datacompy"].append(spent)
                _agree("datacompy", counts(found), expected)
    return _lines(f"diff {rows:,} x 20", {name: statistics.median(spent) for name, spent in seconds.items() if spent})


def _lines(size: str, median: dict[str, float]) -> list[dict[str, Any]]:
    ours, hand, other = median["ours"], median["hand"], median.get("datacompy")
    missing = "" if other else " (not installed: python -m benchmarks.bench_diff --install-peers)"
    return [
        _line(f"{size}: ours / exact full join by hand", ours, hand, ours / hand, "<= 1.5"),
        _line(f"{size}: datacompy on polars / ours", ours, other, other and other / ours, f">= 2{missing}"),
    ]


def _line(name: str, seconds: float, peer: float | None, ratio: float | None, aim: str) -> dict[str, Any]:
    return {"name": name, "seconds": seconds, "peer": peer, "ratio": ratio, "aim": aim}


def _agree(peer: str, ours: dict[str, int], theirs: dict[str, int]) -> None:
    if ours != theirs:
        raise AssertionError(f"replaykit finds {ours}, {peer} finds {theirs}.")


if __name__ == "__main__":
    if "--install-peers" in sys.argv:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(PEERS), *_PACKAGES]
        subprocess.run([*command, "ordered-set==4.1.0"], check=True)
    for line in run():
        print(line)
