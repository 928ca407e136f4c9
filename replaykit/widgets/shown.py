"""What a panel shows of a result, as HTML: the banner with the verdict, and one view for each question."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from replaykit.display import note_html, show_text, table_html
from replaykit.errors import QueryError
from replaykit.glance import Glance

if TYPE_CHECKING:
    from replaykit.replay import Replay

__all__ = ["banner", "sentence", "standing", "views"]

_ROWS = 50
# Colour (Okabe and Ito) and glyph; the word itself is always there too.
_LOOKS = {
    "verified": ("#009E73", "✓"),
    "contradicted": ("#D55E00", "✗"),
    "approximate": ("#E69F00", "≈"),
    "unverified": ("#56B4E9", "?"),
    "error": ("#D55E00", "!"),
    "stale": ("#E69F00", "↻"),
}


def banner(status: str, text: str) -> str:
    """Return one line that says how things stand: a verdict, an error, or that a result is stale."""
    colour, glyph = _LOOKS.get(status, ("#0072B2", "·"))
    stripes = "background:repeating-linear-gradient(135deg,transparent 0 12px,rgba(230,159,0,.18) 12px 24px);"
    return (
        f'<div role="status" style="border-left:6px solid {colour};padding:4px 10px;line-height:1.5;white-space:normal;'
        f'{stripes if status == "stale" else ""}">'
        f"<b>{glyph} {escape(status)}</b> {escape(show_text(text, 600))}</div>"
    )


def sentence(exc: BaseException) -> str:
    """Return an exception as one sentence."""
    text = str(exc) or "no message"
    return text if type(exc).__module__.startswith("replaykit.") else f"{type(exc).__name__}: {text}"


def standing(found: Replay | Glance | None, *, stale: bool, verb: str) -> tuple[str, str]:
    """Return how things stand, as a status and a sentence."""
    if found is None:
        return "nothing yet", f"Choose a window and press {verb}."
    if stale:
        return "stale", f"The controls have moved on; press {verb}. Below is still {found!r} of {found.window!r}."
    if isinstance(found, Glance):
        return "recorded", "Below is what the recording holds in this window. Nothing was replayed."
    return found.verdict.status, f"{found!r}: {found.verdict.sentence}"


def views(found: Replay | Glance) -> list[tuple[str, str]]:
    """Return the views of a result, each with its title."""
    return [(title, _scrolling(html)) for title, html in (_looked if isinstance(found, Glance) else _replayed)(found)]  # type: ignore[arg-type]


def _scrolling(html: str) -> str:
    # JupyterLab's own class gives tables inside a widget the look of those in a cell; elsewhere it means nothing.
    style = "<style>.replaykit-view td, .replaykit-view th { white-space: nowrap !important; }</style>"
    return (
        f'{style}<div class="replaykit-view jp-RenderedHTMLCommon" style="overflow:auto;max-height:28em">{html}</div>'
    )


def _replayed(run: Replay) -> list[tuple[str, str]]:
    tables = [("Actions", run.actions, "run.actions"), ("Violations", run.violations, "run.violations")]
    shown = [(f"{name} ({len(frame):,})", table_html(frame, limit=_ROWS, more=more)) for name, frame, more in tables]
    shown.insert(1, (f"Diff ({len(run.diff):,})", run.diff._repr_html_()))
    problems = table_html(run.problems, limit=_ROWS, more="run.problems")
    return [*shown, (f"Problems ({len(run.problems):,})", problems), ("Verdict", run.verdict._repr_html_())]


def _looked(found: Glance) -> list[tuple[str, str]]:
    events = table_html(found.first_events(_ROWS), limit=_ROWS)
    more = len(found) - _ROWS
    events += note_html(f"… {more:,} more: .events") if more > 0 else ""
    try:
        rows = found.unexplained
        unexplained = (f"Unexplained ({len(rows):,})", table_html(rows, limit=_ROWS, more=".unexplained"))
    except QueryError as exc:
        unexplained = ("Unexplained", note_html(str(exc)))
    kinds = table_html(found.kinds, limit=_ROWS, more=".kinds")
    return [(f"Events ({len(found):,})", events), (f"Kinds ({len(found.kinds):,})", kinds), unexplained]
