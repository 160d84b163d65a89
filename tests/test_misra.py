"""The table of departures from MISRA C:2012: what is counted, and what may not be left unsaid."""

from __future__ import annotations

import pytest

from tools.misra import counted, table

FINDINGS = """\
csrc/nbt_math.h:10:5:misra-c2012-12.1
csrc/nbt_math.h:10:5:misra-c2012-12.1
csrc/nbt_math.h:10:9:misra-c2012-12.1
csrc/nbt_cell.c:3:1:misra-c2012-15.5
"""


def test_a_finding_in_a_header_counts_once() -> None:
    assert counted(FINDINGS) == {"12.1": 2, "15.5": 1}


def test_the_table_has_a_reason_for_every_rule_and_the_sum() -> None:
    lines = table(counted(FINDINGS)).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["12.1", "2"], ["15.5", "1"], ["all", "3"]]
    assert len(lines[1].split()) > 3


def test_a_rule_without_a_reason_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"rules 21\.3: change the code or say why"):
        table(counted("csrc/nbt_init.c:1:1:misra-c2012-21.3"))


def test_other_output_is_an_error() -> None:
    with pytest.raises(ValueError, match="cppcheck said: Did not find addon"):
        counted("Did not find addon misra.py")
