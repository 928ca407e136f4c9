"""Committed notebooks are evidence: each must be complete, clean, and compared by nbval cell for cell."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest
from notebook_guard import (
    changed,
    code_cells,
    comparable_spots,
    complaints,
    failing_cells,
    hidden_by_comparison,
    mutated,
    untouched_by_mutation,
)
from samples import some

HERE = Path(__file__).parent
SANITIZE = HERE / "nbval_sanitize.cfg"
NOTEBOOKS = sorted((HERE.parent / "notebooks").glob("*.ipynb"))
FIRST = {"compare.ipynb": 1}  # its second compares seven hours of the incident
RUN = "bring-your-own.ipynb"
SOURCES = [
    "answer = 41 + 1\nanswer",
    "print('first')\nprint('second')",
    "from IPython.display import HTML",
    "HTML('<b>bold</b>')",
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small notebook that was run."""
    path = tmp_path_factory.mktemp("tiny") / "notebooks" / "tiny.ipynb"
    path.parent.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in SOURCES])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbclient.NotebookClient(notebook, timeout=60, store_widget_state=False).execute()
    nbformat.write(notebook, path)
    return path


def edited(tiny: Path, folder: Path, edit) -> Path:
    """Return a copy of the tiny notebook after a change."""
    notebook = nbformat.read(tiny, as_version=4)
    edit(notebook)
    path = folder / "edited.ipynb"
    nbformat.write(notebook, path)
    return path


def test_the_notebooks_that_the_readme_promises_are_there():
    """The two tests below hold for every notebook, so also for none."""
    promised = {"quickstart.ipynb", "bring-your-own.ipynb", "incident-gastown.ipynb", "ask.ipynb", "compare.ipynb"}

    assert promised <= {path.name for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_committed_notebook_is_complete_and_clean(path: Path):
    """Outputs are kept because nbval compares them, so they are searched for what must not be published."""
    assert complaints(path) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_changing_an_output_of_a_committed_notebook_makes_nbval_fail(path: Path, tmp_path: Path):
    """A check that can't fail is none: every cell with an output must be noticed when the output is changed.

    Of every cell nbval's comparison is asked. The first cells of one notebook are run changed as well; all cells of all
    with ``--hypothesis-profile=thorough``.
    """
    notebook = nbformat.read(path, as_version=4)
    there = sum(bool(comparable_spots(cell)) for cell in code_cells(notebook))

    first = there if some(there, 0) == there else FIRST.get(path.name, 3)
    run = path.name == RUN or first == there
    missed, innocent = untouched_by_mutation(path, SANITIZE, tmp_path, first) if run else (set(), set())

    assert hidden_by_comparison(notebook, SANITIZE) == set()
    assert (missed, innocent) == (set(), set())


def test_tiny_notebook_passes_both_checks(tiny: Path, tmp_path: Path):
    """The positive control for everything below."""
    assert complaints(tiny) == []
    assert failing_cells(tiny, SANITIZE) == set()
    assert untouched_by_mutation(tiny, SANITIZE, tmp_path) == (set(), set())
    assert hidden_by_comparison(nbformat.read(tiny, as_version=4), SANITIZE) == set()


def test_mutation_reaches_text_streams_and_html(tiny: Path):
    """One changed character in every kind of output, and none in a cell that shows nothing."""
    before = nbformat.read(tiny, as_version=4)
    twin, numbers = mutated(before)

    after = code_cells(twin)
    assert numbers == {0, 1, 3}
    assert after[0].outputs[0].data["text/plain"] == "47"
    assert after[1].outputs[0].text == "first\nsecon7\n"
    assert after[3].outputs[0].data["text/html"] == "<b>bol7</b>"


def test_stripped_notebook_is_caught(tiny: Path, tmp_path: Path):
    """Nbval passes a notebook whose outputs and counts were removed, whatever its code does now."""

    def strip(notebook):
        for cell in code_cells(notebook):
            cell.outputs, cell.execution_count = [], None
        notebook.cells[0].source = "answer = 41 + 2\nanswer"

    path = edited(tiny, tmp_path, strip)

    assert failing_cells(path, SANITIZE) == set()
    assert "cell 0 was never run: nbval compares nothing" in complaints(path)
    assert "no cell has an output that nbval compares" in complaints(path)


def test_rule_that_hides_a_result_is_caught(tiny: Path, tmp_path: Path):
    """A sanitizing rule that is too wide makes every output equal."""
    wide = tmp_path / "wide.cfg"
    wide.write_text("[everything]\nregex: [0-9]+\nreplace: N\n")

    missed, innocent = untouched_by_mutation(tiny, wide, tmp_path / "room")

    assert 0 in missed
    assert innocent == set()
    assert 0 in hidden_by_comparison(nbformat.read(tiny, as_version=4), wide)


def test_cell_that_differs_by_itself_is_reported_as_innocent(tiny: Path, tmp_path: Path):
    """A cell that fails unchanged would hide a guard in which everything fails."""
    path = edited(tiny, tmp_path, lambda notebook: notebook.cells[2].update(source="import sys; print('new')"))

    missed, innocent = untouched_by_mutation(path, SANITIZE, tmp_path / "room")

    assert (missed, innocent) == (set(), {2})


def widget_state(notebook):
    """Leave widget state behind, as an executing client does."""
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}


def error(notebook):
    """Keep an output of a cell that raised."""
    notebook.cells[0].outputs = [nbformat.v4.new_output("error", ename="KeyError", evalue="'sku'", traceback=[])]


def picture(notebook):
    """Show a picture that is compared by nobody."""
    notebook.cells[0].outputs = [nbformat.v4.new_output("display_data", {"image/png": "iVBORw0KGgo="})]


def other_kernel(notebook):
    """Name the kernel of one machine."""
    notebook.metadata.kernelspec["name"] = "venv-of-mine"


def too_large(notebook):
    """Print far too much."""
    notebook.cells[1].outputs[0].text = "x" * 1_000_001


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (widget_state, "widget state"),
        (error, "cell 0 ended in KeyError"),
        (picture, "cell 0 shows a picture"),
        (other_kernel, "not python3"),
        (too_large, "more than 1,000,000"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_spoilt_notebook_is_caught(tiny: Path, tmp_path: Path, edit, complaint: str):
    """Each of these was seen to pass nbval."""
    assert any(complaint in found for found in complaints(edited(tiny, tmp_path, edit)))


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1" * 20,
        "Authorization: Bearer " + "abcdef123456",
        "password = 'hunter2'",
        "postgres://me:geheim@db/orders",
        "/home/" + "somebody/incident.duckdb",
    ],
)
def test_secret_in_an_output_is_caught(tiny: Path, tmp_path: Path, secret: str):
    """An output is published with the notebook and read by everybody."""
    path = edited(tiny, tmp_path, lambda notebook: notebook.cells[1].outputs[0].update(text=secret))

    assert any(found.startswith("it holds") for found in complaints(path))


def test_changed_leaves_tags_alone_where_there_is_text():
    """A mutation inside a tag would be noticed for the wrong reason."""
    assert changed("<td>12</td>") == "<td>17</td>"
    assert changed('<path d="M 1 2"/>') == '<path d="M 1 7"/>'
    assert changed("–") == "–"
