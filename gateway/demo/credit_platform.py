"""The credit platform of the demonstration: pulls reports, believes none without its proof, and keeps what it believes.

It is another party: it holds the log's public key and nothing else of the gateway's, connects by mutual TLS, and keeps
its own SQLite file. A report is kept only if its receipt verifies, the entry asks for just this act, and the content
opens the entry's commitment.
"""

from __future__ import annotations

import argparse
import signal
import sqlite3
import sys
import threading
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import grpc

from gateway.client import explain, open_blocking_channel
from gateway.v1 import credit_pb2 as pb
from gateway.v1.credit_pb2_grpc import CreditServiceStub
from ledger import Verifier, parse_vkey
from ledger.canonical import Json, parse_canonical
from ledger.errors import LedgerError
from ledger.receipt import verify_receipt
from ledger.records.codec import commit_value

_GROUP = "report"
_BATCH = 100
_CALL_SECONDS = 30.0
_PAUSE_SECONDS = 5.0
_REQUESTS = uuid.UUID("6f1c1f0e-6a53-4a57-9d5b-3f7f6c1f8b42")
_KINDS = {
    pb.REPORT_ACT_ENTER: ("ReportIssued",),
    pb.REPORT_ACT_RECALL: ("ReportRecalled",),
    pb.REPORT_ACT_END: ("ReportRepaired", "ReportExpired"),
}
_DONE = {pb.REPORT_ACT_ENTER: "已收录", pb.REPORT_ACT_RECALL: "已撤回", pb.REPORT_ACT_END: "已终止公示和使用"}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS report (code TEXT PRIMARY KEY, record TEXT NOT NULL, act TEXT NOT NULL,
    canonical BLOB NOT NULL, cursor INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY CHECK (one = 1), cursor INTEGER NOT NULL);
"""


class ReportUnproven(Exception):
    """An item does not prove what it says; `chinese` is the reason for the sender, without personal data."""

    def __init__(self, message: str, chinese: str) -> None:
        super().__init__(message)
        self.chinese = chinese


def verify_item(item: pb.PullReportsResponse, verifiers: Sequence[Verifier], origin: str) -> str:
    """Verify that an item is what the log holds; return the report's code.

    Raises:
        ReportUnproven: the receipt, the entry's kind or place, the commitment or the layout is not as it must be.
    """
    try:
        proven = verify_receipt(item.receipt.proof, verifiers, origin)
    except LedgerError as failure:
        raise ReportUnproven(f"receipt: {type(failure).__name__}", "回执未通过验证") from failure
    entry = proven.entry
    if entry.record.hex() != item.record or proven.index != item.cursor or entry.kind not in _KINDS.get(item.act, ()):
        raise ReportUnproven("the entry is of another record, place or act", "回执与报送事项不是同一条记录")
    if len(item.salt) != 32 or entry.commits.get(_GROUP) != commit_value(_GROUP, item.salt, item.canonical):
        raise ReportUnproven("the content is not what the entry commits to", "报送内容与账本所载摘要不一致")
    return _require_layout(item)


def _require_layout(item: pb.PullReportsResponse) -> str:
    try:
        content: Json = parse_canonical(item.canonical)
    except LedgerError as failure:
        raise ReportUnproven("the content is not canonical", "报送内容格式不符") from failure
    fields = {field.name: getattr(item.report, field.name) for field in item.report.DESCRIPTOR.fields}
    if content != fields or not item.report.code:
        raise ReportUnproven("the fields differ from the content committed to", "报送字段与账本所载内容不一致")
    return item.report.code


class Holdings:
    """What the platform holds, and how far it has read; one SQLite file."""

    def __init__(self, file: Path) -> None:
        file.touch(mode=0o600)  # reports are about people
        self._database = sqlite3.connect(file)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def cursor(self) -> int:
        """Return the cursor of the last item handled; 0 before the first."""
        row = self._database.execute("SELECT cursor FROM progress").fetchone()
        return int(row[0]) if row else 0

    def keep(self, item: pb.PullReportsResponse) -> None:
        """Enter or change a report by its code; an item seen before, or older than what is held, changes nothing."""
        with self._database:
            self._database.execute(
                "INSERT INTO report VALUES (?, ?, ?, ?, ?) ON CONFLICT (code) DO UPDATE SET record = excluded.record,"
                " act = excluded.act, canonical = excluded.canonical, cursor = excluded.cursor"
                " WHERE excluded.cursor > report.cursor",
                (item.report.code, item.record, pb.ReportAct.Name(item.act), item.canonical, item.cursor),
            )

    def advance(self, cursor: int) -> None:
        """Remember that everything up to a cursor is handled."""
        with self._database:
            self._database.execute(
                "INSERT INTO progress VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET cursor = excluded.cursor", (cursor,)
            )


class Platform:
    """Pulls, verifies, keeps and answers."""

    def __init__(
        self, *, stub: CreditServiceStub, holdings: Holdings, verifiers: Sequence[Verifier], origin: str
    ) -> None:
        self._stub = stub
        self._holdings = holdings
        self._verifiers = verifiers
        self._origin = origin

    def pull(self) -> int:
        """Handle all there is; return how many items did not verify.

        An unproven recall or end stops the reading where it is: it cannot be rejected, and must not be skipped.

        Raises:
            grpc.RpcError: the gateway cannot be reached or refuses; what was handled stays handled.
        """
        failed = 0
        while True:
            request = pb.PullReportsRequest(after=self._holdings.cursor(), limit=_BATCH)
            batch = list(self._stub.PullReports(request, timeout=_CALL_SECONDS))
            for item in batch:
                if not self._handle(item):
                    failed += 1
                    if item.act != pb.REPORT_ACT_ENTER:
                        return failed
                self._holdings.advance(item.cursor)
            if len(batch) < _BATCH:
                return failed

    def _handle(self, item: pb.PullReportsResponse) -> bool:
        try:
            code = verify_item(item, self._verifiers, self._origin)
        except ReportUnproven as failure:
            print(f"第{item.cursor}条：不予收录，{failure.chinese}。", flush=True)
            if item.act == pb.REPORT_ACT_ENTER:
                rejection = pb.RejectReportRequest(
                    request_id=_request("reject", item), record=item.record, reason=failure.chinese
                )
                self._stub.RejectReport(rejection, timeout=_CALL_SECONDS)
            return False
        self._holdings.keep(item)
        if item.act == pb.REPORT_ACT_ENTER:
            acknowledgement = pb.AcknowledgeReportRequest(
                request_id=_request("acknowledge", item), record=item.record, platform_reference=f"DEMO-{code}"
            )
            self._stub.AcknowledgeReport(acknowledgement, timeout=_CALL_SECONDS)
        print(f"第{item.cursor}条：承诺编码{code}，回执与摘要验证通过，{_DONE[item.act]}。", flush=True)
        return True


def _request(verb: str, item: pb.PullReportsResponse) -> str:
    """Name the answer to an item by the item, so that answering again after a crash is the same request."""
    return str(uuid.uuid5(_REQUESTS, f"{verb}/{item.record}/{item.cursor}"))


def main(argv: Sequence[str]) -> int:
    """Pull once, or until SIGTERM; 0 if everything verified, 1 if something did not, 2 if the gateway refused."""
    options = _parse(argv)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    verifiers = [parse_vkey(options.log_key.read_text("utf-8").strip())]
    channel = open_blocking_channel(
        options.server, authority=options.ca, certificate=options.certificate, key=options.key
    )
    failed = 0
    with channel, closing(Holdings(options.state)) as holdings:
        platform = Platform(
            stub=CreditServiceStub(channel), holdings=holdings, verifiers=verifiers, origin=options.origin
        )
        while not stopped.is_set():
            try:
                failed += platform.pull()
            except grpc.RpcError as failure:
                print(f"无法与网关交换：{explain(failure)[1] or failure.code().name}", file=sys.stderr, flush=True)
                if options.once:
                    return 2
            if options.once:
                break
            stopped.wait(_PAUSE_SECONDS)
    return 1 if failed else 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="credit_platform", description="Pull, verify and keep credit reports.")
    parser.add_argument("--server", required=True, help="HOST:PORT of the gateway")
    for name in ("--ca", "--certificate", "--key", "--log-key", "--state"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--origin", required=True, help="the log's origin")
    parser.add_argument("--once", action="store_true", help="handle what there is and end")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
