"""The certificate that signs what was generated: one made per user, or the user's own.

The one that is made proves that a file is unchanged since it was signed on this machine; it does not prove who signed,
since no authority vouches for it. `MAGICTALK_SIGNING` names a folder with `chain.pem` (the signer's certificate first)
and `key.pem` of somebody for whom one does.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from magictalk_core.errors import UserError
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.cache import cache_root, must_take_cached_files

__all__ = ["SIGNING", "must_be_able_to_sign", "open_signer"]

SIGNING = "MAGICTALK_SIGNING"
"""The environment variable that names the folder of the user's own certificate."""
_CHAIN, _KEY = "chain.pem", "key.pem"
_ALGORITHMS = {256: "ES256", 384: "ES384", 521: "ES512"}


def _identity_folder() -> Path:
    own = os.environ.get(SIGNING)
    return Path(own).expanduser() if own else cache_root() / "signing"


def must_be_able_to_sign() -> None:
    """Raise `UserError` where nothing can be signed: asked before the work. The key that signs by default is neither
    there nor can be made, or the user's own certificate is not usable."""
    if os.environ.get(SIGNING):
        _read(_identity_folder())
    elif not (_identity_folder() / _KEY).is_file():
        must_take_cached_files()


def _certificate(
    name: str, key: Any, issuer: x509.Certificate | None, issuer_key: Any, extensions: list[tuple[Any, bool]]
) -> x509.Certificate:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "magictalk (self-made)"),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(sign: bool) -> x509.KeyUsage:
    off = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=not sign, key_cert_sign=sign, crl_sign=sign, **off)


def _make_identity(folder: Path) -> None:
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate(
        "magictalk local root", root_key, None, root_key,
        [(x509.BasicConstraints(True, None), True), (_key_usage(sign=True), True)],
    )  # fmt: skip
    leaf = _certificate(
        "magictalk local signer", key, root, root_key,
        [
            (x509.BasicConstraints(False, None), True),
            (_key_usage(sign=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
        ],
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    with atomic_directory(folder) as temporary:
        (temporary / _CHAIN).write_bytes(leaf.public_bytes(pem) + root.public_bytes(pem))
        secret = temporary / _KEY
        secret.touch(mode=0o600)
        secret.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def open_signer() -> Any:
    """c2pa's signer. Raises `UserError` as `must_be_able_to_sign`."""
    from c2pa import C2paSignerInfo, C2paSigningAlg, Signer

    folder = _identity_folder()
    if not os.environ.get(SIGNING) and not (folder / _KEY).is_file():
        _make_identity(folder)
    chain, key, algorithm = _read(folder)
    return Signer.from_info(C2paSignerInfo(C2paSigningAlg[algorithm], chain, key, None))


def _read(folder: Path) -> tuple[bytes, bytes, str]:
    """Chain, key and the name of the algorithm."""
    try:
        chain, secret = (folder / _CHAIN).read_bytes(), (folder / _KEY).read_bytes()
    except OSError as error:
        raise UserError(
            f"{error.filename}: {error.strerror}: {SIGNING} names a folder with {_CHAIN} and {_KEY}"
        ) from error
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        key = serialization.load_pem_private_key(secret, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UserError(
            f"{folder}: {_CHAIN} or {_KEY} cannot be read: {error}: PEM without a password is expected"
        ) from error
    first = certificates[0]
    if _public_bytes(key) != _public_bytes(first):
        raise UserError(
            f"{folder}: {_KEY} does not belong to the first certificate of {_CHAIN}: put the signer's first"
        )
    if first.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise UserError(f"{folder / _CHAIN}: expired on {first.not_valid_after_utc:%Y-%m-%d}: bring a new certificate")
    return chain, secret, _algorithm_of(key, folder)


def _public_bytes(holder: Any) -> bytes:
    public = holder.public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(public.public_bytes(serialization.Encoding.DER, info))


def _algorithm_of(key: Any, folder: Path) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "PS256"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size in _ALGORITHMS:
        return _ALGORITHMS[key.curve.key_size]
    raise UserError(f"{folder / _KEY}: C2PA signs with EC P-256, P-384, P-521, RSA or Ed25519 keys alone")
