"""The stanzas of the demonstration's three departments, in the form of `connectors/README.md`."""

from __future__ import annotations

import json
from pathlib import Path

_TEXT = '''\
[sources.civil-affairs]
kind = "sql"
department = "示例民政局"
url = {civil_url}

[sources.civil-affairs.facts.marriage-registration]
coverage = "complete"
statement = """
SELECT id_number, name, status, spouse_id_number, spouse_name, updated_at FROM marriage WHERE id_number IN :keys"""
key = "id_number"
name = "name"
columns = {{ status = "status", spouse_id_number = "spouse_id_number", spouse_name = "spouse_name" }}
values = {{ status = {{ "20" = "MARRIED", "30" = "WIDOWED", "40" = "DIVORCED" }} }}
as_of = "updated_at"

[sources.civil-affairs.facts.death-record]
coverage = "complete"
statement = "SELECT id_number, name FROM death WHERE id_number IN :keys"
key = "id_number"
name = "name"

[sources.public-security]
kind = "http"
department = "示例公安局"
url = {police_url}
{police_ca}
[sources.public-security.facts.identity-match]
mode = "match"
method = "POST"
path = "/match"
success = {{ at = "PACKAGEHEAD.FHDM", equals = "10" }}
absent = [{{ at = "PACKAGEHEAD.FHDM", equals = "20" }}]
refused = {{ at = "PACKAGEHEAD.FHDM", equals = "40", rule = "the caller or the reason was not stated" }}
records = "RECORD"
subject_echo = "GMSFHM"
codes = {{ "subject.id_number" = "GMSFHM_PPDDM", "subject.name" = "XM_PPDDM" }}
match = ["1"]
mismatch = ["0"]
inactive = {{ column = "SWBS", values = ["1"], active = ["0"] }}
[sources.public-security.facts.identity-match.json]
FFQQBH = "{{request.id}}"
GMSFHM = "{{subject.id_number}}"
XM = "{{subject.name}}"
EndUser = {{ UserCardId = "{{context.operator}}", UserDept = "{{context.unit}}", CallReason = "{{context.reason}}" }}

[sources.housing]
kind = "dropbox"
department = "示例自然资源局"
folder = {housing_folder}

[sources.housing.facts.home-ownership]
key = "id_number"
name = "name"
columns = {{ address = "address", use = "use" }}

[sources.housing.facts.lease-filing]
key = "id_number"
name = "name"
columns = {{ address = "address" }}
'''


def stanzas(*, civil_file: Path, police_url: str, police_ca: Path | None, housing_folder: Path) -> str:
    """Return the TOML of the sources; `police_ca` is None for a service without TLS."""
    return _TEXT.format(
        civil_url=_quote(f"sqlite:///{civil_file.absolute()}"),
        police_url=_quote(police_url),
        police_ca=f"ca_file = {_quote(str(police_ca.absolute()))}\n" if police_ca else "",
        housing_folder=_quote(str(housing_folder.absolute())),
    )


def _quote(text: str) -> str:
    """Write a basic string of TOML; the escapes of JSON are among those of TOML."""
    return json.dumps(text, ensure_ascii=False)
