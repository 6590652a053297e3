"""Whose approvals count, as the database asks it: conditions that the triggers of promotions and approvals share."""

from __future__ import annotations

from registry.models.triggers import active_person, right
from registry.roles import DESIGNATED

# Of the promotion NEW: the id of the newest published policy for its target, of its model, else of the model's risk
# tier, else of all of the namespace.
POLICY_IN_FORCE = """SELECT p.id FROM lifecycle_policy p, registry_modelversion v
    JOIN registry_registeredmodel m ON m.id = v.model_id
    WHERE v.id = NEW.version_id AND p.state = 'published' AND p.target = NEW.target
        AND p.namespace_id = m.namespace_id AND coalesce(p.model_id, m.id) = m.id AND p.risk_tier IN ('', m.risk_tier)
    ORDER BY p.model_id IS NULL, p.risk_tier = '', p.revision DESC LIMIT 1"""
# Of the promotion NEW, whose model and namespace are in `home`: a freeze stands, by the clock and not by the beginning
# of the transaction, which may have waited.
FROZEN = """EXISTS (SELECT 1 FROM lifecycle_freezewindow f WHERE f.ended_at IS NULL
    AND f.starts_at <= clock_timestamp() AND f.ends_at > clock_timestamp() AND f.target IN ('', NEW.target)
    AND (f.namespace_id IS NULL OR f.namespace_id = home.namespace_id
        AND (f.model_id IS NULL OR f.model_id = home.model_id)))"""
_LISTED = "jsonb_array_elements(coalesce({snapshot}->'approvals'->'groups', '[]'::jsonb))"


def _in_group(name: str, model: str, namespace: str) -> str:
    """A condition on the user `u`: they are in the group of the namespace (or designated on the model) so named."""
    return f"""(EXISTS (SELECT 1 FROM registry_user_groups ug
        JOIN registry_rolegroup rg ON rg.group_id = ug.group_id
        WHERE ug.user_id = u.id AND rg.namespace_id = {namespace} AND rg.role = {name})
        OR {name} = '{DESIGNATED}' AND {right("model.review", model, kind="registeredmodel")})"""


def may_decide(user: str, *, snapshot: str, model: str, namespace: str) -> str:
    """A condition: the user with this id is an active person who holds the right in the namespace, is designated on
    the model where the policy does not say that this is not enough, or is in a group that it names."""
    reviews = right("model.review", model, kind="registeredmodel")
    listed, named = _LISTED.format(snapshot=snapshot), _in_group("l.value->>'group'", model, namespace)
    return active_person(
        user,
        right("promotion.decide", namespace),
        f"coalesce(({snapshot}->'approvals'->>'designated_reviewers')::boolean, true) AND {reviews}",
        f"EXISTS (SELECT 1 FROM {listed} l WHERE {named})",
    )


def groups_wanted(standing: str, *, snapshot: str, model: str, namespace: str) -> str:
    """A condition: not every group that the policy names has its approvals, when everybody stands for one group.

    `standing` selects the ids (`by_id`) of those whose approvals count. Some groups together are wanted exactly when
    there are fewer people in any of them than they ask for together (Hall), so every set of groups is looked at.
    """
    return f"""EXISTS (
        WITH asked_of AS (
            SELECT l.value->>'group' AS name, (l.value->>'count')::integer AS needs,
                    1 << (l.ordinality - 1)::integer AS bit
                FROM {_LISTED.format(snapshot=snapshot)} WITH ORDINALITY l
        ), standing AS ({standing}), belonging AS (
            SELECT u.id, bit_or(g.bit) AS bits FROM standing s JOIN registry_user u ON u.id = s.by_id
                JOIN asked_of g ON {_in_group("g.name", model, namespace)} GROUP BY u.id
        )
        SELECT 1 FROM generate_series(1, (SELECT coalesce(sum(bit), 0)::integer FROM asked_of)) AS these (mask)
            WHERE (SELECT sum(g.needs) FROM asked_of g WHERE g.bit & these.mask <> 0)
                > (SELECT count(*) FROM belonging b WHERE b.bits & these.mask <> 0))"""
