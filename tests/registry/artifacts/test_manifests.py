"""The digests over a set of files."""

from __future__ import annotations

import hashlib

from assay.digest import manifest_digest as clients_digest
from registry.artifacts.manifests import Entry, manifest_digest, oms_digest

A, B, C = (hashlib.sha256(text).hexdigest() for text in (b"a", b"b", b"c"))


def raw(*digests: str) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests)).hexdigest()


def test_the_manifest_digest_is_that_of_its_canonical_text() -> None:
    text = f'{{"files":[{{"path":"a.txt","sha256":"{B}","size":2}},{{"path":"é/x","sha256":"{A}","size":1}}],"v":1}}'
    entries = [Entry("é/x", 1, A), Entry("a.txt", 2, B)]
    assert manifest_digest(entries) == hashlib.sha256(text.encode()).hexdigest()
    assert f"sha256:{manifest_digest(entries)}" == clients_digest(
        {"path": entry.path, "size": entry.size, "sha256": entry.sha256} for entry in entries
    )


def test_the_manifest_digest_binds_names() -> None:
    assert manifest_digest([Entry("a", 1, A)]) != manifest_digest([Entry("b", 1, A)])


def test_the_openssf_digest_goes_folder_by_folder() -> None:
    # As bytes `a.txt` comes before `a/b`; as pathlib.PurePosixPath, which model_signing sorts by, after it.
    assert oms_digest([Entry("a.txt", 1, A), Entry("a/b", 1, B), Entry("a-b", 1, C)]) == raw(B, C, A)


def test_the_openssf_digest_leaves_gits_paths_out() -> None:
    entries = [Entry("model.bin", 1, A), Entry(".gitattributes", 1, B), Entry("x/.gitignore", 1, C)]
    assert oms_digest(entries) == raw(A, C)
