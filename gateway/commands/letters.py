"""`chengxin letter …`: fetch the letter of a commitment from a running gateway, and check one offline."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from gateway.commands.options import CONFIG, JSON, SERVER, running_gateway, shown_as
from gateway.commands.private_file import write_private

if TYPE_CHECKING:
    from ledger import KeyHistory, Verifier


@click.group()
def letter() -> None:
    """Letters of commitments (告知承诺书)."""


@letter.command("get")
@CONFIG
@SERVER
@shown_as("clerk")
@click.option(
    "--format",
    "form",
    type=click.Choice(["pdf", "text", "document"]),
    default="pdf",
    show_default=True,
    help="A PDF, plain text, or the canonical JSON that is signed.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="-",
              help="Where to; standard output by default.")  # fmt: skip
@click.argument("record")
def get(*, config: Path, server: str | None, system: str, form: str, out: Path, record: str) -> None:
    """Fetch the letter of the commitment RECORD. It holds personal data: the file is for its owner alone."""
    from gateway.v1 import commitment_pb2, commitment_pb2_grpc

    request = commitment_pb2.GetCommitmentLetterRequest(
        record=record, format=commitment_pb2.LetterFormat.Value(f"LETTER_FORMAT_{form.upper()}")
    )
    with running_gateway(config, server, system) as channel:
        answer = commitment_pb2_grpc.CommitmentServiceStub(channel).GetCommitmentLetter(request, timeout=10)
    if str(out) == "-":
        click.echo(answer.content, nl=False)
    else:
        write_private(out, answer.content)


@letter.command("check")
@click.argument("code")
@click.option("--receipt", type=click.File("rb"), required=True, help="The receipt, attached to the PDF.")
@click.option("--key", type=click.Path(path_type=Path, exists=True), required=True, help="The log's public key file.")
@click.option(
    "--history",
    type=click.Path(path_type=Path, exists=True),
    help="The published key history, for a log whose key has changed; KEY is the first one.",
)
@click.option("--document", type=click.File("rb"), help="The document that was signed, attached to the PDF.")
@click.option("--disclosure", type=click.File("rb"), help="What proves the document, attached to the PDF.")
@JSON
def check(
    *,
    code: str,
    receipt: BinaryIO,
    key: Path,
    history: Path | None,
    document: BinaryIO | None,
    disclosure: BinaryIO | None,
    as_json: bool,
) -> None:
    """Check CODE, what the QR code of a letter holds, with nothing but the log's public key; no network.

    A document needs --disclosure with it: without, nothing shows that the log is about this document, and the exit
    status is 1.
    """
    from gateway.letters.checking import verify_letter
    from gateway.letters.reference import ReferenceMalformed, parse_reference
    from ledger import parse_vkey, parse_vkeys, verify_key_history

    try:
        reference = parse_reference(code)
    except ReferenceMalformed as error:
        raise click.ClickException(str(error)) from error
    written = key.read_text("utf-8")
    keys: Sequence[Verifier] | KeyHistory = parse_vkeys(written)
    if history is not None:
        keys = verify_key_history(history.read_text("utf-8"), parse_vkey(written).vkey, reference.origin)
    document_bytes, disclosure_bytes = (None if file is None else file.read() for file in (document, disclosure))
    checked = verify_letter(reference, receipt.read(), keys, document_bytes, disclosure_bytes)
    told = {
        "record": reference.record.hex(),
        "index": checked.receipt.index,
        "size": checked.receipt.size,
        "signed": checked.signed,
        "document_proved": checked.document_proved,
        "at": checked.receipt.entry.at.isoformat(),
    }
    words = "the receipt holds: " + ", ".join(f"{name} {value}" for name, value in told.items())
    signed = "该承诺已签署并入账" if checked.signed else "该承诺已告知并入账,此回执不证明已签署"
    proved = "所附文书即入账文书" if checked.document_proved else "未证明文书内容"
    chinese = f"回执有效:{signed}(台账第 {checked.receipt.index} 条);{proved}。"
    click.echo(jsonlib.dumps(told) if as_json else f"{words}\n{chinese}")
    if document is not None and not checked.document_proved:
        raise click.ClickException(
            "the document is NOT proved: it fits the code, which anybody can write; --disclosure, the file "
            "disclosure.json attached to the PDF, shows that the log is about it\n"
            "文书未经证明：它仅与二维码相符；请用 --disclosure 提供 PDF 所附的 disclosure.json。"
        )
