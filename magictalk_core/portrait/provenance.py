"""C2PA: a signed manifest inside the video that says it was made by a trained model.

The certificate is made once per user, in the cache. It proves that the file is unchanged since it was signed on this
machine; it does not prove who signed, since no authority vouches for it. Put your own chain and key there to do that.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path, PurePosixPath
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from magictalk_core import __version__
from magictalk_core.errors import PermanentError
from magictalk_core.portrait.label import DIGITAL_SOURCE_TYPE
from magictalk_core.storage.atomic import atomic_directory, atomic_path
from magictalk_core.storage.cache import cache_root, must_take_cached_files
from magictalk_core.work.provenance import Work

__all__ = ["PROVENANCE_LABEL", "must_be_able_to_sign", "read_provenance", "sign_picture", "sign_video", "work_in_video"]


PROVENANCE_LABEL = "org.magictalk.provenance"
"""Of the assertion in a manifest that names the work, as `Work` knows it."""


def _identity_folder() -> Path:
    return cache_root() / "signing"


def must_be_able_to_sign() -> None:
    """Raise `UserError` where the key of `sign_video` is neither there nor can be made: asked before the work."""
    if not (_identity_folder() / "key.pem").is_file():
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
        (temporary / "chain.pem").write_bytes(leaf.public_bytes(pem) + root.public_bytes(pem))
        secret = temporary / "key.pem"
        secret.touch(mode=0o600)
        secret.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def _signer() -> Any:
    from c2pa import C2paSignerInfo, C2paSigningAlg, Signer

    folder = _identity_folder()
    if not (folder / "key.pem").is_file():
        _make_identity(folder)
    chain, key = (folder / "chain.pem").read_bytes(), (folder / "key.pem").read_bytes()
    return Signer.from_info(C2paSignerInfo(C2paSigningAlg.ES256, chain, key, None))


def _assertion(work: Work) -> dict[str, Any]:
    """What a video says of itself wherever it goes: hashes, and no path of this machine."""
    inputs = [{"kind": one.kind, "name": _public_name(one.name), "md5": one.md5} for one in work.inputs]
    return {
        "kind": work.kind,
        "version": work.version,
        "inputs_digest": work.digest,
        "inputs": inputs,
        "settings": dict(work.settings),
    }


def _public_name(name: str) -> str:
    return PurePosixPath(name).name if name.startswith("/") else name


def sign_picture(path: Path, work: Work | None = None) -> None:
    """`sign_video` for a PNG."""
    _sign(path, "image/png", work, None)


def sign_video(path: Path, work: Work | None = None, title: str | None = None) -> None:
    """Add a C2PA manifest to the mp4 at `path`, in place and atomically: that it is made, and by which `work`.

    `title` is the name that the file will have, where it is signed under a temporary one. The provenance record cannot
    be named by its hash, since it holds that of the signed file: the work is named by its identity and its inputs.
    """
    _sign(path, "video/mp4", work, title)


def _sign(path: Path, media_type: str, work: Work | None, title: str | None) -> None:
    from c2pa import Builder

    manifest = {
        "claim_generator_info": [{"name": "magictalk", "version": __version__}],
        "title": title or path.name,
        "format": media_type,
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": DIGITAL_SOURCE_TYPE}]},
            },
            *([] if work is None else [{"label": PROVENANCE_LABEL, "data": _assertion(work)}]),
        ],
    }
    with atomic_path(path) as temporary, path.open("rb") as source, temporary.open("w+b") as target:
        Builder(json.dumps(manifest)).sign(_signer(), media_type, source, target)


def read_provenance(path: Path) -> dict[str, Any]:
    """The active manifest of a video or PNG, with `validation_state`; raises `PermanentError` when there is none."""
    from c2pa import Reader

    try:
        with path.open("rb") as file, Reader(_media_type(path), file) as reader:
            store: dict[str, Any] = json.loads(reader.json())
    except Exception as error:  # c2pa raises one class per message
        raise PermanentError(f"{path}: no readable C2PA manifest ({error})") from error
    return {**store["manifests"][store["active_manifest"]], "validation_state": store.get("validation_state")}


def _media_type(path: Path) -> str:
    return "image/png" if path.suffix == ".png" else "video/mp4"


def work_in_video(path: Path) -> dict[str, Any] | None:
    """What the manifest of a video says of the work that made it, with `validation_state`; None where it says nothing.

    The file comes from anywhere: values of another form than we write count as nothing.
    """
    try:
        manifest = read_provenance(path)
    except PermanentError:
        return None
    for assertion in manifest.get("assertions", []):
        said = assertion.get("data")
        if assertion.get("label", "").startswith(PROVENANCE_LABEL) and _is_our_form(said):
            inputs = [{"kind": one["kind"], "name": one["name"], "md5": one["md5"]} for one in said["inputs"]]
            return {**said, "inputs": inputs, "validation_state": manifest["validation_state"]}
    return None


def _is_our_form(said: Any) -> bool:
    if not isinstance(said, dict) or not isinstance(said.get("inputs_digest"), str):
        return False
    inputs = said.get("inputs")
    keys = ("kind", "name", "md5")
    return isinstance(inputs, list) and all(
        isinstance(one, dict) and all(isinstance(one.get(key), str) for key in keys) for one in inputs
    )
