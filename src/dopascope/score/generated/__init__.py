"""Generated images judged: are they like real ones, as varied, and not copies? Each figure with its n and its range.

Features come as arrays, a row for each image; nothing here needs a network. What each figure can and cannot say:
docs/judging.md.
"""

from __future__ import annotations

from dopascope.score.generated.mmd import MMD, mmd, mmd_squared
from dopascope.score.generated.result import Measured, Result

__all__ = ["MMD", "Measured", "Result", "mmd", "mmd_squared"]
