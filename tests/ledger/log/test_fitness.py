"""Databases in which no ledger can be kept, and settings of databases that change nothing."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import URL, make_url

from ledger import Draft, Ledger, LedgerDamaged, StoreExists, StoreMissing, create_store, write_signing_key
from ledger.errors import StoreUnfit
from ledger.log import schema
from ledger.log.store import open_store
from tests import postgres
from tests.ledger.house import ORIGIN, START, answered, build, new_record, submission

pytestmark = pytest.mark.postgres

UNIT = "哈尔滨市道里区"


def execute(url: str, *statements: LiteralString) -> None:
    plain = make_url(url).set(drivername="postgresql", query={"host": make_url(url).query.get("host", ())})
    with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def with_search_path(url: str, path: str) -> str:
    return make_url(url).update_query_dict({"options": f"-csearch_path={path}"}).render_as_string(hide_password=False)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_CN"])
def test_a_database_of_another_encoding_is_refused_by_name(
    postgres_server: URL, tmp_path: Path, encoding: LiteralString
) -> None:
    options: LiteralString = "ENCODING '" + encoding + "' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    with postgres.database(postgres_server, options) as url:
        with pytest.raises(StoreUnfit, match=f"encoded in {encoding}.*ENCODING 'UTF8'"):
            build(url, tmp_path)
        with pytest.raises(StoreUnfit, match=f"encoded in {encoding}"):
            open_store(url)


@pytest.mark.parametrize("encoding", ["GBK", "LATIN1"])
def test_what_a_session_would_speak_changes_nothing(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: LiteralString
) -> None:
    name = make_url(postgres_url).database
    assert name is not None
    execute(postgres_url, 'ALTER DATABASE "' + name + "\" SET client_encoding = '" + encoding + "'")  # type: ignore[arg-type]
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    house = build(postgres_url, tmp_path)
    record = new_record()
    with house.open() as ledger:
        draft = Draft(kind="VerificationAnswered", record=record, groups={"a": UNIT}, facts={"unit": UNIT})
        ledger.append_blocking(submission(draft))
        row = ledger.register().get(record)
        assert row is not None
        assert row.unit == UNIT
    store = open_store(postgres_url)
    with store.reading() as connection:
        assert connection.execute(text("SELECT octet_length(unit) FROM record")).scalar_one() == len(UNIT.encode())
        assert connection.execute(select(schema.record.c.unit)).scalar_one() == UNIT
    store.close()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_stricter_isolation_of_the_database_refuses_no_append(
    postgres_url: str, tmp_path: Path, level: LiteralString
) -> None:
    name = make_url(postgres_url).database
    execute(postgres_url, f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = '{level}'")  # type: ignore[arg-type]
    house = build(postgres_url, tmp_path)
    with house.open() as one, house.open() as other, ThreadPoolExecutor(2) as pool:

        def append(ledger: Ledger) -> int:
            return sum(ledger.append_blocking(submission()).size > 0 for _ in range(60))

        assert list(pool.map(append, (one, other))) == [60, 60]


def test_a_strangers_table_before_ours_is_refused(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    execute(postgres_url, "CREATE SCHEMA strange", "CREATE TABLE strange.idempotency (key bytea)")
    with pytest.raises(StoreUnfit, match=r"several schemas \(public, strange\)"):
        open_store(with_search_path(house.url, "strange,public"))
    open_store(with_search_path(house.url, "public")).close()


def test_a_role_that_may_not_look_into_the_schema_is_told_so(postgres_url: str, tmp_path: Path) -> None:
    execute(postgres_url, "CREATE SCHEMA closed")
    within = with_search_path(postgres_url, "closed")
    signer = build(within, tmp_path).signer
    role = f"stranger_{os.getpid()}"
    execute(postgres_url, f"CREATE ROLE {role} LOGIN")  # type: ignore[arg-type]
    try:
        theirs = make_url(within).set(username=role).render_as_string(hide_password=False)
        with pytest.raises(StoreUnfit, match="may not look into the schema closed"):
            open_store(theirs)
    finally:
        execute(postgres_url, f"DROP ROLE {role}")  # type: ignore[arg-type]
    with pytest.raises(Exception, match="there is a ledger"):
        create_store(within, origin=ORIGIN, signer=signer, now=START)


def test_a_database_that_does_not_exist_is_missing(postgres_url: str, tmp_path: Path) -> None:
    nowhere = make_url(postgres_url).set(database="no_such_database").render_as_string(hide_password=False)
    with pytest.raises(StoreMissing, match="no database of this name"):
        open_store(nowhere)
    with pytest.raises(StoreMissing, match="no database of this name"):
        build(nowhere, tmp_path)


def test_of_several_who_found_at_once_all_but_one_are_told_that_there_is_a_ledger(
    postgres_url: str, tmp_path: Path
) -> None:
    signer = write_signing_key(tmp_path / "log.key", ORIGIN)
    together = threading.Barrier(4)

    def create(_number: int) -> str:
        together.wait()
        try:
            create_store(postgres_url, origin=ORIGIN, signer=signer, now=START)
        except StoreExists:
            return "exists"
        return "made"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == ["exists"] * 3 + ["made"]
    open_store(postgres_url).close()


def test_a_table_dropped_meanwhile_is_damage_to_who_appends_as_to_who_reads(postgres_url: str, tmp_path: Path) -> None:
    with build(postgres_url, tmp_path).open() as ledger:
        ledger.append_blocking(submission(answered(n=1)))
        execute(postgres_url, "DROP TABLE vault_document")
        for _ in range(2):
            with pytest.raises(LedgerDamaged, match="not a whole ledger"):
                ledger.append_blocking(submission(answered(n=2)))
        with pytest.raises(LedgerDamaged, match="not a whole ledger"):
            ledger.document(0)


async def test_the_turns_of_two_ledgers_in_two_schemas_are_apart(postgres_url: str, tmp_path: Path) -> None:
    execute(postgres_url, "CREATE SCHEMA one", "CREATE SCHEMA other")
    houses = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        houses.append(build(with_search_path(postgres_url, name), tmp_path / name))
    with houses[0].open() as one, houses[1].open() as other, houses[0].open() as again:
        async with one.turn("a chore") as mine, other.turn("a chore") as theirs, again.turn("a chore") as late:
            assert (mine, theirs, late) == (True, True, False)


def test_a_database_whose_transactions_are_read_only_is_refused_before_anything_is_written(
    postgres_url: str, tmp_path: Path
) -> None:
    house = build(postgres_url, tmp_path)
    execute(postgres_url, f'ALTER DATABASE "{make_url(postgres_url).database}" SET default_transaction_read_only = on')  # type: ignore[arg-type]
    with pytest.raises(StoreUnfit, match="default_transaction_read_only"):
        house.open()


def test_a_role_that_may_not_write_a_table_is_refused_and_the_table_named(postgres_url: str, tmp_path: Path) -> None:
    house = build(postgres_url, tmp_path)
    role = f"r_{secrets.token_hex(8)}"
    execute(
        postgres_url,
        f"CREATE ROLE {role} LOGIN",  # type: ignore[arg-type]
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",  # type: ignore[arg-type]
        f"REVOKE INSERT ON entry FROM {role}",  # type: ignore[arg-type]
    )
    try:
        url = make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
        with pytest.raises(StoreUnfit, match="may not write the tables entry: GRANT"):
            replace(house, url=url).open()
        execute(postgres_url, f"GRANT INSERT ON entry TO {role}")  # type: ignore[arg-type]
        with replace(house, url=url).open() as ledger:
            ledger.append_blocking(submission(answered()))
    finally:
        execute(postgres_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")  # type: ignore[arg-type]


def test_a_standby_is_refused_as_one(tmp_path: Path) -> None:
    with postgres.own_server() as primary, postgres.database(primary.url) as url:
        house = build(url, tmp_path)
        with postgres.own_server(primary) as standby:
            there = standby.url.set(database=make_url(url).database).render_as_string(hide_password=False)
            with pytest.raises(StoreUnfit, match="is a standby"):
                replace(house, url=there).open()


POOLER = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")


@contextmanager
def pooled(url: str, mode: str, **more: str) -> Iterator[str]:
    """Put PgBouncer before a database; gives the URL of the database behind it."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _pooled(url, Path(folder), mode, more)


def _pooled(url: str, folder: Path, mode: str, more: dict[str, str]) -> Iterator[str]:
    at = make_url(url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "listen_addr": "127.0.0.1", "listen_port": str(port), "unix_socket_dir": "", "auth_type": "any",
        "auth_file": str(folder / "users"), "pool_mode": mode, "default_pool_size": "8", "ignore_startup_parameters":
        "extra_float_digits", "logfile": str(folder / "log"), "pidfile": str(folder / "pid"), **more,
    }  # fmt: skip
    host, name = at.query.get("host") or at.host, at.database
    (folder / "users").write_text(f'"{at.username}" ""\n')
    lines = "\n".join(f"{key} = {value}" for key, value in settings.items())
    database = f"{name} = host={host} port={at.port or 5432} dbname={name} user={at.username}"
    (folder / "ini").write_text(f"[databases]\n{database}\n[pgbouncer]\n{lines}\n")
    who = {}
    if os.geteuid() == 0:  # PgBouncer refuses to run as root
        nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        for path in (folder, *folder.iterdir()):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    assert POOLER is not None
    process = subprocess.Popen([POOLER, str(folder / "ini")], stderr=subprocess.DEVNULL, **who)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None
            assert time.monotonic() < deadline
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"postgresql+psycopg://{at.username}@127.0.0.1:{port}/{name}"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.skipif(POOLER is None, reason="PgBouncer is not installed")
@pytest.mark.parametrize("more", [{}, {"server_round_robin": "1"}, {"default_pool_size": "2"}])
def test_a_pooler_of_transactions_is_refused_by_name(
    postgres_url: str, tmp_path: Path, more: dict[str, str]
) -> None:  # fmt: skip
    with pooled(postgres_url, "transaction", **more) as url:
        for turn in ("one", "two", "three"):
            (tmp_path / turn).mkdir()
            with pytest.raises(StoreUnfit, match="pool_mode = session"):
                build(url, tmp_path / turn)
        build(postgres_url, tmp_path)
        for _ in range(3):
            with pytest.raises(StoreUnfit, match="pool_mode = session"):
                open_store(url)


@pytest.mark.skipif(POOLER is None, reason="PgBouncer is not installed")
def test_a_pooler_of_sessions_is_taken(postgres_url: str, tmp_path: Path) -> None:
    with pooled(postgres_url, "session") as url:
        build(url, tmp_path)
        for _ in range(3):
            open_store(url).close()
