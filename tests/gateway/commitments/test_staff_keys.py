"""Clerks' keys: enrolled by two others, replaced, revoked; and what a key was worth when."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.errors import (
    GatewayError,
    InvalidRequest,
    RecordNotFound,
    SameOfficer,
    StaffKeyRefused,
    TransitionNotAllowed,
)
from gateway.flows.administration.staff_keys import Proposal, enrolment
from ledger import decode_entry

from .office import Office, office, said

UNIT = "11230000000000101E"
CLERK = "C-07"


def der(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip


async def propose(
    here: Office,
    key: ec.EllipticCurvePrivateKey | None = None,
    *,
    person: str = CLERK,
    proven_for: str = "",
    by: str = "officer-01",
    replaces: bytes | None = None,
    system: str = "officer",
    public_key: bytes = b"",
    identity: str = "",
) -> bytes:
    """Propose a key; give its record."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    identity = identity or str(uuid.uuid4())
    request = here.request("ProposeStaffKey", system=system, person=by, identity=identity, public_key=der(key).hex())
    public = public_key or der(key)
    signed = enrolment(
        person=proven_for or person, unit=request.caller.unit, algorithm="ECDSA_P256_SHA256", public_key=public,
        request_id=request.request_id,
    )  # fmt: skip
    proposal = Proposal(
        person=person,
        algorithm="ECDSA_P256_SHA256",
        public_key=public,
        possession=key.sign(signed, ec.ECDSA(hashes.SHA256())),
        replaces=replaces,
    )
    recorded = await here.flows.staff_keys.propose(request, proposal)
    return decode_entry(recorded.entries[0]).record


async def decide(here: Office, record: bytes, *, enrol: bool = True, by: str = "reviewer-01") -> None:
    request = here.request("DecideStaffKey", system="reviewer", person=by, record=record.hex(), enrol=enrol)
    await here.flows.staff_keys.decide(request, record, enrol=enrol)


async def revoke(here: Office, record: bytes, *, system: str = "officer") -> None:
    request = here.request("RevokeStaffKey", system=system, record=record.hex())
    await here.flows.staff_keys.revoke(request, record, "遗失")


async def refused(call: object, kind: type[GatewayError]) -> str:
    with pytest.raises(kind) as caught:
        await call  # type: ignore[misc]
    assert caught.value.chinese
    return str(caught.value).split(":")[0]


async def test_a_key_is_enrolled_by_two_people_and_names_person_and_unit(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key = ec.generate_private_key(ec.SECP256R1())
        record = await propose(here, key)
        assert await here.flows.staff_keys.find(record) is None, "one person enrols nothing"
        here.clock.pass_(hours=1)
        await decide(here, record)

        found = await here.flows.staff_keys.find(record)
        assert found is not None
        assert (found.person, found.unit, found.algorithm, found.public_key) == (
            CLERK, UNIT, "ECDSA_P256_SHA256", der(key),
        )  # fmt: skip
        assert (found.enrolled_at, found.revoked_at) == (here.clock.now, None)


async def test_a_revoked_key_is_still_told_with_since_when(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await propose(here)
        await decide(here, record)
        enrolled = here.clock.now
        here.clock.pass_(days=3)
        await revoke(here, record)

        found = await here.flows.staff_keys.find(record)
        assert found is not None
        assert (found.enrolled_at, found.revoked_at) == (enrolled, here.clock.now)
        assert said(here.last(record), "revocation") == {"reason": "遗失"}
        await refused(revoke(here, record), TransitionNotAllowed)


async def test_a_new_key_ends_the_one_it_replaces_in_the_same_act(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        first = await propose(here)
        await decide(here, first)
        second = await propose(here, replaces=first)
        assert here.state(first) == "KEY_ENROLLED", "a proposal ends nothing"
        here.clock.pass_(days=1)
        await decide(here, second)

        assert (here.state(first), here.state(second)) == ("KEY_REVOKED", "KEY_ENROLLED")
        old, new = await here.flows.staff_keys.find(first), await here.flows.staff_keys.find(second)
        assert old is not None
        assert new is not None
        assert old.revoked_at == new.enrolled_at == here.clock.now


async def test_a_predecessor_that_was_revoked_meanwhile_hinders_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        first = await propose(here)
        await decide(here, first)
        second = await propose(here, replaces=first)
        await revoke(here, first)
        await decide(here, second)

        assert (here.state(first), here.state(second)) == ("KEY_REVOKED", "KEY_ENROLLED")


@pytest.mark.parametrize("by", [CLERK, " c-07 ", "Ｃ-07", "c\u201007"])
async def test_nobody_proposes_a_key_of_their_own(tmp_path: Path, by: str) -> None:
    async with office(tmp_path) as here:
        size = here.ledger.size()
        assert await refused(propose(here, by=by), StaffKeyRefused) == "HOLDER_PROPOSES"
        assert here.ledger.size() == size


@pytest.mark.parametrize(
    "by", ["officer-01", "OFFICER-01", "ｏｆｆｉｃｅｒ-01", "officer\u201001", CLERK, "c\u200b-07"]
)
async def test_neither_who_proposed_nor_the_holder_decides(tmp_path: Path, by: str) -> None:
    async with office(tmp_path) as here:
        record = await propose(here)

        await refused(decide(here, record, by=by), SameOfficer)
        assert here.state(record) == "KEY_PROPOSED"


async def test_a_rejected_key_never_signs(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await propose(here)
        await decide(here, record, enrol=False)

        assert await here.flows.staff_keys.find(record) is None
        await refused(decide(here, record), TransitionNotAllowed)
        await refused(revoke(here, record), TransitionNotAllowed)


async def test_who_cannot_prove_to_hold_the_key_enrols_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        other = der(ec.generate_private_key(ec.SECP256R1()))
        assert await refused(propose(here, public_key=other), StaffKeyRefused) == "POSSESSION_UNPROVEN"
        assert await refused(propose(here, proven_for="C-08"), StaffKeyRefused) == "POSSESSION_UNPROVEN"


async def test_a_proof_is_worth_nothing_for_another_request(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key = ec.generate_private_key(ec.SECP256R1())
        first, second = here.request("x", system="officer"), here.request("x", system="officer")
        signed = enrolment(
            person=CLERK, unit=UNIT, algorithm="ECDSA_P256_SHA256", public_key=der(key), request_id=first.request_id
        )
        proposal = Proposal(
            person=CLERK,
            algorithm="ECDSA_P256_SHA256",
            public_key=der(key),
            possession=key.sign(signed, ec.ECDSA(hashes.SHA256())),
        )

        code = await refused(here.flows.staff_keys.propose(second, proposal), StaffKeyRefused)
        assert code == "POSSESSION_UNPROVEN"


async def test_another_algorithm_than_the_keys_proves_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key, request = ed25519.Ed25519PrivateKey.generate(), here.request("x", system="officer")
        signed = enrolment(
            person=CLERK, unit=UNIT, algorithm="ECDSA_P256_SHA256", public_key=der(key), request_id=request.request_id
        )
        proposal = Proposal(
            person=CLERK, algorithm="ECDSA_P256_SHA256", public_key=der(key), possession=key.sign(signed)
        )

        assert await refused(here.flows.staff_keys.propose(request, proposal), StaffKeyRefused) == "POSSESSION_UNPROVEN"


async def test_what_is_no_public_key_is_named(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        await refused(propose(here, public_key=b"not a key"), InvalidRequest)


async def test_a_key_that_anybody_can_sign_with_is_not_proposed(tmp_path: Path) -> None:
    neutral_point = ed25519.Ed25519PublicKey.from_public_bytes(b"\x01" + bytes(31))
    information = neutral_point.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    async with office(tmp_path) as here:
        await refused(propose(here, public_key=information), InvalidRequest)


async def test_a_key_is_proposed_once_whoever_claims_it(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key = ec.generate_private_key(ec.SECP256R1())

        outcomes = await asyncio.gather(
            propose(here, key), propose(here, key, person="C-08"), return_exceptions=True
        )  # fmt: skip

        (lost,) = (one for one in outcomes if isinstance(one, BaseException))
        assert str(lost).startswith("KEY_KNOWN")


async def test_a_key_replaces_only_an_enrolled_key_of_the_same_clerk(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        proposed, other = await propose(here), await propose(here, person="C-08")
        await decide(here, other)

        for wrong in (proposed, other):
            assert await refused(propose(here, replaces=wrong), StaffKeyRefused) == "REPLACES_WRONG_KEY"
        await refused(propose(here, replaces=bytes(16)), RecordNotFound)


async def test_a_repeated_proposal_is_one(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        key, identity = ec.generate_private_key(ec.SECP256R1()), str(uuid.uuid4())

        assert await propose(here, key, identity=identity) == await propose(here, key, identity=identity)


async def test_another_units_keys_are_neither_shown_nor_touched(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        record = await propose(here)
        await decide(here, record)
        stranger = here.request("x", system="civil-clerk").caller

        await refused(here.flows.staff_keys.own(record, stranger), RecordNotFound)
        await refused(revoke(here, record, system="civil-clerk"), RecordNotFound)
        assert (await here.flows.staff_keys.list(stranger, before=None, size=9))[0] == []


async def test_keys_are_listed_newest_first_page_by_page(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        records = [await propose(here, person=f"C-{n}") for n in range(5)]
        caller, seen, before = here.request("x").caller, [], None
        while True:
            page, before = await here.flows.staff_keys.list(caller, before=before, size=2)
            seen += [one.life.row.record for one in page]
            if before is None:
                break

        assert seen == records[::-1]


async def test_what_is_no_staff_key_is_found_as_none(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        assert await here.flows.staff_keys.find(bytes(16)) is None
