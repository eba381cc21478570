"""Who acts is proven by the unit's identity provider: over loopback mutual TLS, with the client library too."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from structlog.testing import capture_logs

from gateway.client import Case, GatewayClient, GatewayRefusal, Person, Question
from gateway.config import load_settings
from gateway.errors import ConfigurationError, SignatureRefused
from gateway.founding import SYSTEMS, House, found
from gateway.rpc.operators import METADATA
from gateway.signatures.operators import OperatorIssuer, verify_operator
from gateway.signatures.platform import Platform, PlatformKey, encode
from gateway.v1 import assistance_pb2, assistance_pb2_grpc, credit_pb2, verification_pb2

from .conftest import ITEM, NAME, NUMBER, TIMEOUT, Town, operator, question, run_town

UNIT = SYSTEMS["clerk"][0]
ISSUER, AUDIENCE = "https://id.example.gov.cn", "chengxin"
SETTINGS = """
[[operators]]
unit = "{unit}"
issuer = "https://id.example.gov.cn"
audience = "chengxin"
{more}
[[operators.keys]]
kid = "1"
algorithm = "EdDSA"
public_key_file = "signers/{name}.pem"
"""


class Provider:
    """An identity provider."""

    def __init__(self) -> None:
        self.key = ed25519.Ed25519PrivateKey.generate()

    def write(self, house: House, *, unit: str = UNIT, more: str = "", name: str = "provider") -> None:
        """Let a house trust it."""
        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        file = house.config.parent / "signers" / f"{name}.pem"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(public)
        with house.config.open("a", encoding="utf-8") as config:
            config.write(SETTINGS.format(unit=unit, more=more, name=name))

    def token(self, person: str = "clerk-01", *, at: datetime | None = None, **more: object) -> str:
        """Assert who acts; `more` replaces claims, None leaves one out."""
        now = at or datetime.now(UTC)
        claims: dict[str, object] = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": person, "iat": int(now.timestamp()),
            "exp": int((now + timedelta(minutes=10)).timestamp()), **more,
        }  # fmt: skip
        kept = {name: value for name, value in claims.items() if value is not None}
        signed = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": "EdDSA", "kid": "1"}, kept))
        return f"{signed}.{encode(self.key.sign(signed.encode()))}"


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def town(tmp_path: Path, provider: Provider) -> AsyncIterator[Town]:
    """A town whose clerks are proven by a provider."""
    async for here in run_town(tmp_path, "sqlite:///ledger.sqlite3", provider.write):
        yield here


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """Give code and reason of a refused call."""
    with pytest.raises(aio.AioRpcError) as refused:
        await call
    [details] = [value for key, value in refused.value.trailing_metadata() if key == "grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    told = {detail.type_url.rpartition(".")[2]: detail for detail in status.details}
    info, words = error_details_pb2.ErrorInfo(), error_details_pb2.LocalizedMessage()
    assert told["ErrorInfo"].Unpack(info)
    assert told["LocalizedMessage"].Unpack(words)
    assert words.message
    return refused.value.code(), info.reason


def shown(*tokens: str) -> tuple[tuple[str, str], ...]:
    return tuple((METADATA, token) for token in tokens)


async def test_the_person_of_the_assertion_acts_and_nobody_else(town: Town, provider: Provider) -> None:
    verify = town.verification().Verify
    answered = await verify(question(), metadata=shown(provider.token()), timeout=TIMEOUT)
    assert answered.verification.record
    code, reason = await refusal(
        verify(question(case="办-2"), metadata=shown(provider.token("clerk-02")), timeout=TIMEOUT)
    )
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_a_call_without_an_assertion_is_refused_where_the_unit_must_show_one(town: Town) -> None:
    for call in (
        town.verification().Verify(question(), timeout=TIMEOUT),
        town.verification().GetVerification(verification_pb2.GetVerificationRequest(record="00" * 16), timeout=TIMEOUT),
    ):
        assert await refusal(call) == (grpc.StatusCode.UNAUTHENTICATED, "OPERATOR_ASSERTION_REQUIRED")


async def test_systems_that_act_by_themselves_show_none(town: Town) -> None:
    pulled = town.credit().PullReports(credit_pb2.PullReportsRequest(), timeout=TIMEOUT)
    assert [one async for one in pulled] == []


def wrong(it: Provider) -> dict[str, tuple[str, ...]]:
    """Give assertions that do not count, by what is wrong with each."""
    now = datetime.now(UTC)
    return {
        "expired": (it.token(at=now - timedelta(hours=1)),),
        "of the future": (it.token(at=now + timedelta(minutes=5)),),
        "for too long": (it.token(exp=int(now.timestamp()) + 86400),),
        "for another": (it.token(aud="another"),),
        "of another issuer": (it.token(iss="https://other.example"),),
        "of nobody": (it.token(sub=None),),
        "of a number": (it.token(sub=7),),
        "of another unit": (it.token(unit="11230000000000203C"),),
        "by another key": (Provider().token(),),
        "cut": (it.token()[:-2],),
        "altered": (it.token().replace(".", ".x", 1),),
        "empty": ("",),
        "two": (it.token(), it.token()),
    }


async def test_an_assertion_that_does_not_count_is_refused_and_never_told(town: Town, provider: Provider) -> None:
    verify = town.verification().Verify
    first = await verify(question(case="办-0"), metadata=shown(provider.token()), timeout=TIMEOUT)
    for what, tokens in wrong(provider).items():
        with capture_logs() as logs:
            told = await refusal(verify(question(), metadata=shown(*tokens), timeout=TIMEOUT))
        assert told == (grpc.StatusCode.UNAUTHENTICATED, "OPERATOR_ASSERTION_REFUSED"), what
        assert not any(token and token in str(logs) for token in tokens), what
    after = await verify(question(case="办-9"), metadata=shown(provider.token()), timeout=TIMEOUT)
    assert after.receipt.index == first.receipt.index + 1  # nothing was recorded between


async def test_every_question_of_a_stream_is_the_persons_and_the_stream_ends_with_the_assertion(
    town: Town, provider: Provider
) -> None:
    soon = int(datetime.now(UTC).timestamp()) + 2
    stream = town.verification().BatchVerify(
        metadata=shown(provider.token(exp=soon - 59, iat=soon - 120)), timeout=TIMEOUT
    )
    mine, other = question(case="办-1"), question(case="办-2")
    other.context.operator.person = "clerk-02"
    await stream.write(verification_pb2.BatchVerifyRequest(requests=[mine, other]))
    results = []
    while len(results) < 2:
        results += (await stream.read()).results
    by_id = {result.request_id: result for result in results}
    assert by_id[mine.request_id].response.verification.record
    assert by_id[other.request_id].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    await asyncio.sleep(max(0.0, soon + 1.2 - datetime.now(UTC).timestamp()))
    await stream.write(verification_pb2.BatchVerifyRequest(requests=[question(case="办-3")]))
    with pytest.raises(aio.AioRpcError) as ended:
        await stream.read()
    assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_unit_may_show_assertions_before_it_must(tmp_path: Path, provider: Provider) -> None:
    async for here in run_town(
        tmp_path, "sqlite:///ledger.sqlite3", lambda house: provider.write(house, more="required = false")
    ):
        verify = here.verification().Verify
        await verify(question(), timeout=TIMEOUT)
        await verify(question(case="办-2"), metadata=shown(provider.token()), timeout=TIMEOUT)
        told = await refusal(verify(question(), metadata=shown(Provider().token()), timeout=TIMEOUT))
        assert told == (grpc.StatusCode.UNAUTHENTICATED, "OPERATOR_ASSERTION_REFUSED")
        received = assistance_pb2.ReceiveAssistanceRequest(
            request_id=str(uuid.uuid4()), record="00" * 16, operator=operator("civil-clerk")
        )
        other = assistance_pb2_grpc.AssistanceServiceStub(here.channel("civil-clerk"))
        call = other.ReceiveAssistance(received, metadata=shown(provider.token()), timeout=TIMEOUT)
        assert await refusal(call) == (grpc.StatusCode.UNAUTHENTICATED, "OPERATOR_ASSERTION_REFUSED")


async def test_of_a_provider_of_several_units_each_assertion_says_whose_it_is(
    tmp_path: Path, provider: Provider
) -> None:
    def both(house: House) -> None:
        provider.write(house)
        provider.write(house, unit=SYSTEMS["civil-clerk"][0], name="again")

    async for here in run_town(tmp_path, "sqlite:///ledger.sqlite3", both):
        verify = here.verification().Verify
        assert await refusal(verify(question(), metadata=shown(provider.token()), timeout=TIMEOUT)) == (
            grpc.StatusCode.UNAUTHENTICATED, "OPERATOR_ASSERTION_REFUSED",
        )  # fmt: skip
        await verify(question(), metadata=shown(provider.token(unit=UNIT)), timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("is_shared", "unit", "refused"),
    [
        (False, None, ""),
        (True, UNIT, ""),
        (True, None, "ASSERTION_UNIT"),
        (False, "11230000000000203C", "ASSERTION_UNIT"),
    ],
)
def test_an_assertion_of_another_unit_is_refused_by_its_code(
    provider: Provider, is_shared: bool, unit: str | None, refused: str
) -> None:
    public = provider.key.public_key()
    key = PlatformKey(kid="1", algorithm="EdDSA", key=public, public_key=public.public_bytes_raw())
    platform = Platform(issuer=ISSUER, audience=AUDIENCE, keys=(key,))
    issuer = OperatorIssuer(unit=UNIT, platform=platform, required=True, is_shared=is_shared)
    token, at = provider.token(unit=unit), datetime.now(UTC)
    if not refused:
        assert verify_operator(token, issuer, at=at).person == "clerk-01"
        return
    with pytest.raises(SignatureRefused) as caught:
        verify_operator(token, issuer, at=at)
    assert caught.value.code == refused


async def test_the_client_library_shows_who_acts_with_each_call(town: Town, provider: Provider) -> None:
    certificate, key = town.house.pair("clerk")
    files = {"authority": town.house.authority, "certificate": certificate, "key": key}
    asked: list[str] = []

    def token() -> str:
        asked.append(provider.token("clerk-01" if len(asked) < 2 else "clerk-02"))
        return asked[-1]

    case = Case(
        matter=question().context.matter, case_id="办-7", purpose="办理行政许可", operator="clerk-01", unit=UNIT
    )
    ask = Question(
        case=case, item=ITEM, subject=Person(id_number=NUMBER, name=NAME), parameters={"address": "示例路1号"}
    )
    async with GatewayClient.connect(
        f"127.0.0.1:{town.port}", **files, log_keys=town.house.config.parent / "keys/log.pub", operator=token
    ) as client:
        answer = await client.verify(ask)
        assert (await client.get(answer.verification.record)).verification.record == answer.verification.record
        with pytest.raises(GatewayRefusal):
            await client.verify(ask)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("unit", "more", "mistake"),
    [
        ("11230000000000999X", "", "operators[0].unit: is the unit of no configured caller"),
        (UNIT, "longest_life = 1", "operators[0].longest_life"),
        (UNIT, "surprise = 1", "operators[0].surprise: is not known"),
    ],
)
def test_what_is_wrong_with_a_provider_is_told_by_name(
    tmp_path: Path, provider: Provider, unit: str, more: str, mistake: str
) -> None:
    house = found(
        tmp_path / "var",
        now=datetime.now(UTC),
        sources="",
        listen="127.0.0.1:0",
        url="sqlite:///l.sqlite3",
        remedy_days=0,
    )
    provider.write(house, unit=unit, more=more)
    with pytest.raises(ConfigurationError) as refused:
        load_settings(house.config)
    assert mistake in str(refused.value)
