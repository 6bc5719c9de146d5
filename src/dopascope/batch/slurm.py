"""A Slurm array script that runs the parts of a batch command, with the list of who is in each part."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dopascope.batch.normalise import Part
from dopascope.cohort.scan import CohortScan
from dopascope.errors import UsageError


def array_script(command: Sequence[str], scans: Sequence[CohortScan], parts: int, workers: int) -> str:
    """The text of a script for `sbatch`: task i runs `command --part i/parts`.

    Args:
        command: the words of the command, without `--part`; paths absolute, since tasks start elsewhere.
        scans: the whole table.
        parts: array tasks; never more than scans.
        workers: cores of each task.

    Raises:
        UsageError: fewer parts than one.
    """
    if parts < 1:
        raise UsageError(
            "The number of parts cannot be meant.",
            where="--slurm-parts",
            found=parts,
            expected="a whole number from 1",
            fix="Leave it out, or give 1 or more.",
        )
    parts = min(parts, len(scans))
    words = shlex.join(command)
    who = [
        f"#   {number}  {_line(', '.join(one.name for one in Part(number, parts).take(scans)))}"
        for number in range(1, parts + 1)
    ]
    lines = [
        "#!/bin/bash",
        "#SBATCH --job-name=dopascope",
        f"#SBATCH --array=1-{parts}",
        f"#SBATCH --cpus-per-task={workers}",
        f"#SBATCH --mem={1 + workers}G",
        "#",
        "# Each task does one part; parts share the cache. When all have ended, gather with the command below without",
        "# --part. A part that failed or was stopped is done by the same array again, or by gathering.",
        "#",
        f"# {len(scans)} scans, by part:",
        *who,
        "",
        "set -eu",
        f'exec {words} --part "$SLURM_ARRAY_TASK_ID/{parts}"',
    ]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    """One line of a comment, whatever a name holds."""
    return " ".join(text.split())
