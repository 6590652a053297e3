"""The shapes of the server's answers: plain dictionaries at run time, typed for editors and mypy.

An answer may hold more keys than are listed here: a newer server adds some.
"""

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
    """A document kept with a version: `kind` signature, supplier_report or code_diff. A signature tells its worth."""

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
    # Where it is reported to run, there too: as `assay.deployments.Running`.
    running: NotRequired[list[dict[str, Any]]]


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


class GateResult(TypedDict):
    """One gate's verdict: pass, fail, error, pending or waived, with the sentence that says why."""

    key: str
    gate: str
    claim: str
    verdict: str
    sentence: str
    evidence: dict[str, Any]
    # By which it stands, or which is asked for what it says: {"state", "reason", "until", "asked_by", ...}.
    waiver: NotRequired[dict[str, Any] | None]
    at: str | None


class Approval(TypedDict):
    """One person's decision: approve or reject, and why."""

    by: str
    verdict: str
    reason: str
    at: str


class Promotion(TypedDict):
    """A request to move a version to a stage.

    `state`: evaluating, gates_failed, awaiting_approval, applied, rejected, expired, void or withdrawn.
    """

    id: str
    version: str
    namespace: str
    target: str
    kind: str
    state: str
    reason: str
    requested_by: str
    requested_at: str
    decided_at: str | None
    policy: dict[str, Any]
    gates: list[GateResult]
    approvals: list[Approval]
    approvals_required: int
    replaces: str | None
    reasons: list[str]
    outcome: str
    url: str


class MetricDifference(TypedDict):
    """One metric of two versions on the same dataset, split and slice; `low` and `high` are the interval of the
    difference, where both have one."""

    name: str
    dataset: str
    split: str
    slice: NotRequired[str]
    a: float | None
    b: float | None
    difference: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]


class Difference(TypedDict):
    """One difference in what made two versions; `kind` data, split, base, code, parameters, config, seed,
    environment, image or hardware.

    `told` are both sides in words, `more` is what else is known of it; `follows` is the kind of the difference that
    this one is a consequence of.
    """

    kind: str
    what: NotRequired[str]
    sentence: str
    told: NotRequired[list[str]]
    more: NotRequired[str]
    a: Any
    b: Any
    follows: NotRequired[str]
    link: NotRequired[str]


class Why(TypedDict):
    """Why two versions differ: the metrics beside what was different in making them.

    `cause` is the one kind that differs; None where none does, or several do. `reservations` are what is not known;
    the sentence is the verdict with these behind it.
    """

    a: Any
    b: Any
    cause: NotRequired[str | None]
    verdict: NotRequired[str]
    reservations: NotRequired[list[str]]
    metrics: list[MetricDifference]
    differences: list[Difference]
    sentence: str


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


class Node(TypedDict):
    """A run, dataset version, model version or logged model in the lineage."""

    id: str
    kind: str
    label: str
    detail: dict[str, Any]


Edge = TypedDict("Edge", {"from": str, "to": str, "role": str, "context": NotRequired[str]})


class Graph(TypedDict):
    """The lineage around the node `root`."""

    root: str
    nodes: list[Node]
    edges: list[Edge]


class Run(TypedDict):
    """One execution that trained or evaluated something."""

    id: str
    experiment: str
    name: str
    status: str
    started_at: str
    ended_at: str | None
    created_by: str
    entry_point: str
    command: list[str]
    code: dict[str, Any] | None
    environment: dict[str, Any]
    config: dict[str, Any] | None
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    datasets: list[dict[str, Any]]
    capture: dict[str, Any]


class Event(TypedDict, total=False):
    """One row of the journal: what happened, to whom, by whom, when and why."""

    id: int
    type: str
    namespace: str
    subject: dict[str, Any]
    actor: str
    reason: str
    at: str
    timestamp: str
    before: Any
    after: Any


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


class Identity(TypedDict, total=False):
    """Who the token speaks for, and what that person may do where."""

    user: str
    display_name: str
    service: bool
    token: dict[str, Any] | None
    namespaces: list[dict[str, Any]]
    version: str


class Verification(TypedDict):
    """Whether a folder holds exactly a version's files; `ok` is true when the three lists are empty."""

    ok: bool
    reference: str
    digest: str
    differs: list[str]
    missing: list[str]
    extra: list[str]
