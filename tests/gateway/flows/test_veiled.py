"""What is held about persons is not in the text form of any value that holds it."""

import uuid
from datetime import date

import pytest
from rich.pretty import pretty_repr

from connectors.connector import Claim, Subject
from connectors.veiled import Veiled
from gateway.flows.once import Request
from gateway.rules.admission import CaseContext, Operator, Question, RawQuestion, RawSubject, question_body
from gateway.rules.identifiers import parse_identifier
from gateway.rules.roles import Caller

NAME, NUMBER, SAID = "赵虚构", "11010519491231002X", "DIVORCED"
WHO = Subject(id_type="resident-id", id_number=NUMBER, name=NAME)
RAW = RawSubject(id_type="resident-id", id_number=NUMBER, name=NAME)
OPERATOR = Operator(person="a-clerk", unit="11230000000000101E")
CONTEXT = CaseContext(matter="m", case_id="c", purpose="p", operator=OPERATOR)
QUESTION = Question(context=CONTEXT, item="i", subject=WHO, parameters={"said": SAID})
CALLER = Caller(id="spiffe://x", unit="11230000000000101E", roles=frozenset())
HELD = [
    WHO,
    Claim(fact_type="marriage", subject=WHO, expected={"status": SAID}, given={"spouse": NAME}),
    RAW,
    RawQuestion(
        request_id="r", matter="m", case_id="c", purpose="p", person="a", unit="u", item="i", subject=RAW,
        parameters={"said": SAID},
    ),
    QUESTION,
    Request(caller=CALLER, operator=OPERATOR, request_id=uuid.UUID(int=1), body=question_body(QUESTION)),
    parse_identifier("resident-id", NUMBER, today=date(2026, 1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("value", HELD, ids=lambda value: type(value).__name__)
def test_no_text_form_tells_who_or_what_was_said(value: Veiled) -> None:
    for told in (repr(value), str(value), f"{value}", repr([value]), pretty_repr(value)):
        assert type(value).__name__ in told
        assert not any(secret in told for secret in (NAME, NUMBER, SAID))


@pytest.mark.parametrize("value", HELD, ids=lambda value: type(value).__name__)
def test_a_value_cannot_be_changed(value: Veiled) -> None:
    for name in value.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(value, name, "")
