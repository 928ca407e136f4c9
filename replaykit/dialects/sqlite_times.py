"""SQLite's times: text, whole seconds or milliseconds, made from ``$now`` or a TIMESTAMP column by modifiers."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from replaykit.dialects.expressions import Expressions
from replaykit.dialects.pieces import OTHER, PRODUCT, Piece, only, text_sql

__all__ = ["Times"]

_SECOND, _DAY = "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"
_MILLISECONDS = {"second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_MODIFIER = re.compile(r"([+-]?)(\d+(?:\.\d+)?) (second|minute|hour|day|month|year)s?", re.IGNORECASE)
_FIELDS = set("YmdHMSsjw%")
_JULIAN = 210_866_760_000_000
"""Milliseconds from the beginning of Julian days to 1970."""


class Times(Expressions):
    """Translates date(), time(), datetime(), julianday(), unixepoch() and strftime()."""

    def on_currenttimestamp(self, node: Any) -> Piece:
        """Return CURRENT_TIMESTAMP: text to the second."""
        only(node, self.dialect)
        return self._stamp("$now")

    def on_currentdate(self, node: Any) -> Piece:
        """Return CURRENT_DATE."""
        only(node, self.dialect)
        return self._day("$now")

    def on_currenttime(self, node: Any) -> Piece:
        """Return CURRENT_TIME."""
        only(node, self.dialect)
        return Piece("strftime($now, '%H:%M:%S')", "clocktext", forms={"text": "strftime($now, '%H:%M:%S')"})

    def on_date(self, node: Any) -> Piece:
        """Return date()."""
        only(node, self.dialect, "this", "zone", "expressions")
        extra = [node.args["zone"]] if node.args.get("zone") is not None else []
        given = [node.this] if node.args.get("this") is not None else []
        return self._day(self._time(node, [*given, *extra, *node.expressions]))

    def on_timetostr(self, node: Any) -> Piece:
        """Return strftime() without modifiers."""
        only(node, self.dialect, "this", "format")
        inner = node.this.this if type(node.this).__name__ == "TsOrDsToTimestamp" else node.this
        return self._formatted(node, node.args["format"], [inner])

    def timed(self, node: Any, name: str) -> Piece:
        """Return a function of time by its name, with modifiers."""
        given = node.expressions
        if name == "datetime":
            return self._stamp(self._time(node, given))
        if name == "time":
            text = f"strftime({self._time(node, given)}, '%H:%M:%S')"
            return Piece(text, "clocktext", forms={"text": text})
        if name == "date":
            return self._day(self._time(node, given))
        if name == "strftime" and given:
            return self._formatted(node, given[0], given[1:])
        if name == "unixepoch":
            return Piece(_seconds(self._time(node, given)), "int", PRODUCT)
        if name == "julianday":
            # SQLite divides its milliseconds by a double; the same division gives the same bits.
            return Piece(f"(epoch_ms({self._time(node, given)}) + {_JULIAN}) / 86400000e0", "real", PRODUCT)
        return self.refuse(  # type: ignore[no-any-return]
            node, f"calls {name}(), of which no exact counterpart in DuckDB is known", "write it in DuckDB's SQL"
        )

    def _stamp(self, time: str) -> Piece:
        text = f"strftime({time}, '{_SECOND}')"
        return Piece(text, "stamp", forms={"text": text, "time": f"date_trunc('second', {time})"})

    def _day(self, time: str) -> Piece:
        text, day = f"strftime({time}, '{_DAY}')", f"CAST({time} AS DATE)"
        return Piece(text, "day", forms={"text": text, "date": day, "time": f"date_trunc('day', {time})"})

    def _formatted(self, node: Any, pattern: Any, given: list[Any]) -> Piece:
        form = self.value(pattern).literal
        if not isinstance(form, str) or set(re.findall("%(.?)", form, re.DOTALL)) - _FIELDS:
            self.refuse(node, "has a format of its own", f"use %{', %'.join(sorted(_FIELDS - {'%'}))} in a text")
        time = self._time(node, given)
        if form == "%s":
            seconds = _seconds(time)
            text = f"CAST({seconds} AS VARCHAR)"
            return Piece(text, "digits", forms={"text": text, "int": f"({seconds})"})
        if re.search("%s", form.replace("%%", "")):
            self.refuse(node, "puts seconds since 1970 into a longer text", "format them by themselves")
        return Piece(f"strftime({time}, {text_sql(form)})", "text")

    def _time(self, node: Any, given: list[Any]) -> str:
        """Return the timestamp that a function's time and modifiers say."""
        if not given:
            return "$now"
        first, modifiers = self.value(given[0]), given[1:]
        if isinstance(first.literal, str) and first.literal.lower() == "now":
            time = "$now"
        elif first.kind in ("stamp", "day"):
            time = first.forms["time"]
        elif first.kind == "time":
            time = first.sql
        elif first.kind == "date":
            time = f"CAST({first.sql} AS TIMESTAMP)"
        elif first.kind == "int" and modifiers and modifiers[0].name.lower() == "unixepoch":
            time, modifiers = f"make_timestamp({first.within(PRODUCT)} * 1000000)", modifiers[1:]
        else:
            return self.refuse(  # type: ignore[no-any-return]
                node, f"reads a time from {first.kind}, which SQLite does in a dozen spellings",
                "declare the column TIMESTAMP",
            )  # fmt: skip
        start = ""
        for modifier in modifiers:
            time, start = self._modified(node, time, modifier, start)
        return time

    def _modified(self, node: Any, time: str, modifier: Any, start: str) -> tuple[str, str]:
        """Return a time changed by one modifier, and of which unit it is now known to be the start."""
        text = self.value(modifier).literal
        if not isinstance(text, str):
            return self._counted(node, time, modifier), ""
        begins = re.fullmatch("start of (day|month|year)", text.strip(), re.IGNORECASE)
        if begins is not None:
            return f"date_trunc('{begins[1].lower()}', {time})", begins[1].lower()
        found = _MODIFIER.fullmatch(text.strip())
        if found is None:
            self.refuse(node, f"has the modifier {text!r}", "use 'now', '-5 minutes', 'start of day'")
            return time, ""
        sign, amount, unit = "-" if found[1] == "-" else "+", Decimal(found[2]), found[3].lower()
        if unit in ("month", "year"):
            if start not in ("month", "year") or amount != int(amount):
                self.refuse(node, f"counts {unit}s, whose ends SQLite carries over", "put 'start of month' before it")
            return f"{time} {sign} INTERVAL '{amount}' {unit.upper()}", start
        length = amount * _MILLISECONDS[unit]
        if amount == int(amount):
            return f"{time} {sign} INTERVAL '{amount}' {unit.upper()}", ""
        if length != int(length):
            self.refuse(node, "counts parts of a millisecond", "use whole milliseconds")
        return f"{time} {sign} INTERVAL '{int(length)}' MILLISECOND", ""

    def _counted(self, node: Any, time: str, modifier: Any) -> str:
        """Return a time moved by as many units as a parameter or column says: ``'-' || $n || ' minutes'``."""
        parts = list(_flat(modifier))
        sign = ""
        if parts and parts[0].is_string and parts[0].name in ("-", "+"):
            sign, parts = parts[0].name, parts[1:]
        unit = re.fullmatch(" (second|minute|hour|day)s?", parts[-1].name) if parts and parts[-1].is_string else None
        amount = self.value(parts[0]) if len(parts) == 2 else None
        if unit is None or amount is None or amount.kind != "int":
            self.refuse(node, "has a modifier put together otherwise than '-' || number || ' minutes'", "write it so")
            raise AssertionError
        # '-' || -5 is '--5', which SQLite can't read: the time is NULL then.
        counted = amount.sql if not sign else f"CASE WHEN {amount.within(OTHER)} >= 0 THEN {amount.sql} END"
        return f"{time} {sign or '+'} to_{unit[1]}s({counted})"


def _flat(node: Any) -> list[Any]:
    if type(node).__name__ == "Paren":
        return _flat(node.this)
    return [*_flat(node.this), *_flat(node.expression)] if type(node).__name__ == "DPipe" else [node]


def _seconds(time: str) -> str:
    return f"epoch_ms(date_trunc('second', {time})) // 1000"
