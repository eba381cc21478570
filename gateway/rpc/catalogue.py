"""CatalogueService: what may be asked, and by which rule."""

from __future__ import annotations

from gateway.catalogue.book import Book
from gateway.catalogue.model import Item, Matter
from gateway.catalogue.words import CommitmentAllowance
from gateway.errors import RecordNotFound
from gateway.rpc.door import Context, Door
from gateway.rules.roles import Caller, Role
from gateway.v1 import catalogue_pb2 as pb

_ANYBODY = tuple(Role)


class CatalogueServicer:
    """Serves the catalogue in force."""

    def __init__(self, *, door: Door, book: Book) -> None:
        self._door = door
        self._book = book

    async def GetItem(self, request: pb.GetItemRequest, context: Context) -> pb.GetItemResponse:  # noqa: N802
        """Return one item."""

        async def handle(_caller: Caller, _deadline: float) -> pb.GetItemResponse:
            catalogue = self._book.catalogue
            item = catalogue.items.get(request.code)
            if item is None:
                raise RecordNotFound("item")
            return pb.GetItemResponse(item=_item(item), plan=item.guide, catalogue_version=catalogue.version)

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


def _item(item: Item) -> pb.Item:
    return pb.Item(
        code=item.code,
        title=item.title,
        state=item.state.value,
        legal_basis=[basis.text for basis in item.legal_basis],
        parameters={name: str(parameter.type) for name, parameter in item.parameters.items()},
        commitment_allowed=item.commitment.allowed is not CommitmentAllowance.NEVER,
    )


def _matter(matter: Matter) -> pb.Matter:
    return pb.Matter(
        code=matter.code,
        title=matter.title,
        items=list(matter.items),
        departments=[department.uscc for department in matter.departments],
        purposes=list(matter.purposes),
    )
