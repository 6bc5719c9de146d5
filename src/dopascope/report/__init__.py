"""A reading as files: `reading.json`, one offline page, and a PDF; and an index page over many."""

from __future__ import annotations

from dopascope.report.files import FORMATS, write
from dopascope.report.index import IndexEntry, write_index

__all__ = ["FORMATS", "IndexEntry", "write", "write_index"]
