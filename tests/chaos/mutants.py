"""Removes one guard of the projector in a process of the chaos run; the checker must then find violations."""

import re
from collections.abc import Callable
from typing import Any

from job_tracker.projector import commit, items_projection, jobs_projection
from job_tracker.projector.commit import Committer, no_failpoint
from job_tracker.store.postgres import Cursor


def _edit(statements: dict[str, Any], name: str, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, statements[name])
    if count == 0:
        raise SystemExit(f"the guard was not found in {name}: mend tests/chaos/mutants.py")
    statements[name] = text


def without_compare_and_set() -> None:
    """Positions are set, whoever moved them meanwhile."""
    _edit(commit._SQL, "move_positions", r" AND o\.next_offset = moved\.expected", "")


def without_terminal_guard() -> None:
    """A progress that arrives after the end erases the end."""
    _edit(
        jobs_projection._SQL,
        "merge_jobs",
        r"(e_\w+ = CASE WHEN )(.+) (THEN excluded\.e_)",
        r"\1\2 OR excluded.p_attempt >= 0 \3",
    )


def without_attempt_guard() -> None:
    """The greater seq wins, of whichever attempt."""
    _edit(
        jobs_projection._SQL,
        "merge_jobs",
        r"\(excluded\.p_attempt, (.+?)\) > \(job\.p_attempt, (.+?)\)",
        r"(\1) > (\2)",
    )


def with_dead_letters_after_the_transaction() -> None:
    """Dead letters are written when the positions have already moved."""
    write = Committer._write

    def write_then_insert(self: Committer[Any], batch: Any, *rest: Any) -> None:
        letters, batch.dead = batch.dead, []
        failpoint, self._failpoint = (
            self._failpoint,
            self._failpoint if letters else no_failpoint,
        )  # who is killed shall have letters to lose
        try:
            write(self, batch, *rest)
        finally:
            self._failpoint = failpoint

        def insert(cursor: Cursor) -> None:
            for letter in letters:
                cursor.execute(commit._SQL["insert_dead_letter"], letter.row())

        self._connection.transact(insert)

    Committer._write = write_then_insert


def without_greater_bytes() -> None:
    """Of an item's copies the one written last stays."""
    _edit(items_projection._SQL, "merge_items", r"WHERE excluded\.body > (.|\n)*", "")


GUARDS: dict[str, Callable[[], None]] = {
    "compare_and_set": without_compare_and_set,
    "terminal": without_terminal_guard,
    "attempt": without_attempt_guard,
    "dead_letter": with_dead_letters_after_the_transaction,
    "greater_bytes": without_greater_bytes,
}


def remove_guard(name: str) -> None:
    """Remove a guard by name; the empty name removes none."""
    if name:
        GUARDS[name]()
