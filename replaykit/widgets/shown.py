"""What an explorer says about how things stand: a status with colour and glyph, a sentence, an error in full."""

from __future__ import annotations

import traceback
from html import escape

from replaykit.display import show_text

__all__ = ["banner", "details", "sentence"]

# Colour (Okabe and Ito) and glyph; the word itself is always there too.
_LOOKS = {
    "verified": ("#009E73", "✓"),
    "contradicted": ("#D55E00", "✗"),
    "approximate": ("#E69F00", "≈"),
    "unverified": ("#56B4E9", "?"),
    "error": ("#D55E00", "!"),
    "stale": ("#E69F00", "↻"),
    "cancelled": ("#E69F00", "■"),
    "running": ("#56B4E9", "▶"),
    "empty": ("#E69F00", "∅"),
}
_STRIPED = {"stale", "approximate", "cancelled", "running"}


def banner(status: str, text: str) -> str:
    """Return one line that says how things stand: a verdict, an error, or that a result is stale."""
    colour, glyph = _LOOKS.get(status, ("#0072B2", "·"))
    stripes = "background:repeating-linear-gradient(135deg,transparent 0 12px,rgba(230,159,0,.18) 12px 24px);"
    return (
        f'<div role="status" style="border-left:6px solid {colour};padding:4px 10px;line-height:1.5;white-space:normal;'
        f'{stripes if status in _STRIPED else ""}">'
        f"<b>{glyph} {escape(status)}</b> {escape(show_text(text, 600))}</div>"
    )


def sentence(exc: BaseException) -> str:
    """Return an exception as one sentence."""
    text = str(exc) or "no message"
    return text if type(exc).__module__.startswith("replaykit.") else f"{type(exc).__name__}: {text}"


def details(exc: BaseException, code: str) -> str:
    """Return an exception with its traceback, and the code that was to be run, for a report."""
    told = "".join(traceback.format_exception(exc))
    return f"{sentence(exc)}\n\nWhat was shown:\n{code}\n{told}"
