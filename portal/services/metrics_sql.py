"""The statements behind the figures of `portal.services.metrics`; in words: docs/metrics.md.

Each answers for the period [:start, :end) and the preceding one [:previous_start, :start) at once, for every branch
of :branch_ids and, where branch_id is null, for all of them together. `is_current` tells the periods apart.
"""

from portal.rules.lifecycle import OPEN_STATUSES

# Spelled out, so that the partial indexes of the ticket table serve it.
_IS_OPEN = "status IN ({})".format(", ".join(f"'{status}'" for status in OPEN_STATUSES))

# A reply that was called back before it left was no answer. There are few, within minutes of what they call back.
_NOT_CALLED_BACK = """
    NOT EXISTS (
        SELECT FROM event AS cancelled
        WHERE cancelled.kind = 'reply_cancelled' AND cancelled.message_id = event.message_id
            AND cancelled.occurred_at >= :previous_start
    )
"""

# `reply_sent` carries first_response_seconds when it is the ticket's first answer, so that the north star needs one
# range of one index and no search for earlier answers. Rows with a bar are the trend of the current period.
FIRST_RESPONSE = f"""
WITH answer AS (
    SELECT
        event.branch_id,
        event.occurred_at >= :start AS is_current,
        CASE WHEN event.occurred_at >= :start
            THEN date_trunc(:unit, event.occurred_at, :time_zone) END AS bar,
        (event.data ->> 'first_response_seconds')::bigint AS seconds,
        (event.data ->> 'business_seconds')::bigint AS business_seconds
    FROM event
    WHERE event.kind = 'reply_sent'
        AND event.occurred_at >= :previous_start AND event.occurred_at < :end
        AND event.branch_id = ANY(:branch_ids)
        AND event.data ? 'first_response_seconds'
        AND {_NOT_CALLED_BACK}
)
SELECT
    branch_id,
    is_current,
    bar,
    count(*) AS answer_count,
    count(business_seconds) AS business_count,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
    percentile_cont(0.75) WITHIN GROUP (ORDER BY seconds) AS p75,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) AS p90,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY business_seconds) AS business_median
FROM answer
GROUP BY GROUPING SETS ((is_current), (is_current, branch_id), (is_current, bar))
HAVING GROUPING(bar) = 1 OR bar IS NOT NULL
"""  # noqa: S608 - composed of constants of this house, values are bound

FIRST_ACTION = """
SELECT
    branch_id,
    occurred_at >= :start AS is_current,
    count(*) AS answer_count,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY (data ->> 'waited_seconds')::bigint) AS median
FROM event
WHERE kind = 'ticket_viewed'
    AND occurred_at >= :previous_start AND occurred_at < :end
    AND branch_id = ANY(:branch_ids)
    AND data ? 'waited_seconds'
GROUP BY GROUPING SETS ((is_current), (is_current, branch_id))
"""

# What has become of the tickets that were opened: nothing can be picked up or escalated before it is opened, so both
# are looked for from the same moment on.
OPENED = """
WITH opened AS (
    SELECT ticket_id, branch_id, occurred_at >= :start AS is_current
    FROM event
    WHERE kind = 'ticket_opened'
        AND occurred_at >= :previous_start AND occurred_at < :end
        AND branch_id = ANY(:branch_ids)
),
picked_up AS (
    SELECT DISTINCT ticket_id FROM event WHERE kind = 'ticket_picked_up' AND occurred_at >= :previous_start
),
escalated AS (
    SELECT DISTINCT ticket_id FROM event WHERE kind = 'ticket_escalated' AND occurred_at >= :previous_start
),
discarded AS (
    SELECT id FROM ticket WHERE branch_id = ANY(:branch_ids) AND status IN ('spam', 'trash')
)
SELECT
    opened.branch_id,
    opened.is_current,
    count(*) AS ticket_count,
    count(picked_up.ticket_id) AS picked_up_count,
    count(escalated.ticket_id) AS escalated_count
FROM opened
LEFT JOIN picked_up ON picked_up.ticket_id = opened.ticket_id
LEFT JOIN escalated ON escalated.ticket_id = opened.ticket_id
WHERE NOT EXISTS (SELECT FROM discarded WHERE discarded.id = opened.ticket_id)
GROUP BY GROUPING SETS ((is_current), (is_current, opened.branch_id))
"""

REPLIES = f"""
SELECT
    event.branch_id,
    event.occurred_at >= :start AS is_current,
    count(*) AS reply_count,
    count(*) FILTER (WHERE event.data ->> 'template_id' IS NOT NULL) AS template_count
FROM event
WHERE event.kind = 'reply_sent'
    AND event.occurred_at >= :previous_start AND event.occurred_at < :end
    AND event.branch_id = ANY(:branch_ids)
    AND {_NOT_CALLED_BACK}
GROUP BY GROUPING SETS ((is_current), (is_current, event.branch_id))
"""  # noqa: S608 - composed of constants of this house, values are bound

# A login belongs to no branch; its person does, and to the whole once however many branches they work in.
LOGINS = """
WITH member AS (
    SELECT branch_membership.branch_id, branch_membership.user_id
    FROM branch_membership
    JOIN ab_user ON ab_user.id = branch_membership.user_id
    WHERE ab_user.active AND branch_membership.branch_id = ANY(:branch_ids)
),
login AS (
    SELECT
        actor_id,
        count(*) FILTER (WHERE occurred_at >= :start) AS login_count,
        count(*) FILTER (WHERE occurred_at < :start) AS previous_login_count
    FROM event
    WHERE kind = 'user_logged_in' AND occurred_at >= :previous_start AND occurred_at < :end
    GROUP BY actor_id
),
person AS (
    SELECT member.branch_id, member.user_id, login.login_count, login.previous_login_count
    FROM member LEFT JOIN login ON login.actor_id = member.user_id
)
SELECT
    branch_id,
    count(*) AS member_count,
    sum(login_count) AS login_count,
    sum(previous_login_count) AS previous_login_count
FROM person
GROUP BY branch_id
UNION ALL
SELECT NULL, count(*), sum(login_count), sum(previous_login_count)
FROM (SELECT DISTINCT user_id, login_count, previous_login_count FROM person) AS once
"""

BACKLOG = f"""
SELECT
    branch_id,
    count(*) AS open_count,
    count(*) FILTER (WHERE assignee_id IS NULL) AS unassigned_count,
    count(*) FILTER (WHERE first_responded_at IS NULL) AS unanswered_count,
    count(*) FILTER (WHERE is_breached) AS late_count,
    count(*) FILTER (WHERE created_at > :at - interval '1 day') AS day_count,
    count(*) FILTER (
        WHERE created_at <= :at - interval '1 day' AND created_at > :at - interval '3 days') AS three_day_count,
    count(*) FILTER (
        WHERE created_at <= :at - interval '3 days' AND created_at > :at - interval '7 days') AS week_count,
    count(*) FILTER (WHERE created_at <= :at - interval '7 days') AS older_count,
    min(created_at) AS oldest_at,
    extract(epoch FROM :at - percentile_disc(0.5) WITHIN GROUP (ORDER BY created_at))::bigint AS median_age
FROM ticket
WHERE {_IS_OPEN} AND branch_id = ANY(:branch_ids)
GROUP BY GROUPING SETS ((), (branch_id))
"""  # noqa: S608 - composed of constants of this house, values are bound
