"""Signed calls and sessions, against a platform that gives out secrets for minutes and looks at every signature."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from connectors.catalog import connect
from connectors.errors import StanzaError
from connectors.outcome import Kind
from connectors.resilience import Resilient
from tests.connectors.people import GOOD, NOW, ZHANG, claim, question

APP_KEY, RID, SID = "0123456789abcdef", "rid-7", "s_11_7766"


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


def signed(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), "sha256").digest()).decode()


def sealed(value: str) -> str:
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(APP_KEY.encode()), modes.ECB()).encryptor()
    return base64.b64encode(
        encryptor.update(padder.update(value.encode()) + padder.finalize()) + encryptor.finalize()
    ).decode()


class Platform:
    """Gives out secrets, and answers calls that are signed by one that lasts."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lasts = timedelta(minutes=10)
        self.given: list[str] = []
        self.calls: list[Mapping[str, str]] = []
        self.used: list[str] = []
        self.secret_answer: object = None
        self.is_deaf = False
        self.asked = 0
        self.page = 0
        self.pause = 0.0
        self.skew = timedelta()
        self.ended: set[str] = set()
        self.ends_at_once = False
        self.url = ""

    async def serve(self, reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        head = await reading.readuntil(b"\r\n\r\n")
        line, *fields = head.decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        await reading.readexactly(int(headers.get("content-length", "0")))
        if "/secret" in line:
            await asyncio.sleep(self.pause)
            self.asked += 1
            status, answer = self.page or 200, {} if self.is_deaf else self._secret(headers)
        else:
            status, answer = self._call(headers)
        body = b"<html>" if self.page else json.dumps(answer).encode()
        if not self.is_deaf or "/secret" not in line:
            writing.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
            )
        writing.close()

    def _secret(self, headers: Mapping[str, str]) -> object:
        if headers["sign"] != signed(APP_KEY, RID + headers["rtime"]):
            return {"code": "E-106"}
        if self.secret_answer is not None:
            return self.secret_answer
        self.given.append(f"secret-{len(self.given)}")
        ends = self.clock.at + self.skew + self.lasts
        return {"code": "0", "data": {"secret": sealed(self.given[-1]), "secretEndTime": int(ends.timestamp() * 1000)}}

    def _call(self, headers: Mapping[str, str]) -> tuple[int, object]:
        self.calls.append(headers)
        text = SID + headers["gjgxjhpt_rid"] + headers["gjgxjhpt_rtime"]
        by = next((one for one in self.given if headers["gjgxjhpt_sign"] == signed(one, text)), None)
        if by is None:
            return 200, {"code": "E-108"}
        self.used.append(by)
        return (401, {"code": "E-107"}) if self.ends_at_once or by in self.ended else (200, GOOD)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def platform(clock: Clock) -> AsyncIterator[Platform]:
    made = Platform(clock)
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as listening:
        made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield made


def stanza(
    url: str, folder: object, /, session: Mapping[str, object] | None = None, **more: object
) -> dict[str, object]:
    """Write the stanza of a register behind the platform; keys of `session` replace those of the session."""
    own: dict[str, object] = {
        "path": "/secret",
        "headers": {"rtime": "{request.time_ms}", "sign": "{signature.sign}"},
        "signatures": {"sign": {"key": "{secret.app_key}", "over": "{secret.rid}{request.time_ms}"}},
        "success": {"at": "code", "equals": "0"},
        "refused": {"at": "code", "equals": "E-106", "rule": "NOT_AUTHORISED"},
        "error": {"at": "code", "equals": "-1", "cause": "WINDOW"},
        "values": {"secret": "data.secret"},
        "decrypt": {"secret": {"key": "app_key"}},
        "ends": "data.secretEndTime",
        "ended": [{"status": 401}, {"at": "code", "equals": "E-107"}],
        **(session or {}),
    }
    fact: dict[str, object] = {
        "path": "/call",
        "json": {"idcard": "{subject.id_number}"},
        "success": {"at": "code", "equals": "0"},
        "refused": {"at": "code", "equals": "E-108", "rule": "WRONG_SIGNATURE"},
        "records": "data.result",
        "subject_echo": "idcard",
        "name": "xm",
        "attributes": {"status": "hyzk"},
        "values": {"status": {"1": "married", "2": "divorced"}},
    }
    return {
        "kind": "http", "department": "民政厅", "url": url, "answer_timeout": "2s",
        "secrets": {"app_key_file": f"{folder}/app-key", "rid_file": f"{folder}/rid"},
        "headers": {
            "gjgxjhpt_rid": "{secret.rid}", "gjgxjhpt_rtime": "{request.time_ms}", "gjgxjhpt_sign": "{signature.sign}",
        },
        "signatures": {"sign": {"key": "{session.secret}", "over": SID + "{secret.rid}{request.time_ms}"}},
        "session": {key: value for key, value in own.items() if value is not None},
        "resilience": {"retries": 0, "concurrency": 100, "queue": 100, "breaker_failures": 1000},
        "facts": {"marriage-registration": fact},
        **more,
    }  # fmt: skip


@pytest.fixture
async def source(platform: Platform, clock: Clock, tmp_path: object) -> AsyncIterator[Resilient]:
    made = make(platform, clock, tmp_path)
    yield made
    await made.aclose()


def make(platform: Platform, clock: Clock, folder: object, session: Mapping[str, object] | None = None) -> Resilient:
    write_secrets(folder)
    return connect("national", stanza(platform.url, folder, session), now=clock)


def write_secrets(folder: object, app_key: str = APP_KEY) -> None:
    for name, held in (("app-key", app_key), ("rid", RID)):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:  # noqa: PTH123  the folder may be any object
            file.write(held + "\n")


async def ask(source: Resilient, number: int = 0) -> str:
    [evidence] = await source.check_many([claim(status="married")], question(case=f"case-{number}"))
    outcome = evidence.outcome
    told = outcome.cause.value if outcome.cause is not None else outcome.rule
    return f"{outcome.kind.value}({told})" if told else outcome.kind.value


async def test_calls_are_signed_by_the_secret_of_a_session_as_long_as_it_lasts(
    source: Resilient, platform: Platform, clock: Clock, discreet: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for minute in (0, 4, 8):
        clock.at = NOW + timedelta(minutes=minute)
        assert await ask(source, minute) == "MATCH"
    assert (platform.given, len(platform.calls)) == (["secret-0"], 3)
    clock.at = NOW + timedelta(minutes=9, seconds=1)
    assert await ask(source, 9) == "MATCH"
    await until(lambda: platform.given == ["secret-0", "secret-1"])
    clock.at = NOW + timedelta(minutes=10)
    assert await ask(source, 10) == "MATCH"
    assert platform.used == ["secret-0"] * 4 + ["secret-1"]
    assert not any(secret in caplog.text for secret in (APP_KEY, "secret-0", "secret-1"))
    discreet.append(caplog.text)


async def test_one_request_for_a_session_serves_all_who_wait(source: Resilient, platform: Platform) -> None:
    platform.pause = 0.1
    found = await asyncio.gather(*(ask(source, number) for number in range(50)))
    assert (set(found), platform.given, len(platform.calls)) == ({"MATCH"}, ["secret-0"], 50)


async def test_who_gives_up_takes_the_session_from_nobody(source: Resilient, platform: Platform) -> None:
    platform.pause = 0.2
    first = asyncio.ensure_future(ask(source, 1))
    await asyncio.sleep(0.05)
    second = asyncio.ensure_future(ask(source, 2))
    await asyncio.sleep(0.05)
    first.cancel()
    assert await second == "MATCH"
    assert platform.given == ["secret-0"]


async def test_a_session_that_ended_early_is_asked_for_again_once(source: Resilient, platform: Platform) -> None:
    assert await ask(source, 1) == "MATCH"
    platform.ended.add("secret-0")
    assert await ask(source, 2) == "MATCH"
    assert (platform.given, len(platform.calls)) == (["secret-0", "secret-1"], 3)
    platform.ends_at_once = True
    assert await ask(source, 3) == "UNAVAILABLE(OUTAGE)"
    assert (len(platform.given), len(platform.calls)) == (3, 5)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)


async def test_nobody_waits_for_the_successor_of_a_session_that_lasts(
    source: Resilient, platform: Platform, clock: Clock
) -> None:
    assert await ask(source, 1) == "MATCH"
    clock.at = NOW + timedelta(minutes=9, seconds=30)
    platform.pause = 1.5
    async with asyncio.timeout(1):
        assert {await ask(source, number) for number in range(2, 6)} == {"MATCH"}
    await until(lambda: len(platform.given) == 2)
    clock.at = NOW + timedelta(minutes=10)
    assert await ask(source, 7) == "MATCH"
    assert platform.used == ["secret-0"] * 5 + ["secret-1"]


async def test_while_a_session_lasts_a_failure_to_renew_it_is_borne(
    source: Resilient, platform: Platform, clock: Clock
) -> None:
    assert await ask(source, 1) == "MATCH"
    clock.at = NOW + timedelta(minutes=9, seconds=30)
    for number, broken in enumerate(({"code": "-1"}, {"code": "E-106"}, {"code": "x"}), 2):
        platform.secret_answer = broken
        assert await ask(source, number) == "MATCH"
    platform.secret_answer = None
    platform.is_deaf = True
    assert await ask(source, 5) == "MATCH"
    clock.at = NOW + timedelta(minutes=10)
    assert await ask(source, 6) == "UNAVAILABLE(OUTAGE)"
    platform.is_deaf = False
    assert await ask(source, 7) == "MATCH"


async def test_while_a_successor_is_not_to_be_had_not_every_question_asks_for_one(
    source: Resilient, platform: Platform, clock: Clock
) -> None:
    assert await ask(source, 0) == "MATCH"
    clock.at = NOW + timedelta(minutes=9, seconds=30)
    platform.is_deaf = True
    platform.asked = 0
    for number in range(1, 11):
        assert await ask(source, number) == "MATCH"
    await until(lambda: platform.asked == 1)
    clock.at += timedelta(seconds=6)
    platform.is_deaf = False
    assert await ask(source, 20) == "MATCH"
    await until(lambda: len(platform.given) == 2)


@pytest.mark.parametrize(
    ("session", "status", "expected"),
    [
        ({"refused": {"status": 403, "rule": "NOT_AUTHORISED"}}, 403, "REFUSED(NOT_AUTHORISED)"),
        ({"error": {"status": 503, "cause": "WINDOW"}}, 503, "UNAVAILABLE(WINDOW)"),
        ({}, 503, "UNAVAILABLE(OUTAGE)"),
        ({}, 403, "UNAVAILABLE(GARBLED)"),
    ],
)
async def test_a_status_is_a_sign_by_itself_whatever_the_body_of_a_session_is(
    platform: Platform, clock: Clock, tmp_path: object, session: Mapping[str, object], status: int, expected: str
) -> None:
    platform.page = status
    made = make(platform, clock, tmp_path, session)
    assert await ask(made) == expected
    await made.aclose()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"code": "-1"}, "UNAVAILABLE(WINDOW)"),
        ({"code": "E-106"}, "REFUSED(NOT_AUTHORISED)"),
        ({"code": "9"}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0"}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"secret": "", "secretEndTime": 9999999999}}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"secret": "not sealed", "secretEndTime": 9999999999}}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"secret": sealed("x"), "secretEndTime": "soon"}}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"secret": sealed("x"), "secretEndTime": None}}, "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"secret": sealed("x")}}, "UNAVAILABLE(GARBLED)"),
        (
            {"code": "0", "data": {"secret": sealed("x"), "secretEndTime": "2026-11-24 09:59:59"}},
            "UNAVAILABLE(GARBLED)",
        ),
        ("down", "UNAVAILABLE(GARBLED)"),
        ({"code": "0", "data": {"secret": sealed("x"), "secretEndTime": "9" * 5000}}, "UNAVAILABLE(GARBLED)"),
    ],
)
async def test_without_a_session_nothing_is_concluded_and_nobody_is_asked_about(
    source: Resilient, platform: Platform, told: object, expected: str
) -> None:
    platform.secret_answer = told
    assert await ask(source) == expected
    assert platform.calls == []


async def test_a_key_that_is_not_ours_is_refused_by_the_sign_of_the_platform(
    platform: Platform, clock: Clock, tmp_path: object
) -> None:
    write_secrets(tmp_path, "fedcba9876543210")
    made = connect("national", stanza(platform.url, tmp_path), now=clock)
    assert await ask(made) == "REFUSED(NOT_AUTHORISED)"
    await made.aclose()


@pytest.mark.parametrize(
    ("end", "lasts"),
    [
        ({"ends": None, "lifetime": "10m"}, 600),
        ({"ends": None, "lasts": "data.expires"}, 300),
        ({"ends": "data.text"}, 1800),
        ({"ends": "data.seconds"}, 7200),
        ({"ends": "data.far"}, 86400),
    ],
)
async def test_the_end_of_a_session_is_told_in_one_of_several_ways(
    platform: Platform, clock: Clock, tmp_path: object, end: Mapping[str, object], lasts: int
) -> None:
    seconds = int(NOW.timestamp())
    platform.secret_answer = {
        "code": "0",
        "data": {
            "secret": sealed("secret-0"), "expires": "300", "text": "2026-11-24 10:30:00", "seconds": seconds + 7200,
            "far": str(seconds + 10**7),
        },
    }  # fmt: skip
    platform.given.append("secret-0")
    made = make(platform, clock, tmp_path, end)
    assert await ask(made, 1) == "MATCH"
    platform.secret_answer = {"code": "9"}
    clock.at = NOW + timedelta(seconds=lasts - 1)
    assert await ask(made, 2) == "MATCH"
    clock.at = NOW + timedelta(seconds=lasts)
    assert await ask(made, 3) == "UNAVAILABLE(GARBLED)"
    await made.aclose()


async def test_a_session_shorter_than_its_renewal_is_used_for_half_of_its_time(
    source: Resilient, platform: Platform, clock: Clock
) -> None:
    platform.lasts = timedelta(seconds=20)
    for second, given in ((0, 1), (9, 1), (10, 2)):
        clock.at = NOW + timedelta(seconds=second)
        assert await ask(source, second) == "MATCH"
        await until(lambda given=given: len(platform.given) >= given)  # type: ignore[misc]
        await asyncio.sleep(0.05)
        assert len(platform.given) == given


@pytest.mark.parametrize(
    ("scheme", "written", "digest"),
    [
        ("hmac-sha256", "base64", lambda key, text: base64.b64encode(hmac.new(key, text, "sha256").digest()).decode()),
        ("hmac-sm3", "hex", lambda key, text: hmac.new(key, text, "sm3").hexdigest()),
        ("md5", "HEX", lambda _key, text: hashlib.md5(text, usedforsecurity=False).hexdigest().upper()),
        ("sm3", "hex", lambda _key, text: hashlib.new("sm3", text).hexdigest()),
    ],
)
async def test_a_signature_is_over_the_text_that_is_sent(
    platform: Platform, clock: Clock, tmp_path: object, scheme: str, written: str, digest: object
) -> None:
    write_secrets(tmp_path)
    over = "{secret.app_key}{request.time_digits}{request.time}{inner.content}"
    signature = {"scheme": scheme, "over": over, "written": written}
    if scheme.startswith("hmac"):
        signature["key"] = "{secret.app_key}"
    made = stanza(platform.url, tmp_path, signatures={"sign": signature})
    del made["session"]
    fact = made["facts"]["marriage-registration"]  # type: ignore[index]
    del fact["json"]
    fact["form"] = {"content": "{inner.content}"}
    fact["inner"] = {"content": {"json": {"name": "{subject.name}"}}}
    source = connect("national", made, now=clock)
    await ask(source)
    await source.aclose()
    content = json.dumps({"name": ZHANG.name}, ensure_ascii=False, separators=(",", ":"))
    text = f"{APP_KEY}202611241000002026-11-24 10:00:00{content}".encode()
    assert platform.calls[0]["gjgxjhpt_sign"] == digest(APP_KEY.encode(), text)  # type: ignore[operator]


SIGN = {"key": "{secret.app_key}", "over": "x"}


@pytest.mark.parametrize(
    ("session", "more", "mistake"),
    [
        ({"ends": None}, {}, "session.ends: give one of"),
        ({"lifetime": "5m"}, {}, "session.ends: give one of"),
        ({"success": None}, {}, "session.success: is missing"),
        ({"values": None}, {}, "session.values: is missing"),
        ({"path": None}, {}, "session.path: is missing"),
        ({"path": "/{secret.rid}"}, {}, "session.path: takes no placeholders"),
        ({"path": "secret"}, {}, "session.path: must begin with /"),
        ({"method": "GET", "xml": "<a/>"}, {}, "session.xml: is a body, which a GET does not have"),
        ({"format": "xml", "success": {"at": "code", "equals": 0}}, {}, "session.success: `equals` must be a text"),
        ({"ended": {"at": "code", "equals": 0}}, {"format": "xml"}, "session.ended: `equals` must be a text"),
        ({"json": {"who": "{subject.id_number}"}}, {}, "tells nothing of {subject.…}"),
        ({"headers": {"X": "{context.operator}"}}, {}, "tells nothing of {context.…}"),
        ({"headers": {"X": "{session.secret}"}}, {}, "nothing fills {session.secret}"),
        ({"decrypt": {"other": {"key": "app_key"}}}, {}, "decrypts nothing: `values` has no other"),
        ({"decrypt": {"secret": {"key": "other"}}}, {}, "session.decrypt.secret.key: names none of the `secrets`"),
        ({"decrypt": {"secret": {"key": "rid"}}}, {}, "session.decrypt.secret.key: is no AES key"),
        ({"decrypt": {"secret": {"key": "app_key", "key_encoding": "base64"}}}, {}, "is no AES key"),
        ({"decrypt": {"secret": {"key": "app_key", "cipher": "des"}}}, {}, "cipher: must be one of aes-ecb"),
        ({"unknown": 1}, {}, "session.unknown: is not known"),
        ({}, {"signatures": {"sign": {**SIGN, "scheme": "rot13"}}}, "signatures.sign.scheme: must be one of"),
        ({}, {"signatures": {"sign": {"over": "x"}}}, "signatures.sign.key: is missing"),
        ({}, {"signatures": {"sign": {**SIGN, "scheme": "md5"}}}, "signatures.sign.key: belongs to hmac"),
        ({}, {"signatures": {"sign": {**SIGN, "key": "in clear"}}}, "must be a {secret.…}"),
        ({}, {"signatures": {"sign": {**SIGN, "key": "{subject.name}"}}}, "must be a {secret.…}"),
        ({}, {"signatures": {"sign": {**SIGN, "over": "{signature.sign}"}}}, "nothing fills {signature.sign}"),
        (
            {},
            {"signatures": {"sign": {**SIGN, "over": "{inner.x}"}}},
            "inner: has no x, over which {signature.sign} is made",
        ),
        ({}, {"signatures": {"other": SIGN}}, "nothing fills {signature.sign}"),
        ({}, {"signatures": {"sign": {**SIGN, "key": "{session.token}"}}}, "nothing fills {session.token}"),
    ],
)
def test_a_stanza_that_could_not_sign_is_refused_by_name(
    tmp_path: object, session: Mapping[str, object], more: Mapping[str, object], mistake: str
) -> None:
    write_secrets(tmp_path)
    with pytest.raises(StanzaError) as refused:
        connect("national", stanza("http://127.0.0.1:1", tmp_path, session, **more), now=Clock())
    told = "\n".join(refused.value.mistakes)
    assert mistake in told
    assert APP_KEY not in told


async def test_a_wrong_signature_is_what_the_platform_says_of_it_and_no_end_of_the_session(
    source: Resilient, platform: Platform
) -> None:
    assert await ask(source, 1) == "MATCH"
    platform.given[:] = ["another"]
    [evidence] = await source.check_many([claim(status="married")], question(case="2"))
    assert (evidence.outcome.kind, evidence.outcome.rule) == (Kind.REFUSED, "WRONG_SIGNATURE")
