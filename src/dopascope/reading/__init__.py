"""One scan through passport, space, quantification and predictors into one Reading."""

from __future__ import annotations

from dopascope.reading.choices import Choices
from dopascope.reading.examine import examine, read, reopen
from dopascope.reading.images import Examination, Images
from dopascope.reading.schema import DISCLAIMER, SCHEMA, Reading

__all__ = ["DISCLAIMER", "SCHEMA", "Choices", "Examination", "Images", "Reading", "examine", "read", "reopen"]
