"""`chengxin catalogue …`: check, explain, publish and compare catalogues, without a running gateway."""

from __future__ import annotations

import dataclasses
import json as jsonlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.options import JSON, SERVER, acting, progress, read_config, running_gateway, shown_as

if TYPE_CHECKING:
    from gateway.catalogue.explanation import SourcesFor
    from gateway.catalogue.model import Catalogue

_PATH = click.Path(path_type=Path, exists=True)
_FILES = click.option(
    "--file",
    "files",
    multiple=True,
    type=_PATH,
    help="A list, or a folder of lists; repeatable. Default: the shipped ones.",
)
_CONFIG = click.option("--config", type=_PATH, help="A gateway's configuration: its catalogue, and its sources.")


@click.group()
def catalogue() -> None:
    """The catalogue of items and matters (证明事项目录)."""


@catalogue.command("check")
@click.argument("files", nargs=-1, type=_PATH)
@JSON
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Check lists as a whole (the shipped ones by default); every mistake with file and line, exit status 1.

    What is to be confirmed or was to be reviewed by now is told, and is no mistake.
    """
    from gateway.bootstrap.opening import now_utc
    from gateway.catalogue.loader import load_catalogue
    from gateway.catalogue.mistakes import CatalogueError
    from gateway.catalogue.reviews import overdue_reviews, review_notice
    from gateway.catalogue.words import Certainty
    from gateway.rules.clocks import legal_day

    try:
        loaded = load_catalogue(_expanded(files))
    except CatalogueError as error:
        if not as_json:
            raise click.ClickException(str(error)) from error
        click.echo(
            jsonlib.dumps(
                {"ok": False, "mistakes": [dataclasses.asdict(m) for m in error.mistakes]}, ensure_ascii=False
            )
        )
        sys.exit(1)
    unsure = (Certainty.MEMORY, Certainty.INFERRED)
    doubts = [
        {"item": item.code, "source": basis.source, "certainty": basis.certainty.value}
        for item in loaded.items.values()
        for basis in item.legal_basis
        if basis.certainty in unsure
    ]
    overdue = overdue_reviews(loaded, today=legal_day(now_utc()))
    counts = {"items": len(loaded.items), "matters": len(loaded.matters), "fact_types": len(loaded.fact_types)}
    if as_json:
        told = {"ok": True, "version": loaded.version, **counts, "to_confirm": doubts}
        told["to_review"] = [{"item": item.code, "review_by": due.isoformat()} for item, due in overdue]
        click.echo(jsonlib.dumps(told, ensure_ascii=False))
        return
    click.echo(f"ok: version {loaded.version}, {counts['items']} items, {counts['matters']} matters")
    for doubt in doubts:
        click.echo(f"to be confirmed by a lawyer: item {doubt['item']!r}, {doubt['source']} ({doubt['certainty']})")
    for item, due in overdue:
        click.echo(f"note: {review_notice(item, due)}")


@catalogue.command("explain")
@click.argument("item")
@click.option("--matter", help="As this matter asks it.")
@_FILES
@_CONFIG
@JSON
def explain(item: str, matter: str | None, files: tuple[Path, ...], config: Path | None, as_json: bool) -> None:
    """Tell in Chinese who would be asked for ITEM, what each answer leads to and what the applicant is asked."""
    from gateway.catalogue import explanation

    with _opened(files, config) as (loaded, sources_for):
        found = loaded.items.get(item)
        asking = loaded.matters.get(matter) if matter else None
        mistakes = []
        if found is None:
            mistakes.append(f"no item {item!r}; the items are {', '.join(loaded.items)}")
        if matter and asking is None:
            mistakes.append(f"no matter {matter!r}; the matters are {', '.join(loaded.matters)}")
        if asking is not None and found is not None and item not in asking.items:
            mistakes.append(f"matter {matter!r} may not ask {item!r}; it may ask {', '.join(asking.items)}")
        if mistakes or found is None:
            raise click.ClickException("\n".join(mistakes))
        told = explanation.explain(loaded, found, asking, sources_for=sources_for)
    if as_json:
        click.echo(jsonlib.dumps(_plain(dataclasses.asdict(told)), ensure_ascii=False, indent=1))
    else:
        click.echo(told.text(), nl=False)


@catalogue.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@_FILES
@_CONFIG
@JSON
def export(folder: Path, files: tuple[Path, ...], config: Path | None, as_json: bool) -> None:
    """Write the public guide into FOLDER: an index, a page an item, catalogue.json and its JSON Schema.

    An earlier guide in FOLDER is replaced as a whole; anything else there is refused.
    """
    from gateway.catalogue.guide import FolderTaken, export_guide

    with _opened(files, config) as (loaded, _):
        try:
            with progress("writing pages") as advance:
                written = export_guide(loaded, folder, progress=advance)
        except FolderTaken as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(f"{folder}: cannot be written: {error.strerror}") from error
    if as_json:
        click.echo(jsonlib.dumps({"folder": str(folder), "version": loaded.version, "files": written}))
    else:
        click.echo(f"{folder}: {len(written)} files, version {loaded.version}")


@catalogue.command("diff")
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@click.option("--fail-if-looser", is_flag=True, help="End with status 1 if anything became looser, or may have.")
@JSON
def diff(old: Path, new: Path, fail_if_looser: bool, as_json: bool) -> None:
    """Tell what NEW changes over OLD: new, gone, stricter, looser. Each is a list, or a folder with a chain."""
    from gateway.catalogue.difference import ChangeKind, difference

    found = difference(_loaded([old]), _loaded([new]))
    if as_json:
        click.echo(jsonlib.dumps(found.body(), ensure_ascii=False, indent=1))
    else:
        click.echo(f"{found.old_version[:12]} → {found.new_version[:12]}: {len(found.changes)} changes")
        for change in found.changes:
            click.echo(f"{change.kind.value:<9} {change}")
    loosened = {ChangeKind.LOOSER, ChangeKind.UNPROVEN, ChangeKind.GONE}
    if fail_if_looser and any(change.kind in loosened for change in found.changes):
        sys.exit(1)


@catalogue.command("reload")
@click.option(
    "--config", type=_PATH, default=Path("var/gateway.toml"), show_default=True, help="The configuration file."
)
@SERVER
@shown_as("operator")
@click.option("--person", required=True, help="Staff number of who orders it.")
@click.option("--validate-only", is_flag=True, help="Say what would change, or every mistake; change nothing.")
@JSON
def reload(*, config: Path, server: str | None, system: str, person: str, validate_only: bool, as_json: bool) -> None:
    """Put the configured lists in force in a running gateway; a mistake anywhere in them changes nothing."""
    from google.protobuf import json_format

    from gateway.client import new_request_id
    from gateway.v1 import catalogue_pb2, catalogue_pb2_grpc

    request = catalogue_pb2.ReloadCatalogueRequest(
        request_id=new_request_id(),
        operator=acting(config, system, person),
        validate_only=validate_only,
    )
    with running_gateway(config, server, system) as channel:
        stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        # The mistakes of a refusal travel in a header, which has its bounds: they are asked for beforehand.
        request.validate_only = True
        answer = stub.ReloadCatalogue(request, timeout=60)
        if not validate_only and not answer.mistakes:
            request.validate_only = False
            answer = stub.ReloadCatalogue(request, timeout=60)
    if as_json:
        click.echo(json_format.MessageToJson(answer, preserving_proto_field_name=True, ensure_ascii=False))
    elif answer.mistakes:
        told = "\n".join(f"  {one.file}:{one.line}: {one.text}" for one in answer.mistakes)
        click.echo(f"nothing changed; what is wrong ({len(answer.mistakes)}):\n{told}", err=True)
    else:
        verb = "would come into force" if validate_only else "in force"
        click.echo(f"{verb}: {answer.catalogue_version}, {len(answer.changes)} changes")
        for change in answer.changes:
            name = f"{change.section} {change.code} {change.title}"
            click.echo(f"{change.kind:<9} {name} {change.dimension}: {change.was} → {change.now}".rstrip(": →"))
    if answer.mistakes:
        sys.exit(1)


def _expanded(paths: Sequence[Path]) -> list[Path]:
    from gateway.catalogue.loader import shipped_catalogue_files

    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not inside:
            raise click.ClickException(f"{path}: holds no .yaml file")
        found += inside
    return found or shipped_catalogue_files()


def _loaded(paths: Sequence[Path]) -> Catalogue:
    from gateway.catalogue.loader import load_catalogue
    from gateway.catalogue.mistakes import CatalogueError

    try:
        return load_catalogue(_expanded(paths))
    except CatalogueError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _opened(files: Sequence[Path], config: Path | None) -> Iterator[tuple[Catalogue, SourcesFor | None]]:
    """Load the catalogue that is named; with a configuration also name its sources, asking none of them."""
    if config is None:
        yield _loaded(files), None
        return
    import asyncio
    from datetime import UTC, datetime

    from gateway.bootstrap.opening import open_catalogue, open_sources
    from gateway.flows.verification.ask import Ask

    settings = read_config(config)
    loaded = _loaded(files) if files else open_catalogue(settings)
    sources = open_sources(settings, loaded)
    try:
        yield loaded, Ask(sources, now=lambda: datetime.now(UTC), digest=bytes).sources_for  # asks nobody
    finally:

        async def close() -> None:
            for connector in sources.values():
                await connector.aclose()

        asyncio.run(close())


def _plain(value: object) -> object:
    """Write vocabulary words by their value."""
    import enum

    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
