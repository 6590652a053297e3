"""What the lifecycle asks about a version's making: who trained it, on which data, and what is not known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, Q

from lineage import completeness as facts
from lineage.completeness import SEED, WHOLE, Bought, Used, is_seed
from lineage.graph import ancestors
from lineage.models import DatasetVersion, Edge, Run, Supply
from lineage.reads import contents_of, is_told, reads_into
from lineage.reads import digest_of as digest_known
from registry.artifacts.download import entries_of
from registry.artifacts.manifests import Entry, manifest_digest, oms_digest
from registry.artifacts.packs import is_pack
from registry.models import Attachment, Manifest, ModelVersion, Upload


def run_of(version: ModelVersion) -> Run | None:
    """The run that made a version; None when it was registered without one."""
    if version.run_id is None:
        return None
    return Run.objects.select_related("created_by", "experiment", "namespace").get(pk=version.run_id)


def trainers_of(version: ModelVersion) -> set[UUID]:
    """The users who trained it: whoever started its run, else whoever registered it; for a service account
    also the person who answers for it."""
    run = run_of(version)
    user = run.created_by if run else version.created_by
    return {user.pk} | ({user.owner_id} if user.owner_id else set())


def training_inputs(version: ModelVersion) -> dict[str, set[str]]:
    """The digest of every dataset it was made from, directly or through earlier steps and base models, with
    the contexts in which it was read (`training`, `validation`, `test`, or "" where none was given).

    Bases cross namespaces, and so does this: it is for deciding. Digests and contexts are not to be shown to
    somebody who may see the version; how many there are may be.
    """
    above = ancestors([version.pk])
    digests = _digests(above)
    found: dict[str, set[str]] = {digest: set() for digest in digests.values()}
    read = Edge.objects.filter(from_node__in=digests, to_node__in=above, role=Edge.Role.INPUT)
    for dataset, context in read.values_list("from_node_id", "context"):
        found[digests[dataset]].add(context)
    for dataset, _ in reads_into(above):
        if dataset in digests:  # an event that came since may join it to another
            found[digests[dataset]].add("")
    return found


def _digests(datasets: Collection[UUID]) -> dict[UUID, str]:
    """The digest of each of these datasets, ours where anybody in its namespace has told it for the foreign one."""
    rows = DatasetVersion.objects.filter(pk__in=datasets).values_list(
        "pk", "digest", "foreign_digest", "dataset__namespace"
    )
    digests, foreign = {}, {}
    contents = contents_of([pk for pk, digest, *_ in rows if is_told(digest)])
    for pk, digest, other, namespace in rows:
        digests[pk] = digest_known(pk, digest, contents.get(pk))
        if digest and digest == other:
            foreign[pk] = (namespace, other)
    if foreign:
        told = DatasetVersion.objects.filter(foreign_digest__in={other for _, other in foreign.values()})
        ours = {
            (namespace, other): digest
            for namespace, other, digest in told.order_by("created_at", "pk").values_list(
                "dataset__namespace", "foreign_digest", "digest"
            )
            if digest != other
        }
        digests |= {pk: ours[key] for pk, key in foreign.items() if key in ours}
    return digests


def completeness(version: ModelVersion, *, require: Collection[str] = ()) -> dict[str, Any]:
    """What is known of its making now: `{"state", "score", "missing", "absent", "notes"}`; `require` names further
    facts."""
    if bought := purchase_of(version):
        return facts.completeness_of_purchase(bought, require=require)
    run = run_of(version)
    return facts.completeness(run, used_by(run), require=require)


def purchase_of(version: ModelVersion) -> Bought | None:
    """Where a version that was bought came from; None for one that was not."""
    supply = Supply.objects.filter(version=version).first()
    if supply is None:
        return None
    manifest = Manifest.objects.get(pk=version.manifest_id)
    if manifest.state == Manifest.State.SEALED:
        return bought(supply, entries_of(manifest), report=has_report(version))
    upload = Upload.objects.filter(manifest=manifest).first()
    return bought(supply, announced(upload) if upload else [], report=has_report(version))


def announced(upload: Upload) -> list[Entry]:
    """The files of an upload: what will be published, or nothing will."""
    return [Entry(file.path, file.size, file.sha256) for file in upload.files.all() if not is_pack(file)]


def bought(supply: Supply, entries: Sequence[Entry], *, report: bool) -> Bought:
    """A purchase, its supplier's digest compared with these files."""
    return Bought(supply, digest_of(supply.digest.removeprefix("sha256:"), entries), report)


def digest_of(sha256: str, entries: Sequence[Entry]) -> str | None:
    """What among these files has the digest: one of them, or all together in one of the two ways."""
    if not sha256:
        return None
    # Of an empty file anybody knows the digest: it is of nothing that was bought.
    if named := next((entry.path for entry in entries if entry.sha256 == sha256 and entry.size), None):
        return named
    if sha256 == manifest_digest(entries):
        return "the manifest"
    return "the whole, as OpenSSF model_signing makes it" if sha256 == oms_digest(entries) else None


def has_report(version: ModelVersion) -> bool:
    """Whether a report by the supplier is kept with it."""
    return version.attachments.filter(kind=Attachment.Kind.SUPPLIER_REPORT).exists()


def used_by(run: Run | None) -> Used:
    """What the rows beside a run tell of it. Two queries."""
    if run is None:
        return Used()
    if run.reported is not None:
        return _told_of(run)
    read = Edge.objects.filter(to_node_id=run.pk, role=Edge.Role.INPUT).values("from_node")
    whole = Q(*[("digest__startswith", scheme) for scheme in WHOLE], _connector=Q.OR)
    found = DatasetVersion.objects.filter(pk__in=read).aggregate(
        datasets=Count("pk"), undigested=Count("pk", filter=~whole)
    )
    return Used(**found, seeded=run.parameters.filter(key__iregex=SEED).exists())


def _told_of(run: Run) -> Used:
    """The same of a reported run: what it read is joined when it is asked, and its events told the parameters."""
    read = {source for source, _ in reads_into([run.pk])}
    versions = dict(DatasetVersion.objects.filter(pk__in=read).values_list("pk", "digest"))
    told = contents_of(versions)
    whole = [pk for pk, each in versions.items() if digest_known(pk, each, told.get(pk)).startswith(WHOLE)]
    seeded = any(is_seed(name) for name in run.told_parameters)
    return Used(datasets=len(versions), undigested=len(versions) - len(whole), seeded=seeded)
