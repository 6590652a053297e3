"""A large graph, written by the database itself, the same at every run.

Of a million edges: 50,000 raw datasets; four layers of 30,000 runs that each read two datasets of the layer above
and write one; 130,000 training runs that read two datasets of any layer and made a version each; 100,000 versions
based on another, in chains of ten; and three datasets that 50,000 training runs read each, so that each has 100,000
descendants and more. One training in twenty belongs to a namespace that the caller may not see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

WHOLE = 1_000_000
LAYERS = 4
HUBS = 3
CHAIN, BASED = 13, 10
PER_MODEL = 100
OPEN, CLOSED = "bench", "closed"
# The sets of packages that runs recorded: fifty of forty packages each.
ENVIRONMENTS, PACKAGES = 50, 40


@dataclass(frozen=True)
class Shape:
    """How many there are of what, for a number of edges."""

    edges: int

    def of(self, whole: int) -> int:
        """The share of what there is in the whole graph."""
        return whole * self.edges // WHOLE

    @property
    def raw(self) -> int:
        return self.of(50_000)

    @property
    def layer(self) -> int:
        return self.of(30_000)

    @property
    def trained(self) -> int:
        return self.of(130_000)

    @property
    def readers(self) -> int:
        """How many trainings read each hub."""
        return self.of(50_000)


def seed(session: psycopg.Connection[Any], shape: Shape, user: str) -> None:
    """Write the graph as the superuser, past the triggers, which are put back as they were. Statistics are made, and
    pages marked as seen by all, as the server would do by itself a while later."""
    values = {
        "raw": shape.raw, "layer": shape.layer, "layers": LAYERS, "features": shape.layer * LAYERS,
        "trained": shape.trained, "readers": shape.readers, "hubs": HUBS, "chain": CHAIN, "based": BASED,
        "per_model": PER_MODEL, "open": OPEN, "closed": CLOSED, "user": user,
        "environments": ENVIRONMENTS, "packages": PACKAGES,
    }  # fmt: skip
    with psycopg.ClientCursor(session) as cursor:
        # What is random here is a hash, so that it is the same at every run.
        cursor.execute("SET session_replication_role = replica")
        switched = cursor.execute(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgenabled = 'A' AND NOT tgisinternal"
        ).fetchall()
        for table, trigger in switched:
            cursor.execute(f'ALTER TABLE {table} DISABLE TRIGGER "{trigger}"')
        for statement in STATEMENTS:
            cursor.execute(statement, values)
        for table, trigger in switched:
            cursor.execute(f'ALTER TABLE {table} ENABLE ALWAYS TRIGGER "{trigger}"')
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")


# Ids are hashes of a letter and a number: r a raw dataset, h a hub, p and f a run of a layer and what it wrote,
# t and v a training run and its version. `home` is the namespace of a training.
STATEMENTS = [
    """CREATE TEMP TABLE home AS SELECT i, CASE WHEN i %% 20 = 0 THEN c.id ELSE o.id END AS namespace
    FROM generate_series(0, %(trained)s - 1) i, registry_namespace o, registry_namespace c
    WHERE o.name = %(open)s AND c.name = %(closed)s""",
    """CREATE TEMP TABLE who AS SELECT u.id, n.id AS namespace FROM registry_user u, registry_namespace n
    WHERE u.username = %(user)s AND n.name = %(open)s""",
    """CREATE TEMP TABLE environment AS SELECT e, jsonb_build_object(
        'python', '3.11.7', 'os', 'Linux', 'image_digest', 'sha256:' || md5('i' || e) || md5('j' || e),
        'packages', (SELECT jsonb_object_agg('package-' || k, '1.' || ((e + k) %% 20) || '.0')
            FROM generate_series(1, %(packages)s) k)) AS facts
    FROM generate_series(0, %(environments)s - 1) e""",
    """INSERT INTO lineage_package (canonical, name, version)
    SELECT DISTINCT p.key, p.key, p.value FROM environment, jsonb_each_text(facts->'packages') p""",
    """INSERT INTO lineage_experiment (id, namespace_id, name, tags, lifecycle, created_by_id, created_at, updated_at)
    SELECT md5('e' || n.name)::uuid, n.id, 'seeded', '{}', 'active', who.id, now(), now()
    FROM registry_namespace n, who WHERE n.name IN (%(open)s, %(closed)s)""",
    """INSERT INTO lineage_dataset (id, namespace_id, name, description, created_at)
    SELECT md5(kind || i)::uuid, who.namespace, kind || '-' || i || '.parquet', '', now() FROM who, (
        SELECT 'r' AS kind, i FROM generate_series(0, %(raw)s - 1) i
        UNION ALL SELECT 'h', i FROM generate_series(0, %(hubs)s - 1) i
        UNION ALL SELECT 'f', i FROM generate_series(0, %(features)s - 1) i
    ) d""",
    """INSERT INTO lineage_run (id, namespace_id, experiment_id, name, status, lifecycle, started_at, ended_at,
        entry_point, command, code, environment, capture, failure, created_by_id, created_at)
    SELECT md5(kind || i)::uuid, d.namespace, md5('e' || n.name)::uuid, kind || i, 'finished', 'active', now(), now(),
        'train.py', '["python", "train.py"]', jsonb_build_object('commit', md5('c' || i / 100) || '00000000',
        'remote', '', 'branch', 'main', 'dirty', false), e.facts, '{"state": "complete", "notes": []}', '',
        who.id, now()
    FROM who, (
        SELECT 'p' AS kind, i, who.namespace FROM generate_series(0, %(features)s - 1) i, who
        UNION ALL SELECT 't', i, namespace FROM home
    ) d JOIN environment e ON e.e = d.i %% %(environments)s JOIN registry_namespace n ON n.id = d.namespace""",
    """INSERT INTO lineage_datasetversion (id, dataset_id, digest, foreign_digest, produced_by_id, size, rows, columns,
        source, created_at)
    SELECT id, id, 'sha256:' || md5(name) || md5(name), '', CASE WHEN name LIKE 'f-%%'
        THEN md5('p' || split_part(split_part(name, '-', 2), '.', 1))::uuid END, 1000, 1000, 10, '', now()
    FROM lineage_dataset""",
    """INSERT INTO registry_registeredmodel (id, namespace_id, name, task, description, card, tags, intended_use,
        excluded_use, risk_tier, regulatory_class, supplier, next_number, created_by_id, created_at)
    SELECT DISTINCT md5('m' || h.namespace || i / %(per_model)s)::uuid, h.namespace, 'model-' || i / %(per_model)s, '',
        '', '', '{}'::jsonb, '', '', '', '', '', 1000000, who.id, now() FROM home h, who""",
    """INSERT INTO registry_manifest (id, namespace_id, state, digest, oms_digest, size, files, created_at, sealed_at)
    SELECT md5('b' || i)::uuid, namespace, 'sealed', md5('b' || i) || md5('b' || i), md5('b' || i) || md5('o' || i),
        1000, 1, now(), now() FROM home""",
    """INSERT INTO registry_modelversion (id, model_id, number, status, status_message, stage, manifest_id, format,
        parameters, description, tags, run_id, completeness, safety, scanned_with, claims, created_by_id, created_at,
        ready_at)
    SELECT md5('v' || i)::uuid, md5('m' || h.namespace || i / %(per_model)s)::uuid, i %% %(per_model)s + 1, 'ready', '',
        CASE i %% %(per_model)s WHEN 1 THEN 'production' WHEN 2 THEN 'staging' WHEN 3 THEN 'deprecated'
        WHEN 4 THEN 'archived' ELSE 'development' END, md5('b' || i)::uuid, 'skops', '{"lr": "0.1"}', '', '{}',
        md5('t' || i)::uuid, '{"state": "complete"}', '', '', 0, who.id, now(), now() FROM home h, who""",
    """INSERT INTO lineage_node (id, kind, namespace_id, created_at)
    SELECT id, 'dataset_version', namespace_id, created_at FROM lineage_dataset
    UNION ALL SELECT id, 'run', namespace_id, created_at FROM lineage_run
    UNION ALL SELECT v.id, 'model_version', m.namespace_id, v.created_at FROM registry_modelversion v
        JOIN registry_registeredmodel m ON m.id = v.model_id""",
    # Layers: run i reads two of the layer above (of layer 0: of the raw ones) and writes dataset i.
    """INSERT INTO lineage_edge (from_node_id, to_node_id, role, context, at)
    SELECT CASE WHEN i < %(layer)s THEN md5('r' || h %% %(raw)s)::uuid
        ELSE md5('f' || (i / %(layer)s - 1) * %(layer)s + h %% %(layer)s)::uuid END,
        md5('p' || i)::uuid, 'input', 'part ' || k, now()
    FROM generate_series(0, %(features)s - 1) i, generate_series(1, 2) k,
        LATERAL (SELECT abs(hashtext('layer' || i || '.' || k)::bigint) AS h) x""",
    """INSERT INTO lineage_edge (from_node_id, to_node_id, role, context, at)
    SELECT md5('p' || i)::uuid, md5('f' || i)::uuid, 'output', '', now()
    FROM generate_series(0, %(features)s - 1) i""",
    """INSERT INTO lineage_edge (from_node_id, to_node_id, role, context, at)
    SELECT md5('f' || abs(hashtext('trained' || i || '.' || k)::bigint) %% %(features)s)::uuid, md5('t' || i)::uuid,
        'input', 'part ' || k, now()
    FROM generate_series(0, %(trained)s - 1) i, generate_series(1, 2) k""",
    """INSERT INTO lineage_edge (from_node_id, to_node_id, role, context, at)
    SELECT md5('t' || i)::uuid, md5('v' || i)::uuid, 'output', '', now()
    FROM generate_series(0, %(trained)s - 1) i""",
    """INSERT INTO lineage_edge (from_node_id, to_node_id, role, context, at)
    SELECT md5('h' || h)::uuid, md5('t' || (h * (%(trained)s - %(readers)s) / (%(hubs)s - 1) + i))::uuid, 'input',
        'test', now()
    FROM generate_series(0, %(hubs)s - 1) h, generate_series(0, %(readers)s - 1) i""",
    """INSERT INTO lineage_edge (from_node_id, to_node_id, role, context, at)
    SELECT md5('v' || (i - 1))::uuid, md5('v' || i)::uuid, 'base', '', now()
    FROM generate_series(0, %(trained)s - 1) i WHERE i %% %(chain)s BETWEEN 1 AND %(based)s""",
]
