"""The commands of the vault and of disclosure, on a house as `chengxin init` founds it."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.bootstrap.ledger import open_ledger, open_master_keys
from gateway.bootstrap.opening import open_index
from gateway.cli import cli
from gateway.config import LedgerSettings, load_settings
from gateway.errors import ConfigurationError
from gateway.flows.administration.retain import Retain
from gateway.founding import House, found
from gateway.rules.clocks import legal_day
from gateway.rules.identifiers import parse_identifier
from gateway.rules.retention import RetentionRules
from ledger import (
    DisclosureError,
    Draft,
    Erased,
    ErasureRefused,
    Idempotency,
    KeyFileError,
    RemnantsLeft,
    Submission,
    parse_vkey,
    verify_receipt,
)
from ledger.vault.officers import write_officer_key
from tests.ledger.vault.test_pkcs11 import MODULE, Make, needs_softhsm, token

__all__ = ["token"]

SOURCES = (
    '[sources.civil]\nkind = "dropbox"\ndepartment = "示例"\nfolder = "/nowhere"\n'
    '[sources.civil.facts.cremation-record]\nkey = "a"\n'
)
NUMBER = "11010519491231002X"
ORDER = ("--basis", "《个人信息保护法》第四十七条", "--document-number", "黑数删〔2026〕7号")
PERSONS = {"07": "张三", "12": "李四"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES, listen="127.0.0.1:0")
    text = made.config.read_text("utf-8")
    for number, name in PERSONS.items():
        (made.home / f"{number}.pub").write_bytes(write_officer_key(made.home / f"{number}.key", None))
        text += f'[[erasure.officers]]\nnumber = "{number}"\nname = "{name}"\npublic_key_file = "{number}.pub"\n'
    made.config.write_text(text, "utf-8")
    return made


def by(house: House, number: str) -> tuple[str, ...]:
    return ("--officer", number, "--key", str(house.home / f"{number}.key"))


def proposed(house: House, *what: str) -> str:
    told = json.loads(well(run(house, "vault", "erase", "propose", *what, *by(house, "07"), *ORDER, "--yes", "--json")))
    return str(told["proposal"])


def settings(house: House) -> LedgerSettings:
    return load_settings(house.config).ledger


def run(house: House, *arguments: str, answer: str = "") -> Result:
    first, second, *rest = arguments
    commands = [first, second, *rest[:1]] if second in ("keys", "erase", "hold") else [first, second]
    return CliRunner().invoke(
        cli, [*commands, "--config", str(house.config), *arguments[len(commands) :]], input=answer
    )


def well(result: Result) -> str:
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def record_person(house: House) -> list[bytes]:
    """A verification of one person, what hangs on it, and one of somebody else."""
    subject = open_index(settings(house)).of(
        "resident-id", parse_identifier("resident-id", NUMBER, today=date(2026, 1, 1)).number
    )
    records = [os.urandom(16) for _ in range(3)]
    facts = ({"subject": subject.hex()}, {"parent": records[0].hex()}, {"unit": "x"})
    with open_ledger(settings(house)) as ledger:
        for record, given in zip(records, facts, strict=True):
            person = {"name": "王小明", "id-number": NUMBER}
            draft = Draft(
                kind="VerificationAnswered",
                record=record,
                groups={"answer": "是"},
                fields={"person": person},
                facts=given,
            )
            asked = Idempotency(key=os.urandom(16), body_digest=os.urandom(32))
            ledger.append_blocking(Submission(drafts=(draft,), at=datetime.now(UTC), idempotency=asked))
    return records


def test_one_field_is_disclosed_and_verified_with_the_public_key_alone(house: House, tmp_path: Path) -> None:
    record_person(house)
    disclosure = well(run(house, "ledger", "disclose", "0", "person.name"))
    assert NUMBER not in disclosure
    file = tmp_path / "disclosure.json"
    file.write_text(disclosure, "utf-8")
    verify = ["ledger", "verify-disclosure", str(file), "--key", str(house.vkey)]
    told = json.loads(well(CliRunner().invoke(cli, [*verify, "--json"])))
    assert (told["index"], told["value"], told["withheld"]) == (0, {"name": "王小明"}, ["id-number"])
    shown = well(CliRunner().invoke(cli, verify))
    assert "王小明" in shown
    assert "withheld: id-number" in shown
    file.write_text(disclosure.replace("王小明", "王小红"), "utf-8")
    refused = CliRunner().invoke(cli, verify)
    assert isinstance(refused.exception, DisclosureError)
    assert "王小红" not in refused.output


def test_a_whole_group_is_disclosed_and_a_field_of_it_refused(house: House) -> None:
    record_person(house)
    assert json.loads(well(run(house, "ledger", "disclose", "0", "answer")))["value"] == "是"
    for wrong in ("answer.x", "nothing", "person.age", "person."):
        assert isinstance(run(house, "ledger", "disclose", "0", wrong).exception, DisclosureError)


def test_records_are_erased_by_order_of_two_and_the_receipt_verifies(house: House) -> None:
    first, second, other = record_person(house)
    chosen = ("--record", first.hex(), "--record", second.hex())
    receipt = well(run(house, "vault", "erase", "propose", *chosen, *by(house, "07"), *ORDER, answer="y\n"))
    verifier = parse_vkey(house.vkey.read_text("utf-8"))
    made = verify_receipt(receipt.encode(), [verifier], verifier.name).entry
    assert made.kind == "ErasureProposed"
    proposal = made.record.hex()
    with open_ledger(settings(house)):  # as a running gateway has it
        shown = json.loads(well(run(house, "vault", "erase", "show", proposal, "--json")))
        refused = run(house, "vault", "erase", "reject", proposal, *by(house, "12"))
        assert "stop the gateway first" in refused.output
    assert (shown["officer"], shown["records"]) == ("07", sorted([first.hex(), second.hex()]))
    receipt = well(run(house, "vault", "erase", "approve", proposal, *by(house, "12"), answer="y\n"))
    entry = verify_receipt(receipt.encode(), [verifier], verifier.name).entry
    assert (entry.kind, entry.record) == ("DocumentErased", made.record)
    with open_ledger(settings(house)) as ledger:
        assert [isinstance(ledger.document(index), Erased) for index in range(5)] == [True, True, False, False, False]
        assert ledger.register().get(other) is not None
    again = run(house, "vault", "erase", "propose", *chosen, *by(house, "07"), *ORDER, "--yes")
    assert isinstance(again.exception, ErasureRefused)
    assert isinstance(run(house, "ledger", "disclose", "0", "person").exception, DisclosureError)
    assert json.loads(well(run(house, "ledger", "fsck", "--json")).splitlines()[-1])["ok"] is True


def test_only_a_proposal_that_waits_is_shown(house: House) -> None:
    first, *_ = record_person(house)
    for record in (first.hex(), "0" * 32):
        assert isinstance(run(house, "vault", "erase", "show", record).exception, ErasureRefused)
    assert run(house, "vault", "erase", "show", "0").exit_code == 2


def test_an_index_committed_beside_a_gateway_is_refused_with_what_to_do(house: House) -> None:
    with open_ledger(settings(house)):
        refused = CliRunner().invoke(cli, ["ledger", "index", "commit", "--config", str(house.config)])
    assert refused.exit_code == 1
    assert "stop the gateway first" in refused.output


def test_a_persons_records_are_erased_from_a_file_that_names_the_person(house: House, tmp_path: Path) -> None:
    record_person(house)
    subject = tmp_path / "subject.json"
    subject.write_text(
        json.dumps({"id_type": "resident-id", "id_number": "１１０１０５１９４９１２３１００２x"}), "utf-8"
    )
    told = json.loads(
        well(run(house, "vault", "erase", "approve", proposed(house, "--subject-file", str(subject)),
                 *by(house, "12"), "--yes", "--json"))
    )  # fmt: skip
    assert len(told["erased"]) == 2
    with open_ledger(settings(house)) as ledger:
        assert [isinstance(ledger.document(index), Erased) for index in range(3)] == [True, True, False]
    arguments = ("vault", "erase", "propose", "--subject-file", str(subject), *by(house, "07"), *ORDER, "--yes")
    again = run(house, *arguments)
    assert again.exit_code == 1
    assert "no record is about this person" in again.output
    assert "documents about others may name this person" in again.output
    for wrong in (
        "{}",
        "[]",
        "x",
        '{"id_type":"resident-id","id_number":"110105194912310021"}',
        '{"id_type":1,"id_number":2}',
    ):
        subject.write_text(wrong, "utf-8")
        refused = run(house, *arguments)
        assert refused.exit_code == 1
        assert "the subject file" in refused.output
        assert "110105" not in refused.output


def test_nothing_is_erased_without_a_yes_or_by_one_person(house: House) -> None:
    record, *_ = record_person(house)
    asked = ("vault", "erase", "propose", "--record", record.hex())
    assert run(house, *asked, *by(house, "07"), *ORDER, answer="n\n").exit_code == 1
    assert run(house, *asked, *by(house, "07"), "--yes").exit_code == 2
    assert run(house, "vault", "erase", "propose", *by(house, "07"), *ORDER, "--yes").exit_code == 2
    assert run(house, *asked[:-1], "xyz", *by(house, "07"), *ORDER, "--yes").exit_code == 2
    stranger = run(house, *asked, "--officer", "99", "--key", str(house.home / "07.key"), *ORDER, "--yes")
    assert isinstance(stranger.exception, ErasureRefused)
    looked = json.loads(well(run(house, *asked, *by(house, "07"), *ORDER, "--dry-run", "--json")))
    assert looked == {"records": 1, "documents": 1}
    proposal = proposed(house, "--record", record.hex())
    for alone in (by(house, "07"), ("--officer", "12", "--key", str(house.home / "07.key"))):
        refused = run(house, "vault", "erase", "approve", proposal, *alone, "--yes")
        assert isinstance(refused.exception, ErasureRefused)
        assert "张三" not in str(refused.exception)
    assert run(house, "vault", "erase", "approve", proposal, *by(house, "12"), answer="n\n").exit_code == 1
    with open_ledger(settings(house)) as ledger:
        assert not isinstance(ledger.document(0), Erased)
        assert ledger.size() == 4


def test_an_approval_that_was_interrupted_is_finished_by_repeating_it(house: House) -> None:
    record, *_ = record_person(house)
    proposal = proposed(house, "--record", record.hex())
    approve = ("vault", "erase", "approve", proposal, *by(house, "12"), "--yes", "--json")
    with closing(sqlite3.connect(house.home / "ledger.sqlite3", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM vault_key").fetchone()
        first = run(house, *approve)
        assert isinstance(first.exception, RemnantsLeft)
        assert "`chengxin vault clear`" in well(run(house, "ledger", "fsck"))
    told = well(run(house, *approve))
    assert json.loads(told) == json.loads(first.stdout)
    assert json.loads(told)["erased"] == [record.hex()]
    assert json.loads(well(run(house, "ledger", "fsck", "--json")).splitlines()[-1])["remnants"] == 0
    with open_ledger(settings(house)) as ledger:
        assert ledger.size() == 5, "nothing is recorded twice"


def test_what_was_not_carried_out_is_not_approved_by_repeating_it(house: House) -> None:
    record, *_ = record_person(house)
    rejected = proposed(house, "--record", record.hex())
    well(run(house, "vault", "erase", "reject", rejected, *by(house, "12")))
    for other in (rejected, record.hex(), "00" * 16):
        refused = run(house, "vault", "erase", "approve", other, *by(house, "12"), "--yes")
        assert isinstance(refused.exception, ErasureRefused)


def test_a_proposal_is_rejected(house: House) -> None:
    record, *_ = record_person(house)
    proposal = proposed(house, "--record", record.hex())
    well(run(house, "vault", "erase", "reject", proposal, *by(house, "12")))
    refused = run(house, "vault", "erase", "approve", proposal, *by(house, "12"), "--yes")
    assert isinstance(refused.exception, ErasureRefused)


def test_what_is_held_is_listed_and_not_erased_before_its_release(house: House, tmp_path: Path) -> None:
    record, *_ = record_person(house)
    subject = tmp_path / "subject.json"
    subject.write_text(json.dumps({"id_type": "resident-id", "id_number": NUMBER}), "utf-8")
    person = ("--person", "07", *ORDER, "--json")
    placed = [
        json.loads(well(run(house, "vault", "hold", "place", *what, *person)))
        for what in (("--record", record.hex()), ("--subject-file", str(subject)))
    ]
    holds = [one["hold"] for one in placed]
    assert [one["documents"] for one in placed] == [2, 2], "with what hangs on it"
    listed = [json.loads(line) for line in well(run(house, "vault", "hold", "list", "--json")).splitlines()]
    assert [(one["hold"], one["record"], one["person"]) for one in listed] == [
        (holds[0], record.hex(), False), (holds[1], None, True),
    ]  # fmt: skip
    assert NUMBER not in json.dumps(listed)
    for hold in holds:
        refused = run(house, "vault", "erase", "propose", "--record", record.hex(), *by(house, "07"), *ORDER, "--yes")
        assert "legal hold" in str(refused.exception)
        well(run(house, "vault", "hold", "release", hold, *person))
    assert "nothing is held" in well(run(house, "vault", "hold", "list"))
    proposed(house, "--record", record.hex())
    assert run(house, "vault", "hold", "place", *person).exit_code == 2
    assert "unknown" in run(house, "vault", "hold", "place", "--record", "00" * 16, *person).output


def found_about(house: House, verification: bytes, kind: str, record: bytes) -> None:
    """Open a finding that rests on a record, or go on with it."""
    facts = {"unit": "x", "parent": verification.hex()} if kind == "DiscrepancyFound" else {}
    draft = Draft(kind=kind, record=record, groups={"officer": "A-1"}, facts=facts)  # type: ignore[arg-type]
    with open_ledger(settings(house)) as ledger:
        asked = Idempotency(key=os.urandom(16), body_digest=os.urandom(32))
        ledger.append_blocking(Submission(drafts=(draft,), at=datetime.now(UTC), idempotency=asked))


def test_what_has_still_to_end_is_told_in_chinese_for_each_record_that_it_keeps(house: House) -> None:
    first, _, asked = record_person(house)
    waiting = proposed(house, "--record", asked.hex())
    finding = os.urandom(16)
    found_about(house, asked, "DiscrepancyFound", finding)
    chosen = [part for record in (first, asked, finding) for part in ("--record", record.hex())]
    arguments = ("vault", "erase", "propose", *chosen, *by(house, "07"), *ORDER)
    told = f"暂不能删除,与之相关的认定 {finding.hex()} 尚未办结(DISCREPANCY):须先办结"

    for refused, kept in (
        (run(house, *arguments, "--yes"), [asked, finding]),
        (run(house, *arguments, "--dry-run"), [asked, finding]),
        (run(house, "vault", "erase", "approve", waiting, *by(house, "12"), "--yes"), [asked]),
    ):
        assert refused.exit_code == 1
        for record in kept:
            assert f"record {record.hex()} is erased only after finding {finding.hex()}" in refused.output
            assert f"记录 {record.hex()} {told}" in refused.output
        assert f"记录 {first.hex()}" not in refused.output
        assert NUMBER not in refused.output

    found_about(house, asked, "FindingCleared", finding)
    proposed(house, "--record", finding.hex())
    well(run(house, "vault", "erase", "approve", waiting, *by(house, "12"), "--yes"))


def test_an_officers_key_is_made_closed_and_asks_for_its_passphrase(house: House, tmp_path: Path) -> None:
    record, *_ = record_person(house)
    key = tmp_path / "new.key"
    made = CliRunner().invoke(cli, ["vault", "officer-key", str(key)], input="口令\n口令\n")
    well(made)
    (house.home / "07.pub").write_bytes((tmp_path / "new.key.pub").read_bytes())
    asked = ("vault", "erase", "propose", "--record", record.hex(), "--officer", "07", "--key", str(key), *ORDER)
    assert isinstance(run(house, *asked, "--yes", answer="falsch\n").exception, KeyFileError)
    well(run(house, *asked, "--yes", answer="口令\n"))


def test_an_officers_public_key_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.pem.pub").write_text("somebody's")

    made = CliRunner().invoke(cli, ["vault", "officer-key", str(tmp_path / "a.pem"), "--no-passphrase"])

    assert (made.exit_code, (tmp_path / "a.pem").exists()) == (1, False)
    assert (tmp_path / "a.pem.pub").read_text() == "somebody's"


def test_a_running_writer_of_a_sqlite_file_is_told(house: House) -> None:
    record, *_ = record_person(house)
    with open_ledger(settings(house)):
        for arguments in (
            ("vault", "rewrap"),
            ("vault", "clear"),
            ("vault", "keys", "retire", "1"),
            ("vault", "erase", "propose", "--record", record.hex(), *by(house, "07"), *ORDER, "--yes"),
            ("vault", "retention", "--run", "--person", "07"),
            ("vault", "hold", "place", "--record", record.hex(), "--person", "07", *ORDER),
        ):
            refused = run(house, *arguments)
            assert refused.exit_code == 1
            assert "stop the gateway first" in refused.output
        assert "would erase" in well(run(house, "vault", "retention", "--dry-run"))


def test_retention_is_looked_at_or_run_and_says_what_it_did(house: House) -> None:
    record_person(house)
    assert run(house, "vault", "retention").exit_code == 2
    assert run(house, "vault", "retention", "--run").exit_code == 2
    old = datetime.now(UTC).replace(year=datetime.now(UTC).year - 6)
    record = os.urandom(16)
    with open_ledger(settings(house)) as ledger:
        facts = {"unit": "x", "matter": "230000-CIV-005"}
        draft = Draft(kind="VerificationAnswered", record=record, groups={"a": "是"}, facts=facts)
        asked = Idempotency(key=os.urandom(16), body_digest=os.urandom(32))
        ledger.append_blocking(Submission(drafts=(draft,), at=old, idempotency=asked))
    looked = json.loads(well(run(house, "vault", "retention", "--dry-run", "--json")))
    assert (looked["records"], looked["entries"]) == (1, [])
    assert "230000-CIV-005 verification: 1 cases, due 1" in well(run(house, "vault", "retention", "--dry-run"))
    done = json.loads(well(run(house, "vault", "retention", "--run", "--person", "07", "--json")))
    assert done["matters"] == [
        {"matter": "230000-CIV-005", "family": "verification", "cases": 1, "erased": 1, "kept": {},
         "oldest": legal_day(old).isoformat()}
    ]  # fmt: skip
    assert done["entries"] == [4]
    with open_ledger(settings(house)) as ledger:
        assert isinstance(ledger.document(3), Erased)
        assert not isinstance(ledger.document(0), Erased)
    assert "erased the documents of 0 records" in well(run(house, "vault", "retention", "--run", "--person", "07"))
    assert json.loads(well(run(house, "ledger", "fsck", "--json")).splitlines()[-1])["ok"] is True


@pytest.mark.parametrize("url", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_run_of_retention_that_was_interrupted_is_finished_by_the_next_one(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where = {} if url == "sqlite" else {"url": request.getfixturevalue("postgres_url")}
    house = found(tmp_path / "var", now=datetime.now(UTC), sources=SOURCES, **where)
    old = datetime.now(UTC).replace(year=datetime.now(UTC).year - 6, day=1)
    with open_ledger(settings(house)) as ledger:
        draft = Draft(kind="VerificationAnswered", record=os.urandom(16), groups={"a": "是"}, facts={"unit": "x"})
        asked = Idempotency(key=os.urandom(16), body_digest=os.urandom(32))
        ledger.append_blocking(Submission(drafts=(draft,), at=old, idempotency=asked))
        # What a run appends before it is killed:
        retain = Retain(
            register=ledger.register(), rules=RetentionRules(), now=lambda: datetime.now(UTC), entropy=os.urandom
        )
        assert retain.run("07", ledger.append_blocking, lambda done, total: None).erased_records == 1
    left = well(run(house, "ledger", "fsck"))
    assert "digests of 1 erased requests are left: clear them by `chengxin vault clear`" in left
    assert "the ledger is sound" in left

    assert "erased the documents of 0 records" in well(run(house, "vault", "retention", "--run", "--person", "07"))

    assert "vault clear" not in well(run(house, "ledger", "fsck"))


def test_every_mistake_about_retention_and_officers_is_told_at_once(house: House) -> None:
    text = house.config.read_text("utf-8").replace("commitment_years = 5 ", "commitment_years = 0 ")
    text = text.replace("name_keeps = [1, 0] ", "name_keeps = [1] ").replace('name = "张三"', 'name = ""')
    text += '[[retention.matters]]\nmatter = "a"\nlookup_years = "5"\n[[retention.matters]]\nmatter = "a"\n'
    house.config.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(house.config)
    assert [mistake.split(":")[0] for mistake in caught.value.mistakes] == [
        "exports.name_keeps", "retention.commitment_years", "retention.matters[0].lookup_years",
        "retention.matters[1].matter", "erasure.officers[0].name",
    ]  # fmt: skip


def test_a_rotation_from_beginning_to_end(house: House) -> None:
    record_person(house)
    assert json.loads(well(run(house, "vault", "keys", "rotate", "--cipher", "sm4-gcm", "--json")))["version"] == 2
    lines = [json.loads(line) for line in well(run(house, "vault", "keys", "show", "--json")).splitlines()]
    assert [(line["version"], line["cipher"], line["current"], line["documents"]) for line in lines] == [
        (1, "aes-256-gcm", False, 3),
        (2, "sm4-gcm", True, 0),
    ]
    early = run(house, "vault", "keys", "retire", "1")
    assert "3 documents depend on version 1" in early.output
    assert open_master_keys(settings(house)).versions().keys() == {1, 2}
    told = json.loads(well(run(house, "vault", "rewrap", "--json")))
    assert told == {"version": 2, "done": 3, "left": 0, "failed": []}
    well(run(house, "vault", "keys", "retire", "1"))
    assert "3 documents depend on version 2" in run(house, "vault", "keys", "retire", "2").output
    well(run(house, "vault", "clear", "--rewrite", "all"))
    with open_ledger(settings(house)) as ledger:
        assert not any(isinstance(ledger.document(index), Erased) for index in range(3))
    assert isinstance(run(house, "vault", "keys", "create").exception, KeyFileError)


def test_a_version_that_is_not_in_the_file_is_told(house: House) -> None:
    record_person(house)
    well(run(house, "vault", "keys", "rotate"))
    path = settings(house).master_keys_file
    path.write_text(path.read_text().splitlines()[1] + "\n")
    shown = run(house, "vault", "keys", "show")
    assert shown.exit_code == 1
    assert "version 1: unknown cipher, MISSING from the key file, 3 documents" in shown.output
    made = run(house, "vault", "rewrap")
    assert made.exit_code == 1
    assert "do not open" in made.output


def hsm(house: House, **changes: str) -> None:
    given = {
        "pkcs11_module": str(MODULE),
        "pkcs11_token": "chengxin",
        "pkcs11_key_label": "vault",
        "pkcs11_pin_file": "pin",
    }
    lines = "".join(f'{key} = "{value}"\n' for key, value in {**given, **changes}.items() if value)
    text = house.config.read_text("utf-8")
    house.config.write_text(text.replace('master_keys = "file"', f'{lines}master_keys = "pkcs11"'), "utf-8")


@needs_softhsm
def test_a_house_with_an_hsm(house: House, token: Make) -> None:
    hsm(house, pkcs11_pin_file=str(token()._pin_file))
    settings(house).master_keys_file.unlink()
    well(run(house, "vault", "keys", "create", "--generate-hsm-key"))
    well(CliRunner().invoke(cli, ["check-config", "--config", str(house.config)]))
    record_person(house)
    well(run(house, "vault", "keys", "rotate"))
    well(run(house, "vault", "rewrap"))
    well(run(house, "vault", "keys", "retire", "1"))
    assert "王小明" in well(run(house, "ledger", "disclose", "0", "person.name"))


def test_every_mistake_about_the_hsm_is_told_at_once(house: House) -> None:
    hsm(house, pkcs11_module="", pkcs11_token="", pkcs11_key_label="")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(house.config)
    assert list(caught.value.mistakes) == [
        "ledger.pkcs11_module: is missing",
        "ledger.pkcs11_token: is missing",
        "ledger.pkcs11_key_label: is missing",
    ]


def test_hsm_keys_without_the_hsm_and_an_unknown_provider_are_told(house: House) -> None:
    text = house.config.read_text("utf-8")
    house.config.write_text(text.replace('master_keys = "file"', 'master_keys = "file"\npkcs11_token = "x"'), "utf-8")
    with pytest.raises(ConfigurationError, match=r'ledger.pkcs11_token: goes with master_keys = "pkcs11" only'):
        load_settings(house.config)
    house.config.write_text(text.replace('master_keys = "file"', 'master_keys = "kms"'), "utf-8")
    with pytest.raises(ConfigurationError, match="must be one of file, pkcs11"):
        load_settings(house.config)


def test_check_config_names_every_mistake_in_the_master_keys(house: House) -> None:
    settings(house).master_keys_file.write_text("1:ab\nx\n")
    result = CliRunner().invoke(cli, ["check-config", "--config", str(house.config)])
    assert isinstance(result.exception, KeyFileError)
    assert len(result.exception.mistakes) == 2


def test_a_wrapping_key_is_not_made_where_no_hsm_is_configured(house: House) -> None:
    refused = run(house, "vault", "keys", "create", "--generate-hsm-key")
    assert refused.exit_code == 2
    assert "pkcs11" in refused.output
