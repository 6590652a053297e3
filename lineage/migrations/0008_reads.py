from importlib import import_module

from django.db import migrations

BEFORE: str = import_module("lineage.migrations.0004_graph_at_scale").REACHED

# What a reported run read is joined to what was written whenever it is asked, by two functions: `lineage_writer` says
# for one read whose write it met, `lineage_reads` gives the edges that follow from it. The walks ask the second beside
# the table of edges. Where no run was reported they cost one look at an empty table per level.

WRITER = """
CREATE FUNCTION lineage_writer(u lineage_lineageuse) RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public AS $$
-- The occurrence that this read has met, or null. By version or digest, where the events told one: that of a run that
-- began before the reader did. Otherwise the newest that was there when the reader began: written by a run that
-- finished before. Of equally new ones, the one with the greatest id. Runs that read each other began one after
-- another, so that these edges alone make no circle.
DECLARE found uuid;
BEGIN
    IF u.version <> '' OR u.digest <> '' THEN
        SELECT w.occurrence INTO found FROM lineage_lineageuse w
            WHERE w.dataset_id = u.dataset_id AND w.role = 'output' AND w.began_at < u.began_at
                AND (w.version = u.version AND u.version <> '' OR w.digest = u.digest AND u.digest <> '')
            ORDER BY w.available_at DESC NULLS LAST, w.occurrence DESC LIMIT 1;
    ELSE
        SELECT w.occurrence INTO found FROM lineage_lineageuse w
            WHERE w.dataset_id = u.dataset_id AND w.role = 'output' AND w.available_at < u.began_at
            ORDER BY w.available_at DESC, w.occurrence DESC LIMIT 1;
    END IF;
    RETURN found;
END; $$
"""

READS = """
CREATE FUNCTION lineage_reads(nodes uuid[], downward boolean)
RETURNS TABLE (id bigint, source uuid, target uuid)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public AS $$
-- The edges from what was read to reported runs that leave (`downward`) or enter one of these nodes. Their ids are
-- below zero: minus that of the use.
BEGIN
    IF NOT EXISTS (SELECT 1 FROM lineage_lineageuse) THEN
        RETURN;
    ELSIF NOT downward THEN
        RETURN QUERY SELECT -u.id, coalesce(lineage_writer(u), u.occurrence), u.run_id
            FROM lineage_lineageuse u WHERE u.role = 'input' AND u.run_id = ANY (nodes);
        RETURN;
    END IF;
    -- Who may have read it: by name, and, where no version was told, before it was written anew.
    RETURN QUERY
    WITH written AS MATERIALIZED (
        SELECT w.dataset_id, w.began_at, w.available_at, (
            SELECT min(n.available_at) FROM lineage_lineageuse n
            WHERE n.dataset_id = w.dataset_id AND n.role = 'output' AND n.available_at > w.available_at
        ) AS anew
        FROM lineage_lineageuse w WHERE w.occurrence = ANY (nodes) AND w.role = 'output'
    ), maybe AS MATERIALIZED (
        SELECT u.id FROM lineage_lineageuse u WHERE u.occurrence = ANY (nodes) AND u.role = 'input'
        UNION
        SELECT u.id FROM written w JOIN lineage_lineageuse u
            ON u.dataset_id = w.dataset_id AND u.role = 'input'
            AND u.began_at > w.available_at AND (w.anew IS NULL OR u.began_at <= w.anew)
        UNION
        SELECT u.id FROM written w JOIN lineage_lineageuse u
            ON u.dataset_id = w.dataset_id AND u.role = 'input'
            AND u.began_at > w.began_at AND (u.version <> '' OR u.digest <> '')
    ), met AS MATERIALIZED (
        SELECT -u.id AS id, coalesce(lineage_writer(u), u.occurrence) AS source, u.run_id AS target
        FROM maybe m JOIN lineage_lineageuse u ON u.id = m.id
    ) SELECT m.id, m.source, m.target FROM met m WHERE m.source = ANY (nodes);
END; $$
"""

STEP = """
CREATE FUNCTION lineage_step(frontier uuid[], walked uuid[], downward boolean, most integer) RETURNS uuid[]
LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, public SET plan_cache_mode = force_custom_plan
    SET enable_nestloop = off SET jit = off AS $$
-- The nodes one step further that were not walked before, by id; with `most`, the first of them only.
DECLARE
    found uuid[] := lineage_edge_step(frontier, walked, downward, most);
    met uuid[];
BEGIN
    SELECT array_agg(CASE WHEN downward THEN r.target ELSE r.source END) INTO met
        FROM lineage_reads(frontier, downward) r;
    IF met IS NULL THEN
        RETURN found;
    END IF;
    SELECT array_agg(n.id ORDER BY n.id) INTO found FROM (
        SELECT b.id FROM (SELECT unnest(found) UNION SELECT unnest(met)) b(id)
        WHERE NOT EXISTS (SELECT 1 FROM unnest(walked) w(id) WHERE w.id = b.id)
        ORDER BY b.id LIMIT most
    ) n;
    RETURN coalesce(found, ARRAY[]::uuid[]);
END; $$
"""

PAGE = """
CREATE FUNCTION lineage_page(
    root uuid, upward boolean, downward boolean, deepest integer,
    kinds text[], since timestamptz, until timestamptz, seen uuid[],
    after_depth integer, after_id uuid, most integer,
    OUT nodes uuid[], OUT depths integer[], OUT more boolean, OUT edges bigint[]
)
LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, public SET plan_cache_mode = force_custom_plan
    SET enable_nestloop = off SET jit = off AS $$
-- See lineage_edge_page, which walks by lineage_step and so has met the nodes; here the edges of reads are added.
DECLARE
    before uuid[] := ARRAY[]::uuid[];
    shown uuid[];
    met bigint[];
BEGIN
    SELECT p.nodes, p.depths, p.more, p.edges INTO nodes, depths, more, edges FROM lineage_edge_page(
        root, upward, downward, deepest, kinds, since, until, seen, after_depth, after_id, most
    ) p;
    IF NOT EXISTS (SELECT 1 FROM lineage_lineageuse) THEN
        RETURN;
    END IF;
    IF after_depth >= 0 THEN
        SELECT array_agg(p.id) INTO before FROM (
            SELECT unnest(w.nodes) AS id, unnest(w.depths) AS depth FROM lineage_edge_page(
                root, upward, downward, after_depth, kinds, since, until, seen, -1, NULL, 1000000000
            ) w
        ) p WHERE (p.depth, p.id) <= (after_depth, after_id);
    END IF;
    shown := coalesce(before, ARRAY[]::uuid[]) || nodes;
    SELECT array_agg(DISTINCT j.id ORDER BY j.id) INTO met FROM (
        SELECT r.id FROM lineage_reads(nodes, false) r WHERE r.source = ANY (shown)
        UNION ALL
        SELECT r.id FROM lineage_reads(nodes, true) r WHERE r.target = ANY (shown)
    ) j;
    edges := coalesce(met, ARRAY[]::bigint[]) || edges;
END; $$
"""

CLOSURE = """
CREATE FUNCTION lineage_closure(roots uuid[], downward boolean) RETURNS uuid[]
LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, public SET plan_cache_mode = force_custom_plan SET jit = off AS $$
-- Everything that was made from the roots, or that they were made from, at any distance, themselves included.
DECLARE
    walked uuid[] := roots;
    frontier uuid[] := roots;
BEGIN
    LOOP
        frontier := lineage_step(frontier, walked, downward, NULL);
        EXIT WHEN cardinality(frontier) = 0;
        walked := walked || frontier;
    END LOOP;
    RETURN walked;
END; $$
"""

REACHED = """
CREATE OR REPLACE FUNCTION lineage_reached(roots uuid[]) RETURNS TABLE (id uuid, via uuid, depth integer)
LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, public SET plan_cache_mode = force_custom_plan
    SET enable_nestloop = off SET jit = off AS $$
-- Everything that was made from the roots, at any distance, with the node before it on a shortest way there. A root
-- is among it only when it was made from another.
DECLARE
    frontier uuid[] := roots;
    walked uuid[] := ARRAY[]::uuid[];
    vias uuid[];
BEGIN
    depth := 0;
    LOOP
        depth := depth + 1;
        WITH next AS MATERIALIZED (
            SELECT DISTINCT ON (s.id) s.id, s.via FROM (
                SELECT e.id, f.id AS via FROM unnest(frontier) f(id) CROSS JOIN LATERAL (
                    SELECT to_node_id AS id FROM lineage_edge WHERE from_node_id = f.id OFFSET 0
                ) e
                UNION ALL
                SELECT r.target, r.source FROM lineage_reads(frontier, true) r
            ) s ORDER BY s.id, s.via
        ) SELECT array_agg(n.id), array_agg(n.via) INTO frontier, vias FROM next n
            WHERE NOT EXISTS (SELECT 1 FROM unnest(walked) w(id) WHERE w.id = n.id);
        EXIT WHEN frontier IS NULL;
        walked := walked || frontier;
        RETURN QUERY SELECT n.id, n.via, lineage_reached.depth FROM unnest(frontier, vias) n(id, via);
    END LOOP;
END; $$
"""

PATH = """
CREATE FUNCTION lineage_path(source uuid, target uuid) RETURNS uuid[]
LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, public SET plan_cache_mode = force_custom_plan
    SET enable_nestloop = off SET jit = off AS $$
-- A shortest path along the arrows, or null. Without reads, by the table of edges alone. With them, level by level from
-- the target upwards, as few things go into a node, and back down along the levels.
DECLARE
    levels uuid[] := ARRAY[target];
    depths integer[] := ARRAY[0];
    frontier uuid[] := ARRAY[target];
    step integer := 0;
    path uuid[] := ARRAY[source];
    following uuid;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM lineage_lineageuse) THEN
        RETURN lineage_edge_path(source, target);
    END IF;
    WHILE NOT source = ANY (frontier) LOOP
        frontier := lineage_step(frontier, levels, false, NULL);
        IF cardinality(frontier) = 0 THEN RETURN NULL; END IF;
        step := step + 1;
        levels := levels || frontier;
        depths := depths || array_fill(step, ARRAY[cardinality(frontier)]);
    END LOOP;
    WHILE step > 0 LOOP
        step := step - 1;
        SELECT l.id INTO following FROM unnest(levels, depths) l(id, depth)
            WHERE l.depth = step AND lineage_step(ARRAY[l.id], ARRAY[]::uuid[], false, NULL)
                @> ARRAY[path[cardinality(path)]]
            ORDER BY l.id LIMIT 1;
        path := path || following;
    END LOOP;
    RETURN path;
END; $$
"""
_STEP = "lineage_step(uuid[], uuid[], boolean, integer)"
_PAGE = "lineage_page(uuid, boolean, boolean, integer, text[], timestamptz, timestamptz, uuid[], integer, uuid, integer)"


def renamed(function: str, name: str) -> migrations.RunSQL:
    """The function as migration 0004 made it goes on under another name."""
    old, arguments = function.split("(", 1)
    return migrations.RunSQL(
        f"ALTER FUNCTION {function} RENAME TO {name}", f"ALTER FUNCTION {name}({arguments} RENAME TO {old}"
    )


class Migration(migrations.Migration):
    dependencies = [("lineage", "0007_reported_runs")]

    operations = [
        migrations.RunSQL(WRITER, "DROP FUNCTION lineage_writer(lineage_lineageuse)"),
        migrations.RunSQL(READS, "DROP FUNCTION lineage_reads(uuid[], boolean)"),
        renamed(_STEP, "lineage_edge_step"),
        migrations.RunSQL(STEP, f"DROP FUNCTION {_STEP}"),
        renamed(_PAGE, "lineage_edge_page"),
        migrations.RunSQL(PAGE, f"DROP FUNCTION {_PAGE}"),
        renamed("lineage_path(uuid, uuid)", "lineage_edge_path"),
        migrations.RunSQL(PATH, "DROP FUNCTION lineage_path(uuid, uuid)"),
        migrations.RunSQL(CLOSURE, "DROP FUNCTION lineage_closure(uuid[], boolean)"),
        # It names itself, so it is replaced and not renamed.
        migrations.RunSQL(REACHED, BEFORE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")),
    ]
