"""The one door to SQL text: quoting of identifiers, and the guard that says which statements may run.

The guard reads DuckDB's own tokens, so it sees what the engine sees: comments, dollar quotes and quoted identifiers
included. It refuses by default: a statement type, a called name or a keyword that is not listed does not run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import duckdb

from replaykit.errors import GuardError, excerpt
from replaykit.sql_functions import ALLOWED_FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Statement", "check_query", "check_statement", "quote", "words_of"]

_WRITES = {"INSERT", "UPDATE", "DELETE"}

# Words that read the clock or the session without parentheses.
_CLOCKS = frozenset(
    """
    current_timestamp current_date current_time localtime localtimestamp current_localtime current_localtimestamp
    get_current_timestamp get_current_time now today transaction_timestamp age ago
    """.split()
)
_DRAWS = frozenset(
    """
    random uuid uuidv4 uuidv7 gen_random_uuid setseed reservoir_quantile sample tablesample
    """.split()
)
_SESSION = frozenset(["current_user", "session_user", "user", "current_role", "current_catalog", "current_schema"])
# Statements and clauses that may stand nowhere inside a statement, at most at its very beginning.
_STATEMENTS = frozenset(
    """
    insert update delete merge copy attach detach use load install create alter drop set reset pragma call
    checkpoint vacuum export import prepare execute deallocate begin commit rollback abort explain analyze truncate
    into sample tablesample pivot pivot_wider pivot_longer unpivot
    """.split()
)
# Words that stand before a parenthesis without being a function.
_SYNTAX = frozenset(
    """
    in exists any all some values over filter within group order by on using and or not when then else case select
    where having from join lateral as with recursive union intersect except returning set into limit offset qualify
    partition range rows groups between like ilike is null distinct cast try_cast extract coalesce columns grouping
    array row struct map list interval decimal numeric varchar char character bit union_ exclude replace rename
    position overlay trim substring try materialized window at sets rollup cube
    """.split()
)
_CTE_HEADS = (["as", "("], ["as", "materialized", "("], ["as", "not", "materialized", "("])


@dataclass(frozen=True)
class Statement:
    """What the guard learnt of one statement."""

    text: str
    """The statement, without a trailing semicolon."""
    kind: str
    """``SELECT``, ``INSERT``, ``UPDATE`` or ``DELETE``."""
    parameters: frozenset[str]
    """Names of its ``$name`` parameters."""
    words: frozenset[str]
    """Every word and every string in it, lower case: a superset of the tables and columns it can name."""
    original: str | None = None
    """What it was translated from; None if it was written as it is."""
    dialect: str | None = None
    """The dialect it was translated from."""


@dataclass(frozen=True)
class _Token:
    text: str
    quoted: bool
    word: bool
    end: int
    """Offset behind it, in bytes."""


def quote(name: str) -> str:
    """Return `name` as a quoted SQL identifier, whatever characters it holds."""
    return '"' + name.replace('"', '""') + '"'


def check_query(text: str, *, what: str = "SQL") -> Statement:
    """Return the one harmless SELECT in `text`.

    Raises
    ------
    GuardError
        `text` is no statement, more than one, or not a SELECT; or it names a function, keyword or clause that reads a
        clock, draws, writes, or reaches outside the database.
    """
    statement = check_statement(text, what=what)
    if statement.kind != "SELECT":
        raise GuardError(f"{what} may only ask, and {excerpt(text)} is of kind {statement.kind}; expected one SELECT.")
    return statement


@lru_cache(maxsize=4096)
def check_statement(text: str, *, what: str = "SQL") -> Statement:
    """Return the one SELECT, INSERT, UPDATE or DELETE in `text`; otherwise as `check_query`."""
    if not isinstance(text, str):
        raise GuardError(f"{what} is a {type(text).__name__}; expected the text of one SELECT.")
    statement = _single(text, what)
    kind = str(statement.type).rpartition(".")[2]
    if kind not in _WRITES and kind != "SELECT":
        raise GuardError(f"{what} {excerpt(text)} is of kind {kind}, which replaykit never runs; write a SELECT.")
    # extract_statements may re-write the text (SHOW, DESCRIBE); what is checked must be what runs.
    tokens = list(_tokens(text))
    if tokens[0].text.lower() == "truncate":
        raise GuardError(f"{what} may not use TRUNCATE, which does not say which rows it took; write DELETE FROM.")
    _check_words(tokens, what)
    _check_calls(tokens, what)
    return Statement(_bare(text, tokens), kind, frozenset(statement.named_parameters), frozenset(words_of(text)))


def words_of(text: str) -> list[str]:
    """Return every word of a statement as often as it stands there, lower case, but not the names of parameters.

    Strings are among them: ``FROM 'jobs'`` reads the table ``jobs``.
    """
    found, before = [], ""
    for token in _tokens(text):
        if token.word and before != "$":
            found.append(token.text.lower())
        elif token.text.startswith("'"):
            found.append(token.text[1:-1].replace("''", "'").lower())
        before = token.text
    return found


def _single(text: str, what: str) -> duckdb.Statement:
    try:
        statements = duckdb.extract_statements(text)
    except TypeError as exc:  # half a surrogate pair does not fit into UTF-8
        raise GuardError(f"{what} {excerpt(text)} holds characters that are no text.") from exc
    except duckdb.Error as exc:
        first = str(exc).splitlines()[0]
        raise GuardError(f"{what} {excerpt(text)} can't be read: {first}") from exc
    if len(statements) != 1:
        raise GuardError(f"{what} {excerpt(text)} holds {len(statements)} statements; expected exactly one SELECT.")
    return statements[0]


def _tokens(text: str) -> Iterator[_Token]:
    # DuckDB counts token offsets in bytes of UTF-8.
    raw = text.encode("utf-8", "surrogatepass")
    starts = duckdb.tokenize(text)
    for number, (offset, kind) in enumerate(starts):
        end = starts[number + 1][0] if number + 1 < len(starts) else len(raw)
        piece = raw[offset:end].decode("utf-8", "surrogatepass").strip()
        name = str(kind).rpartition(".")[2]
        if name == "comment":
            continue
        if piece.startswith('"'):
            yield _Token(piece[1:-1].replace('""', '"'), True, True, end)
        elif name in ("identifier", "keyword") and re.match(r"\w", piece):
            yield _Token(re.match(r"[\w$]+", piece).group(), False, True, end)  # type: ignore[union-attr]
        else:
            yield _Token(piece, False, False, end)


def _bare(text: str, tokens: list[_Token]) -> str:
    """Return a statement without what trails it: a comment there would swallow whatever is put behind the text."""
    end = next(token.end for token in reversed(tokens) if token.text != ";")
    return text.encode("utf-8", "surrogatepass")[:end].decode("utf-8", "surrogatepass").strip()


def _check_words(tokens: list[_Token], what: str) -> None:
    for number, token in enumerate(tokens):
        word = token.text.lower()
        before = tokens[number - 1].text if number else ""
        if not token.word or token.quoted or before in ("$", ".", ":"):
            continue
        if number and word in _STATEMENTS and not _is_write_clause(tokens, number):
            raise GuardError(
                f"{what} may not use {token.text.upper()} inside a statement; expected a plain SELECT. "
                f"A column of that name goes in quotes: {quote(token.text)}."
            )
        if word in _CLOCKS and word not in ("now", "today", "age", "ago"):
            raise GuardError(f"{what} reads the clock with {token.text!r}, and replays must repeat; use $now.")
        if word in _SESSION and word != "user":
            raise GuardError(
                f"{what} reads the session with {token.text!r}, which differs from run to run; leave it out."
            )


def _is_write_clause(tokens: list[_Token], number: int) -> bool:
    # UPDATE t SET ..., INSERT INTO t: the one place where these words follow the statement's own beginning.
    head, word = tokens[0].text.lower(), tokens[number].text.lower()
    earlier = {token.text.lower() for token in tokens[1:number] if token.word and not token.quoted}
    return word not in earlier and (head, word) in {("update", "set"), ("insert", "into")}


def _check_calls(tokens: list[_Token], what: str) -> None:
    for number, token in enumerate(tokens[:-1]):
        if not token.word or tokens[number + 1].text != "(":
            continue
        name = token.text.lower()
        if name in ALLOWED_FUNCTIONS or (name in _SYNTAX and not token.quoted):
            continue
        if _names_columns(tokens, number):
            continue
        raise GuardError(_refusal(name, what, behind=tokens[number - 1].text if number else ""))


def _names_columns(tokens: list[_Token], number: int) -> bool:
    """Return whether ``name (`` at `number` opens a column list: ``INTO t (``, ``AS t (``, ``WITH t (...) AS (``."""
    before = tokens[number - 1].text.lower() if number else ""
    if before in ("into", "as") and not tokens[number - 1].quoted:
        return True
    depth = 0
    for place in range(number + 1, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[place].text, 0)
        if depth == 0:
            after = [token.text.lower() for token in tokens[place + 1 : place + 5]]
            # Up to the parenthesis: ``now() AS materialized`` is a call with an alias.
            return any(after[: len(head)] == head for head in _CTE_HEADS)
    return False


def _refusal(name: str, what: str, *, behind: str) -> str:
    if name in _CLOCKS:
        return f"{what} reads the clock with {name}(), and replays must repeat; use $now."
    if name in _DRAWS:
        return f"{what} draws with {name}(), and replays must repeat; use state.random or state.new_id in a handler."
    hint = f" If it names columns, write AS {name}(...)." if behind == ")" else ""
    return (
        f"{what} calls {name}(), which is not among the functions a replay may call "
        "(no clock, no randomness, no files, no side effects, no text run as SQL); see replaykit.sql_functions."
        f"{hint}"
    )
