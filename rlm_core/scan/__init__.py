"""The shape of a text in a known format, or of data, as far as it can be seen before a deadline.

What a scan calls wrong, `formats.parse` refuses too."""

from __future__ import annotations

from collections.abc import Callable

from rlm_core.formats import Format
from rlm_core.scan.data import scan_data
from rlm_core.scan.found import Bad, Late, Scan
from rlm_core.scan.json_text import scan_json
from rlm_core.scan.rows_text import scan_csv, scan_jsonl, scan_log
from rlm_core.scan.xml_text import scan_xml

__all__ = ["Scan", "scan", "scan_data"]

_SCANNERS: dict[Format, Callable[[str, Scan], None]] = {
    "json": scan_json,
    "jsonl": scan_jsonl,
    "csv": scan_csv,
    "xml": scan_xml,
    "log": scan_log,
}


def scan(text: str, format: Format, deadline: float) -> Scan:
    """Scans until `time.monotonic()` reaches `deadline`, the text ends, or it cannot be parsed further."""
    found = Scan(deadline)
    try:
        _SCANNERS[format](text, found)
    except Late:
        pass
    except Bad as bad:
        found.seen = bad.at
        line = text.count("\n", 0, bad.at) + 1
        column = bad.at - text.rfind("\n", 0, bad.at)
        found.problem = f"{bad} at line {line:,}, column {column:,} (character {bad.at:,})"
    else:
        found.seen = len(text)
    found.shape.settle()
    return found
