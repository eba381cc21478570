"""`chengxin templates …`: the wordings of commitments, without a running gateway."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.options import JSON, read_config

if TYPE_CHECKING:
    from gateway.catalogue.model import Catalogue
    from gateway.letters.template import Template
    from gateway.letters.templates import Templates

_PATH = click.Path(path_type=Path, exists=True, dir_okay=False)
_FILES = click.option("--file", "files", multiple=True, type=_PATH, help="A file of templates beside the shipped ones.")
_CONFIG = click.option("--config", type=_PATH, help="A gateway's configuration: its templates and its catalogue.")


@click.group()
def templates() -> None:
    """The wordings of commitments (告知承诺书样式)."""


@templates.command("list")
@_FILES
@_CONFIG
@JSON
def list_(files: tuple[Path, ...], config: Path | None, as_json: bool) -> None:
    """List every version of every template, with its digest and for what it is chosen."""
    loaded, _ = _loaded(files, config)
    if as_json:
        click.echo(jsonlib.dumps([_told(template) for template in loaded], ensure_ascii=False))
        return
    for template in loaded:
        scope = ", ".join(template.items) or "whatever has none of its own"
        within = f" in {', '.join(template.matters)}" if template.matters else ""
        click.echo(f"{template.name:<28} {template.digest[:16]} {template.title} ({scope}{within})")


@templates.command("check")
@click.argument("files", nargs=-1, type=_PATH)
@_CONFIG
@JSON
def check(files: tuple[Path, ...], config: Path | None, as_json: bool) -> None:
    """Check templates with the shipped ones and the catalogue; every mistake with file and line, exit status 1."""
    from gateway.letters.template_file import TemplatesRefused

    try:
        loaded, catalogue = _loaded(files, config)
        mistakes = loaded.check_against(catalogue)
    except TemplatesRefused as error:
        mistakes = list(error.mistakes)
        loaded = None
    if as_json:
        told = [{"file": one.file, "line": one.line, "text": one.text} for one in mistakes]
        click.echo(jsonlib.dumps({"ok": not mistakes, "mistakes": told}, ensure_ascii=False))
    elif loaded is not None and not mistakes:
        click.echo(f"ok: {len(list(loaded))} templates")
    else:
        click.echo("\n".join(str(mistake) for mistake in mistakes), err=True)
    if mistakes:
        sys.exit(1)


@templates.command("show")
@click.argument("name", metavar="NAME[@VERSION]")
@_FILES
@_CONFIG
@JSON
def show(name: str, files: tuple[Path, ...], config: Path | None, as_json: bool) -> None:
    """Print all that a template says, by part; the newest version if none is given."""
    from gateway.letters.parts import worded_names
    from gateway.letters.templates import UnknownTemplate

    loaded, _ = _loaded(files, config)
    try:
        template = loaded.get(name)
    except UnknownTemplate as error:
        known = ", ".join(one.name for one in loaded)
        raise click.ClickException(f"{error}; there are {known}") from error
    if as_json:
        click.echo(jsonlib.dumps({**_told(template), "texts": dict(template.texts)}, ensure_ascii=False, indent=1))
        return
    click.echo(f"{template.title}\n{template.name} {template.digest}")
    for part, heading in worded_names().items():
        if part in template.texts:  # an older version need not have what later ones must
            click.echo(f"{part} {heading}: {template.texts[part]}")


def _told(template: Template) -> dict[str, object]:
    return {
        "id": template.id,
        "version": template.version,
        "title": template.title,
        "items": list(template.items),
        "matters": list(template.matters),
        "digest": template.digest,
    }


def _loaded(files: tuple[Path, ...], config: Path | None) -> tuple[Templates, Catalogue]:
    from gateway.catalogue.loader import load_catalogue, shipped_catalogue_files
    from gateway.letters.templates import load_templates

    if config is None:
        return load_templates(files), load_catalogue(shipped_catalogue_files())
    settings = read_config(config)
    catalogue = load_catalogue(list(settings.catalogue_files) or shipped_catalogue_files())
    return load_templates((*settings.commitments.template_files, *files)), catalogue
