"""The commands of docs/howto/sync-jobs.md, run as they stand there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "sync-jobs.md"
COMMAND = re.compile(r"^    \.venv/bin/jobtrail (jobs start .*)$", re.MULTILINE)


def test_the_commands_of_the_page_start_jobs_that_end(shop: Any, api: Any, syncer: Any) -> None:
    pairs = shop.truth("product")
    wrong, *_ = sorted(pairs)
    shop.settings(write={"stock": False})
    shop.edit("nhanh", "product", int(wrong), set={"prices": {"retail": -1}})
    shop.pull()
    shop.map("product", pairs)
    shop.map("customer", dict(list(shop.truth("customer").items())[:1]))
    commands = COMMAND.findall(PAGE.read_text("utf-8"))
    assert len(commands) == 8
    ended: dict[str, str] = {}
    environment = {**os.environ, "JOBTRAIL_API": str(api.base_url), "COLUMNS": "200"}
    with syncer():
        job_id, _ = shop.run("PRODUCT_SYNC")
        for command in commands:
            words = shlex.split(command.replace("lan-shop", shop.account).replace("JOB", job_id))
            program = str(Path(sys.executable).parent / "jobtrail")
            done = subprocess.run(
                [program, *words, "--tenant", "demo"], env=environment, capture_output=True, text=True, check=False
            )
            if any('"customer"' in word for word in words):
                assert (done.returncode, "nothing to retry" in done.stderr) == (1, True), done.stderr
                ended[command] = "refused"
                continue
            assert done.returncode == 0, done.stdout + done.stderr
            found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", done.stdout)
            assert found is not None, done.stdout
            end = shop.finished(found[0])
            ended[command] = end.data.outcome if end.data.error is None else end.data.error.code
    outcomes = list(ended.values())
    assert outcomes[:2] == ["partial", "success"], "all records, of which one has an impossible price"
    assert outcomes[2:4] == ["ALL_ITEMS_FAILED"] * 2, "the page's ids belong to nobody here"
    assert outcomes[4:6] == ["ALL_ITEMS_FAILED"] * 2, "the price is impossible still"
    assert outcomes[6:] == ["refused", "ALL_ITEMS_FAILED"], "no customer has failed"
