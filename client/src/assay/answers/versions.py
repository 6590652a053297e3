"""Versions: their files, measurements, signatures and scans, and what is told of several."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from assay.digest import ManifestEntry


class Metric(TypedDict):
    """One measured value of a version: on which dataset, split and slice, by whom, when."""

    name: str
    value: float
    dataset: str
    dataset_digest: str
    split: str
    slice: str
    by: str
    at: str


class Completeness(TypedDict):
    """Whether it is known what made it: `state` complete, incomplete or unknown; what is missing.

    `score` is 0 to 100; `absent` are the facts that are not recorded, by the names under which a policy may require
    them, whether or not they are missed.
    """

    state: str
    missing: list[str]
    notes: list[str]
    score: NotRequired[int | None]
    absent: NotRequired[dict[str, str]]


class Signature(TypedDict):
    """What is known of a version's signatures: `state` valid, invalid, unknown_key, unchecked or revoked.

    `key` is the name of the key, where one is known; `sentence` says what came of verifying.
    """

    state: str
    key: str | None
    sentence: str


class Supply(TypedDict):
    """Where a model that was bought came from. `digest_of` is what the supplier's digest is the digest of."""

    supplier: str
    origin: str
    contract: str
    digest: str
    digest_of: str | None
    report: bool


class Attachment(TypedDict):
    """A document kept with a version: `kind` signature, supplier_report, code_diff,
    example_results or validation_report. A signature tells its worth."""

    id: str
    kind: str
    name: str
    sha256: str
    size: int
    by: str
    at: str
    signature: Signature | None
    redacted: NotRequired[bool]


class SigningKey(TypedDict):
    """A public key whose signatures a namespace believes until it is revoked."""

    id: str
    namespace: str
    name: str
    fingerprint: str
    pem: str
    added_by: str
    added_at: str
    revoked_by: str | None
    revoked_at: str | None


class Version(TypedDict):
    """A model version. `status` pending, verifying, ready, failed or deleted; `stage` is where it stands.

    The digests are None until every byte is verified.
    """

    id: str
    namespace: str
    model: str
    number: int
    reference: str
    status: str
    status_message: str
    stage: str
    format: str
    digest: str | None
    oms_digest: str | None
    size: int
    files: int
    schema: Any
    parameters: dict[str, Any]
    tags: dict[str, str]
    description: str
    created_at: str
    created_by: str
    deleted_at: NotRequired[str | None]
    run: str | None
    aliases: list[str]
    tier: str
    quarantined: bool
    safety: str
    verified_at: str | None
    url: str
    metrics: list[Metric]
    completeness: Completeness
    supply: NotRequired[Supply | None]
    signature: NotRequired[Signature | None]
    # What it stands under, where the version itself was asked for: {"reason", "by", "at"}.
    quarantine: NotRequired[dict[str, str] | None]
    # The legal holds that it stands under, there too: as `assay.holds.Hold`.
    holds: NotRequired[list[dict[str, Any]]]
    # Where it is reported to run, there too: as `assay.deployments.Running`.
    running: NotRequired[list[dict[str, Any]]]
    # When what is in production has to be validated again, there too: as `assay.revalidations.Review`.
    review: NotRequired[dict[str, str] | None]


class Freed(TypedDict):
    """Stored bytes that nothing needs any more."""

    blobs: int
    bytes: int


class Deletion(TypedDict):
    """What deleting a version would do. `reasons` stand against it; what it frees goes after a grace in seconds."""

    reference: str
    deleted: bool
    reasons: list[str]
    frees: Freed
    grace_seconds: int


class Manifest(TypedDict):
    """The files of a version and the two digests over them."""

    digest: str
    oms_digest: str
    files: list[ManifestEntry]
    size: int


class ScanFinding(TypedDict):
    """Something in a file: `where` inside it, `what` in a sentence, the global it names, the verdict on it."""

    where: str
    what: str
    name: str
    verdict: str


class ScannedFile(TypedDict):
    """A file as the scanner saw it; `format` and `verdict` are "" while it has not been scanned."""

    path: str
    sha256: str | None
    format: str
    verdict: str
    scanner: str
    findings: list[ScanFinding]


class Scan(TypedDict):
    """What a scan found in a version: `safety` is clean, unscannable, suspicious, malicious, or "" before it."""

    reference: str
    safety: str
    scanned_with: str
    files: list[ScannedFile]


class ComparedMetric(TypedDict):
    """One metric of several versions, in their order; None where it was not measured."""

    name: str
    dataset: str
    split: str
    values: list[float | None]


class ComparedParameter(TypedDict):
    """One parameter of several versions, in their order; None where it was not set."""

    key: str
    values: list[Any]


class Comparison(TypedDict):
    """Several versions side by side."""

    versions: list[Version]
    metrics: list[ComparedMetric]
    parameters: list[ComparedParameter]


class Evaluation(TypedDict, total=False):
    """Metrics of a version on one dataset, as recorded."""

    id: str
    dataset: dict[str, str]
    split: str
    slice: str
    evaluator: str
    run: str | None
    metrics: list[dict[str, Any]]
    by: str
    at: str


class Verification(TypedDict):
    """Whether a folder holds exactly a version's files; `ok` is true when the three lists are empty."""

    ok: bool
    reference: str
    digest: str
    differs: list[str]
    missing: list[str]
    extra: list[str]
