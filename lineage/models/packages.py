"""Which releases of which packages runs have recorded: what a condition on a version is compared with."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import pgtrigger
from django.db import models
from django.db.models.expressions import RawSQL

from registry.models.immutability import AppendOnlyModel
from registry.models.triggers import Always, AppendOnly

LONGEST = 200


class Package(AppendOnlyModel):
    """A release of a package that some run recorded, once for all runs; written by the trigger on runs.

    It says nothing of who uses it, so it knows no namespace and is shown to nobody: a condition (`<2.1`) is compared
    with these few rows, and the runs are then found by equality.
    """

    redactable: ClassVar[tuple[str, ...]] = ("name", "canonical", "version")
    # A column that says what another says, in other letters: it holds what that one holds.
    redactable_with: ClassVar[dict[str, str]] = {"canonical": "name"}

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=LONGEST, help_text="as it was recorded")
    canonical = models.CharField(max_length=LONGEST, help_text="lower case, with single hyphens (PEP 503)")
    version = models.CharField(max_length=LONGEST)

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["canonical", "name", "version"], name="one_row_per_release")
        ]

    @classmethod
    def redactable_rows(cls, namespace_id: Any) -> models.QuerySet[Self]:
        """The releases that runs of this namespace recorded and no others did: what others use is not this one's to
        change, and goes with the last of them. For few rows at a time: each is looked for among all runs."""
        alone = RawSQL(
            "(SELECT bool_and(r.namespace_id = %s) FROM lineage_run r WHERE r.environment->'packages'"
            " @> jsonb_build_object(lineage_package.name, lineage_package.version))",
            [namespace_id],
            output_field=models.BooleanField(),
        )
        return cls._base_manager.filter(alone)


class NotesPackages(Always):
    """Whoever writes a run, its packages are known. In order of name, so that two runs at once wait for each other
    and not crosswise; names and versions that are longer than any index ever has are left out."""

    name = "notes_packages"
    when = pgtrigger.After
    operation = pgtrigger.Insert

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF jsonb_typeof(NEW.environment->'packages') = 'object' THEN
                INSERT INTO lineage_package (canonical, name, version)
                SELECT lower(regexp_replace(p.key, '[-_.]+', '-', 'g')), p.key, p.value
                FROM jsonb_each_text(NEW.environment->'packages') p
                WHERE length(p.key) <= {LONGEST} AND length(p.value) <= {LONGEST} AND NOT EXISTS (
                    SELECT 1 FROM lineage_package known WHERE known.name = p.key AND known.version = p.value
                        AND known.canonical = lower(regexp_replace(p.key, '[-_.]+', '-', 'g'))
                )
                ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING;
            END IF;
            RETURN NULL;
        """
