"""What a configuration names, opened and judged as a whole: before it serves, and for `chengxin check-config`.

Whatever can be judged without something else that is wrong is judged, so that every mistake is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from connectors.connector import Connector
from gateway.bootstrap.commitments import require_lists
from gateway.bootstrap.ledger import key_files, open_authority, open_master_keys
from gateway.bootstrap.opening import (
    facts_configured,
    facts_of,
    now_utc,
    open_catalogue_alone,
    open_index,
    open_officer,
    open_printer,
    open_sources,
    open_templates,
    require_templates,
)
from gateway.bootstrap.signatures import open_operators, open_signatures
from gateway.bootstrap.tls import open_tls
from gateway.catalogue.model import Catalogue
from gateway.config import Draft, LedgerSettings
from gateway.errors import ConfigurationError
from gateway.metrics import Metrics
from gateway.rpc.certificates import Tls
from ledger import BlindIndex, KeyHistory, load_further_signer, load_signer
from ledger.errors import LedgerError
from ledger.keyring.files import open_keyring, require_same_log
from ledger.log.remembered import Remembered
from ledger.log.store import open_store
from ledger.vault.officers import Officers
from ledger.witness.policy_file import load_policy

_Opened = TypeVar("_Opened")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What a gateway serves with, opened: nothing that the configuration names is known to be wrong."""

    tls: Tls | None
    catalogue: Catalogue
    index: BlindIndex
    sources: Mapping[str, Connector]


def examine(draft: Draft, *, now: Callable[[], datetime] = now_utc, metrics: Metrics | None = None) -> Sound:
    """Open everything that a draft of a configuration names, the ledger for reading only.

    Raises:
        ConfigurationError: names every mistake: those of the draft, of each file, of catalogue and sources.
        ledger.LedgerError: nothing is wrong but one thing of the ledger or its keys.
    """
    found, settings = _Findings(draft.mistakes), draft.settings
    own = settings.commitments
    tls = found.open(
        lambda: open_tls(settings.server, now=now),
        "server.plaintext", "server.certificate_file", "server.key_file", "server.client_authority_file",
        "server.client_revocation_file",
    )  # fmt: skip
    _examine_ledger(settings.ledger, found, now)
    index = found.open(lambda: open_index(settings.ledger), "ledger.index_key_file")
    found.open(
        lambda: open_signatures(settings.signatures).close(),
        "signatures.anchors_files", "signatures.platforms", "signatures.timestamps", "signatures.required_policies",
    )  # fmt: skip
    found.open(lambda: open_operators(settings.operators), "operators")
    found.open(lambda: open_printer(own), "commitments.letter_fonts")
    officers = [found.open(partial(open_officer, one), "erasure.officers") for one in settings.erasure_officers]
    found.open(lambda: Officers(one for one in officers if one is not None), "erasure.officers")
    templates = found.open(lambda: open_templates(settings), "commitments.template_files")
    catalogue = found.open(lambda: open_catalogue_alone(settings), "catalogue")
    if catalogue is not None and templates is not None:
        found.open(lambda: require_templates(catalogue, templates))
    sources = found.open(lambda: open_sources(settings, catalogue, now=now, metrics=metrics), "sources")
    if catalogue is not None:
        facts = facts_configured(settings).keys() if sources is None else facts_of(sources.values())
        lists = ("commitments.credit_fact", "commitments.capacity_fact")
        found.open(lambda: require_lists(own, catalogue, facts), *lists)
    found.require_none(draft.where)
    assert catalogue is not None
    assert index is not None
    assert sources is not None
    return Sound(tls=tls, catalogue=catalogue, index=index, sources=sources)


def _examine_ledger(settings: LedgerSettings, found: _Findings, now: Callable[[], datetime]) -> None:
    """Look at the keys one by one, and whether the log's own is that of the ledger."""
    files = key_files(settings)
    named = ("ledger.origin", "ledger.signing_key_file", "ledger.next_signing_key_file", "ledger.key_history_file")
    keyring = found.open(lambda: open_keyring(files), *named)
    if keyring is not None:
        found.open(lambda: _examine_database(settings, keyring.history), "ledger.url", "ledger.seen_checkpoint_file")
    elif files.next.exists():
        found.open(lambda: load_signer(files.next, files.origin), *named)
    for path in settings.cosigner_key_files:
        found.open(partial(load_further_signer, path, settings.origin, now=now), "ledger.origin")
    found.open(lambda: open_master_keys(settings), "ledger.master_keys", "ledger.pkcs11")
    policy, anchors = settings.witness_policy_file, settings.anchors
    if policy is not None:
        found.open(lambda: load_policy(policy), "ledger.witness_policy_file")
    if anchors is not None:
        found.open(lambda: open_authority(anchors), "ledger.anchors")


def _examine_database(settings: LedgerSettings, history: KeyHistory) -> None:
    """Look whether the log is that of these keys, continues what is remembered in the file, and can be written.

    Nobody else is asked what they remember: that is for who serves.
    """
    require_same_log(settings.url, history)
    store = open_store(settings.url, readers=1)
    try:
        Remembered(settings.seen_checkpoint_file).require(store, history.verifiers, settings.origin)
        store.require_writable()
    finally:
        store.close()


class _Findings:
    """What is wrong so far; opening goes on."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self._mistakes = list(mistakes)
        self._refused: list[LedgerError] = []

    def open(self, act: Callable[[], _Opened], *keys: str) -> _Opened | None:
        """Open something; None if it is refused, or if it hangs on a key that was read as a placeholder.

        `keys` are the beginnings of such keys: of a key, or of all in a section.
        """
        if any(mistake.startswith(keys) for mistake in self._mistakes):
            return None
        try:
            return act()
        except ConfigurationError as error:
            self._mistakes += [_placed(error.where, mistake) for mistake in error.mistakes]
        except LedgerError as refusal:
            self._refused.append(refusal)
        return None

    def require_none(self, where: str) -> None:
        """Raise everything that was found; of one thing of the ledger, what may be done about it can be told."""
        if len(self._refused) == 1 and not self._mistakes:
            raise self._refused[0]
        told = [*self._mistakes, *map(str, self._refused)]
        if told:
            raise ConfigurationError(where, told)


def _placed(where: str, mistake: str) -> str:
    return mistake if mistake.startswith(f"{where}.") else f"{where}: {mistake}"
