"""The matcher's wiring: the owner of match jobs, and the agents that score their chunks."""

from collections.abc import Callable
from datetime import timedelta

from psycopg_pool import ConnectionPool

from job_events.topics import Topics
from matcher.automatic import AutomaticMatch, Planning
from matcher.edits import edit_match
from matcher.exact import ExactMatch
from matcher.repair import repair_ids
from matcher.settings import MatcherSettings
from matcher.store import matches
from platforms.migrate import migrate as migrate_accounts
from service_kit.bootstrap import prepare, start
from service_kit.clock import SystemClock
from service_kit.database import migrate
from worker.attempt import Handler
from worker.job_result import JobResult
from worker.service import run_worker


def _no_platform(_error: Exception) -> JobResult | None:
    return None  # the matcher calls no platform: whatever its jobs do not name themselves is a bug of ours


def run_owner() -> None:
    """Run match jobs until SIGTERM or SIGINT. Exits with one sentence where the environment is incomplete."""
    settings = start(MatcherSettings, "matcher")
    overdue = timedelta(seconds=settings.jobtrail_chunk_overdue)

    def handlers(_pool: ConnectionPool, _topics: Topics) -> dict[str, Handler]:
        return {
            "AUTO_MATCH_PRODUCTS": AutomaticMatch("product", Planning(settings.jobtrail_product_chunk, overdue)),
            "AUTO_MATCH_CUSTOMERS": AutomaticMatch("customer", Planning(settings.jobtrail_customer_chunk, overdue)),
            "MATCH_EXACT_PRODUCTS": ExactMatch("product"),
            "MATCH_EXACT_CUSTOMERS": ExactMatch("customer"),
            "REPAIR_IDS": repair_ids,
            "EDIT_MATCH": edit_match,
        }

    def known_account(pool: ConnectionPool) -> Callable[[str, str], bool]:
        def known(tenant: str, account: str) -> bool:
            with pool.connection() as conn:
                return matches.account_exists(conn, tenant, account)

        return known

    run_worker(
        "matcher",
        "matcher",
        settings,
        migrations=[lambda: migrate_accounts(settings.database_url)],
        handlers=handlers,
        known_account=known_account,
        result_from_error=_no_platform,
    )


def run_agent() -> None:
    """Score chunks until SIGTERM or SIGINT; never returns. Exits with one sentence where it cannot work rightly."""
    settings = start(MatcherSettings, "matcher", "matcher-agent")
    from matcher.agent.app import ChunkHandler, build, refuse_slow_streams
    from matcher.agent.dead_letters import DeadLetterWriter
    from matcher.agent.exit import run_and_leave
    from matcher.agent.pool import ScoringPool
    from matcher.agent.watchdog import Watchdog

    refuse_slow_streams()
    topics = prepare(settings, [lambda: migrate(settings.database_url, "matcher", ["worker", "matcher"])])
    watchdog = Watchdog(
        settings.kafka,
        topics.chunks,
        idle_seconds=settings.jobtrail_agent_idle,
        chunk_seconds=settings.jobtrail_chunk_limit,
    )
    dead_letters = DeadLetterWriter(settings.database_url, topics, SystemClock())
    handler = ChunkHandler(ScoringPool(settings.database_url), dead_letters, watchdog)
    run_and_leave(build(settings, topics, handler, watchdog))
