"""`dopascope audit-claim CLAIM`: a paper's figures against each other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from dopascope.cli import options
from dopascope.cli.talk import as_json, data, say, verb


@verb
def audit_claim(
    claim: Annotated[
        str, typer.Argument(help="A .toml file, or s1 to s5 for the papers that come along.", metavar="CLAIM")
    ],
    json: options.JsonOption = False,
) -> None:
    """Check what a paper reports against itself: figures that cannot be, and what they leave open.

    Example: dopascope audit-claim s3
    """
    from dopascope.claims import audit, read_claim, shipped

    known = read_claim(Path(claim)) if claim.endswith(".toml") else shipped(claim)
    found = audit(known)
    if json:
        told = [one.as_dict() for one in found]
        data(as_json({"form": "dopascope.audit/1", "title": known.title, "source": known.source, "findings": told}))
    else:
        data(f"{known.title} ({known.source})")
        for where in dict.fromkeys(one.where for one in found):
            data(f"\n{where}")
            for one in found:
                if one.where == where:
                    data(f"  {one.weight.upper():<10}  {one.text}")
    weights = Counter(one.weight for one in found)
    say(", ".join(f"{weights[name]} {name}" for name in ("impossible", "suspect", "note")))
