"""What a demo says where products wait because only their names agree."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobtrail.demo.plan import checked_link_by_name
from jobtrail.demo.report import waiting_lines
from jobtrail.errors import UserError

ROOT = Path(__file__).parents[3]


def report(waiting: int, linked: int) -> dict[str, Any]:
    return {"waiting_by_name": waiting, "account": "abt-buy-1", "catalogue": {"product matches auto": linked}}


@pytest.mark.parametrize(
    ("waiting", "linked", "said"),
    [
        (812, 0, "812 products wait for review: only their names agree. No product is linked."),
        (1812, 3, "1,812 products wait for review: only their names agree."),
        (1, 3, "1 product waits for review: only their names agree."),
    ],
)
def test_what_waits_is_counted_with_the_commands_for_it(waiting: int, linked: int, said: str) -> None:
    first, *commands = waiting_lines(report(waiting, linked))
    assert first == f"{said} While `make up` runs:"
    told = "\n".join(commands)
    assert "jobtrail matches list --tenant demo --account abt-buy-1 --kind product --status review" in told
    assert 'jobtrail accounts settings abt-buy-1 --tenant demo --set \'{"link_by_name": "auto"}\'' in told
    assert "LINK_BY_NAME=auto" in told


def test_nothing_is_said_where_nothing_waits() -> None:
    assert waiting_lines(report(0, 0)) == []


def test_how_names_link_is_checked_before_anything_starts(run: Any) -> None:
    assert [checked_link_by_name(text) for text in (None, "auto", "review")] == [None, "auto", "review"]
    with pytest.raises(UserError):
        checked_link_by_name("")
    ended = run("demo", "--link-by-name", "Auto")
    assert (ended.code, ended.err) == (1, "--link-by-name is 'Auto'; choose review or auto\n")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (["LINK_BY_NAME=auto"], '--link-by-name "auto"'),
        (["NHANH=a.csv", "SHOPIFY=b.csv"], '--nhanh "a.csv" --shopify "b.csv"'),
    ],
)
def test_make_hands_its_variables_on(variables: list[str], said: str) -> None:
    told = subprocess.run(
        ["make", "--dry-run", "demo", *variables], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert said in told and ("--link-by-name" in told) == (variables[0] == "LINK_BY_NAME=auto")
