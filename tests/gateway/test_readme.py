"""What the README says is served is what the servicers define."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

import gateway.rpc
import gateway.v1
from ledger.v1 import ledger_pb2

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
ROW = re.compile(r"^\| ([A-Za-z0-9., ]*Service[A-Za-z0-9., ]*) \|([^|]*)\|([^|]*)\|$", re.MULTILINE)


def files() -> list[FileDescriptor]:
    names = [one.name for one in pkgutil.iter_modules(gateway.v1.__path__) if one.name.endswith("_pb2")]
    found: list[FileDescriptor] = [importlib.import_module(f"gateway.v1.{name}").DESCRIPTOR for name in names]
    return [*found, ledger_pb2.DESCRIPTOR]


def servicers() -> dict[str, type]:
    modules = [importlib.import_module(f"gateway.rpc.{one.name}") for one in pkgutil.iter_modules(gateway.rpc.__path__)]
    return {name: thing for module in modules for name, thing in vars(module).items() if isinstance(thing, type)}


SERVICES = [service for file in files() for service in file.services_by_name.values()]
SERVICERS = servicers()
TOLD = {
    name.strip().rpartition(".")[2]: (served.strip(), unserved.strip())
    for names, served, unserved in ROW.findall(README)
    for name in names.split(",")
}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_readme_names_what_answers_unimplemented(service: ServiceDescriptor) -> None:
    defined = vars(SERVICERS[f"{service.name}r"]) if f"{service.name}r" in SERVICERS else {}
    missing = {method.name for method in service.methods if method.name not in defined}
    served, unserved = TOLD[service.name]
    if len(missing) == len(service.methods):
        assert (served, unserved) == ("", "all")
    else:
        assert {one.strip() for one in unserved.split(",") if one.strip()} == missing
        assert served == "all" or missing
