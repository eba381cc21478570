"""`chengxin staff-keys …`: a clerk makes a key and signs with it; others enrol, replace and revoke it.

The private key stays in one file, encrypted; only the public key and signatures leave it.
"""

from __future__ import annotations

import json as jsonlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.commands.options import CONFIG, SERVER, acting, house_of, running_gateway, shown_as
from gateway.commands.private_file import PRIVATE, PUBLIC, create_all

if TYPE_CHECKING:
    from gateway.commands.staff_key_file import HeldKey
    from gateway.v1 import staff_pb2, staff_pb2_grpc

_FILE = click.Path(path_type=Path, dir_okay=False)
_PASSWORD = click.option(
    "--password-file", type=_FILE, help="Holds the password of the key; without it, it is asked for."
)
_KEY = click.option("--key", "key", type=click.Path(path_type=Path, dir_okay=False, exists=True), required=True,
                    help="The clerk's private key, PEM.")  # fmt: skip
_ALGORITHMS = ("ED25519", "ECDSA_P256_SHA256", "ECDSA_P384_SHA384", "SM2_SM3")
_TIMEOUT = 20
_SHORTEST_PASSWORD = 8


@click.group("staff-keys")
def staff_keys() -> None:
    """The signing keys of clerks who witness signatures by hand (见证人签名密钥)."""


@staff_keys.command("create")
@click.argument("file", type=_FILE)
@click.option("--algorithm", type=click.Choice(_ALGORITHMS), default="ECDSA_P256_SHA256", show_default=True)
@_PASSWORD
def create(file: Path, algorithm: str, password_file: Path | None) -> None:
    """Make a key pair: FILE gets the private key (PKCS#8, encrypted), FILE.pub the public one. Never overwrites."""
    from gateway.commands.staff_key_file import HeldKey
    from ledger import AlgorithmUnavailable

    password = _password(password_file, confirm=True)
    try:
        key = HeldKey.make(algorithm)
        encrypted, public = key.encrypted(password, os.urandom), key.public_pem
    except AlgorithmUnavailable as error:
        raise click.ClickException(str(error)) from error
    public_file = file.with_name(file.name + ".pub")
    create_all([(file, encrypted, PRIVATE), (public_file, public, PUBLIC)])
    click.echo(f"{file}: {algorithm}; public key in {public_file}")


@staff_keys.command("propose")
@CONFIG
@SERVER
@_KEY
@_PASSWORD
@click.option("--person", required=True, help="Staff number of the clerk who holds the key.")
@click.option("--by", "by", required=True, help="Staff number of who proposes; another person.")
@shown_as("officer")
@click.option("--replaces", default="", help="The record of the key that this one replaces.")
def propose(
    *,
    config: Path,
    server: str | None,
    key: Path,
    password_file: Path | None,
    person: str,
    by: str,
    system: str,
    replaces: str,
) -> None:
    """Propose a key for a clerk, with the clerk's proof of holding it."""
    from gateway.client import new_request_id
    from gateway.flows.administration.staff_keys import enrolment
    from gateway.v1 import commitment_pb2, staff_pb2

    held = _open_key(key, password_file)
    identity, unit, public = uuid.UUID(new_request_id()), house_of(config, system).unit(system), held.public
    signed = enrolment(person=person, unit=unit, algorithm=held.algorithm, public_key=public, request_id=identity)
    with _service(config, server, system) as stub:
        answer = stub.ProposeStaffKey(
            staff_pb2.ProposeStaffKeyRequest(
                request_id=str(identity),
                operator=acting(config, system, by),
                person=person,
                algorithm=commitment_pb2.SignatureAlgorithm.Value(f"SIGNATURE_ALGORITHM_{held.algorithm}"),
                public_key=public,
                possession=held.sign(signed),
                replaces=replaces,
            ),
            timeout=_TIMEOUT,
        )
    _tell(answer.key)


@staff_keys.command("decide")
@CONFIG
@SERVER
@click.argument("record")
@click.option("--enrol/--reject", required=True, help="What is decided.")
@click.option("--by", "by", required=True, help="Staff number of who decides; neither the holder nor who proposed.")
@shown_as("reviewer")
def decide(*, config: Path, server: str | None, record: str, enrol: bool, by: str, system: str) -> None:
    """Enrol or reject a proposed key."""
    from gateway.client import new_request_id
    from gateway.v1 import staff_pb2

    decision = staff_pb2.STAFF_KEY_DECISION_ENROL if enrol else staff_pb2.STAFF_KEY_DECISION_REJECT
    request = staff_pb2.DecideStaffKeyRequest(
        request_id=new_request_id(), operator=acting(config, system, by), record=record, decision=decision
    )
    with _service(config, server, system) as stub:
        _tell(stub.DecideStaffKey(request, timeout=_TIMEOUT).key)


@staff_keys.command("revoke")
@CONFIG
@SERVER
@click.argument("record")
@click.option("--reason", required=True, help="Why; kept in the vault.")
@click.option("--by", "by", required=True, help="Staff number of who revokes.")
@shown_as("officer")
def revoke(*, config: Path, server: str | None, record: str, reason: str, by: str, system: str) -> None:
    """End a key at once; what it signed before stands."""
    from gateway.client import new_request_id
    from gateway.v1 import staff_pb2

    request = staff_pb2.RevokeStaffKeyRequest(
        request_id=new_request_id(), operator=acting(config, system, by), record=record, reason=reason
    )
    with _service(config, server, system) as stub:
        _tell(stub.RevokeStaffKey(request, timeout=_TIMEOUT).key)


@staff_keys.command("list")
@CONFIG
@SERVER
@shown_as("officer")
def list_keys(*, config: Path, server: str | None, system: str) -> None:
    """List the keys of the unit, newest first, one JSON object a line."""
    from gateway.client.pages import Pages
    from gateway.v1 import staff_pb2

    pages = Pages()
    with _service(config, server, system) as stub:
        while pages.token is not None:
            page = stub.ListStaffKeys(staff_pb2.ListStaffKeysRequest(page_token=pages.token), timeout=_TIMEOUT)
            for key in page.keys:
                _tell(key)
            pages.turn(page.next_page_token)


@staff_keys.command("witness")
@click.argument("document", type=click.File("rb"))
@click.argument("handwriting", type=click.File("rb"))
@_KEY
@_PASSWORD
@click.option("--seen", required=True, help="What the clerk saw, in Chinese.")
@click.option("--clerk", required=True, help="Staff number of the clerk.")
@click.option("--unit", required=True, help="The clerk's unit, a unified social credit code.")
@click.option("--staff-key", required=True, help="The record of the clerk's enrolled key.")
def witness(
    *,
    document: Any,
    handwriting: Any,
    key: Path,
    password_file: Path | None,
    seen: str,
    clerk: str,
    unit: str,
    staff_key: str,
) -> None:
    """Sign that DOCUMENT (the bytes to sign) was signed by hand as in the image HANDWRITING.

    Prints the `witnessed` of a RecordCommitmentRequest as JSON, but for the image.
    """
    import base64

    from gateway.signatures import witness_statement

    held = _open_key(key, password_file)
    at = datetime.now(UTC)
    statement = witness_statement(
        document=document.read(), handwriting=handwriting.read(), seen=seen, clerk=clerk, unit=unit, witnessed_at=at
    )
    told = {
        "seen": seen,
        "staffKey": staff_key,
        "algorithm": f"SIGNATURE_ALGORITHM_{held.algorithm}",
        "signature": base64.b64encode(held.sign(statement)).decode(),
        "witnessedAt": at.isoformat().replace("+00:00", "Z"),
    }
    click.echo(jsonlib.dumps(told, ensure_ascii=False))


def _password(file: Path | None, *, confirm: bool = False) -> bytes:
    if file is not None:
        text = _password_in(file)
    else:
        text = click.prompt("password of the key", hide_input=True, confirmation_prompt=confirm, err=True)
    if confirm and len(text) < _SHORTEST_PASSWORD:
        raise click.ClickException(f"a password has at least {_SHORTEST_PASSWORD} characters")
    return str(text).encode()


def _password_in(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file} is no password file ({type(error).__name__})") from error


def _open_key(file: Path, password_file: Path | None) -> HeldKey:
    from gateway.commands.staff_key_file import HeldKey, StaffKeyFileError
    from ledger import AlgorithmUnavailable
    from ledger.secret_file import read_secret

    try:
        return HeldKey.open(read_secret(file), _password(password_file))
    except (StaffKeyFileError, AlgorithmUnavailable) as error:
        raise click.ClickException(f"{file}: {error}") from error


@contextmanager
def _service(config: Path, server: str | None, system: str) -> Iterator[staff_pb2_grpc.StaffKeyServiceStub]:
    from gateway.v1 import staff_pb2_grpc

    with running_gateway(config, server, system) as channel:
        yield staff_pb2_grpc.StaffKeyServiceStub(channel)


def _tell(key: staff_pb2.StaffKey) -> None:
    from google.protobuf import json_format

    click.echo(jsonlib.dumps(json_format.MessageToDict(key), ensure_ascii=False))
