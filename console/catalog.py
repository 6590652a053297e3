"""The pages of a model and of a version."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.page import Page
from console.rows import version_row
from lifecycle.api.revalidations import ROWS as VALIDATIONS
from lifecycle.api.revalidations import review_of, review_of_version
from lifecycle.api.shows import promotion_json, promotion_rows
from lifecycle.dossier import versions as facts
from lifecycle.dossier.comparison import compare, measurements
from lifecycle.dossier.production import production_of, running_of, running_version
from lifecycle.models import Promotion
from registry.api.shows import MODEL_ROWS, VERSION_ROWS, attachment_json, latest_metrics, version_json
from registry.models import Attachment, ModelVersion, RegisteredModel, Stage
from registry.permissions import can, visible
from registry.roles import Permission

MOST_VERSIONS = 100


class CatalogPage(Page):
    """A page below a model."""

    def model(self, name: str) -> RegisteredModel:
        """Raises NotVisible."""
        rows: Any = MODEL_ROWS.filter(deleted_at=None)
        found: RegisteredModel = visible(
            rows, self.principal, f"model {self.namespace.name}/{name}", namespace=self.namespace, name=name
        )
        return found


class Model(CatalogPage):
    """A model: what is in production and on whose approval, and its versions."""

    def get(self, request: HttpRequest, namespace: str, name: str) -> HttpResponse:
        model = self.model(name)
        rows = list(VERSION_ROWS.filter(model=model).order_by("-number")[: MOST_VERSIONS + 1])
        versions = [version_row(row) for row in rows[:MOST_VERSIONS]]
        running = running_of(model)
        return render(
            request,
            "console/model.html",
            {
                "model": model,
                "versions": versions,
                "more": len(rows) > MOST_VERSIONS,
                "production": production_of(model),
                "review": review_of(model),
                "running": running,
                "loud": [each for each in running if each.loud],
                "exports": can(self.principal, Permission.JOURNAL_VERIFY, self.namespace.pk),
                "address": settings.PUBLIC_URL,
            },
        )


class Version(CatalogPage):
    """A version: everything that is known of it."""

    def get(self, request: HttpRequest, namespace: str, name: str, number: int) -> HttpResponse:
        model = self.model(name)
        rows: Any = VERSION_ROWS.filter(model=model)
        row: ModelVersion = visible(rows, self.principal, f"version {model}:{number}", number=number)
        incumbent = None
        if row.stage != Stage.PRODUCTION:
            incumbent = ModelVersion.objects.filter(model=model, stage=Stage.PRODUCTION).first()
        files, count = facts.artifacts(row)
        promotions = promotion_rows().filter(version=row).order_by("-requested_at", "-pk")
        return render(
            request,
            "console/version.html",
            {
                "model": model,
                "row": row,
                "version": version_json(row),
                "run": facts.run_of(row),
                # Per-example results are told with their evaluations.
                "documents": [
                    attachment_json(each)
                    for each in row.attachments.all()
                    if each.kind != Attachment.Kind.EXAMPLE_RESULTS
                ],
                "review": review_of_version(row),
                "validations": list(VALIDATIONS.filter(version=row).order_by("-at", "-pk")[:20]),
                "incumbent": incumbent,
                "beside": f"Version {incumbent.number}" if incumbent else "",
                "comparison": compare(
                    latest_metrics(row.evaluations.all()), measurements(incumbent) if incumbent else []
                ),
                "quarantines": [] if row.deleted_at else facts.quarantines(row),
                "holds": facts.holds(row),
                "running": running_version(row),
                "files": files,
                "count": count,
                "lineage": facts.lineage(row, self.principal),
                "promotions": [_told(promotion) for promotion in promotions[:20]],
                "stages": facts.stage_changes(row),
                "events": facts.events(row, self.principal),
                "since": facts.in_production_since(row),
                "exports": can(self.principal, Permission.JOURNAL_VERIFY, self.namespace.pk),
                "address": settings.PUBLIC_URL,
            },
        )


def _told(promotion: Promotion) -> dict[str, Any]:
    told = promotion_json(promotion)
    passed = sum(1 for gate in told["gates"] if gate["verdict"] in ("pass", "waived"))
    return {**told, "gates_passed": passed}
