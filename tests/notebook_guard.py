"""Find what makes nbval pass without having compared anything.

nbval skips a cell that was never run (``execution_count`` null, as output strippers leave it), compares no PNG and
no widget view, and ignores what a tag tells it to ignore. So a committed notebook is checked twice: `complaints`
reads it, `untouched_by_mutation` changes an output in every cell and sees whether nbval notices. Running it takes long,
so `hidden_by_comparison` asks of every cell what nbval's comparison says to the change, and runs nothing.
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
from nbval.plugin import IPyNbCell, get_sanitize_patterns, nocolors

SIZE_LIMIT = 1_000_000
SECRETS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "an AWS key": r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",
    "an access token": r"\b(gh[pousr]_[A-Za-z0-9]{30,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|sk-[A-Za-z0-9]{32,})",
    "a JSON web token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "an authorization header": r"(?i)\bauthorization\b[\"']?\s*[:=]\s*[\"']?(bearer|basic)\s+[\w+/=.-]{8,}",
    "a password": r"(?i)\b(password|passwd|secret_key|api_key)\b[\"']?\s*[:=]\s*[\"'][^\"'\s]{4,}[\"']",
    "a URL with a password": r"\b[a-z]{2,20}://[^\s/:@\"']{1,80}:[^\s/:@\"']{1,80}@",
    "somebody's home folder": r"(?<![\w.])/(home/[\w.-]+|root|Users/[\w.-]+)/",
}
NOT_COMPARED = ("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json")
RICHEST_FIRST = ("image/svg+xml", "text/html", "text/markdown", "text/plain")
IGNORING = re.compile(r"^\s*#+\s*(NBVAL_(IGNORE_OUTPUT|SKIP)|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*$", re.MULTILINE)
IGNORING_TAGS = {"nbval-ignore-output", "nbval-skip", "pytest-validate-ignore-output"}
Cell = Any
"""A cell of nbformat, which is a dictionary with attributes and has no type of its own."""


def complaints(path: Path) -> list[str]:
    """Return why a notebook should not be committed as it is, one sentence for each reason."""
    notebook = nbformat.read(path, as_version=4)
    found = []
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel is not python3")
    if "widgets" in notebook.metadata:
        found.append("it carries widget state (metadata.widgets)")
    if path.stat().st_size > SIZE_LIMIT:
        found.append(f"it has {path.stat().st_size:,} bytes, more than {SIZE_LIMIT:,}")
    found += [f"it holds {what}" for what, pattern in SECRETS.items() if re.search(pattern, readable_text(notebook))]
    cells = code_cells(notebook)
    for number, cell in enumerate(cells):
        found += [f"cell {number} {reason}" for reason in cell_complaints(cell)]
    if not any(comparable_spots(cell) for cell in cells):
        found.append("no cell has an output that nbval compares")
    return found


def cell_complaints(cell: Cell) -> Iterator[str]:
    """Yield what is wrong with one code cell."""
    if cell.execution_count is None and cell.source.strip():
        yield "was never run: nbval compares nothing"
    tags = set(cell.metadata.get("tags", []))
    for output in cell.outputs:
        if output.output_type == "error" and not tags & {"raises-exception", "nbval-raises-exception"}:
            yield f"ended in {output.ename}"
        kinds = set(output.get("data", {}))
        if kinds & {"image/png", "image/jpeg"} and not kinds & {"image/svg+xml", "text/html"}:
            yield "shows a picture that nbval does not compare: draw it as SVG"


def readable_text(notebook: Cell) -> str:
    """Return everything in a notebook that a person or a scanner could read."""
    return "\n".join(str(value) for value in texts_in(notebook))


def texts_in(value: object) -> Iterator[str]:
    """Yield every text inside nested containers, pictures left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not str(key).startswith("image/p"):
                yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)
    elif isinstance(value, str):
        yield value


def code_cells(notebook: Cell) -> list[Cell]:
    """Return the code cells, numbered as nbval numbers them."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def comparable_spots(cell: Cell) -> list[tuple[Cell, str]]:
    """Return the places of a cell's outputs that nbval compares, as (container, key), richest first in each output."""
    if IGNORING_TAGS & set(cell.metadata.get("tags", [])) or IGNORING.search(cell.source):
        return []
    spots: list[tuple[Cell, str]] = []
    for output in cell.outputs:
        data = output.get("data", {})
        kinds = [kind for kind in RICHEST_FIRST if kind in data]
        kinds += sorted(kind for kind in data if kind not in kinds and kind not in NOT_COMPARED)
        spots += [(data, kind) for kind in kinds if isinstance(data[kind], str)]
        if output.output_type == "stream":
            spots.append((output, "text"))
        if output.output_type == "error":
            spots.append((output, "evalue"))
    return [(place, key) for place, key in spots if changed(place[key]) != place[key]]


def changed(text: str) -> str:
    """Return a text with its last visible letter or digit changed, outside of tags where there are any."""
    parts = re.split(r"(<[^>]*>)", text)
    for place in [*range(len(parts) - 1, -1, -2), *range(len(parts) - 2, -1, -2)]:
        match = re.search(r"[A-Za-z0-9](?=[^A-Za-z0-9]*$)", parts[place])
        if match:
            other = "7" if match.group() != "7" else "8"
            parts[place] = parts[place][: match.start()] + other + parts[place][match.end() :]
            return "".join(parts)
    return text


def mutated(notebook: Cell) -> tuple[Cell, set[int]]:
    """Return a copy with one compared output changed in every cell that has one, and the numbers of those cells."""
    twin = copy.deepcopy(notebook)
    numbers = set()
    for number, cell in enumerate(code_cells(twin)):
        spots = comparable_spots(cell)
        if spots:
            place, key = spots[0]
            place[key] = changed(place[key])
            numbers.add(number)
    return twin, numbers


def failing_cells(path: Path, sanitize: Path) -> set[int]:
    """Run nbval over one notebook and return the numbers of the cells it rejects."""
    report = path.with_suffix(".xml")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "nbval.plugin", "--nbval"]
    options = ["--nbval-current-env", "--nbval-sanitize-with", sanitize, "-c", path.with_suffix(".ini")]
    command += map(str, [*options, "--junitxml", report, path.name])
    path.with_suffix(".ini").write_text("[pytest]\nfilterwarnings = error\n")
    quick = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # other plugins take as long to load as a notebook
    done = subprocess.run(command, cwd=path.parent, env=quick, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"nbval could not run {path.name}:\n{done.stdout}\n{done.stderr}")
    cases = ET.parse(report).iter("testcase")
    return {int(str(case.get("name")).removeprefix("Cell ")) for case in cases if case.find("failure") is not None}


def hidden_by_comparison(notebook: Cell, sanitize: Path) -> set[int]:
    """Return the cells of which nbval's comparison finds nothing different once an output is changed; none is run."""
    twin, numbers = mutated(notebook)
    ignored = ("metadata", "traceback", "prompt_number", "output_type", "name", "execution_count", *NOT_COMPARED)
    rules = dict(get_sanitize_patterns(sanitize.read_text()))
    asked = SimpleNamespace(parent=SimpleNamespace(sanitize_patterns=rules, skip_compare=ignored), colors=nocolors)
    asked.sanitize = lambda text: IPyNbCell.sanitize(asked, text)
    asked.format_output_compare = lambda *_: None
    pairs = list(zip(code_cells(notebook), code_cells(twin), strict=True))
    return {n for n in numbers if IPyNbCell.compare_outputs(asked, pairs[n][0].outputs, pairs[n][1].outputs)}


def untouched_by_mutation(
    path: Path, sanitize: Path, room: Path, first: int | None = None
) -> tuple[set[int], set[int]]:
    """Change one output in every cell of a copy; return the cells nbval missed, and those it rejected unchanged.

    The copy lies in a folder of the same name beside links to the original's neighbours, so that relative paths in the
    notebook lead to the same files. It ends with the ``first`` so many cells whose output was changed, where given.
    """
    home = room / path.parent.name
    home.mkdir(parents=True)
    for neighbour in path.resolve().parents[1].iterdir():
        if neighbour.name == "sample_data":
            (room / neighbour.name).symlink_to(neighbour)
    for beside in path.parent.iterdir():
        if beside.is_file() and beside.suffix != ".ipynb":
            shutil.copy(beside, home)
    twin, numbers = mutated(nbformat.read(path, as_version=4))
    expected = set(sorted(numbers)[:first])
    kept = code_cells(twin)[: max(expected) + 1]
    twin.cells = [cell for cell in twin.cells if cell.cell_type != "code" or cell in kept]
    nbformat.write(twin, home / path.name)
    failing = failing_cells(home / path.name, sanitize)
    return expected - failing, failing - expected
