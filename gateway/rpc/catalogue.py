"""CatalogueService: what may be asked, by which rule, and how an item is verified; reloaded without a restart."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.catalogue.book import Book
from gateway.catalogue.explanation import SourcesFor, explain
from gateway.catalogue.model import Catalogue, Item, Matter, Parameter
from gateway.catalogue.words import CommitmentAllowance
from gateway.errors import RecordNotFound
from gateway.flows.administration.reload import Checked, Reload, Reloaded
from gateway.rpc import translate
from gateway.rpc.commitment import acting
from gateway.rpc.door import Context, Door
from gateway.rules.admission import Mistakes
from gateway.rules.kept import text
from gateway.rules.roles import Caller, Role
from gateway.v1 import catalogue_pb2 as pb
from ledger.canonical import Json

_ANYBODY = tuple(Role)
_METHOD = "gateway.v1.CatalogueService/ReloadCatalogue"


class CatalogueServicer:
    """Serves the catalogue in force; `sources_for` names the configured sources of a type of fact."""

    def __init__(self, *, door: Door, book: Book, reload: Reload, sources_for: SourcesFor) -> None:
        self._door = door
        self._book = book
        self._reload = reload
        self._sources_for = sources_for

    async def GetItem(self, request: pb.GetItemRequest, context: Context) -> pb.GetItemResponse:  # noqa: N802
        """Return one item with its plan."""

        async def handle(_caller: Caller, _deadline: float) -> pb.GetItemResponse:
            catalogue = self._book.catalogue
            item = catalogue.items.get(request.code)
            if item is None:
                raise RecordNotFound("item")
            told = explain(catalogue, item, _asking(catalogue, request), sources_for=self._sources_for)
            return pb.GetItemResponse(item=_item(item), plan=told.text(), catalogue_version=catalogue.version)

        return await self._door.unary(context, "CatalogueService/GetItem", _ANYBODY, handle)

    async def ListItems(self, _request: pb.ListItemsRequest, context: Context) -> pb.ListItemsResponse:  # noqa: N802
        """List every item in force."""

        async def handle(_caller: Caller, _deadline: float) -> pb.ListItemsResponse:
            catalogue = self._book.catalogue
            return pb.ListItemsResponse(
                items=[_item(item) for item in catalogue.items.values()], catalogue_version=catalogue.version
            )

        return await self._door.unary(context, "CatalogueService/ListItems", _ANYBODY, handle)

    async def ListMatters(self, _request: pb.ListMattersRequest, context: Context) -> pb.ListMattersResponse:  # noqa: N802
        """List every matter in force."""

        async def handle(_caller: Caller, _deadline: float) -> pb.ListMattersResponse:
            catalogue = self._book.catalogue
            return pb.ListMattersResponse(
                matters=[_matter(matter) for matter in catalogue.matters.values()],
                catalogue_version=catalogue.version,
            )

        return await self._door.unary(context, "CatalogueService/ListMatters", _ANYBODY, handle)

    async def ReloadCatalogue(  # noqa: N802
        self, request: pb.ReloadCatalogueRequest, context: Context
    ) -> pb.ReloadCatalogueResponse:
        """Put the catalogue files in force."""

        async def handle(caller: Caller, _deadline: float) -> pb.ReloadCatalogueResponse:
            act = acting(Mistakes(), caller, request.request_id, request.operator, {"method": _METHOD})
            if request.validate_only:
                return _checked(await self._reload.check())
            return _reloaded(await self._reload(act))

        return await self._door.unary(context, "CatalogueService/ReloadCatalogue", (Role.OPERATOR,), handle)


def _asking(catalogue: Catalogue, request: pb.GetItemRequest) -> Matter | None:
    if not request.matter:
        return None
    mistakes = Mistakes()
    matter = catalogue.matters.get(request.matter)
    if matter is None:
        mistakes.add("matter", "is not in the catalogue", "办理事项不在目录中。", reason="UNKNOWN_MATTER")
    elif request.code not in matter.items:
        mistakes.add("matter", "may not ask this item", "该办理事项的目录中没有此证明事项。")
    mistakes.finish()
    return matter


def _item(item: Item) -> pb.Item:
    return pb.Item(
        code=item.code,
        title=item.title,
        state=item.state.value,
        legal_basis=[basis.text for basis in item.legal_basis],
        parameters={name: str(parameter.type) for name, parameter in item.parameters.items()},
        commitment_allowed=item.commitment.allowed is not CommitmentAllowance.NEVER,
        number=item.number,
        guide=item.guide,
        demanded_by=item.demanded_by,
        issued_by=item.issued_by,
        checked_by=item.checked_by,
        parameter_details=[_parameter(parameter) for parameter in item.parameters.values()],
        ladder=[rung.value for rung in item.ladder],
        sensitivity=item.sensitivity.value,
        disclosure=item.disclosure.value,
    )


def _parameter(parameter: Parameter) -> pb.ItemParameter:
    return pb.ItemParameter(
        name=parameter.name,
        label=parameter.label,
        type=parameter.type.kind.value,
        required=parameter.required,
        words=[pb.ParameterWord(word=word, label=parameter.labels[word]) for word in parameter.type.words],
    )


def _matter(matter: Matter) -> pb.Matter:
    return pb.Matter(
        code=matter.code,
        title=matter.title,
        items=list(matter.items),
        departments=[department.uscc for department in matter.departments],
        purposes=list(matter.purposes),
    )


def _reloaded(reloaded: Reloaded) -> pb.ReloadCatalogueResponse:
    return pb.ReloadCatalogueResponse(
        catalogue_version=reloaded.version,
        previous_version=reloaded.previous_version,
        changes=[_change(change) for change in reloaded.changes],
        receipt=translate.receipt(reloaded.recorded) if reloaded.recorded else None,
    )


def _checked(checked: Checked) -> pb.ReloadCatalogueResponse:
    return pb.ReloadCatalogueResponse(
        catalogue_version=checked.version,
        previous_version=checked.previous_version,
        changes=[_change(change) for change in checked.changes],
        mistakes=[pb.CatalogueMistake(file=one.file, line=one.line, text=one.text) for one in checked.mistakes],
    )


def _change(change: Mapping[str, Json]) -> pb.CatalogueChange:
    return pb.CatalogueChange(**{name: text(value) for name, value in change.items()})
