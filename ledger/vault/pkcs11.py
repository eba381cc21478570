"""Master keys under an HSM: the file holds them wrapped by an AES key that never leaves its PKCS#11 token.

Each line of the key file (`ledger.vault.master_keys`) then holds nonce (12 bytes), ciphertext and tag of AES-GCM by the
token's key (CKM_AES_GCM of PKCS#11 v2.40), with `chengxin/ledger/v1/master`, 0x00, cipher, 0x00 and the version in
decimal as additional data: a line cannot be relabelled. The token is used when the file is read, and never for a
document: a master key is in this process's memory while it runs. What the token gives is that a stolen file or backup
is worth nothing, and that its use can be counted and refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger.errors import ExtraMissing, HsmUnavailable, KeyFileError
from ledger.secret_file import read_secret
from ledger.vault.ciphers import Cipher
from ledger.vault.master_keys import KeyLine

_DOMAIN = b"chengxin/ledger/v1/master\x00"
_NONCE, _TAG = 12, 16


class Pkcs11Wrapping:
    """Wraps master keys by the AES key labelled `key_label` on the token labelled `token`."""

    overhead = _NONCE + _TAG

    def __init__(
        self, *, module: Path, token: str, key_label: str, pin_file: Path, entropy: Callable[[int], bytes]
    ) -> None:
        self._module = module
        self._token = token
        self._key_label = key_label
        self._pin_file = pin_file
        self._entropy = entropy

    def wrap(self, version: int, cipher: Cipher, secret: bytes) -> bytes:
        """Return a master key as it is to be stored.

        Raises:
            HsmUnavailable: the module, the token or its key cannot be used, or the PIN is refused.
        """
        nonce = self._entropy(_NONCE)
        with self._key() as (key, mechanism, parameters):
            encrypted = key.encrypt(
                secret, mechanism=mechanism, mechanism_param=parameters(nonce, _context(version, cipher))
            )
        return nonce + bytes(encrypted)

    def unwrap(self, lines: Sequence[KeyLine]) -> list[bytes | None]:
        """Return the master keys of some lines in one session; None for a line this token's key does not open.

        Raises:
            HsmUnavailable: as for `wrap`.
        """
        with self._key() as (key, mechanism, parameters):
            return [_decrypt(key, mechanism, parameters, line) for line in lines]

    def generate_key(self) -> None:
        """Make the wrapping key on the token: AES-256, sensitive and never extractable.

        Raises:
            HsmUnavailable: there is a key of this label already, or the token refuses.
        """
        import_pkcs11()
        from pkcs11 import Attribute, KeyType

        with self._session(rw=True) as session:
            if list(session.get_objects(self._template())):
                raise HsmUnavailable(f"the token {self._token!r} has a key {self._key_label!r} already")
            template = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
            session.generate_key(KeyType.AES, 256, label=self._key_label, store=True, template=template)

    def _template(self) -> dict[Any, Any]:
        from pkcs11 import Attribute, KeyType, ObjectClass

        return {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.LABEL: self._key_label,
        }

    @contextmanager
    def _session(self, *, rw: bool = False) -> Iterator[Any]:
        library = import_pkcs11()
        try:
            pin = read_secret(self._pin_file).decode().strip()
        except UnicodeDecodeError:
            raise KeyFileError(str(self._pin_file), ["is not a PIN in UTF-8"]) from None
        try:
            token = library.lib(str(self._module)).get_token(token_label=self._token)
            with token.open(rw=rw, user_pin=pin) as session:
                yield session
        except library.PKCS11Error as failure:
            raise HsmUnavailable(f"the token {self._token!r} cannot be used ({_told(failure)})") from failure

    @contextmanager
    def _key(self) -> Iterator[tuple[Any, Any, Any]]:
        library = import_pkcs11()
        with self._session() as session:
            found = list(session.get_objects(self._template()))
            if len(found) != 1:
                raise HsmUnavailable(
                    f"the token {self._token!r} has {len(found)} AES keys {self._key_label!r}, not one"
                )
            yield found[0], library.Mechanism.AES_GCM, lambda nonce, aad: library.GCMParams(nonce, aad, 8 * _TAG)


def import_pkcs11() -> Any:
    """Import the library; raises `ExtraMissing` without the extra `hsm`."""
    try:
        import pkcs11
    except ImportError:
        raise ExtraMissing("master keys under an HSM need the extra `hsm`: pip install 'chengxin[hsm]'") from None
    return pkcs11


def _context(version: int, cipher: Cipher) -> bytes:
    return _DOMAIN + cipher.value.encode() + b"\x00" + str(version).encode()


def _decrypt(key: Any, mechanism: Any, parameters: Any, line: KeyLine) -> bytes | None:
    nonce, encrypted = line.stored[:_NONCE], line.stored[_NONCE:]
    library = import_pkcs11()
    # Tokens tell a wrong tag by one of these; everything else means that the token itself cannot be used.
    wrong = (library.EncryptedDataInvalid, library.GeneralError, library.FunctionFailed, library.DataInvalid)
    try:
        return bytes(
            key.decrypt(
                encrypted, mechanism=mechanism, mechanism_param=parameters(nonce, _context(line.version, line.cipher))
            )
        )
    except wrong:
        return None


def _told(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__
