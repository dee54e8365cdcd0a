"""The chain steps of this service: finished parents are noted, and when all are there, the child is requested.

A step of an unknown type is kept by every service, because none knows the owner. Each service reads its kept steps
again; once its version knows the type, the owner follows the step and the other services delete it.
"""

from datetime import datetime

import structlog
from psycopg import Connection

from job_events.envelope import decode, encode
from job_events.events import Finished, Then
from job_events.job_types import JOB_TYPES
from job_events.topics import Topics
from worker import inbox
from worker.chain import Parent, next_job
from worker.inbox import SQL

log = structlog.get_logger(__name__)


class ChainSteps:
    """Requests what follows finished jobs, for one service."""

    def __init__(self, service: str, source: str, topics: Topics) -> None:
        self._service = service
        self._source = source
        self._topics = topics

    def follow(self, conn: Connection, event: Finished, appended: datetime) -> None:
        """Note this parent for each step of this service; `appended`: the append time of its end."""
        unknown: list[str] = []
        for step in event.data.then:
            if event.data.job.type not in step.needs:
                continue
            owner = JOB_TYPES.get(step.type)
            if owner is None:
                unknown.append(step.type)
            elif owner.service == self._service:
                self._note(conn, event, step, appended)
        if unknown:
            self._keep(conn, event, unknown, appended)

    def resume(self, conn: Connection) -> None:
        """Follow the kept steps whose type this version knows."""
        kept = [name for (name,) in conn.execute(SQL["kept_types"])]
        unknown = [name for name in kept if name not in JOB_TYPES]
        if len(unknown) == len(kept):
            return
        for finished, appended in conn.execute(SQL["take_kept_steps"], {"unknown": unknown}).fetchall():
            event = decode(finished.encode())
            if isinstance(event, Finished):
                log.info("kept chain step resumed", job=event.job_id)
                self.follow(conn, event, appended)

    def _keep(self, conn: Connection, event: Finished, child_types: list[str], appended: datetime) -> None:
        log.warning("chain step waits for another version", job=event.job_id, types=child_types)
        row = {
            "parent_id": event.job_id,
            "tenant": event.tenant,
            "account": event.data.job.account,
            "chain": event.correlationid,
            "child_types": child_types,
            "finished": encode(event).decode(),
            "appended_at": appended,
        }
        conn.execute(SQL["keep_step"], row)

    def _note(self, conn: Connection, event: Finished, step: Then, appended: datetime) -> None:
        data = event.data
        names = {
            "tenant": event.tenant,
            "account": data.job.account,
            "chain": event.correlationid,
            "child_type": step.type,
        }
        # Two processes may read two parents at the same moment; one of them must see both.
        conn.execute(SQL["lock_chain"], names)
        parent = {
            **names,
            "parent_type": data.job.type,
            "parent_id": event.job_id,
            "outcome": data.outcome,
            "finished_at": event.time,
            "appended_at": appended,
        }
        conn.execute(SQL["note_parent"], parent)
        rows = conn.execute(SQL["latest_parents"], {**names, "needs": list(step.needs)}).fetchall()
        child = next_job(event, step, [Parent(*row) for row in rows], self._source)
        if child is None or conn.execute(SQL["note_child"], {"job_id": child.job_id}).rowcount == 0:
            return
        if isinstance(child, Finished):
            inbox.insert_ended(conn, child, child.data.outcome)
            inbox.put_event(conn, self._topics.events, child.job_id, child)
        else:
            key = f"{child.tenant}/{child.data.job.account}"
            inbox.put_event(conn, self._topics.requests(self._service), key, child)
