"""The records of a delimited text file: quoted cells, line breaks in them, and where each record begins.

The standard csv module reads one record at a time. A record that it cannot read is skipped as a whole, at its first
line. One that spans lines may do so only because a quotation mark is not closed: then reading goes on with its second
line, so that no other record is skipped with it.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

DELIMITERS: Final = ("\t", "|", "#", ";", ",")
MAX_LINES: Final = 1000
"""No record is longer; behind a quotation mark that is not closed the file is not searched any further."""
_UNDECODED = re.compile("[\udc80-\udcff]")


class Cells(msgspec.Struct):
    """One record: `line`, counted from 1, is where it begins; `problem` says why it cannot be used."""

    line: int
    cells: list[str]
    problem: str | None = None


class _Unclosed(Exception):
    """The record is longer than any."""


def sniff_delimiter(header: str) -> str:
    """The delimiter that cuts the header line into the most pieces; ties go to the rarer character."""
    counts = Counter({delimiter: header.count(delimiter) for delimiter in DELIMITERS})
    delimiter, found = counts.most_common(1)[0]
    return delimiter if found else ","


class RecordReader:
    """Reads the records of `lines` (each with its ending, undecodable bytes as surrogates); blank lines are none.

    delimiter: may be set before each record.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.delimiter = ","
        self._source = _Lines(lines)

    def first_line(self) -> str | None:
        """The next line that is not blank, which stays to be read; None at the end."""
        for line in self._source.following():
            if line.strip():
                self._source.put_back([line])
                return line
        return None

    def skip_line(self) -> None:
        """Pass over the next line."""
        next(self._source.following(), None)

    def __iter__(self) -> Iterator[Cells]:
        return self

    def __next__(self) -> Cells:
        if self.first_line() is None:
            raise StopIteration
        first = self._source.line
        taken: list[str] = []
        found = Cells(first, [])
        try:
            found.cells = next(csv.reader(self._feed(taken), delimiter=self.delimiter, strict=True), [])
        except (csv.Error, _Unclosed) as error:
            found.problem = _reason(error)
            if len(taken) > 1 and not _closes(taken[-1], self.delimiter, error):
                found.problem = "a quotation mark is not closed"
                self._source.put_back(taken[1:])
                taken = taken[:1]
        found.problem = undecoded("".join(taken)) or found.problem
        return found

    def _feed(self, taken: list[str]) -> Iterator[str]:
        for line in self._source.following():
            taken.append(line)
            if len(taken) > MAX_LINES:
                raise _Unclosed
            yield line


def undecoded(text: str) -> str | None:
    """Says where bytes of a line are no UTF-8; None where all are."""
    wrong = _UNDECODED.search(text)
    if wrong is None:
        return None
    return f"not UTF-8 at byte {len(text[: wrong.start()].encode()) + 1} of the line"


def _closes(line: str, delimiter: str, error: Exception) -> bool:
    """Whether the last line of a record that could not be read ends its quoted cell: then all of it is that record.

    A quotation mark behind a delimiter or at the start of a line opens a cell, so it is none that closes another.
    """
    if isinstance(error, _Unclosed) or "expected after" not in str(error):
        return False
    at = line.replace('""', "  ").find('"')
    return at > 0 and line[at - 1] != delimiter


def _reason(error: Exception) -> str:
    text = str(error)
    if "expected after" in text:
        return "text follows a closing quotation mark"
    if "unexpected end" in text:
        return "a quotation mark is not closed"
    return text


class _Lines:
    """Lines that can be put back, with the number of the next one."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._back: deque[str] = deque()
        self.line = 1

    def has_more(self) -> bool:
        if not self._back:
            following = next(self._lines, None)
            if following is None:
                return False
            self._back.append(following)
        return True

    def following(self) -> Iterator[str]:
        while self.has_more():
            self.line += 1
            yield self._back.popleft()

    def put_back(self, lines: list[str]) -> None:
        self._back.extendleft(reversed(lines))
        self.line -= len(lines)
