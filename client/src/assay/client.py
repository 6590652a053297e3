"""The client of one Assay server: the calls that a person, a pipeline or a notebook needs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from assay import settings
from assay.answers import (
    Comparison,
    Deletion,
    Event,
    Graph,
    Identity,
    Promotion,
    Run,
    Scan,
    Version,
    Why,
)
from assay.approvals import Approvals
from assay.deployments import Deployments
from assay.digest import scan
from assay.documents import LARGEST_ATTACHMENT, read_document, read_signature, without
from assay.errors import VersionFailed
from assay.evidence import Evidence
from assay.freezes import Freezes
from assay.glass import BrokenGlass
from assay.holds import Holds
from assay.http import Connection, Parameters
from assay.incidents import Incidents
from assay.members import Members
from assay.policies import Policies
from assay.redactions import Redactions
from assay.references import API, Reference, model_path, namespace_path, version_path
from assay.transfer import download, upload
from assay.transfer.cache import Cache
from assay.transfer.progress import Progress, Silence
from assay.waiting import wait_while
from assay.waivers import Waivers
from assay.webhooks import Webhooks


class Client(
    Evidence,
    Incidents,
    Redactions,
    Waivers,
    Deployments,
    Policies,
    Approvals,
    Freezes,
    BrokenGlass,
    Holds,
    Members,
    Webhooks,
):
    """Speaks to the server at `url` as the holder of `token`.

    What is not given comes from ASSAY_URL and ASSAY_TOKEN, then from the file that `assay login` wrote.
    Making a client sends nothing. Threads may share one. Every call may raise `assay.Refusal` (the server
    said no, and why) and `assay.Unreachable`; further errors are named where they can come.

    A reference is `namespace/model` (its production version), `namespace/model:3`, `namespace/model@alias` or
    `namespace/model@sha256:...`. Answers are plain dictionaries, typed in `assay.answers`.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 60.0, attempts: int = 5
    ) -> None:
        found = settings.load(url, token)
        self.url = found.url
        self._connection = Connection(found.url, found.token, timeout=timeout, attempts=attempts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def close(self) -> None:
        self._connection.close()

    # Any address, for what has no method here. `path` starts with /api/v1.

    def get(self, path: str, params: Parameters | None = None) -> Any:
        return self._connection.call("GET", path, params=params)

    def post(self, path: str, body: object = None, *, idempotency_key: str | None = None) -> Any:
        return self._connection.call("POST", path, body=body or {}, idempotency_key=idempotency_key)

    def put(self, path: str, body: object = None, *, idempotency_key: str | None = None) -> Any:
        return self._connection.call("PUT", path, body=body or {}, idempotency_key=idempotency_key)

    def patch(self, path: str, body: object = None, *, idempotency_key: str | None = None) -> Any:
        return self._connection.call("PATCH", path, body=body or {}, idempotency_key=idempotency_key)

    def delete(self, path: str, body: object = None, *, idempotency_key: str | None = None) -> Any:
        return self._connection.call("DELETE", path, body=body, idempotency_key=idempotency_key)

    def pages(self, path: str, params: Parameters | None = None, limit: int | None = None) -> Iterator[Any]:
        """The items of a list, page after page."""
        return self._connection.pages(path, params, limit)

    def whoami(self) -> Identity:
        answer: Identity = self.get(f"{API}/whoami")
        return answer

    def set_address(self, email: str) -> Identity:
        """Where mail about what waits for you is sent; empty: nowhere."""
        answer: Identity = self.patch(f"{API}/whoami", {"email": email})
        return answer

    # Publishing and fetching

    def push(  # noqa: PLR0913 - one keyword for each fact of a version
        self,
        path: str | os.PathLike[str],
        model: str,
        *,
        run: str | None = None,
        tags: Mapping[str, str] | None = None,
        description: str = "",
        format: str | None = None,
        schema: object = None,
        base: Sequence[str] = (),
        signature: str | os.PathLike[str] | None = None,
        supply: Mapping[str, str] | None = None,
        supplier_report: str | os.PathLike[str] | None = None,
        wait: bool = True,
        timeout: float = 900.0,
        progress: Progress | None = None,
    ) -> Version:
        """Publish a file or a folder as the next version of `namespace/model`, a new model if need be.

        Only what the namespace does not hold is sent. `signature` is a file that `model_signing sign` wrote;
        where it lies in the folder, it is kept beside the files, not among them. A model that was bought has a
        `supply` in place of a run: `supplier`, `origin` (a URL), `contract`, `digest` (the supplier's own).
        With `wait`, returns when the version is ready; raises VersionFailed when it fails and TimedOut after
        `timeout` seconds. Also PathRefused, FileChanged.
        """
        reference = Reference.parse(model)
        told = progress or Silence()
        found = scan(path)
        if signature is not None:
            found = without(found, signature)
        signed = read_signature(signature) if signature is not None else None
        if supplier_report is not None:
            read_document(supplier_report, LARGEST_ATTACHMENT)  # known to be readable before anything is sent
        sent = upload.send(self._connection, reference.namespace, found, told)
        facts: dict[str, Any] = {"upload": sent["id"], "description": description, "tags": dict(tags or {})}
        optional = {"run": run, "format": format, "schema": schema, "base": list(base) or None}
        optional |= {"signature": signed, "supply": dict(supply) if supply is not None else None}
        facts.update({key: value for key, value in optional.items() if value is not None})
        version: Version = self.post(f"{model_path(model)}/versions", facts)
        if supplier_report is not None:
            self.attach(version["reference"], supplier_report, kind="supplier_report")
        return self.wait_until_ready(version, timeout) if wait else version

    def wait_until_ready(self, version: Version, timeout: float = 900.0) -> Version:
        """Wait for a pushed version's bytes to be verified. Raises VersionFailed, TimedOut."""
        path = version_path(version["namespace"], version["model"], version["number"])
        version = wait_while(version, lambda: self.get(path), "status", {"pending", "verifying"}, timeout)
        if version["status"] != "ready":
            why = version["status_message"] or f"its status is {version['status']}"
            raise VersionFailed(f"{version['reference']} was not published: {why}", version)
        return version

    def pull(
        self,
        ref: str,
        dest: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
        cache: Cache | None = None,
    ) -> Path:
        """Fetch a version's files into the folder `dest`, by default `<model>-<number>`; returns the folder.

        Every file is verified before it gets its name. A pull that was interrupted goes on where it stopped,
        and what was pulled before comes from the cache (`Cache(None)`: none; by default that of the
        environment). Raises FileInTheWay, DigestMismatch.
        """
        cache = cache or Cache.from_environment()
        version = self.version(ref)
        manifest = self._manifest(version)
        folder = Path(dest) if dest is not None else Path(f"{version['model']}-{version['number']}")
        folder.mkdir(parents=True, exist_ok=True)
        artifacts = f"{self._path_of(version)}/artifacts"
        download.receive(
            self._connection,
            artifacts,
            manifest["files"],
            folder,
            progress or Silence(),
            overwrite=overwrite,
            cache=cache,
        )
        return folder

    # The catalog

    def scan(self, ref: str) -> Scan:
        """What the newest scan found in each file of a version."""
        answer: Scan = self.get(f"{self._path(ref)}/scan")
        return answer

    def versions(self, model: str, *, stage: str | None = None, limit: int | None = None) -> list[Version]:
        """The versions of a model, newest first."""
        return list(self.pages(f"{model_path(model)}/versions", {"stage": stage}, limit))

    def search(
        self, query: str = "", *, order_by: str | None = None, namespace: str | None = None, limit: int = 50
    ) -> list[Version]:
        """Versions that match, as in `task = "fraud" and stage = production and metric.auc >= 0.9`."""
        wanted: Parameters = {"q": query, "order_by": order_by, "namespace": namespace}
        return list(self.pages(f"{API}/search", wanted, limit))

    def compare(self, *refs: str) -> Comparison:
        answer: Comparison = self.get(f"{API}/compare", {"ref": list(refs)})
        return answer

    def edit(
        self, ref: str, *, description: str | None = None, tags: Mapping[str, str | None] | None = None
    ) -> Version:
        """Change what may change about a version: its description and its tags."""
        wanted: dict[str, Any] = {"description": description, "tags": None if tags is None else dict(tags)}
        body = {key: value for key, value in wanted.items() if value is not None}
        answer: Version = self.patch(self._path(ref), body)
        return answer

    def events(self, namespace: str, *, type: str | None = None, limit: int | None = None) -> list[Event]:
        """The journal of a namespace: what happened, by whom, why."""
        return list(self.pages(f"{namespace_path(namespace)}/events", {"type": type}, limit))

    # The lifecycle

    def promote(
        self,
        ref: str,
        target: str,
        *,
        reason: str = "",
        wait: bool = True,
        timeout: float = 300.0,
        idempotency_key: str | None = None,
    ) -> Promotion:
        """Ask for a version to enter `staging` or `production`.

        With `wait`, returns when the gates are decided: look at `state` (gates_failed, awaiting_approval,
        applied) and `gates`. Raises TimedOut when some are not, as one that waits for an outside check.
        """
        body = {"target": target, "reason": reason}
        asked: Promotion = self.post(f"{self._path(ref)}/promotions", body, idempotency_key=idempotency_key)
        return self.wait_until_decided(asked, timeout) if wait else asked

    def wait_until_decided(self, promotion: Promotion, timeout: float = 300.0) -> Promotion:
        """Wait for the gates of a promotion that was asked for. Raises TimedOut."""
        return wait_while(
            promotion, lambda: self.promotion(promotion["id"]), "state", {"evaluating"}, timeout
        )

    def promotion(self, promotion_id: str) -> Promotion:
        answer: Promotion = self.get(f"{API}/promotions/{promotion_id}")
        return answer

    def promotions(
        self, *, namespace: str | None = None, state: str | None = None, limit: int | None = None
    ) -> list[Promotion]:
        return list(self.pages(f"{API}/promotions", {"namespace": namespace, "state": state}, limit))

    def rollback(
        self, model: str, *, reason: str, to: int | None = None, wait: bool = True, timeout: float = 300.0
    ) -> Promotion:
        """Put a former production version back: version `to`, by default the last one."""
        asked: Promotion = self.post(f"{model_path(model)}/rollback", {"to": to, "reason": reason})
        return self.wait_until_decided(asked, timeout) if wait else asked

    def suspend(self, ref: str, reason: str) -> Version:
        """Take a version out of production in an incident."""
        return self._move(ref, "suspend", reason)

    def deprecate(self, ref: str, reason: str) -> Version:
        return self._move(ref, "deprecate", reason)

    def reinstate(self, ref: str, reason: str) -> Version:
        """Bring a deprecated version back to development."""
        return self._move(ref, "reinstate", reason)

    def deletion(self, ref: str) -> Deletion:
        """What deleting a version would do: what stands against it, and the bytes that would be freed."""
        answer: Deletion = self.get(f"{self._path(ref)}/deletion")
        return answer

    def delete_version(self, ref: str, reason: str) -> Version:
        """Delete a version for good. What it was stays to be read; its bytes go, where nothing else needs them."""
        answer: Version = self.delete(self._path(ref), {"reason": reason})
        return answer

    # Lineage

    def why(self, a: str, b: str) -> Why:
        """Why two versions differ: their metrics beside what differs in what made them."""
        answer: Why = self.get(f"{API}/why", {"a": a, "b": b})
        return answer

    def trace(self, ref: str, *, direction: str = "up", depth: int | None = None) -> Graph:
        """What a version was made from (`up`), what was made from it (`down`), or `both`."""
        answer: Graph = self.get(f"{self._path(ref)}/lineage", {"direction": direction, "depth": depth})
        return answer

    def create_run(self, namespace: str, *, idempotency_key: str | None = None, **facts: Any) -> Run:
        """Start a run: `experiment`, `name`, `started_at`, `entry_point`, `command`, `code`, ...

        With a key, the same call made again is answered with the same run.
        """
        answer: Run = self.post(f"{namespace_path(namespace)}/runs", facts, idempotency_key=idempotency_key)
        return answer

    def run(self, run_id: str) -> Run:
        answer: Run = self.get(f"{API}/runs/{run_id}")
        return answer

    def runs(self, namespace: str, *, experiment: str | None = None, limit: int | None = None) -> list[Run]:
        return list(self.pages(f"{namespace_path(namespace)}/runs", {"experiment": experiment}, limit))

    def update_run(self, run_id: str, **facts: Any) -> Run:
        """End or rename a run: `status` (finished, failed, killed), `ended_at`, `capture`, `failure`."""
        answer: Run = self.patch(f"{API}/runs/{run_id}", facts)
        return answer

    def log_run(
        self,
        run_id: str,
        *,
        parameters: Mapping[str, str] | None = None,
        metrics: Sequence[Mapping[str, Any]] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add to a run. A metric is `{"key", "value", "step", "timestamp"}`, the time in milliseconds since 1970."""
        body = {
            "parameters": dict(parameters or {}),
            "metrics": [dict(m) for m in metrics],
            "tags": dict(tags or {}),
        }
        self.post(f"{API}/runs/{run_id}/log", body)

    def log_datasets(self, run_id: str, datasets: Sequence[Mapping[str, Any]]) -> None:
        """Add datasets that a run read or wrote: `{"name", "digest", "role", "context", ...}`."""
        self.post(f"{API}/runs/{run_id}/datasets", {"datasets": [dict(dataset) for dataset in datasets]})

    def record_steps(self, namespace: str, **facts: Any) -> dict[str, Any]:
        """Record `steps` that another tool ran, and `datasets` that it keeps. Saying it again changes nothing."""
        answer: dict[str, Any] = self.post(f"{namespace_path(namespace)}/steps", facts)
        return answer

    def _move(self, ref: str, verb: str, reason: str) -> Version:
        answer: Version = self.post(f"{self._path(ref)}/{verb}", {"reason": reason})
        return answer
