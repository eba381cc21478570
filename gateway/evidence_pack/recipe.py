"""The README of a pack, in English and Chinese, with the commands of stock tools that verify this very pack."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from gateway.signatures.evidence import ECDSA_P256_SHA256, ECDSA_P384_SHA384, ED25519, RSA_PSS_SHA256, SM2_SM3

SIGNED = {"certificate": "document.json", "witnessed": "witness.json", "platform": "assertion.txt"}
"""By the type of the evidence, the file whose bytes signature.bin covers."""
_SIGNED_WORDS = {
    "certificate": ("The signature covers exactly document.json.", "签名恰好覆盖 document.json。"),
    "witnessed": ("The clerk signed the witness statement.", "经办人签署了见证声明。"),
    "platform": ("The platform signed its assertion.", "认证平台签署了认证结果。"),
}
_DISTINGUISHING_ID = "distid:1234567812345678"
_RAW = "openssl pkeyutl -verify -rawin -pubin -inkey {key} -in {signed} -sigfile {signature}"
_BY_DIGEST = "openssl dgst -{digest}{options} -verify signer-key.pem -signature signature.bin {signed}"


_ONLY = "-no-CApath -no-CAstore -partial_chain"
"""Believe the certificate that is named, even if it is below another, and nobody else whom this machine may know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command, and what it shows, in English and Chinese."""

    command: str
    english: str
    chinese: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusProof:
    """A file that tells that a certificate was not revoked, and as of when it is to be read."""

    file: str
    certificate: str
    """The file of the certificate."""
    issuer: str
    """The file of its issuer's."""
    at: datetime
    by_sm2: bool = False
    """Whether its issuer's key is of SM2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a pack is of: the type of the evidence, its algorithm, when it was verified, and who vouches for the signer.

    `authorities` are the files of the certificates between the signer's and the anchor's, from below; `by_sm2` are
    those of the authorities, the anchor's among them, whose keys are of SM2.
    """

    kind: str
    algorithm: str
    verified_at: datetime
    authorities: Sequence[str] = ()
    by_sm2: Collection[str] = ()
    statuses: Sequence[StatusProof] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What a pack tells of the life of its commitment: nothing, as older ones, or that, and that it is all."""

    story: bool
    complete: bool
    erased: int = 0
    """Records it rests on whose documents are erased."""


def signature_file(kind: str) -> str:
    """Name the file whose bytes a time stamp is of, after those of document.json."""
    return "assertion.jws" if kind == "platform" else "signature.bin"


def steps(of: Subject, *, has_stamp: bool) -> list[Step]:
    """List the commands for a pack; what is judged is judged as of when it was verified."""
    epoch = _epoch(of.verified_at)
    english, chinese = _SIGNED_WORDS[of.kind]
    found = [
        Step(command="sha256sum -c MANIFEST", english="No file was altered.", chinese="各文件均未改动。"),
        *(_certificate_steps(of) if of.kind == "certificate" else ()),
        Step(command=verify_command(of.algorithm, SIGNED[of.kind]), english=english, chinese=chinese),
    ]
    if has_stamp:
        command = (
            f"cat document.json {signature_file(of.kind)} > stamped.bin && openssl ts -verify -in timestamp.tsr "
            f"-data stamped.bin -CAfile tsa-roots.pem -attime {epoch}"
        )
        english = (
            "Document and signature existed at the time in the stamp (`openssl ts -reply -in timestamp.tsr -text` "
            "shows it)."
        )
        found.append(Step(command=command, english=english, chinese="文书和签名在时间戳所载时间已存在。"))
    return [
        *found,
        Step(
            command=_RAW.format(key="log-key.pem", signed="checkpoint.txt", signature="checkpoint.sig"),
            english="The log signed this checkpoint.",
            chinese="台账签署了该检查点。",
        ),
        Step(
            command="python3 -I check.py",
            english=(
                "The commitment is in the log, the files above are those that were recorded, and the signer is the\n"
                "# person in document.json. It prints the log's key: compare that with the key that the log publishes."
            ),
            chinese=(
                "承诺已载入台账;上述各文件即当时所载;签名人即 document.json 所载之人。"
                "\n# 末行为台账公钥,请与台账公布的公钥比对。"
            ),
        ),
    ]


def _epoch(at: datetime) -> int:
    return -int(-at.timestamp() // 1)  # the second that is not before


def verify_command(algorithm: str, signed: str) -> str:
    """Write the openssl command that verifies signature.bin over a file with the key in signer-key.pem."""
    raw = _RAW.format(key="signer-key.pem", signed=signed, signature="signature.bin")
    pss = " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"
    return {
        ED25519: raw,
        ECDSA_P256_SHA256: _BY_DIGEST.format(digest="sha256", options="", signed=signed),
        ECDSA_P384_SHA384: _BY_DIGEST.format(digest="sha384", options="", signed=signed),
        RSA_PSS_SHA256: _BY_DIGEST.format(digest="sha256", options=pss, signed=signed),
        SM2_SM3: f"{raw} -digest sm3 -pkeyopt {_DISTINGUISHING_ID}",
    }[algorithm]


def _certificate_steps(of: Subject) -> list[Step]:
    return [
        *_chain_steps(of),
        Step(
            command="openssl x509 -in signer.pem -noout -pubkey | cmp - signer-key.pem",
            english="signer-key.pem is the key of this certificate.",
            chinese="signer-key.pem 即该证书的公钥。",
        ),
        *map(_status_step, of.statuses),
    ]


def _chain_steps(of: Subject) -> Iterator[Step]:
    """Verify the chain at once, or link by link where a key of SM2 issued: openssl takes its identifier for one only.

    A command of one link sees no path length and no name constraint of the whole: `check.py` looks at those.
    """
    names = ["signer.pem", *of.authorities, "anchor.pem"]
    believed = f"openssl verify {_ONLY} -attime {_epoch(of.verified_at)} -CAfile"
    if not of.by_sm2:
        untrusted = "".join(f" -untrusted {name}" for name in of.authorities)
        yield Step(
            command=f"{believed} anchor.pem{untrusted} signer.pem",
            english="The certificate leads to anchor.pem (compare it with the authority's own) and was valid then.",
            chinese="证书链至 anchor.pem(请与签发机构公布的证书比对),且签署时有效。",
        )
        return
    for own, above in pairwise(names):
        by_id = f" -vfyopt {_DISTINGUISHING_ID}" if above in of.by_sm2 else ""
        told = (
            ("(compare it with the authority's own) ", "(请与签发机构公布的证书比对)")
            if above == "anchor.pem"
            else ("", "")
        )
        yield Step(
            command=f"{believed} {above}{by_id} {own}",
            english=f"{own} was issued by {above} {told[0]}and both were valid then.",
            chinese=f"{own} 由 {above} {told[1]}签发,且签署时两者均有效。",
        )


def _status_step(proof: StatusProof) -> Step:
    is_list = proof.file.endswith(".crl.pem")
    if proof.by_sm2:
        return _list_to_read(proof.file) if is_list else _answer_to_read(proof.file)
    believed = f"{_ONLY} -attime {_epoch(proof.at)} -CAfile {proof.issuer}"
    if is_list:
        return Step(
            command=f"openssl verify {believed} -crl_check -CRLfile {proof.file} {proof.certificate}",
            english=f"{proof.certificate} was not revoked then, by the list that was used.",
            chinese=f"依据当时的吊销列表,签署时 {proof.certificate} 未被吊销。",
        )
    # A revoked certificate and an answer about another one leave the exit status 0: what it says must be looked at.
    command = (
        f"openssl ocsp {believed} -respin {proof.file} -issuer {proof.issuer} -cert {proof.certificate} "
        f"-verify_other {proof.issuer} -validity_period 3000000000 > {proof.file}.txt "
        f"&& grep '^{proof.certificate}: good' {proof.file}.txt"
    )
    return Step(
        command=command,
        english=f"{proof.certificate} was not revoked then, by the OCSP answer that was used.",
        chinese=f"依据当时的 OCSP 应答,签署时 {proof.certificate} 未被吊销。",
    )


def _list_to_read(name: str) -> Step:
    return Step(  # openssl 3 has no option that tells it the signer's identifier of a list
        command=f"openssl crl -in {name} -noout -text",
        english="The list that was used, for reading: openssl verifies no SM2 signature of a list.",
        chinese="当时所用的吊销列表(仅供阅读:openssl 不能核验国密签名的吊销列表)。",
    )


def _answer_to_read(name: str) -> Step:
    return Step(
        command=f"openssl ocsp -respin {name} -noverify -resp_text",
        english="The OCSP answer that was used, for reading: openssl verifies no SM2 signature of an answer.",
        chinese="当时所用的 OCSP 应答(仅供阅读:openssl 不能核验国密签名的应答)。",
    )


def readme(found: Sequence[Step], told: Telling, *, chinese: bool) -> bytes:
    """Write the README of a pack."""
    commands = "\n".join(f"# {one.chinese if chinese else one.english}\n{one.command}\n" for one in found)
    text = (_CHINESE if chinese else _ENGLISH).replace("COMMANDS", commands.rstrip())
    return (text + "".join(_telling(told, 1 if chinese else 0))).encode()


def _telling(told: Telling, language: int) -> Iterator[str]:
    if not told.story:
        return
    yield _STORY[language]
    yield (_COMPLETE if told.complete else _NOT_COMPLETE)[language]
    if told.erased:
        yield _ERASED[language].format(told.erased)
    yield _HIDDEN[language]


_STORY = (
    """
## What became of it, and what it rests on

- `story.json`: the receipt of every entry of the commitment's record, oldest first (`check.py` prints each with its
  time: recorded, decided, withdrawn, lapsed …), and of every entry of what the commitment rests on: each verification,
  each request to another department (sent, seen, answered) and each check about the same case, person and item.
  `facts` shows of each record whom was asked (`unit`), and case and person as keyed numbers: equal means the same.
  `complete` proves of a record that nothing else was recorded of it among the first entries of the log, as many as
  `check.py` prints. A pack has every such proof that the index of the log allows, so `complete` is null only of a
  record that begins later, or where there was no index; that nothing else was recorded of that one is not proved.
  That the commitment rests on nothing else is not proved: the index of the log is by record, not by case, so that a
  whole request of the case could have been left out here.
- `answer.disclosure.json`: what the unit was told before the commitment was handed out, and what the next step was.
- `eligibility.disclosure.json`: what was known, when it was handed out, of whether this person may commit.
""",
    """
## 承诺的后续与依据

- `story.json`:承诺记录每一步的回执,由先到后(`check.py` 逐条列出时间:受理、作出决定、撤回、失效等);以及承诺所依据的
  每一步的回执:同一办件、同一人、同一事项的历次核验、向其他部门发出的每件协查(发出、查看、答复)和每次核查。
  `facts` 载明被询问的单位(`unit`);办件和个人以密钥编号表示,编号相同即为同一办件、同一人。
  `complete` 证明截至 `check.py` 列出的台账条数,该记录再无其他记载。凡台账索引所能证明的,证据包均附有证明;
  只有始于该条数之后的记录,或者当时尚无索引的,`complete` 才为 null,此时不能证明该记录再无其他记载。
  本证据包不能证明承诺再无其他依据:台账索引按记录而非按办件编制,同一办件的某件协查可能整件未列入。
- `answer.disclosure.json`:交付承诺书之前向本单位作出的答复及下一步。
- `eligibility.disclosure.json`:交付承诺书时所知的、该人可否作出承诺的情况。
""",
)
_COMPLETE = (
    """- `complete.json`: up to the size of the log that it names, nothing else was recorded of this commitment. Entries
  of `story.json` from that number on came later; that nothing came after those, a newer pack shows.
""",
    """- `complete.json`:截至其载明的台账条数,该承诺再无其他记载。`story.json` 中自该条数起的各条是此后所记;
  其后有无新的记载,须另取新的证据包。
""",
)
_NOT_COMPLETE = (
    """- There is no `complete.json`: when this pack was made no index of the log reached the commitment yet, or
  somebody took the file out, and nothing in a pack can show which. So this pack does not prove that nothing else was
  recorded: the commitment may have been withdrawn or decided without a word of it here. Whoever relies on that asks
  the keeper of the log for a new pack, or for `chengxin ledger prove-complete` of the record (in `entry.json`). Of
  each pack that the keeper's service hands out, its SHA-256 is recorded in the log (`CommitmentsExported`): the keeper
  can disclose that entry, and a file that was altered since is not the one in it.
""",
    """- 没有 `complete.json`:出具本证据包时台账索引尚未覆盖该承诺,或者该文件事后被人移除;仅凭证据包无法判断是哪一种。
  因此,本证据包不能证明该承诺再无其他记载:承诺可能已被撤回或已作出决定,而本证据包中没有反映。
  需要据此认定的,应请台账保管单位另行出具新的证据包,或者就该记录(见 `entry.json`)出具
  `chengxin ledger prove-complete` 证明。保管单位的系统每次出具证据包,均将该文件的 SHA-256 载入台账
  (`CommitmentsExported`);可请其出示该条记载,与手中文件比对,事后改动过的文件与之不符。
""",
)
_ERASED = (
    """- The documents of {} of these records are erased, as the law demands. Their receipts stay, and show what
  happened and when, but no longer to whose case it belonged.
""",
    """- 其中 {} 条记录的文书已依法删除,回执仍在:可证明发生过什么、何时发生,但不再能证明属于哪一办件。
""",
)
_HIDDEN = (
    """
What people of other departments wrote, and single facts where the unit is told the conclusion only, are not in here: of
these there are receipts. A court can have more shown, entry by entry, by `chengxin ledger disclose`.
""",
    """
其他部门人员所写的内容,以及只告知结论的事项的各项事实,不在本证据包内,只有回执。
人民法院可要求以 `chengxin ledger disclose` 逐条出示更多内容。
""",
)


_ENGLISH = """\
# Evidence of a personal commitment

This folder proves that one person signed one commitment (document.json; document.txt is the same for reading), that
the signature held when it was recorded, and that it was recorded in an append-only log. It holds personal data.

Nothing of ours is needed to verify it: a shell, OpenSSL 3 and Python 3.6 or later are. Unpack it, go into the folder,
and run each command; every one must succeed (exit status 0). Whoever made a pack could have changed its README and
check.py as well. If you do not trust where it came from, take check.py from the project's source
(gateway/evidence_pack/check.py); no README is published, for each is written for its pack, but the commands are
explained in gateway/signatures/README.md, and `chengxin evidence verify` names under "not checked" the README and the
check.py that are not, byte for byte, what its version writes.

```sh
COMMANDS
```

`chengxin evidence verify PACK --vkey log.pub` runs all checks at once and names each that fails.
"""
_CHINESE = """\
# 个人告知承诺证据包

本目录证明:某人签署了一份承诺(document.json;document.txt 为同一内容的可读文本),该签名在受理时有效,并已载入只增不改的
台账。其中含有个人信息,请妥善保管。

核验不需要我们的任何软件,只需命令行、OpenSSL 3 和 Python 3.6 或更高版本。
解压后进入目录,逐条执行下列命令,每条都应成功(退出码为 0)。
制作证据包的人也可能改动其中的 README 和 check.py。如不信任其来源,请改用本项目源代码中的 check.py
(gateway/evidence_pack/check.py)。README 按每个证据包分别生成,没有单独发布的版本;各命令的说明见
gateway/signatures/README.md。
`chengxin evidence verify` 会在“not checked”一行列出与其所属版本生成的内容不一致的 README 和 check.py。

```sh
COMMANDS
```

`chengxin evidence verify 证据包 --vkey log.pub` 可一次完成全部核验,并指出每一项不符之处。
"""
