"""The errors of creating a server's data folder."""

import sys

import pytest

from local_stack import StackError, preparation


def test_a_program_that_does_not_end_is_a_sentence() -> None:
    with pytest.raises(StackError, match=r"^Kafka's data folder was not ready after 0 s: .* try again\.$"):
        preparation.run([sys.executable, "-c", "import time; time.sleep(60)"], "Kafka's data folder", timeout=0.2)


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(StackError, match=r"^Kafka's data folder could not be created: the disk is full$"):
        preparation.run([sys.executable, "-c", "raise SystemExit('the disk is full')"], "Kafka's data folder")
