"""Found a house: development certificates for every role, keys, an empty ledger, and a complete configuration."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gateway.config.address import listen_mistake
from gateway.errors import ConfigurationError
from gateway.pki import Authority, uris_in, write_pair
from gateway.rules.roles import Role, unit_in
from ledger import create_store, write_master_key, write_signing_key
from ledger.durable_file import create_file
from ledger.secret_file import write_secret

TRUST_DOMAIN = "chengxin.example"
_VALID = timedelta(days=365)

SYSTEMS: Mapping[str, tuple[str, tuple[Role, ...]]] = {
    "clerk": ("11230000000000101E", (Role.CLERK,)),
    "officer": ("11230000000000101E", (Role.OFFICER,)),
    "auditor": ("11230000000000101E", (Role.AUDITOR,)),
    "reviewer": ("11230000000000101E", (Role.REVIEWER,)),
    "civil-clerk": ("112300000000002027", (Role.CLERK,)),
    "source-officer": ("112300000000002027", (Role.SOURCE_OFFICER,)),
    "credit": ("11230000000000505H", (Role.CREDIT,)),
    "supervisor": ("11230000000000505H", (Role.SUPERVISOR,)),
    "operator": ("11230000000000505H", (Role.OPERATOR,)),
    "ledger-auditor": ("11230000000000505H", (Role.LEDGER_AUDITOR,)),
}
"""The systems a development house knows: a certificate each, of departments that the example matters name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Where everything of a development house lies."""

    home: Path

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.home / "gateway.toml"

    @property
    def authority(self) -> Path:
        """The certificate of the authority of all systems."""
        return self.home / "pki" / "ca.crt"

    @property
    def vkey(self) -> Path:
        """The public key of the log, one C2SP verifier key line."""
        return self.home / "keys" / "log.pub"

    def pair(self, system: str) -> tuple[Path, Path]:
        """The certificate and key of a system, or of the `server`."""
        return self.home / "pki" / f"{system}.crt", self.home / "pki" / f"{system}.key"

    def unit(self, system: str) -> str:
        """Read for which unit (a unified social credit code) a system calls: its certificate says so.

        Raises:
            ConfigurationError: there is no such certificate, or it names no unit.
        """
        certificate, _ = self.pair(system)
        try:
            found = [unit for uri in uris_in(certificate.read_bytes()) if (unit := unit_in(uri)) is not None]
        except (OSError, ValueError) as error:
            raise ConfigurationError(str(certificate), [f"no certificate ({type(error).__name__})"]) from error
        if not found:
            raise ConfigurationError(str(certificate), ["names no system: spiffe://DOMAIN/org/UNIT/SYSTEM"])
        return found[0]

    def signers(self) -> tuple[Path, Path]:
        """The authority of personal signing certificates."""
        return self.home / "signers" / "ca.crt", self.home / "signers" / "ca.key"


def caller_id(system: str) -> str:
    """Give the SPIFFE ID of one of the development systems."""
    unit, _ = SYSTEMS[system]
    return f"spiffe://{TRUST_DOMAIN}/org/{unit}/{system}"


def found(
    home: Path,
    *,
    now: datetime,
    sources: str,
    url: str = "sqlite:///ledger.sqlite3",
    listen: str = "127.0.0.1:8443",
    remedy_days: int = 60,
) -> House:
    """Make a house in an empty or missing folder; `sources` is the TOML of its sources.

    Raises:
        ConfigurationError: there is a house already, or `listen` is no address.
        ledger.LedgerError: the ledger cannot be made; nothing is left.
    """
    house = House(home=home)
    if house.config.exists():
        raise ConfigurationError(str(home), ["there is a house already; nothing was changed"])
    if (mistake := listen_mistake(listen)) is not None:
        raise ConfigurationError(str(home), [f"listen: {mistake}; nothing was made"])
    origin = f"{TRUST_DOMAIN}/log"
    with _or_nothing(home, ("pki", "signers", "keys")):
        _certificates(house, now)
        signer = write_signing_key(home / "keys" / "log.key", origin)
        house.vkey.write_text(signer.verifier.vkey + "\n", "utf-8")
        write_master_key(home / "keys" / "master.keys", os.urandom)
        write_secret(home / "keys" / "index.key", os.urandom(32).hex().encode())
        create_store(_absolute(url, home), origin=origin, signer=signer, now=now)
        text = _toml(sources, url=url, origin=origin, listen=listen, remedy_days=remedy_days)
        create_file(house.config, text.encode())
    return house


@contextmanager
def _or_nothing(home: Path, folders: Sequence[str]) -> Iterator[None]:
    """Make folders; if something fails, remove what was not there before, so that it can be tried again."""
    made = [path for path in (home, *(home / folder for folder in folders)) if not path.exists()]
    try:
        for folder in folders:
            (home / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        yield
    except BaseException:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _certificates(house: House, now: datetime) -> None:
    authority = Authority.create("chengxin development CA", now=now, valid=_VALID)
    authority.save(*house.pair("ca"))
    write_pair(*authority.server(["localhost", "127.0.0.1"], now=now, valid=_VALID), *house.pair("server"))
    for system in SYSTEMS:
        write_pair(*authority.system(caller_id(system), now=now, valid=_VALID), *house.pair(system))
    Authority.create("chengxin development signers CA", now=now, valid=_VALID).save(*house.signers())


def _absolute(url: str, home: Path) -> str:
    scheme, separator, path = url.partition(":///")
    return f"sqlite:///{home.resolve() / path}" if scheme == "sqlite" and separator else url


def _toml(sources: str, *, url: str, origin: str, listen: str, remedy_days: int) -> str:
    callers = "\n".join(_caller(system, roles) for system, (_, roles) in SYSTEMS.items())
    return _EXAMPLE.format(
        url=url,
        origin=origin,
        listen=listen,
        remedy_days=remedy_days,
        trust_domain=TRUST_DOMAIN,
        callers=callers,
        sources=sources,
    )


def _caller(system: str, roles: tuple[Role, ...]) -> str:
    words = ", ".join(f'"{role.value}"' for role in roles)
    return f'[[callers]]\nid = "{caller_id(system)}"\nroles = [{words}]\n'


_EXAMPLE = """\
# The gateway's configuration: every key, with its default or an example. Unknown keys are refused.
# Paths are relative to this file. Secrets are only ever files.

[server]
listen = "{listen}"                    # or "[::1]:8443", "unix:/run/gateway.sock"; port 0: any that is free
workers = 1                                    # processes that answer; a client's connections are shared out among them
trust_domain = "{trust_domain}"             # of the callers' SPIFFE IDs
certificate_file = "pki/server.crt"
key_file = "pki/server.key"
client_authority_file = "pki/ca.crt"          # whose certificates callers must show; more than one may stand in it
# client_revocation_file = "pki/ca.crl"        # its revocation lists (one DER, or PEMs); without: none is revoked. The
                                               # four files are read again on SIGHUP, and within seconds of a change
plaintext = false                              # true: no TLS, exactly one caller; for a trusted proxy only
reflection = false                             # gRPC server reflection
max_message_bytes = 1048576                    # of one message; a larger one is refused (MESSAGE_TOO_LARGE)
max_image_bytes = 8388608                      # beside that, of the image of a signature by hand: so that a photograph
                                               # taken with a telephone is refused for its size, and recorded so. Costs
                                               # memory: any call may bring both, before method and caller are known
deadline_cap = "10s"                          # the most that a call may take
gather = "10ms"                               # a call waits for those before it, unless they wait longer than this
missing_deadline = "refuse"                   # or "cap": a call without a deadline gets the cap
drain = "10s"                                 # running calls may end within this when the gateway stops
ledger_reserve = "500ms"                      # part of each deadline kept for recording the answer

[ledger]
url = "{url}"         # or postgresql+psycopg://user@host/database
origin = "{origin}"
signing_key_file = "keys/log.key"
cosigner_key_files = []                        # further lines of each checkpoint, such as ["keys/log.ml-dsa-44.key"]
next_signing_key_file = "keys/log.next.key"    # the new key while the signing key is being changed
key_history_file = "keys/log.history"          # which keys were in force when; written by `chengxin keys rotate`
seen_checkpoint_file = "keys/checkpoint.seen"  # the newest checkpoint; never restore it together with the database
seen_every = "10s"                             # how often it is written
ask_published = []                             # published checkpoints (https://…/checkpoint, or a path) to ask at start
master_keys_file = "keys/master.keys"
master_keys = "file"                           # or "pkcs11": the keys in the file are wrapped by an HSM (extra `hsm`)
# pkcs11_module = "/usr/lib/softhsm/libsofthsm2.so"
# pkcs11_token = "chengxin"                    # label of the token
# pkcs11_key_label = "vault"                   # label of the AES key on it that wraps the master keys
# pkcs11_pin_file = "keys/hsm.pin"             # mode 0600
index_key_file = "keys/index.key"
queue = 4096                                   # submissions that may wait; more are refused at once
owner_socket = "owner.sock"                    # where the one writer of an SQLite file listens for the other workers
signing = "inline"                             # checkpoints are signed with each commit; or "interval": now and then,
                                               # for a key in an HSM or where something must happen before
sign_after = "local"                           # with "interval" also "standby" (PostgreSQL) or "witness"
# standbys = ["standby1"]                      # application_name of the standbys of which one must confirm; none: any
publish_every = "1s"                           # the interval of signing, and of asking witnesses
# witness_policy_file = "keys/witnesses.policy"  # C2SP tlog-policy: which witnesses, and how many, cosign checkpoints
witness_timeout = "10s"
index_every = "1h"                             # how often an entry commits to the index of records; "0": never

# [ledger.anchors]                             # time stamps of checkpoints (RFC 3161); needs the extra `anchors`
# tsa_url = "https://tsa.example/tsr"
# tsa_root_file = "keys/tsa-roots.pem"         # root certificates of the authority
# tsa_policy = "1.2.3.4"                       # the policy its stamps must name; any if absent
# every = "1h"
# timeout = "10s"

[publication]
listen = ""                                    # such as "127.0.0.1:8480": the log over HTTP (C2SP tlog-tiles), for
                                               # anybody, without TLS: a web server with TLS stands in front; empty: off

[metrics]
listen = ""                                    # such as "127.0.0.1:9464": /metrics in the format of Prometheus, without
                                               # TLS and without personal data, for operators only; empty: off

[catalogue]
files = []                                     # nation, province, city; empty: the shipped ones

[verification]
guess_budget = 5                               # different claims about one fact of one person that may prove wrong
guess_window = "1d"                           # within this time, whoever asks; then the question is refused for a while

[limits]                                       # of each caller, in each process
concurrent_calls = 1024                        # calls under way, streams included
calls_per_second = 10000                       # on average; questions of a stream wait, other calls are refused
batch_items = 1000                             # questions that one message of BatchVerify may carry
batch_in_flight = 512                          # questions of one stream under way, or answered and not yet taken
batch_source_calls = 48                        # calls of batches at one source; below its `concurrency` + `queue`
# [[limits.callers]]                           # other limits for one caller
# id = "spiffe://{trust_domain}/org/11230000000000101E/clerk"
# concurrent_calls = 64
# calls_per_second = 200

[commitments]
verification_valid = "1d"                     # how long a verification may lead to a commitment
document_valid = "30m"                        # how long a prepared document can be signed
template_files = []                            # further wordings of commitments: gateway/letters/README.md
# letter_fonts = "fonts"                       # a folder of further fonts for letters, such as FangSong
# letter_where = "https://log.example"         # the address that letters name for looking a commitment up
decision_within = "90d"                       # without a decision it lapses at the end of that day; a matter's
                                               # decision_working_days go before
sweep_every = "1m"                            # how often what ran out of time is ended
credit_fact = ""                              # such as "serious-distrust-listing": the credit platform, asked like any
                                               # source of this fact type before each commitment; empty: not asked
capacity_fact = ""                            # such as "declared-incapacity", also of agents; empty: age alone tells

[commitments.standing]                         # each commitment is asked about again
every = "1m"                                   # how long a round is: the sources are probed, and what is due is asked
intervals = ["1d", "7d", "30d"]                # waits before the first, second, … asking; the last one goes on
pause = "1h"                                   # the shortest wait, whatever recovered or came late
most = 200                                     # commitments asked about in one round
parallel = 8                                   # at once

# [commitments.contacts]                       # how a unit can be reached, for its letters
# "11230000000000101E" = "示例市场监督管理局注册窗口,电话 0451-00000000"

[assistance]                                   # working days that a unit has which is asked, by the request's term
simple_days = 3
normal_days = 5
archive_days = 10
every = "10m"                                  # how often clocks are looked at: reminders, and what is overdue

[staff_keys]                                   # keys of clerks who witness signatures by hand
proposers = ["officer", "operator"]            # roles; whoever decides is another person than who proposed
deciders = ["reviewer", "supervisor"]

[signatures]
anchors_files = ["signers/ca.crt"]             # authorities of personal signing certificates (PEM)
required_policies = []                         # certificate policies (object identifiers), one of which must be named
most_intermediates = 3                         # certificates between the signer's and the anchor
revocation = "off"                             # "require": unknown is refused; "if-available": unknown is accepted,
                                               # unless a list of the issuer is at hand and cannot be used;
                                               # revoked before the signing is refused by both
revocation_folder = "signers/revocation"       # *.crl: lists (DER or PEM); *.ocsp: OCSP answers (DER)
revocation_urls = []                           # lists to fetch; addresses inside certificates are never asked
# ocsp_url = "http://ocsp.example"             # an OCSP responder, asked where the folder and the lists do not know
revocation_fresh = "7d"                        # what is older says nothing
revocation_every = "10m"                       # how often folder and addresses are read again
revocation_timeout = "5s"                      # for the whole answer of one address
revocation_list_max_bytes = 67108864           # of a list (DER); about 4 bytes of memory for each, in each process
kept_lists_folder = "signers/kept"             # every list read, and the roots of time stamps, by SHA-256: evidence
                                               # packs need them; never delete
witness_tolerance = "15m"                      # how long ago a signing that a clerk witnessed may be
handwriting_max_bytes = 262144                 # of the image of a signature by hand

# [[signatures.platforms]]                     # real-name platforms whose assertions count as signatures
# issuer = "https://identity.example.gov.cn"   # the claim `iss`
# audience = "chengxin"                        # the claim `aud`
# leeway = "60s"                               # how far its clock may differ
# longest_life = "15m"                         # the most from `iat` to `exp`
# [[signatures.platforms.keys]]
# kid = "2026-1"
# algorithm = "ES256"                          # or "EdDSA", "Ed25519", "PS256"
# public_key_file = "signers/platform.pem"

# [[operators]]                                # identity providers that say who acts, one a unit; see README
# unit = "11230000000000101E"                  # whose systems show assertions (metadata "operator-assertion")
# required = true                              # false: one is looked at where it comes
# issuer = "https://id.example.gov.cn"         # further keys as of a platform above; the claim `sub` is the person
# audience = "chengxin"

# [signatures.timestamps]                      # a time stamp of each signature (RFC 3161); needs the extra `anchors`
# tsa_url = "https://tsa.example/tsr"
# tsa_root_file = "keys/tsa-roots.pem"
# tsa_policy = "1.2.3.4"                       # the policy its stamps must name; any if absent
# timeout = "5s"
# tolerance = "5m"                             # a stamp further from our clock refuses the signature; at most "1h"
# required = true                              # false: where no stamp can be had, a signature is taken without

[findings]
defence_working_days = 5                       # 陈述申辩; regional rules have 3 to 5
remedy_days = {remedy_days}                               # 行政复议法 §20: sixty days; then to the next working day
ordinary_repair_months = 3                     # 信用修复管理办法 (2026): no repair before, from the decision; of slight
serious_repair_months = 12                     # findings (轻微) there is no shortest time

[credit]
division = "230100"                           # first six digits of report codes
authority_name = "示例市场监督管理局"
authority_code = "11230000000000101E"
expire_every = "1h"                           # how often what has effect no longer, by its grade, is ended

[exports]                                      # characters that stay at head and tail of what an export shows
name_keeps = [1, 0]                            # no rule for natural persons is published: to be confirmed [I]
id_number_keeps = [3, 4]
phone_keeps = [3, 4]

[retention]                                    # years from the end of a case, to the end of a day in China, after
                                               # which its documents are due for erasure
commitment_years = 5                           # 浙江公共信用信息管理条例 §16: 5 years from determination [L]; for the
                                               # letter itself there is no national period: to be confirmed [I]
verification_years = 5                         # 深圳经济特区社会信用条例 §45: query logs at least five years [L]
lookup_years = 5                               # of records that somebody was looked up, or exported: the same
# [[retention.matters]]                        # a matter that differs
# matter = "230000-CIV-005"
# commitment_years = 10

# [[erasure.officers]]                         # who may propose and who may carry out an erasure by order: two
# number = "07"                                # people, each with a key of their own (chengxin vault officer-key)
# name = "张三"
# public_key_file = "keys/officers/07.pub"

[calendar]
holidays = []                                  # days off, laid over the announced calendar; of a year that is not
                                               # announced here, all of them (a stand-in is used until then)
working_days = []                              # days that are worked, as weekends are in exchange (调休)

{callers}
{sources}
"""
