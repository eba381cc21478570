"""The templates in force: which wording an item gets in a matter, and every version that ever was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gateway.catalogue.mistakes import Mistake, Mistakes, Place
from gateway.catalogue.model import Catalogue, Item, Matter
from gateway.catalogue.words import CommitmentAllowance
from gateway.letters.parts import FACT, worded_names
from gateway.letters.template import GENERAL, Template
from gateway.letters.template_file import TemplateReader, TemplatesRefused, template_files

_CATALOGUE = Place(file="catalogue", line=0)


class UnknownTemplate(LookupError):
    """There is no such template, or no such version of it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no template {name!r}")


class Templates:
    """Every version of every template; the newest version of each is the one that is chosen.

    The most specific wins: the one for the item in the matter; else the one that the catalogue names for the item; else
    the one for the item; else `general`. A house's own come before the shipped ones.
    """

    def __init__(self, templates: Iterable[Template]) -> None:
        self._all = {template.name: template for template in templates}
        self._newest: dict[str, Template] = {}
        for template in self._all.values():
            seen = self._newest.get(template.id)
            if seen is None or seen.version < template.version:
                self._newest[template.id] = template
        self._scoped: dict[tuple[str, str], Template] = {}
        for template in sorted(self._newest.values(), key=lambda one: not one.shipped):
            self._scoped.update(dict.fromkeys(_scopes(template), template))

    def __iter__(self) -> Iterator[Template]:
        return iter(sorted(self._all.values(), key=lambda one: (one.id, one.version)))

    def get(self, name: str) -> Template:
        """Return one version (`kinship@1`), or the newest (`kinship`).

        Raises:
            UnknownTemplate: there is none.
        """
        found = self._all.get(name) or self._newest.get(name)
        if found is None:
            raise UnknownTemplate(name)
        return found

    def choose(self, item: Item, matter: str) -> Template:
        """Return the template for an item in a matter (its code)."""
        named = item.commitment.template
        found = self._scoped.get((item.code, matter))
        if found is None and named not in ("", GENERAL):
            found = self._newest.get(named)
        return found or self._scoped.get((item.code, "")) or self._newest[GENERAL]

    def lacks(self, mistakes: Mistakes) -> None:
        """Note every part that a template lacks.

        An older version is exempt: nobody gets it any more, and it said what a notice had to say in its time.
        """
        for template in self._newest.values():
            for name, heading in worded_names().items():
                if name not in template.texts:
                    mistakes.add(template.place, f"template {template.name!r}: lacks {name} ({heading})")

    def clashes(self, mistakes: Mistakes) -> None:
        """Note every two templates of one house that are for the same item and matter."""
        taken: dict[tuple[bool, str, str], Template] = {}
        for template in self._newest.values():
            for item, matter in _scopes(template):
                other = taken.setdefault((template.shipped, item, matter), template)
                if other is not template:
                    where = f"item {item!r} in matter {matter!r}" if matter else f"item {item!r}"
                    mistakes.add(template.place, f"template {template.name!r}: {other.name!r} is for {where} too")

    def check_against(self, catalogue: Catalogue) -> list[Mistake]:
        """Tell what of the templates and a catalogue does not fit together; nothing if all does."""
        mistakes = Mistakes()
        for item in _committable(catalogue):
            self._check_named(item, mistakes)
        for matter in catalogue.matters.values():
            for code in matter.items:
                item = catalogue.items[code]
                if item.commitment.allowed is not CommitmentAllowance.NEVER:
                    _check_facts(self.choose(item, matter.code), item, mistakes)
        for template in self._newest.values():
            if not template.shipped:
                _check_scope(template, catalogue, mistakes)
        return sorted(mistakes.found)

    def _check_named(self, item: Item, mistakes: Mistakes) -> None:
        if item.commitment.template not in self._newest:
            known = ", ".join(sorted(self._newest))
            named = item.commitment.template
            mistakes.add(_CATALOGUE, f"item {item.code!r} {item.title}: no template {named!r}; there are {known}")


def load_templates(paths: Sequence[Path] = ()) -> Templates:
    """Read the shipped templates and then those of the given files.

    Raises:
        TemplatesRefused: anything is wrong with any file; every mistake is listed with file and line.
    """
    reader = TemplateReader()
    read = [one for path in template_files() for one in reader.read(path, shipped=True)]
    read += [one for path in paths for one in reader.read(path, shipped=False)]
    templates = Templates(read)
    templates.lacks(reader.mistakes)
    templates.clashes(reader.mistakes)
    if reader.mistakes.found:
        raise TemplatesRefused(sorted(reader.mistakes.found))
    return templates


def _scopes(template: Template) -> list[tuple[str, str]]:
    return [(item, matter) for item in template.items for matter in template.matters or ("",)]


def _committable(catalogue: Catalogue) -> list[Item]:
    items = catalogue.items.values()
    return [item for item in items if item.commitment.allowed is not CommitmentAllowance.NEVER]


def _check_facts(template: Template, item: Item, mistakes: Mistakes) -> None:
    """A placeholder for what the applicant need not say could stay unfilled before a person who waits for it."""
    for where, wording in template.wording.items():
        for name in sorted(wording.placeholders):
            if not name.startswith(FACT):
                continue
            parameter = item.parameters.get(name.removeprefix(FACT))
            if parameter is None or not parameter.required:
                what = "no parameter" if parameter is None else "an optional parameter"
                mistakes.add(
                    template.place,
                    f"template {template.name!r}: {where} has {{{name}}}, {what} of item {item.code!r}",
                )


def _check_scope(template: Template, catalogue: Catalogue, mistakes: Mistakes) -> None:
    what = f"template {template.name!r}: is for"
    for code in template.items:
        if code not in catalogue.items:
            mistakes.add(template.place, f"{what} item {code!r}, which the catalogue does not have")
    for code in template.matters:
        matter = catalogue.matters.get(code)
        if matter is None:
            mistakes.add(template.place, f"{what} matter {code!r}, which the catalogue does not have")
        elif not _asks_any(matter, template.items):
            mistakes.add(template.place, f"{what} matter {code!r}, which asks none of its items")


def _asks_any(matter: Matter, items: Sequence[str]) -> bool:
    return any(code in matter.items for code in items)
