"""The commands of docs/howto/schedules.md, run against an API."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg

PAGE = Path(__file__).parents[4] / "docs" / "howto" / "schedules.md"
BIN = Path(sys.executable).parent


def test_every_command_works(api: httpx.Client, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute("INSERT INTO accounts.account (tenant, account) VALUES ('default', 'lan-shop')")
    environment = os.environ | {"JOBTRAIL_API": str(api.base_url).rstrip("/"), "COLUMNS": "200"}
    commands = re.findall(r"^ {4}\.venv/bin/(jobtrail .+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    said: dict[str, str] = {}
    schedule = ""
    for command in commands:
        filled = f"{BIN}/{command.replace('SCHEDULE', schedule)}"
        done = subprocess.run(
            ["bash", "-c", filled], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{filled}\n{done.stdout}{done.stderr}"
        said[command] = done.stdout
        schedule = schedule or re.findall(r"Schedule (\S+)", done.stdout)[0]
    assert len(commands) == 8
    first, interval = (said[command] for command in commands[:2])
    assert "At 02:30 every day, Asia/Ho_Chi_Minh" in first and first.count("02:30:00+0700") == 5
    assert "chain incremental of default/all accounts" in interval
    assert schedule in said["jobtrail schedules list"]
    assert "3 shown of 3" in said["jobtrail schedules list"]
    assert api.get(f"/schedules/{schedule}").status_code == 404
