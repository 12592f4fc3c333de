"""Which refused buckets an organization does without, so that nobody asks for them again."""

from __future__ import annotations

DONE_WITHOUT = """
refused AS (
  SELECT
    team_id, endpoint, cost_date,
    min(collected_at) AS first_refused_at, max(collected_at) AS refused_at
  FROM readings WHERE status = 'unsupported' GROUP BY ALL
),
answers AS (
  SELECT DISTINCT team_id, endpoint, collected_at AS answered_at
  FROM readings SEMI JOIN refused USING (team_id, endpoint)
  WHERE status = 'ok'
),
newest_answers AS (
  SELECT team_id, endpoint, max(answered_at) AS newest_answered_at FROM answers GROUP BY ALL
),
done_without AS (
  SELECT refused.team_id, refused.endpoint, refused.cost_date, refused.refused_at
  FROM refused
  LEFT JOIN newest_answers USING (team_id, endpoint)
  ASOF LEFT JOIN answers
    ON refused.team_id = answers.team_id AND refused.endpoint = answers.endpoint
    AND refused.refused_at > answers.answered_at
  WHERE refused.refused_at > coalesce(newest_answers.newest_answered_at, '-infinity')
    OR answers.answered_at > refused.first_refused_at
)
"""
"""CTEs over ``readings``, entries of the ledger. ``done_without`` has the buckets that an
organization does without, and when each was refused last (UTC).

A refusal stands while its endpoint has answered nothing of the team since; or once it is confirmed:
the bucket was refused before and after some answer. So an endpoint that begins to answer is asked
once more for every day that it had refused, and then left alone; and where a permission was
withdrawn and given back, that one time reads the days in between.
"""
