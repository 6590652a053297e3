"""Versions and promotions as a person wants to read them, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from assay.answers import Deletion, Promotion, Scan, Version
from assay.cli.words import facts, joined, listing, number, plain, row, short, size, state, when


def version_title(version: Version) -> Text:
    title = plain(version["reference"], "bold") + Text("  ") + state(version["status"])
    if version["status"] == "ready":
        title = plain(version["reference"], "bold") + Text("  ") + state(version["stage"])
    if version["quarantined"]:
        title += Text("  ") + Text("quarantined", style="bold red")
    if version.get("quarantine"):
        title += Text("  ") + Text("under quarantine", style="bold red")
    if version.get("holds"):
        title += Text("  ") + Text("legal hold", style="bold")
    if version["safety"] not in ("", "clean"):
        title += Text("  ") + state(version["safety"])
    return title


def digest_line(digest: str | None) -> list[Text]:
    """A digest on a line of its own: beside a name it would not fit 80 columns unbroken."""
    return [plain(f"  {digest}", "dim")] if digest else []


def provenance(version: Version) -> list[tuple[str, Text | str]]:
    """Whether it is known what made a version, what is missing, and what else is to be said of it."""
    known = version["completeness"]
    missing = [("", plain(words, "yellow")) for words in known["missing"]]
    notes = [("", plain(words, "dim")) for words in known["notes"]]
    absent = known.get("absent") or {}
    others = [name.replace("_", " ") for name, words in absent.items() if words not in known["missing"]]
    notes += [("", plain(f"also not recorded: {', '.join(others)}", "dim"))] if others else []
    score = known.get("score")
    scored = plain(f"  {score} of 100" if score is not None else "", "not bold dim")
    return [("provenance", state(known["state"]) + scored), *missing, *notes]


def supply_rows(version: Version) -> list[tuple[str, Text | str]]:
    """Where a model that was bought came from, and whether its bytes are those that the supplier named."""
    supply = version.get("supply")
    if not supply:
        return []
    digest: Text | str = ""
    if supply["digest"]:
        of = supply["digest_of"]
        same = (
            plain(f", that of {of}", "green") if of else Text(", that of nothing in this version", "bold red")
        )
        digest = plain(short(supply["digest"])) + same
    return [
        ("bought from", supply["supplier"]),
        ("origin", supply["origin"]),
        ("contract", supply["contract"]),
        ("its digest", digest),
    ]


def signature_rows(version: Version) -> list[tuple[str, Text | str]]:
    """Whether somebody whose key the namespace believes signed it."""
    signature = version.get("signature")
    if not signature:
        return []
    return [("signature", state(signature["state"])), ("", plain(signature["sentence"], "dim"))]


def quarantine_rows(version: Version) -> list[tuple[str, Text | str]]:
    """Why a version that is doubted enters neither staging nor production."""
    standing = version.get("quarantine")
    if not standing:
        return []
    placed = f"by {standing['by']}, {when(standing['at'])} UTC; somebody else may lift it"
    return [("quarantine", plain(standing["reason"], "bold red")), ("", plain(placed, "dim"))]


def hold_rows(version: Version) -> list[tuple[str, Text | str]]:
    """Why it is neither deleted nor put away."""
    rows: list[tuple[str, Text | str]] = []
    for hold in version.get("holds") or []:
        placed = f"by {hold['placed_by']}, {when(hold['placed_at'])} UTC; two people may lift it"
        rows += [("legal hold", plain(hold["reason"])), ("", plain(placed, "dim"))]
        if hold["state"] == "lift_asked":
            rows.append(("", plain(f"{hold['lifts'][-1]['asked_by']} asks to lift it.", "yellow")))
    return rows


def running_rows(version: Version) -> list[tuple[str, Text | str]]:
    """Where it is reported to run, and what is wrong with that."""
    rows: list[tuple[str, Text | str]] = []
    for each in version.get("running") or []:
        heard = f", last heard of {when(each['last_seen'])} UTC"
        rows.append(
            ("runs at", plain(each["target"], "bold") + plain(f" since {when(each['since'])}{heard}"))
        )
        if each["drift"]:
            rows.append(("", plain(each["sentence"], "bold red" if each["loud"] else "yellow")))
        elif each["approved"] is False:
            rows.append(("", plain("That is not what is in production.", "yellow")))
    return rows


def review_rows(version: Version) -> list[tuple[str, Text | str]]:
    """When what is in production has to be validated again."""
    review = version.get("review")
    if not review:
        return []
    styles = {"current": "", "overdue": "yellow", "blocked": "bold red"}
    return [("validation", plain(review["sentence"], styles[review["state"]]))]


def version_view(version: Version) -> RenderableType:
    made = f"by {version['created_by']}, {when(version['created_at'])} UTC"
    rows: list[tuple[str, Text | str]] = [
        ("content", f"{size(version['size'] or 0)} in {files_counted(version['files'] or 0)}"),
        ("format", version["format"] or ""),
        ("aliases", ", ".join(version["aliases"])),
        ("tags", joined(version["tags"])),
        ("about", version["description"]),
        ("status", version["status_message"] if version["status"] in ("failed", "deleted") else ""),
        ("deleted", f"{when(version.get('deleted_at'))} UTC" if version.get("deleted_at") else ""),
        *quarantine_rows(version),
        *hold_rows(version),
        *running_rows(version),
        *review_rows(version),
        ("made", made),
        ("run", version["run"] or ""),
        *supply_rows(version),
        ("parameters", joined(version["parameters"] or {})),
        *provenance(version),
        *signature_rows(version),
        ("verified", when(version["verified_at"]) + " UTC" if version["verified_at"] else ""),
        ("tier", version["tier"] if version["tier"] != "hot" else ""),
        ("open", version["url"]),
    ]
    parts: list[RenderableType] = [version_title(version), *digest_line(version["digest"]), facts(rows)]
    if version["metrics"]:
        table = listing(
            "metric", "value", "dataset", "split", "slice", "by", right=["value"], fold=["dataset"]
        )
        for metric in version["metrics"]:
            dataset = f"{metric['dataset']} {short(metric['dataset_digest'])}"
            by = metric["by"] or ""
            row(table, metric["name"], number(metric["value"]), dataset, metric["split"], metric["slice"], by)
        parts += [Text(""), table]
    return Group(*parts)


def scan_view(scan: Scan) -> RenderableType:
    """Each file with its format and verdict, and below it what was found in it."""
    title = plain(scan["reference"], "bold") + Text("  ")
    title += state(scan["safety"]) if scan["safety"] else Text("not scanned yet", style="yellow")
    table = listing("file", "content", "verdict", fold=["file"])
    for file in scan["files"]:
        row(table, file["path"], file["format"], state(file["verdict"] or "pending"))
    parts: list[RenderableType] = [title, Text(""), table]
    for file in scan["files"]:
        for found in file["findings"]:
            place = f"{file['path']} > {found['where']}" if found["where"] else file["path"]
            told = Text("  ") + state(found["verdict"]) + plain(f"  {place}: {found['what']}")
            parts += [Text(""), told] if found is file["findings"][0] else [told]
    return Group(*parts)


def versions_view(versions: Sequence[Version], *, metrics: bool = True) -> RenderableType:
    if not versions:
        return Text("No versions.", style="dim")
    table = listing("version", "stage", "metrics", "by", "made (UTC)", fold=["version", "metrics"])
    for version in versions:
        where = version["stage"] if version["status"] == "ready" else version["status"]
        text = state(where)
        if version["quarantined"]:
            text += Text(" quarantined", style="bold red")
        measured = (
            ", ".join(f"{m['name']} {number(m['value'])}" for m in version["metrics"]) if metrics else ""
        )
        row(
            table,
            plain(version["reference"], "bold"),
            text,
            measured,
            version["created_by"],
            when(version["created_at"]),
        )
    return table


def gates_view(promotion: Promotion) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for gate in promotion["gates"]:
        said = gate["sentence"] or gate["claim"]
        # Its key where a policy asks the same gate twice: that is how a waiver names it.
        name = gate["key"] if gate["key"].startswith(gate["gate"]) else gate["gate"]
        table.add_row(Text("  ") + state(gate["verdict"]), plain(name, "bold"), plain(said))
        waiver = gate.get("waiver")
        if waiver and gate["verdict"] != "waived":
            told = Text("waiver ") + state(waiver["state"])
            told += plain(f": {waiver['reason']} ({waiver['asked_by']}, until {when(waiver['until'])} UTC)")
            table.add_row("", "", told)
    return table


def promotion_view(promotion: Promotion) -> RenderableType:
    verb = "Rollback" if promotion["kind"] == "rollback" else "Promotion"
    title = Text(f"{verb} of ") + plain(promotion["version"], "bold")
    title += plain(f" to {promotion['target']}: ") + state(promotion["state"])
    policy = promotion["policy"] or {}
    rows: list[tuple[str, Text | str]] = [
        ("asked", f"by {promotion['requested_by']}, {when(promotion['requested_at'])} UTC"),
        ("reason", promotion["reason"]),
        (
            "policy",
            f"{policy['name']}, revision {policy['revision']}"
            if "name" in policy and "revision" in policy
            else "",
        ),
        ("replaces", promotion["replaces"] or ""),
    ]
    parts: list[RenderableType] = [title, facts(rows)]
    if promotion["gates"]:
        parts += [Text(""), gates_view(promotion)]
    if promotion["approvals"]:
        parts.append(Text(""))
        for approval in promotion["approvals"]:
            groups = f" ({', '.join(approval['groups'])})" if approval.get("groups") else ""
            line = (
                Text("  ")
                + state(approval["verdict"])
                + plain(f" by {approval['by']}{groups}, {when(approval['at'])} UTC")
            )
            parts.append(line + plain(f": {approval['reason']}" if approval["reason"] else ""))
            parts += report_lines(approval.get("report"))
    if glass := promotion.get("break_glass"):
        told = glass["verdict"] or f"review {glass['state']}"
        line = plain(f"  Glass broken by {glass['by']} ({told.replace('_', ' ')})", "bold red")
        parts += [Text(""), line + plain(f": {glass['reason']}", "not bold")]
    return Group(*parts, Text(""), next_step(promotion))


def report_lines(report: dict[str, Any] | None) -> list[Text]:
    """A validation report below the decision that it was kept with."""
    if not report:
        return []
    found = [
        plain(f"    {finding['severity']}", "bold") + plain(f" {finding['text']}")
        for finding in report["findings"]
    ]
    return [
        plain(f"    {report['summary']}"),
        *found,
        *(plain(f"    on condition that: {each}") for each in report["conditions"]),
        *(
            plain(f"    with {each['name']} ({size(each['size'])}, sha256:{each['sha256'][:12]}…)", "dim")
            for each in report.get("attachments", [])
        ),
    ]


def next_step(promotion: Promotion) -> RenderableType:
    """What has come of it, and what to do now."""
    held = promotion.get("held")
    match promotion["state"]:
        case "evaluating":
            waiting = [gate["gate"] for gate in promotion["gates"] if gate["verdict"] == "pending"]
            text = plain(
                "Gates are being evaluated" + (f"; waiting for {', '.join(waiting)}." if waiting else ".")
            )
        case "gates_failed":
            failed = sum(gate["verdict"] in ("fail", "error") for gate in promotion["gates"])
            text = plain(f"Refused: {failed} of {len(promotion['gates'])} gates failed.", "bold red")
            said = {gate["sentence"] for gate in promotion["gates"]}
            for reason in promotion["reasons"]:
                if reason not in said:
                    text += plain(f"\n  - {reason}")
        case "awaiting_approval":
            given = sum(approval["verdict"] == "approve" for approval in promotion["approvals"])
            wanted = promotion.get("approvals_wanted")
            told = wanted["sentence"] if wanted else f"{given} of {promotion['approvals_required']}"
            if wanted and held and wanted["given"] >= wanted["asked"] and not wanted["groups"]:
                text = plain("Approved; it waits for the end of the freeze.")
            else:
                text = plain(f"Waits for approval by somebody else ({told}):")
                text += plain(f"\n  assay approve {promotion['id']}", "bold")
        case "applied":
            text = plain(f"{promotion['version']} entered {promotion['target']}", "bold green")
            text += plain(f" in place of {promotion['replaces']}." if promotion["replaces"] else ".")
        case _:
            text = plain(promotion["outcome"] or f"It is {promotion['state']}.")
            for reason in promotion["reasons"]:
                text += plain(f"\n  - {reason}")
    frozen = [plain(held["sentence"], "bold yellow")] if held else []
    return Group(*frozen, text, plain(promotion["url"], "dim"))


def promotions_view(promotions: Sequence[Promotion]) -> RenderableType:
    if not promotions:
        return Text("No promotions.", style="dim")
    table = listing("promotion", "to", "asked (UTC)", fold=["promotion"])
    for each in promotions:
        row(
            table,
            plain(each["version"], "bold") + plain(f"\n{each['id']}", "not bold dim"),
            plain(each["target"]) + Text("\n") + state(each["state"]),
            plain(each["requested_by"]) + plain(f"\n{when(each['requested_at'])}"),
        )
    return table


def deletion_view(told: Deletion) -> RenderableType:
    """What deleting a version would free, before it is done."""
    return Text("Deleting ") + plain(told["reference"], "bold") + plain(f" {_freeing(told)}")


def deleted_view(version: Version, told: Deletion) -> RenderableType:
    """That it is done; `told` is what was said before."""
    done = plain(version["reference"], "bold") + Text(" is ") + state(version["status"]) + Text(".")
    if told["deleted"]:
        return done + plain(f" It was on {when(version.get('deleted_at'))} UTC: {version['status_message']}")
    return done + plain(f" This {_freeing(told)} What it was stays to be read.")


def _freeing(told: Deletion) -> str:
    freed = told["frees"]
    if not freed["blobs"]:
        return "frees no stored bytes: others need them too."
    days = f"{told['grace_seconds'] / 86_400:.3g}"
    return f"frees {size(freed['bytes'])} in {files_counted(freed['blobs'])}, removed after {days} days."


def files_counted(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
