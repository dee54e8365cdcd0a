"""The commands of docs/howto/schedules.md, run against an API."""

import re
import shlex
import sys
from pathlib import Path

import httpx
import psycopg
import pytest

from jobtrail.main import main

PAGE = Path(__file__).parents[4] / "docs" / "howto" / "schedules.md"


def test_every_command_works(
    *,
    api: httpx.Client,
    connection: psycopg.Connection[tuple[object, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    connection.execute("INSERT INTO accounts.account (tenant, account) VALUES ('default', 'lan-shop')")
    monkeypatch.setenv("JOBTRAIL_API", str(api.base_url).rstrip("/"))
    commands = re.findall(r"^ {4}\.venv/bin/(jobtrail .+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    said: dict[str, str] = {}
    schedule = ""
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command.replace("SCHEDULE", schedule)))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert ended.value.code in (None, 0), f"{command}\n{printed.out}{printed.err}"
        said[command] = printed.out
        schedule = schedule or re.findall(r"Schedule (\S+)", printed.out)[0]
    assert len(commands) == 8
    first, interval = (said[command] for command in commands[:2])
    assert "At 02:30 every day, Asia/Ho_Chi_Minh" in first and first.count("02:30:00+0700") == 5
    assert "chain incremental of default/all accounts" in interval
    assert schedule in said["jobtrail schedules list"]
    assert "3 shown of 3" in said["jobtrail schedules list"]
    assert api.get(f"/schedules/{schedule}").status_code == 404
