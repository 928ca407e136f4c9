"""PostgreSQL's times: its clock as ``$now``, intervals of fixed length and of months, extract and date_trunc."""

from __future__ import annotations

import re
from typing import Any

from replaykit.dialects.expressions import Expressions
from replaykit.dialects.pieces import NUMBERS, PRODUCT, SUM, Piece, only, text_sql

__all__ = ["Times"]

_UNITS = {
    **dict.fromkeys("microsecond microseconds us".split(), "microsecond"),
    **dict.fromkeys("millisecond milliseconds ms".split(), "millisecond"),
    **dict.fromkeys("s sec secs second seconds".split(), "second"),
    **dict.fromkeys("m min mins minute minutes".split(), "minute"),
    **dict.fromkeys("h hr hrs hour hours".split(), "hour"),
    **dict.fromkeys("d day days".split(), "day"),
    **dict.fromkeys("w week weeks".split(), "week"),
    **dict.fromkeys("mon mons month months".split(), "month"),
    **dict.fromkeys("y year years".split(), "year"),
}
_FIELDS = {
    "HOUR",
    "MINUTE",
    "DAY",
    "MONTH",
    "YEAR",
    "DOW",
    "DAYOFWEEK",
    "ISODOW",
    "DOY",
    "DAYOFYEAR",
    "WEEK",
    "QUARTER",
}
_TRUNCATED = {"SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"}
_LITERAL = {"time": r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?", "date": r"\d{4}-\d\d-\d\d"}


class Times(Expressions):
    """Translates clocks, intervals and parts of times. Times with and without a zone are both naive UTC."""

    def on_currenttimestamp(self, node: Any) -> Piece:
        """Return now() and CURRENT_TIMESTAMP."""
        only(node, self.dialect)
        return Piece("$now", "time")

    def on_localtimestamp(self, node: Any) -> Piece:
        """Return LOCALTIMESTAMP, in UTC."""
        only(node, self.dialect)
        return Piece("$now", "time")

    def on_currentdate(self, node: Any) -> Piece:
        """Return CURRENT_DATE, in UTC."""
        only(node, self.dialect)
        return Piece("CAST($now AS DATE)", "date")

    def on_attimezone(self, node: Any) -> Piece:
        """Return AT TIME ZONE 'UTC', which changes nothing here."""
        found = self.value(node.this)
        if found.kind != "time" or node.args["zone"].name.upper() not in ("UTC", "ETC/UTC", "Z"):
            self.refuse(node, "leaves UTC, in which a replay keeps all times", "use 'UTC'")
        return found

    def time_literal(self, node: Any, text: str, kind: str) -> Piece:
        """Return a time or date written out."""
        if not re.fullmatch(_LITERAL[kind], text):
            self.refuse(node, f"has {text!r} for a {kind}", "write it as 2026-03-26 14:23:05")
        return Piece(f"{'DATE' if kind == 'date' else 'TIMESTAMP'} {text_sql(text)}", kind)

    def time_cast(self, node: Any, found: Piece, kind: str) -> Piece:
        """Return a cast to a time or date."""
        if isinstance(found.literal, str):
            return self.time_literal(node, found.literal, kind)
        if found.kind not in ("time", "date"):
            self.refuse(node, f"makes a {kind} of {found.kind}", "declare the column TIMESTAMP")
        target = "DATE" if kind == "date" else "TIMESTAMP"
        return found if found.kind == kind else Piece(f"CAST({found.sql} AS {target})", kind)

    def on_interval(self, node: Any) -> Piece:
        """Return an interval written out."""
        only(node, self.dialect, "this", "unit")
        unit = node.args.get("unit")
        text = node.this.name if type(node.this).__name__ == "Literal" else ""
        return self.interval_literal(node, f"{text} {unit.name if unit is not None else ''}".strip())

    def interval_literal(self, node: Any, text: str) -> Piece:
        """Return an interval from its text: numbers with units, or hours:minutes:seconds."""
        clock = re.fullmatch(r"(\d+):(\d\d)(?::(\d\d))?", text)
        if clock is not None:
            text = f"{clock[1]} hours {clock[2]} minutes {clock[3] or 0} seconds"
        found = re.findall(r"([+-]?\d+)\s*([A-Za-z]+)", text)
        rest = re.sub(r"([+-]?\d+)\s*([A-Za-z]+)", "", text).strip()
        units = [_UNITS.get(unit.lower()) for _, unit in found]
        if rest or not found or None in units:
            self.refuse(node, f"has {text!r} for an interval", "write it as '5 minutes' or '1 hour 30 minutes'")
        monthly = "month" in units or "year" in units
        listed = " ".join(f"{int(amount)} {unit}s" for (amount, _), unit in zip(found, units, strict=True))
        return Piece(f"INTERVAL '{listed}'", "monthly" if monthly else "interval")

    def interval_cast(self, node: Any) -> Piece:
        """Return ``'5 minutes'::interval`` and ``(n || ' minutes')::interval``."""
        inner = node.this.unnest()
        if type(inner).__name__ == "Literal":
            return self.interval_literal(node, inner.name)
        if type(inner).__name__ in ("DPipe", "Concat"):
            parts = [inner.this, inner.expression] if type(inner).__name__ == "DPipe" else inner.expressions
            unit = re.fullmatch(r"\s*([a-z]+)", parts[-1].name) if len(parts) == 2 and parts[-1].is_string else None
            if unit is not None and _UNITS.get(unit[1]) not in (None, "month", "year"):
                return self._counted(node, self.value(parts[0].unnest()), _UNITS[unit[1]])
        found = self.value(node.this)
        if found.kind != "interval":
            self.refuse(
                node, "makes an interval of text", "write (n || ' minutes')::interval or n * interval '1 minute'"
            )
        return found

    def _counted(self, node: Any, amount: Piece, unit: str) -> Piece:
        if amount.kind == "text" and isinstance(amount.literal, str) and amount.literal.isdigit():
            amount = Piece(amount.literal, "int")
        if amount.kind != "int":
            self.refuse(node, f"counts {unit}s by {amount.kind}", "count by a whole number")
        return Piece(f"to_{unit}s({amount.sql})", "interval")

    def on_makeinterval(self, node: Any) -> Piece:
        """Return make_interval() of one named whole number."""
        given = {name: one for name, one in node.args.items() if one is not None}
        names = [name for name, one in given.items() if type(one).__name__ == "Kwarg"]
        if len(given) != 1 or not names or _UNITS.get(names[0]) in (None, "month", "year"):
            self.refuse(node, "makes an interval of several numbers", "write make_interval(mins => n)")
        return self._counted(node, self.value(given[names[0]].expression), _UNITS[names[0]])

    def summed(self, node: Any, sign: str, left: Piece, right: Piece) -> Piece:
        """Return a sum or difference of numbers, times, dates and intervals."""
        if left.kind in NUMBERS and right.kind in NUMBERS:
            return self.numeric(node, sign, SUM, left, right)
        results = {
            ("time", "-", "time"): "interval", ("date", "-", "date"): "int", ("time", "-", "date"): "interval",
            ("date", "-", "time"): "interval", ("interval", "+", "time"): "time",
            ("interval", "+", "interval"): "interval",
            ("interval", "-", "interval"): "interval", ("date", "+", "int"): "date", ("date", "-", "int"): "date",
            **{(kind, s, by): "time" for kind in ("time", "date") for s in "+-" for by in ("interval", "monthly")},
        }  # fmt: skip
        kind = results.get((left.kind, sign, right.kind))
        if kind is None:
            self.refuse(node, f"has {left.kind} {sign} {right.kind}, of which no counterpart is known", "cast a side")
        if {left.kind, right.kind} == {"time", "date"}:
            left, right = (Piece(f"CAST({one.sql} AS TIMESTAMP)", "time") for one in (left, right))
        return Piece(f"{left.within(SUM)} {sign} {right.within(PRODUCT)}", str(kind), SUM, narrow=kind == "int")

    def multiplied(self, node: Any, left: Piece, right: Piece) -> Piece:
        """Return a product of numbers, or of an interval and a whole number."""
        if {left.kind, right.kind} == {"interval", "int"}:
            length, amount = (left, right) if left.kind == "interval" else (right, left)
            return Piece(f"{length.within(PRODUCT)} * {amount.within(PRODUCT + 1)}", "interval", PRODUCT)
        return super().multiplied(node, left, right)

    def on_extract(self, node: Any) -> Piece:
        """Return EXTRACT of the seconds since 1970, or of a whole part of a time."""
        only(node, self.dialect, "this", "expression")
        field, found = node.this.name.upper(), self.value(node.expression)
        if field == "EPOCH" and found.kind in ("time", "interval"):
            return Piece(f"epoch({found.sql})", "real")
        if field not in _FIELDS or found.kind not in ("time", "date"):
            self.refuse(node, f"takes {field} of {found.kind}", "take EPOCH, or a whole part of a time")
        word = {"DAYOFWEEK": "DOW", "DAYOFYEAR": "DOY"}.get(field, field)
        return Piece(f"extract({word} FROM {found.sql})", "decimal")  # numeric there, so dividing it gives fractions

    def on_timestamptrunc(self, node: Any) -> Piece:
        """Return date_trunc()."""
        only(node, self.dialect, "this", "unit")
        unit, found = node.args["unit"].name.upper(), self.value(node.this)
        if unit not in _TRUNCATED or found.kind not in ("time", "date"):
            self.refuse(node, f"cuts {found.kind} to {unit}", "cut a time to a unit from second to year")
        return Piece(f"CAST(date_trunc('{unit.lower()}', {found.sql}) AS TIMESTAMP)", "time")

    def on_unixtotime(self, node: Any) -> Piece:
        """Return to_timestamp() of whole seconds."""
        only(node, self.dialect, "this")
        found = self.value(node.this)
        if found.kind != "int":
            self.refuse(node, f"makes a time of {found.kind}", "give it whole seconds")
        return Piece(f"make_timestamp({found.within(PRODUCT)} * 1000000)", "time")
