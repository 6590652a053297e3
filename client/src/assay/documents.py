"""What a version is and what goes with it: its manifest, its attachments, and the keys that sign.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from assay.answers import Attachment, Manifest, SigningKey, Verification, Version
from assay.digest import LocalFile, manifest_digest
from assay.errors import DigestMismatch, PathRefused
from assay.http import Connection
from assay.references import API, Reference, namespace_path, version_path
from assay.transfer.compare import compare
from assay.transfer.progress import Progress

LARGEST_SIGNATURE = 4 * 2**20
LARGEST_ATTACHMENT = 16 * 2**20


class Documents:
    """The calls of a client about what a version is and what is kept with it."""

    _connection: Connection

    def version(self, ref: str) -> Version:
        Reference.parse(ref)
        answer: Version = self._connection.call("GET", f"{API}/resolve", params={"ref": ref})
        return answer

    def manifest(self, ref: str) -> Manifest:
        """The files of a version, checked against its digest. Raises DigestMismatch."""
        return self._manifest(self.version(ref))

    def manifest_text(self, ref: str) -> bytes:
        """The manifest as it was hashed: a file of these bytes has the version's digest. Raises DigestMismatch."""
        version = self.version(ref)
        with self._connection.stream(f"{self._path_of(version)}/manifest") as response:
            text = response.read()
        found = "sha256:" + hashlib.sha256(text).hexdigest()
        if found != version["digest"]:
            raise DigestMismatch(
                f"The manifest received for {version['reference']} has {found}, not {version['digest']}."
            )
        return text

    def verify(
        self, folder: str | os.PathLike[str], ref: str, *, progress: Progress | None = None
    ) -> Verification:
        """Compare a folder or file on disk with a version: which files differ, are missing, are extra.

        A signature of the version that lies among its files, as its tool may have put it there, is not extra.
        """
        version = self.version(ref)
        manifest = self._manifest(version)
        found = compare(folder, version["reference"], manifest["digest"], manifest["files"], progress)
        if found["extra"]:
            kept = {each["sha256"] for each in self.attachments(version["reference"])}
            found["extra"] = [path for path in found["extra"] if _digest(Path(folder) / path) not in kept]
            found["ok"] = not (found["differs"] or found["missing"] or found["extra"])
        return found

    # Attachments

    def attachments(self, ref: str) -> list[Attachment]:
        """The documents kept with a version: signatures, with what came of verifying each; suppliers' reports."""
        return list(self._connection.pages(f"{self._path(ref)}/attachments"))

    def attach(
        self, ref: str, path: str | os.PathLike[str], *, kind: str, name: str | None = None
    ) -> Attachment:
        """Keep a document with a version: `kind` signature, supplier_report or code_diff. Raises PathRefused."""
        content = read_document(path, LARGEST_SIGNATURE if kind == "signature" else LARGEST_ATTACHMENT)
        params = {"kind": kind, "name": name or Path(path).name}
        answer: Attachment = self._send(f"{self._path(ref)}/attachments", content, params)
        return answer

    def attachment(self, attachment_id: str) -> bytes:
        """The bytes of an attachment. The server checks them against their digest before it sends them."""
        with self._connection.stream(f"{API}/attachments/{attachment_id}/content") as response:
            return response.read()

    # Keys

    def keys(self, namespace: str) -> list[SigningKey]:
        """The public keys whose signatures a namespace believes, and those it believed once."""
        return list(self._connection.pages(f"{namespace_path(namespace)}/keys"))

    def add_key(self, namespace: str, name: str, pem: str | bytes) -> SigningKey:
        """Believe signatures made with a key from now on; `pem` is the public key."""
        text = pem.decode("utf-8", "replace") if isinstance(pem, bytes) else pem
        body = {"name": name, "pem": text}
        answer: SigningKey = self._connection.call("POST", f"{namespace_path(namespace)}/keys", body=body)
        return answer

    def revoke_key(self, key_id: str, reason: str) -> SigningKey:
        """Believe a key no more, for good."""
        answer: SigningKey = self._connection.call("DELETE", f"{API}/keys/{key_id}", body={"reason": reason})
        return answer

    def _send(self, path: str, content: bytes, params: dict[str, str] | None = None) -> Any:
        """Send a few bytes as a document."""

        def blocks() -> Iterator[bytes]:
            yield content

        return self._connection.upload(path, blocks, len(content), method="POST", params=params)

    def _path(self, ref: str) -> str:
        reference = Reference.parse(ref)
        if reference.number is not None:
            return version_path(reference.namespace, reference.model, reference.number)
        return self._path_of(self.version(ref))

    def _path_of(self, version: Version) -> str:
        return version_path(version["namespace"], version["model"], version["number"])

    def _manifest(self, version: Version) -> Manifest:
        manifest: Manifest = self._connection.call("GET", f"{self._path_of(version)}/artifacts")
        digest = manifest_digest(manifest["files"])
        if digest != version["digest"]:
            raise DigestMismatch(
                f"The files listed for {version['reference']} make {digest}, not {version['digest']}."
            )
        return manifest


def read_document(path: str | os.PathLike[str], most: int) -> bytes:
    """A small file's bytes. Raises PathRefused when it cannot be read or holds more than `most`."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise PathRefused(f"{path} cannot be read: {error.strerror}.") from error
    if not 1 <= len(content) <= most:
        raise PathRefused(f"{path} has {'no' if not content else 'too many'} bytes: 1 to {most} can be kept.")
    return content


def read_signature(path: str | os.PathLike[str]) -> str:
    """A signature's text. Raises PathRefused when the file is none that `model_signing` writes."""
    try:
        text = read_document(path, LARGEST_SIGNATURE).decode()
        json.loads(text)
    except (ValueError, RecursionError):
        raise PathRefused(f"{path} is no signature: `model_signing sign` writes JSON.") from None
    return text


def without(files: list[LocalFile], signature: str | os.PathLike[str]) -> list[LocalFile]:
    """The files that are signed: a signature that lies among them is kept beside them. Raises PathRefused."""
    left = [file for file in files if not _same(file.source, Path(signature))]
    if not left:
        raise PathRefused(f"{signature} is the signature itself: name the model that it signs.")
    return left


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False


def _digest(path: Path) -> str:
    """The hex digest of a file that may be a signature; "" for one that is too large to be."""
    try:
        return hashlib.sha256(read_document(path, LARGEST_ATTACHMENT)).hexdigest()
    except PathRefused:
        return ""
