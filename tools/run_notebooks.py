"""Run notebooks in place and leave nothing in them that differs from run to run.

Usage: ``python tools/run_notebooks.py notebooks/*.ipynb``. Each runs in its own folder with the current Python.
Outputs stay, since nbval compares them; widget state, timings and versions go.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbclient
import nbformat

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
CELL_METADATA = {"tags", "editable", "slideshow"}
TIMEOUT = 600


def run(path: Path) -> None:
    """Execute one notebook and write it back."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {"kernelspec": KERNEL}
    client = nbclient.NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        coalesce_streams=True,
        record_timing=False,
    )
    client.execute()
    tidy(notebook)
    nbformat.write(notebook, path)


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Remove what depends on the machine or the moment."""
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:02}"
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in CELL_METADATA}


def main(paths: list[str]) -> None:
    """Run every notebook named, one after the other."""
    for path in map(Path, paths):
        print(f"running {path}", flush=True)
        run(path)


if __name__ == "__main__":
    main(sys.argv[1:])
