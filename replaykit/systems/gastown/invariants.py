"""What should hold after every tick, under the program's numbers and in the order in which it checks them."""

from __future__ import annotations

from replaykit.systems.gastown.reconciler import reconciler

__all__: list[str] = []

reconciler.invariant(
    "7",
    """
    SELECT a.bead_id, 'agent ' || a.bead_id || ' works without a hook' AS message
    FROM agent_metadata AS a
    WHERE a.status = 'working' AND a.current_hook_bead_id IS NULL
    ORDER BY a.rowid
    """,
    key="bead_id",
)

reconciler.invariant(
    "5",
    """
    SELECT b.bead_id, 'convoy ' || b.bead_id || ' has status in_progress' AS message
    FROM beads AS b
    WHERE b.type = 'convoy' AND b.status = 'in_progress'
    ORDER BY b.rowid
    """,
    key="bead_id",
)

reconciler.invariant(
    "3",
    """
    SELECT b.rig_id, 'rig ' || b.rig_id || ' has ' || count(*) || ' MRs in progress' AS message
    FROM beads AS b
    WHERE b.type = 'merge_request' AND b.status = 'in_progress' AND b.rig_id IS NOT NULL
    GROUP BY b.rig_id
    HAVING count(*) > 1
    ORDER BY b.rig_id
    """,
    key="rig_id",
)

reconciler.invariant(
    "6",
    """
    SELECT a.current_hook_bead_id AS bead_id,
        'bead ' || a.current_hook_bead_id || ' hooked by ' || count(*) || ' agents' AS message
    FROM agent_metadata AS a
    WHERE a.current_hook_bead_id IS NOT NULL
    GROUP BY a.current_hook_bead_id
    HAVING count(*) > 1
    ORDER BY a.current_hook_bead_id
    """,
    key="bead_id",
)

reconciler.invariant(
    "4",
    """
    SELECT b.bead_id, 'issue ' || b.bead_id || ' in review without a live MR' AS message
    FROM beads AS b
    WHERE b.type = 'issue' AND b.status = 'in_review' AND NOT EXISTS (
        SELECT 1 FROM bead_dependencies AS d JOIN beads AS mr ON mr.bead_id = d.bead_id
        WHERE d.depends_on_bead_id = b.bead_id AND d.dependency_type = 'tracks'
            AND mr.type = 'merge_request' AND mr.status IN ('open', 'in_progress')
    )
    ORDER BY b.rowid
    """,
    key="bead_id",
)
