"""rolled_back: what a rollback undoes in DuckDB and what it does not. The library rests on these facts."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest

from replaykit import connection
from replaykit.errors import IsolationError
from replaykit.rollback import read_only, restarted, rolled_back


@pytest.fixture
def database():
    """A private instance with a table of one row."""
    memory = connection.memory()
    memory.execute("CREATE TABLE jobs AS SELECT 1 AS id")
    yield memory
    memory.close()


def one(database, query):
    """Return the single value of a query."""
    return database.execute(query).fetchone()[0]


def test_every_write_is_undone(database):
    """Rows, tables, temporary tables, views, registered frames."""
    with rolled_back(database):
        database.execute("INSERT INTO jobs VALUES (2)")
        database.execute("CREATE TABLE plain AS SELECT 1; CREATE TEMP TABLE temporary AS SELECT 1")
        database.execute("CREATE TEMP VIEW seen AS SELECT 1")
        database.register("frame", pd.DataFrame({"a": [1]}))
        assert one(database, "SELECT count(*) FROM jobs, plain, temporary, seen, frame") == 2

    assert one(database, "SELECT count(*) FROM jobs") == 1
    for gone in ("plain", "temporary", "seen", "frame"):
        with pytest.raises(duckdb.CatalogException):
            database.execute(f"SELECT * FROM {gone}")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_block_that_raises_is_undone_and_its_error_kept(database, error):
    """Also an interrupt, which is no Exception."""

    def block():
        with rolled_back(database):
            database.execute("DELETE FROM jobs")
            raise error("the first")

    with pytest.raises(error, match="the first"):
        block()

    assert one(database, "SELECT count(*) FROM jobs") == 1


def test_an_error_in_sql_does_not_hide_behind_the_rollback(database):
    """The transaction is aborted by then; the caller must see the statement's own error."""
    with pytest.raises(duckdb.CatalogException, match="nonsense"), rolled_back(database):
        database.execute("SELECT * FROM nonsense")

    assert one(database, "SELECT count(*) FROM jobs") == 1


@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
def test_replayed_code_that_ends_the_transaction_is_an_isolation_error(database, ending):
    """A COMMIT keeps its changes and only the later rollback complains, so the complaint must be loud."""

    def block():
        with rolled_back(database):
            database.execute("INSERT INTO jobs VALUES (2)")
            database.execute(ending)

    with pytest.raises(IsolationError, match="had ended before the replay did"):
        block()

    assert one(database, "SELECT count(*) FROM jobs") == (2 if ending == "COMMIT" else 1)


def test_there_are_no_savepoints(database):
    """So one event can't be undone alone in SQL; the working set does it."""
    with pytest.raises(duckdb.ParserException, match="SAVEPOINT"), rolled_back(database):
        database.execute("SAVEPOINT a")


def test_a_second_begin_raises_so_replays_do_not_nest(database):
    """A replay inside a handler needs an instance of its own, which it has."""
    with pytest.raises(duckdb.TransactionException, match="within a transaction"), rolled_back(database):
        database.execute("BEGIN")


def test_any_failing_statement_aborts_the_transaction_until_it_is_restarted(database):
    """A typo costs everything written so far; the working set is the truth and fills the tables again."""
    with rolled_back(database):
        database.execute("INSERT INTO jobs VALUES (2)")
        with pytest.raises(duckdb.Error):
            database.execute("SELECT 1 / 'x'")
        with pytest.raises(duckdb.TransactionException, match="aborted"):
            database.execute("SELECT 1")

        restarted(database)
        assert one(database, "SELECT count(*) FROM jobs") == 1


def test_a_cursor_sees_none_of_the_uncommitted_rows(database):
    """A widget on a cursor of its own would show the state before the replay."""
    with rolled_back(database):
        database.execute("INSERT INTO jobs VALUES (2)")

        assert one(database, "SELECT count(*) FROM jobs") == 2
        assert one(database.cursor(), "SELECT count(*) FROM jobs") == 1


def test_a_lazy_relation_read_afterwards_shows_the_state_before(database):
    """It runs again, silently: results must be held rows."""
    with rolled_back(database):
        database.execute("INSERT INTO jobs VALUES (2)")
        lazy, held = database.sql("SELECT count(*) FROM jobs"), database.sql("SELECT count(*) FROM jobs").fetchall()

    assert lazy.fetchall() == [(1,)]
    assert held == [(2,)]


def test_an_open_arrow_reader_blocks_the_rollback(database):
    """``arrow()`` is a reader; `to_arrow_table` holds the rows."""
    database.execute("BEGIN")
    reader = database.sql("SELECT * FROM range(100000)").arrow()

    with pytest.raises(duckdb.Error, match="open result"):
        database.execute("ROLLBACK")

    del reader
    database.execute("ROLLBACK")


def test_a_rollback_keeps_sequences_settings_variables_and_files(database, tmp_path):
    """So the guard lets none of them be used in replayed SQL."""
    database.execute("CREATE SEQUENCE s")
    with rolled_back(database):
        database.execute("SELECT nextval('s')")
        database.execute("SET VARIABLE x = 7")
        database.execute("SET TimeZone = 'Asia/Tokyo'")
        database.execute(f"COPY jobs TO '{tmp_path / 'jobs.csv'}'")

    assert one(database, "SELECT nextval('s')") == 2
    assert one(database, "SELECT getvariable('x')") == 7
    assert one(database, "SELECT current_setting('TimeZone')") == "Asia/Tokyo"
    assert (tmp_path / "jobs.csv").exists()


def test_an_updated_row_moves_to_the_end_of_its_table(database):
    """So insertion order is kept by the working set and never read off a table."""
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 0), (2, 0)")

    database.execute("UPDATE t SET n = 1 WHERE id = 1 RETURNING *").fetchall()

    assert database.execute("SELECT id FROM t").fetchall() in ([(2,), (1,)], [(1,), (2,)])


def test_a_read_only_transaction_refuses_every_write(database):
    """What only asks runs inside one, and there the engine itself says no."""
    with read_only(database):
        assert one(database, "SELECT count(*) FROM jobs") == 1
    for write in ("INSERT INTO jobs VALUES (2)", "DROP TABLE jobs", "WITH x AS (DELETE FROM jobs RETURNING *) FROM x"):
        with pytest.raises(duckdb.Error), read_only(database):
            database.execute(write)

    assert one(database, "SELECT count(*) FROM jobs") == 1


def test_a_sealed_recording_can_neither_be_written_nor_let_go(tmp_path):
    """READ_ONLY holds for every cursor; DETACH still works on a locked instance, so the guard must refuse it."""
    path = tmp_path / "it's.duckdb"
    with duckdb.connect(str(path)) as writer:
        writer.execute("CREATE TABLE events AS SELECT 1 AS position")
    sealed = connection.sealed(path)

    for write in ("INSERT INTO recording.events VALUES (2)", "DROP TABLE recording.events", "SET threads = 1"):
        with pytest.raises(duckdb.Error):
            sealed.execute(write)
    assert one(sealed.cursor(), "SELECT current_setting('TimeZone')") == "UTC"
    sealed.execute("DETACH recording")
    sealed.close()
