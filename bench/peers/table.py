"""The job table that every peer fills: the columns that a job list shows, without history and metadata."""

from typing import LiteralString

TABLE = """
CREATE TABLE job (
    job_id text PRIMARY KEY,
    tenant text,
    account text,
    job_type text,
    state text,
    phase text,
    outcome text,
    total bigint,
    processed bigint,
    successful bigint,
    failed bigint,
    skipped bigint,
    updated_at timestamptz,
    finished_at timestamptz
)
"""
COLUMNS: tuple[LiteralString, ...] = (
    *("job_id", "tenant", "account", "job_type", "state", "phase", "outcome", "total", "processed", "successful"),
    *("failed", "skipped", "updated_at", "finished_at"),
)
_CHANGED: LiteralString = ", ".join(f"{name} = coalesce(excluded.{name}, job.{name})" for name in COLUMNS[1:])
_NAMES: LiteralString = ", ".join(COLUMNS)

UPSERT_ONE: LiteralString = f"""
INSERT INTO job ({_NAMES}) VALUES ({", ".join(f"%({name})s" for name in COLUMNS)})
ON CONFLICT (job_id) DO UPDATE SET {_CHANGED}
"""

_TYPES: dict[LiteralString, LiteralString] = {
    **dict.fromkeys(("total", "processed", "successful", "failed", "skipped"), "bigint"),
    **dict.fromkeys(("updated_at", "finished_at"), "timestamptz"),
}
UPSERT_MANY: LiteralString = f"""
INSERT INTO job ({_NAMES})
SELECT * FROM unnest({", ".join(f"%({name})s::{_TYPES.get(name, 'text')}[]" for name in COLUMNS)})
ON CONFLICT (job_id) DO UPDATE SET {_CHANGED}
"""

FINAL = "SELECT job_id, state, total, processed, successful, failed, skipped, finished_at FROM job"
