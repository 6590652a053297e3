"""Looking again, from time to time, whether what is in production is still fit for it."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models

from registry.models import ModelVersion, RegisteredModel, User
from registry.models.immutability import AppendOnlyModel
from registry.models.triggers import Always, AppendOnly, active_person, answers_for, refuse, right
from registry.models.visibility import scoped_by


class RevalidatedByAnother(Always):
    """A version in production is validated again by an active person who decides promotions in the namespace or is
    designated on the model, and who neither made nor trained it, nor answers for an account that did."""

    name = "revalidated_by_another"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("of", "record")]

    def get_func(self, model: models.Model) -> str:
        rights = (
            right("promotion.decide", "of.namespace_id"),
            right("model.review", "of.model_id", kind="registeredmodel"),
        )
        return f"""
            SELECT v.stage, v.model_id, v.created_by_id AS maker, m.namespace_id,
                    (SELECT r.created_by_id FROM lineage_run r WHERE r.id = v.run_id) AS trainer INTO of
                FROM registry_modelversion v JOIN registry_registeredmodel m ON m.id = v.model_id
                WHERE v.id = NEW.version_id;
            IF of.stage IS DISTINCT FROM 'production' THEN
                {refuse("not_in_production", "only what is in production is validated again")}
            END IF;
            IF {answers_for("NEW.by_id", "of.maker, of.trainer")} THEN
                {refuse("own_version", "who made the version does not validate it")}
            END IF;
            IF NOT {active_person("NEW.by_id", *rights)} THEN
                {refuse("not_a_decider", "who validates is an active person with the right to decide")}
            END IF;
            RETURN NEW;
        """


class Revalidation(AppendOnlyModel):
    """A validation report on a version that is in production. One that finds it valid counts as the model's review."""

    redactable: ClassVar[tuple[str, ...]] = ("report",)

    class Verdict(models.TextChoices):
        VALID = "valid"
        NOT_VALID = "not_valid"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="revalidations")
    verdict = models.CharField(max_length=9, choices=Verdict.choices)
    # {"summary", "findings": [{"severity", "text"}], "conditions": [text], "attachments": [...]}, as of an approval.
    report = models.JSONField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = scoped_by("version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), RevalidatedByAnother()]
        indexes: ClassVar = [models.Index(fields=["version", "-at"], name="revalidation_newest")]


class OverdueReview(AppendOnlyModel):
    """That a model's review was due at this time and is overdue was told, once."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="overdue_reviews")
    due_at = models.DateTimeField()
    at = models.DateTimeField()

    objects = scoped_by("model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "due_at"], name="one_telling_of_a_review")
        ]
