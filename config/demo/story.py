"""The acts. Whatever is claimed is looked up by REST first, with the auditor's token."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import assay
from config.demo.cast import Cast, PipelineProcess
from config.demo.project import Project
from config.demo.telling import Teller, wait_for

API = "/api/v1"


class Story:
    """One demonstration: a namespace, a project folder, a pipeline, and the registry they talk to."""

    def __init__(self, tell: Teller, cast: Cast, project: Project, pipeline: PipelineProcess) -> None:
        self.tell, self.cast, self.project, self.pipeline = tell, cast, project, pipeline
        self.model = f"{cast.namespace}/digits"
        self.auditor = cast["otto"]
        self.made: dict[str, str] = {}

    # ---- looking

    def version(self, number: int) -> Any:
        """Version `number` as the registry tells it now."""
        return self.auditor.version(f"{self.model}:{number}")

    def production(self) -> Any:
        """The reference in production, or None."""
        answer = self.auditor.get(f"{API}/namespaces/{self.cast.namespace}/models/digits/production")
        return answer["version"] and answer["version"]["reference"]

    def events(self, kind: str) -> list[Any]:
        """The journal's entries of one type, newest first."""
        return list(self.auditor.events(self.cast.namespace, type=kind))

    def claim_production(self, number: int) -> None:
        """Claim what is in production, by version, by alias and by digest."""
        reference = f"{self.model}:{number}"
        seen = self.production()
        alias = self.auditor.version(f"{self.model}@production")["reference"]
        self.tell.claim(f"{reference} is in production", seen == alias == reference, (seen, alias))

    def path(self, number: int, rest: str = "") -> str:
        """The address of a version in REST."""
        return f"{API}/namespaces/{self.cast.namespace}/models/digits/versions/{number}{rest}"

    # ---- acts

    def train(self, kind: str, number: int, what: str) -> Any:
        """ben trains; the run and the version are captured; CI evaluates."""
        self.tell.person(
            "ben", f"runs python train.py --kind {kind} --seed {self.project.seed}   [dim]({what})[/]"
        )
        printed = self.project.train(kind, url=self.cast.stack.url, token=self.cast.tokens["ben"])
        self.tell.shows(*printed.splitlines())
        version = wait_for(lambda: self._ready(number), f"{self.model}:{number} becoming ready")
        measured = wait_for(lambda: self._measured(number), f"CI evaluating {self.model}:{number}")
        self.tell.person("ci", f"heard version.ready, pulled it, measured accuracy {measured['value']:.4f}")
        return version

    def _ready(self, number: int) -> Any:
        try:
            version = self.version(number)
        except assay.NotFound:
            return None
        if version["status"] == "failed":
            raise assay.VersionFailed(version["status_message"], version)
        return version if version["status"] == "ready" else None

    def _measured(self, number: int) -> Any:
        """CI's accuracy on the held-out data."""
        found = [
            m for m in self.version(number)["metrics"] if m["name"] == "accuracy" and m["split"] == "test"
        ]
        return found[0] if found else None

    def capture(self) -> None:
        """What was recorded without anybody writing it down."""
        version = self.version(1)
        run: Any = self.auditor.run(str(version["run"]))
        data = [d for d in run["datasets"] if d["name"].endswith("train.csv")]
        self.tell.claim(
            f"the commit {run['code']['commit'][:10]} is recorded, and that the tree was clean",
            run["code"]["commit"] == self.made["commit"] and not run["code"]["dirty"],
            run["code"],
        )
        self.tell.claim(
            f"the data it read is recorded by its whole content: {data[0]['digest'][:20]}…"
            if data
            else "data",
            bool(data) and data[0]["digest"] == sha256_of(self.project.training),
            run["datasets"],
        )
        packages = run["environment"]["packages"]
        self.tell.claim(
            f"parameters {run['parameters']}, {len(packages)} packages, Python {run['environment']['python']}",
            run["parameters"].get("kind") == "tree" and "scikit-learn" in packages,
            run["parameters"],
        )
        self.tell.claim(
            "its provenance is complete, and nobody typed any of it",
            version["completeness"]["state"] == "complete",
            version["completeness"],
        )

    def reproduce(self) -> None:
        """What is in production is trained again, from what was recorded of it."""
        reference = str(self.production())
        self.tell.person("otto", f"runs assay reproduce {reference} --run")
        status, printed = self.project.reproduce(
            reference, url=self.cast.stack.url, token=self.cast.tokens["otto"]
        )
        said = next((line for line in printed.splitlines() if line.startswith("The same again")), printed)
        self.tell.claim(f"{reference} trained anew from its record: {said}", status == 0, printed)

    def publish(self) -> None:
        """The bytes: proven, and the same wherever they are pulled."""
        version = self.version(1)
        found = self.auditor.version(f"{self.model}@{version['digest']}")
        self.tell.claim(
            f"{version['digest']} names {version['reference']} and nothing else",
            found["reference"] == version["reference"],
            found["reference"],
        )
        folder = self.project.folder / "pulled"
        self.cast["eve"].pull(version["reference"], folder)
        self.tell.person("eve", f"runs assay pull {version['reference']} and assay verify")
        verification = self.cast["eve"].verify(folder, version["reference"])
        self.tell.claim(
            "every file she pulled has the digest that was published", verification["ok"], verification
        )

    def promote(self, number: int, target: str, reason: str) -> Any:
        """eve asks; the gates answer."""
        reference = f"{self.model}:{number}"
        self.tell.person("eve", f"runs assay promote {reference} {target}")
        promotion = self.cast["eve"].promote(reference, target, reason=reason)
        return self.told(promotion["id"])

    def told(self, promotion_id: str) -> Any:
        """Print the gates' sentences as the registry keeps them."""
        promotion = self.auditor.promotion(promotion_id)
        marks = {"pass": "[green]pass[/]", "fail": "[red]FAIL[/]", "error": "[red]ERROR[/]"}
        for gate in promotion["gates"]:
            verdict = marks.get(gate["verdict"], gate["verdict"])
            self.tell.shows(f"{verdict}  {gate['gate']:<19} [dim]{gate['sentence']}[/]")
        return promotion

    def to_production(self, number: int, why: str) -> None:
        """The whole way of one version: staging by its gates, production by gates and cora."""
        staged = self.promote(number, "staging", "")
        stage = self.version(number)["stage"]
        self.tell.claim(
            f"its gates let it into staging: no person is asked for that ({staged['state']})",
            staged["state"] == "applied" and stage == "staging",
            (staged["state"], stage),
        )
        asked = self.promote(number, "production", why)
        self.tell.claim(
            "all gates pass, and it waits for somebody else's approval",
            asked["state"] == "awaiting_approval" and self.production() != f"{self.model}:{number}",
            asked["state"],
        )
        self.made[f"promotion_{number}"] = asked["id"]

    def approve(self, number: int, reason: str) -> None:
        """cora reads the evidence at the desk and approves."""
        promotion = self.auditor.promotion(self.made[f"promotion_{number}"])
        self.tell.person("cora", f"reads {promotion['url']} and approves: “{reason}”")
        self.cast["cora"].approve(promotion["id"], reason)
        wait_for(
            lambda: self.auditor.promotion(promotion["id"])["state"] == "applied",
            "the approval taking effect",
        )
        self.claim_production(number)

    def own_request(self, number: int) -> None:
        """eve is an operator too, and still cannot approve what she asked for."""
        promotion_id = self.made[f"promotion_{number}"]
        self.tell.person("eve", "is an operator too, and tries to approve her own request")
        try:
            self.cast["eve"].approve(promotion_id, "trust me")
            refused: assay.Refusal | None = None
        except assay.Refusal as refusal:
            refused = refusal
            self.tell.shows(f"[red]{refusal.status} {refusal.code}[/]  {refusal.sentence}")
        still = self.auditor.promotion(promotion_id)
        self.tell.claim(
            "she is refused, and the request still waits",
            refused is not None and refused.code == "own-request" and still["state"] == "awaiting_approval",
            (refused, still["state"]),
        )

    def damaged(self) -> None:
        """The third model looks like the second one, but for its data."""
        self.project.damage()
        self.train("svm", 3, "the same code; the file was re-exported, and a join went off by one row")
        staged = self.promote(3, "staging", "")
        self.tell.claim("staging lets it in: above the bound", staged["state"] == "applied", staged["state"])
        refused = self.promote(3, "production", "fresh data")
        self.tell.claim(
            "production refuses it, and says why",
            refused["state"] == "gates_failed"
            and len(refused["reasons"]) == 1
            and "0.98" in refused["reasons"][0],
            refused,
        )
        self.made["refused"] = refused["id"]
        self.claim_production(2)

    def why(self) -> None:
        """What changed between the good one and the refused one?"""
        self.tell.person("eve", f"runs assay why {self.model}:2 {self.model}:3")
        told = self.auditor.why(f"{self.model}:2", f"{self.model}:3")
        for metric in told["metrics"][:2]:
            self.tell.shows(
                f"{metric['name']:<10} {metric['a']:.4f} → {metric['b']:.4f}  ({metric['difference']:+.4f})"
            )
        for difference in told["differences"]:
            self.tell.shows(difference["sentence"])
        self.tell.shows(f"[bold]{told['sentence']}[/]")
        kinds = {difference["kind"] for difference in told["differences"]}
        self.tell.claim("the one thing that changed is the dataset", kinds == {"data"}, told["differences"])

    def roll_back(self) -> None:
        """Night: back to the version before. Morning: forward again."""
        self.tell.person("cora", f"runs assay rollback {self.model} --reason 'errors since midnight'")
        self.cast["cora"].rollback(self.model, reason="errors since midnight")
        wait_for(lambda: self.production() == f"{self.model}:1", "the rollback")
        self.claim_production(1)
        self.tell.person("cora", f"runs assay rollback {self.model} --to 2 --reason 'it was the network'")
        self.cast["cora"].rollback(self.model, to=2, reason="it was the network")
        wait_for(lambda: self.production() == f"{self.model}:2", "going forward again")
        self.claim_production(2)

    def tamper(self, overwrite: Any) -> None:
        """Somebody with the store's keys overwrites the refused version's bytes."""
        reference = f"{self.model}:3"
        file = self.auditor.manifest(reference)["files"][0]
        self.tell.person("?", f"overwrites the object of {reference} in the store: {file['sha256'][:16]}…")
        overwrite(file["sha256"], file["size"])
        self.tell.person("cora", f"has {reference} read again (beat does so with every object, in turn)")
        self.cast["cora"].post(self.path(3, "/verify"))
        wait_for(lambda: self.version(3)["quarantined"], "finding the overwritten object")
        event = self.events("blob.quarantined")[0]
        self.tell.shows(f"blob.quarantined: {event['reason']}")
        try:
            self.auditor.pull(reference, self.project.folder / "tampered")
            refused = ""
        except assay.Refusal as refusal:
            refused = refusal.code
            self.tell.shows(f"[red]{refusal.status} {refusal.code}[/]  {refusal.sentence}")
        self.tell.claim(
            "it is quarantined, and its download refused", refused == "version-quarantined", refused
        )
        others = [self.version(n)["quarantined"] for n in (1, 2)]
        self.tell.claim("no other version is touched", others == [False, False], others)

    def archive(self) -> None:
        """Retention moves the old version's bytes to the cold location; a restore brings them back, verified."""
        home = f"{API}/namespaces/{self.cast.namespace}/retention"
        self.cast["ada"].put(home, {"after_days": 0, "keep_former": 0, "enabled": True})
        plan = self.cast["ada"].get(f"{home}/plan")
        for row in plan["versions"]:
            self.tell.shows(
                f"would move {row['reference']}: {row['bytes']:,} bytes in {row['blobs']} blobs, {row['why']}"
            )
        self.tell.claim(
            "the dry run names version 1 and nothing else",
            [row["reference"] for row in plan["versions"]] == [f"{self.model}:1"],
            plan,
        )
        self.tell.person("ada", "runs the retention policy")
        self.cast["ada"].post(f"{home}/run")
        wait_for(lambda: self.version(1)["tier"] == "cold", "moving version 1 to cold storage")
        self.tell.claim("version 1 is in cold storage; its metadata stayed", bool(self.version(1)["metrics"]))
        try:
            self.cast["ben"].pull(f"{self.model}:1", self.project.folder / "cold")
            refused = ""
        except assay.Refusal as refusal:
            refused = refusal.code
            self.tell.shows(f"[red]{refusal.status} {refusal.code}[/]  {refusal.sentence}")
        self.tell.claim("a download says so", refused == "version-in-cold-storage", refused)
        self.cast["ada"].put(home, {"after_days": 365, "keep_former": 2, "enabled": True})
        self.tell.person("eve", f"restores {self.model}:1")
        self.cast["eve"].post(self.path(1, "/restore"))
        wait_for(lambda: self.version(1)["tier"] == "hot", "restoring version 1")
        folder = self.project.folder / "restored"
        self.cast["ben"].pull(f"{self.model}:1", folder)
        verification = self.cast["ben"].verify(folder, f"{self.model}:1")
        self.tell.claim("restored, and byte for byte what was published", verification["ok"], verification)

    def journal(self) -> None:
        """Who did what, from the journal."""
        rows = [event for event in self.events("") if event["type"].startswith("version.")]
        moves = [e for e in rows if e["type"].split(".")[1] in {"promoted", "archived", "rolled_back"}]
        self.tell.table(
            "The journal's moves, oldest first",
            ("when (UTC)", "who", "what", "version", "why"),
            [
                (
                    e["at"][11:19],
                    str(e["actor"]),
                    e["type"],
                    short(e["subject"].get("reference") or ""),
                    e["reason"],
                )
                for e in reversed(moves)
            ],
        )
        self.tell.claim("every move of a stage is in the journal", len(moves) >= 8, len(moves))


def short(reference: str) -> str:
    """A reference without its namespace."""
    return reference.partition("/")[2]


def sha256_of(path: Path) -> str:
    """The digest as the registry writes it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
