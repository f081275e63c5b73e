"""Every fault in its short form: nothing lost, every repeat explained, everything accounted for."""

from pathlib import Path

import pytest
from faults import FAULTS, Fault, place_for, prove


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_short_form(fault: Fault, server: str, tmp_path: Path) -> None:
    """Real processes, real signals, a real PostgreSQL; see the table of faults."""
    with place_for(fault, server) as place:
        verdict, told = await prove(fault, place, tmp_path, long=False)
    assert verdict.good, "\n".join([*verdict.problems, "", told])
