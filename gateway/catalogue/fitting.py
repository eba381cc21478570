"""Whether the sources fit the catalogue: a stanza of other facts, names or words would answer wrongly, or never."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from connectors.connector import Declared, Manifest, Value
from connectors.record import finds_by
from connectors.stanza import meant
from gateway.catalogue.model import Catalogue, FactType, ValueType
from gateway.catalogue.words import Absence, SourcePolicyKind, ValueKind

_UNDECLARED = (
    "is missing: that there is no record proves something of this fact type. Write where and since when the source is"
    ' complete, such as `coverage = { places = ["23"], since = 1985-01-01 }`, or `coverage = "complete"` if it holds'
    " every record of everywhere and always"
)
_UNCODED = (
    "is missing: a text that is none of {words} would contradict whatever is claimed. Write what stands for each, such"
    ' as `values = {{ {name} = {{ "1" = "{word}" }} }}`; a source that holds these very words: `"{word}" = "{word}"`'
)


def misfits(catalogue: Catalogue, manifest: Manifest) -> list[str]:
    """List what a source declares that is not the catalogue's, each with its place in the stanza.

    Of a fact type that the source declares nothing of, only code and coverage are judged. Coverage that comes with the
    data is none of the stanza's.
    """
    found: list[str] = []
    for code in sorted(manifest.fact_types):
        fact = catalogue.fact_types.get(code)
        if fact is None:
            found.append(f"facts.{code}: the catalogue has no such fact type{meant(code, catalogue.fact_types)}")
            continue
        is_conclusive = fact.absence is Absence.CONCLUSIVE
        if is_conclusive and not manifest.moving_coverage and code not in manifest.coverage:
            found.append(f"facts.{code}.coverage: {_UNDECLARED}")
        if (declared := manifest.declared.get(code)) is not None:
            found += [f"facts.{code}{mistake}" for mistake in _misfits(fact, declared)]
    return found


def _misfits(fact: FactType, declared: Declared) -> Iterable[str]:
    for name in sorted(declared.attributes - fact.attributes.keys()):
        yield f": {name!r} is no attribute of the fact type ({_listed(fact.attributes)})"
    inputs = {part for name, kind in fact.given.items() for part in parts_of(name, kind)}
    for name in sorted(declared.given - inputs):
        yield f": {name!r} is nothing that a claim gives for the fact type ({_listed(inputs)})"
    for name, kind in fact.given.items():
        if not finds_by(declared.given, parts_of(name, kind)):
            by = parts_of(name, kind)[0]
            yield f": claims give {name!r}, and none can match without {by!r} in `narrow` or in the request"
    for name, words in sorted(declared.words.items()):
        if name in fact.attributes:
            wrong = sorted(repr(word) for word in words if not _is_one(fact.attributes[name], word))
            if wrong:
                yield f".values.{name}: {', '.join(wrong)} cannot be of the attribute, which is {fact.attributes[name]}"
    for name in sorted(declared.uncoded & fact.attributes.keys()):
        if options := fact.attributes[name].words:
            yield f".values.{name}: {_UNCODED.format(name=name, words=', '.join(options), word=options[0])}"


def shortages(catalogue: Catalogue, configured: Mapping[str, int]) -> list[str]:
    """List the fact types whose sources, by how many are configured, can never be as many as must decide alike."""
    return [
        f"facts.{code}: {fact.sources.kind.value} of {fact.sources.k} sources, and {configured[code]} is configured"
        for code, fact in catalogue.fact_types.items()
        if fact.sources.kind is not SourcePolicyKind.FIRST and 0 < configured.get(code, 0) < fact.sources.k
    ]


def parts_of(name: str, kind: ValueType) -> tuple[str, ...]:
    """Name what a claim says for an attribute or an input; first that by which a record is found."""
    if kind.kind is ValueKind.PERSON:
        return (f"{name}_id_number", f"{name}_name", f"{name}_id_type")
    return (name,)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "it has none"


def _is_one(declared: ValueType, word: Value) -> bool:
    """Say whether a word of a code table can be a value of an attribute."""
    match declared.kind:
        case ValueKind.ENUM:
            return word in declared.words
        case ValueKind.BOOLEAN:
            return isinstance(word, bool)
        case ValueKind.INTEGER:
            return isinstance(word, int) and not isinstance(word, bool)
        case ValueKind.DATE:
            return isinstance(word, date)
    return isinstance(word, str)
