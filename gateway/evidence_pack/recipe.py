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
            command="python3 check.py",
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


def readme(found: Sequence[Step], *, chinese: bool) -> bytes:
    """Write the README of a pack."""
    commands = "\n".join(f"# {one.chinese if chinese else one.english}\n{one.command}\n" for one in found)
    return (_CHINESE if chinese else _ENGLISH).replace("COMMANDS", commands.rstrip()).encode()


_ENGLISH = """\
# Evidence of a personal commitment

This folder proves that one person signed one commitment (document.json; document.txt is the same for reading), that
the signature held when it was recorded, and that it was recorded in an append-only log. It holds personal data.

Nothing of ours is needed to verify it: a shell, OpenSSL 3 and Python 3.6 or later are. Unpack it, go into the folder,
and run each command; every one must succeed (exit status 0). Whoever made a pack could have changed its README and
check.py as well: if you do not trust where it came from, take both from the project's own publication
(gateway/evidence_pack).

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
制作证据包的人也可能改动其中的 README 和 check.py;如不信任其来源,请改用本项目公开发布的版本(gateway/evidence_pack)。

```sh
COMMANDS
```

`chengxin evidence verify 证据包 --vkey log.pub` 可一次完成全部核验,并指出每一项不符之处。
"""
