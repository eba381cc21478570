"""Reads an item's expression and checks every reference against the declared facts and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from gateway.catalogue.expression import (
    APPLICANT,
    PERSON_PARTS,
    AllExpr,
    AnyExpr,
    ChooseExpr,
    Expr,
    FactExpr,
    NotExpr,
    Operand,
    ParameterRef,
    facts_of,
)
from gateway.catalogue.fields import Fields
from gateway.catalogue.mistakes import Mistakes, Place
from gateway.catalogue.model import FactType, Parameter, ValueType
from gateway.catalogue.nodes import Entries, Node, Scalar, truth_word, whole_number
from gateway.catalogue.words import Sensitivity, ValueKind

_FORMS = ("fact", "any", "all", "not", "choose")
_PARTS = {"id_number": ValueKind.ID_NUMBER, "name": ValueKind.NAME}
_TEXTS = (ValueKind.STRING, ValueKind.NAME, ValueKind.ID_NUMBER)
"""What an applicant says as a text: how it is compared is for the fact type to say."""
_STAND_IN = FactExpr(fact="")
_DEEPEST = 20


class ExpressionReader:
    """Reads the expression of one item. `read` notes mistakes and returns a stand-in where there are any."""

    def __init__(
        self, what: str, facts: Mapping[str, FactType], parameters: Mapping[str, Parameter], mistakes: Mistakes
    ) -> None:
        self._what = f"{what}: expression"
        self._facts = facts
        self._parameters = parameters
        self._mistakes = mistakes
        self.used: set[str] = set()
        """The parameters met so far."""

    def read(self, node: Node, depth: int = 0) -> Expr:
        """Read one expression: exactly one of `fact`, `any`, `all`, `not`, `choose`."""
        fields = Fields(node, self._what, self._mistakes)
        forms = [form for form in _FORMS if fields.has(form)]
        if len(forms) != 1 or depth > _DEEPEST:
            if isinstance(node, Entries):
                fields.mistake(f"an expression has exactly one of {', '.join(_FORMS)}, at most {_DEEPEST} deep")
            return _STAND_IN
        expr = self._form(forms[0], fields, depth + 1)
        fields.done()
        return expr

    def _form(self, form: str, fields: Fields, depth: int) -> Expr:
        match form:
            case "fact":
                return self._fact(fields)
            case "not":
                node = fields.node("not", required=True)
                return NotExpr(of=self.read(node, depth) if node is not None else _STAND_IN)
            case "choose":
                return self._choose(fields, depth)
        of = tuple(self.read(node, depth) for node in fields.list(form, required=True))
        ordered = fields.boolean("ordered", default=False)
        self._check_order(of, ordered, fields)
        return AnyExpr(of=of, ordered=ordered) if form == "any" else AllExpr(of=of, ordered=ordered)

    def _check_order(self, of: Sequence[Expr], ordered: bool, fields: Fields) -> None:
        """Sensitive facts are asked last, and only when the others did not decide."""
        sensitive = [any(self._is_sensitive(fact.fact) for fact in facts_of(inner)) for inner in of]
        if any(sensitive) and not all(sensitive) and not (ordered and sensitive == sorted(sensitive)):
            fields.mistake("SENSITIVE facts beside others: 'ordered: true', and the sensitive ones last")

    def _is_sensitive(self, code: str) -> bool:
        return code in self._facts and self._facts[code].sensitivity is Sensitivity.SENSITIVE

    def _choose(self, fields: Fields, depth: int) -> Expr:
        name = self._reference_name(fields.text("choose"))
        parameter = self._parameters.get(name or "")
        cases = {word: self.read(node, depth) for word, node in fields.mapping("cases").items()}
        if parameter is None or parameter.type.kind is not ValueKind.ENUM or not parameter.required:
            fields.mistake("'choose' names a required parameter of an enumeration", fields.place_of("choose"))
        elif set(cases) != set(parameter.type.words):
            wanted = ", ".join(parameter.type.words)
            fields.mistake(f"'cases' must be exactly {wanted}", fields.place_of("cases"))
        self.used.add(name or "")
        return ChooseExpr(parameter=name or "", cases=cases)

    def _fact(self, fields: Fields) -> Expr:
        code = fields.text("fact")
        fact = self._facts.get(code)
        if fact is None:
            fields.mistake(f"no fact type {code!r} is declared", fields.place_of("fact"))
        expect = fields.mapping("expect")
        given = fields.mapping("given")
        from_age = fields.integer("from_age", 0, low=0, high=120)
        if from_age and fields.has("on"):
            fields.mistake("'on' and 'from_age' both say when the fact lies", fields.place_of("from_age"))
        return FactExpr(
            fact=code,
            expect={n: self._named(fields, n, v, fact.attributes if fact else None) for n, v in expect.items()},
            given={n: self._named(fields, n, v, fact.given if fact else None) for n, v in given.items()},
            subject=self._subject(fields),
            place=self._optional(fields, "place", ValueType(kind=ValueKind.DIVISION)),
            on=self._optional(fields, "on", ValueType(kind=ValueKind.DATE)),
            from_age=from_age,
        )

    def _subject(self, fields: Fields) -> str:
        raw = fields.text("subject", required=False) or APPLICANT
        if raw == APPLICANT:
            return ""
        name = self._reference_name(raw)
        parameter = self._parameters.get(name or "")
        if parameter is None or parameter.type.kind is not ValueKind.PERSON or not parameter.required:
            where = fields.place_of("subject")
            fields.mistake("'subject' is 'applicant' or a required parameter of type person", where)
        self.used.add(name or "")
        return name or ""

    def _optional(self, fields: Fields, key: str, declared: ValueType) -> Operand | None:
        node = fields.node(key)
        return None if node is None else self._operand(fields, key, node, declared)

    def _named(self, fields: Fields, name: str, node: Node, declared: Mapping[str, ValueType] | None) -> Operand:
        if declared is None:
            return ""
        if name not in declared:
            fields.mistake(f"the fact type declares no {name!r}", node.place)
            return ""
        return self._operand(fields, name, node, declared[name])

    def _operand(self, fields: Fields, name: str, node: Node, declared: ValueType) -> Operand:
        if not isinstance(node, Scalar):
            fields.mistake(f"{name!r} must be a value or a $parameter", node.place)
            return ""
        if node.raw.startswith("$"):
            return self._reference(fields, name, node, declared)
        value = _literal(node, declared)
        if value is None:
            fields.mistake(f"{name!r} must be {declared}", node.place)
            return ""
        return value

    def _reference(self, fields: Fields, name: str, node: Scalar, declared: ValueType) -> Operand:
        parameter, dot, part = node.raw[1:].partition(".")
        known = self._type_of(parameter)
        if known is None:
            fields.mistake(f"no parameter '${parameter}' is declared", node.place)
        elif dot and (known.kind is not ValueKind.PERSON or part not in PERSON_PARTS):
            fields.mistake(f"{node.raw!r}: only a person has parts: {', '.join(PERSON_PARTS)}", node.place)
        elif not _compatible(of := ValueType(kind=_PARTS[part]) if dot else known, declared):
            fields.mistake(f"{name!r} is {declared}, but {node.raw} is {of}", node.place)
        self.used.add(parameter)
        return ParameterRef(name=parameter, part=part)

    def _type_of(self, name: str) -> ValueType | None:
        if name == APPLICANT:
            return ValueType(kind=ValueKind.PERSON)
        return self._parameters[name].type if name in self._parameters else None

    @staticmethod
    def _reference_name(raw: str) -> str | None:
        return raw[1:] if raw.startswith("$") else None

    def check_all_used(self, place: Place) -> None:
        """Note parameters that no fact depends on: what is not needed may not be asked of the applicant."""
        for name in self._parameters.keys() - self.used:
            self._mistakes.add(place, f"{self._what}: parameter {name!r} is asked of the applicant but never used")


def _compatible(given: ValueType, wanted: ValueType) -> bool:
    if given.kind is ValueKind.ENUM and wanted.kind is ValueKind.ENUM:
        return set(given.words) <= set(wanted.words)
    if given.kind is ValueKind.STRING:
        return wanted.kind in _TEXTS
    return given.kind is wanted.kind or (given.kind in _TEXTS and wanted.kind is ValueKind.STRING)


def _literal(node: Scalar, declared: ValueType) -> str | int | bool | date | None:
    match declared.kind:
        case ValueKind.BOOLEAN:
            value = truth_word(node.raw) if node.kind == "bool" else None
            return value if isinstance(value, bool) else None
        case ValueKind.INTEGER:
            number = whole_number(node.raw) if node.kind == "int" else None
            return number if isinstance(number, int) else None
        case ValueKind.DATE:
            try:
                return date.fromisoformat(node.raw)
            except ValueError:
                return None
        case ValueKind.ENUM:
            return node.raw if node.raw in declared.words else None
        case ValueKind.DIVISION:
            return node.raw if node.raw.isascii() and node.raw.isdigit() and len(node.raw) == 6 else None
        case ValueKind.STRING | ValueKind.NAME | ValueKind.ID_NUMBER:
            return node.raw or None
        case ValueKind.PERSON:
            return None
