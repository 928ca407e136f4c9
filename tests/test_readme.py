"""The README's snippets run as they stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_snippets_run_in_order(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first page that does not run is the first thing a newcomer sees."""
    text = (repository / "README.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    monkeypatch.chdir(repository)
    names: dict[str, Any] = {}

    for number, snippet in enumerate(snippets, 1):
        exec(compile(snippet, f"README.md, snippet {number}", "exec"), names)

    assert len(snippets) >= 3
    assert names["run"].verdict.status in {"verified", "contradicted"}
    assert len(names["run"].actions)
    names["shop"].close()
