from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.catalog import connect
from connectors.errors import StanzaError
from connectors.statement import cutting_clause
from tests.connectors.people import now, sql_stanza

ASKS = "SELECT id_number, name FROM marriage WHERE id_number IN :keys"


@pytest.mark.parametrize(
    ("statement", "dialect", "clause"),
    [
        (f"{ASKS} ORDER BY since DESC LIMIT 1", "sqlite", "LIMIT"),
        (f"{ASKS} limit(1)", "postgresql", "LIMIT"),
        (f"{ASKS} LIMIT 0, 5", "mysql", "LIMIT"),
        (f"{ASKS} /*! LIMIT 1 */", "mysql", "LIMIT"),
        (f"{ASKS} -- newest first\nLIMIT 1", "postgresql", "LIMIT"),
        (f"{ASKS} AND note <> 'it''s' LIMIT 1", "sqlite", "LIMIT"),
        (rf"{ASKS} AND note <> 'it\'s' LIMIT 1", "mariadb", "LIMIT"),
        (rf"{ASKS} AND note <> 'back\' LIMIT 1 --'", "postgresql", "LIMIT"),
        (f"{ASKS} AND x = 5--1 LIMIT 1", "mysql", "LIMIT"),
        (f"{ASKS} AND x = $$it's$$ LIMIT 1", "postgresql", "LIMIT"),
        (f"{ASKS} OFFSET 1", "postgresql", "OFFSET"),
        (f"{ASKS} ORDER BY since OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY", "postgresql", "FETCH"),
        (f"{ASKS} FETCH FIRST ROW ONLY", "postgresql", "FETCH"),
        (ASKS.replace("SELECT", "SELECT TOP 1"), "mssql", "TOP"),
        (ASKS.replace("SELECT", "SELECT DISTINCT TOP (1)"), "mssql", "TOP"),
        (ASKS.replace("SELECT", "SELECT DISTINCT ON (name)"), "postgresql", "DISTINCT ON"),
        (f"{ASKS} AND ROWNUM <= 1", "oracle", "ROWNUM"),
        (f"{ASKS} AND 1 >= rownum", "dm", "ROWNUM"),
        (f"SELECT * FROM ({ASKS} ORDER BY since LIMIT 1) AS one", "sqlite", "LIMIT"),
        (f"WITH one AS ({ASKS} LIMIT 1) SELECT * FROM one", "sqlite", "LIMIT"),
        (f"({ASKS} LIMIT 1) UNION ALL ({ASKS})", "mysql", "LIMIT"),
    ],
)
def test_a_clause_that_cuts_off_rows_of_all_keys_is_found(statement: str, dialect: str, clause: str) -> None:
    assert cutting_clause(statement, dialect) == clause


@pytest.mark.parametrize(
    ("statement", "dialect"),
    [
        (ASKS, "sqlite"),
        (ASKS.replace("name", "t.limit, t.offset, top, fetch, x AS limit, y AS rownum"), "mysql"),
        (f"{ASKS} AND limit > 5 AND offset - 1 = 0 ORDER BY limit", "mysql"),
        (ASKS.replace("name", '"LIMIT 1", `LIMIT 1`, [limit 1]'), "sqlite"),
        (f"{ASKS} AND note <> 'LIMIT 1' -- LIMIT 1", "sqlite"),
        (f"{ASKS} /* LIMIT 1 */", "mysql"),
        (f"{ASKS} # LIMIT 1", "mariadb"),
        (rf"{ASKS} AND note <> 'it\' LIMIT 1'", "mysql"),
        (rf"{ASKS} AND note <> E'it\' LIMIT 1'", "postgresql"),
        (f"{ASKS} AND note <> $q$ LIMIT 1 $q$", "postgresql"),
        (ASKS.replace("name", "(SELECT b.name FROM b WHERE b.id = id_number ORDER BY b.at LIMIT 1)"), "postgresql"),
        (
            "SELECT p.id_number, m.name FROM person p CROSS JOIN LATERAL"
            " (SELECT name FROM marriage WHERE id_number = p.id_number ORDER BY since DESC LIMIT 1) m"
            " WHERE p.id_number IN :keys",
            "postgresql",
        ),
        (
            "SELECT k.id, m.name FROM k, LATERAL (SELECT name FROM m WHERE m.id = k.id AND m.id IN :keys LIMIT 1) m",
            "postgresql",
        ),
        (
            "SELECT * FROM (SELECT m.*, row_number() OVER (PARTITION BY id_number ORDER BY since DESC) AS rownum"
            " FROM marriage m WHERE id_number IN :keys) x WHERE rownum = 1",
            "postgresql",
        ),
        (f"{ASKS} LIMIT ALL OFFSET 0", "postgresql"),
        (ASKS.replace("SELECT", "SELECT DISTINCT"), "postgresql"),
    ],
)
def test_names_texts_comments_and_what_is_about_one_row_are_no_such_clause(statement: str, dialect: str) -> None:
    assert cutting_clause(statement, dialect) == ""


def test_a_statement_that_cuts_rows_off_is_refused_and_one_for_the_date_of_the_data_is_not(
    marriages: Callable[..., Path],
) -> None:
    url = f"sqlite:///{marriages()}"
    dated = {"as_of_statement": "SELECT updated_at FROM marriage ORDER BY updated_at DESC LIMIT 1"}
    connect("s", sql_stanza(url, **dated), now=now)
    with pytest.raises(StanzaError, match=r"statement: must give every row of every key: LIMIT cuts rows off"):
        connect("s", sql_stanza(url, statement=f"{ASKS} LIMIT 1", **dated), now=now)
