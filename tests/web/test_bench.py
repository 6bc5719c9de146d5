"""The peer of `bench/web.py` shows the same page of the same database."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from web_installation import Finished, Installation

BARE = Path(__file__).parents[2] / "bench" / "web_parts" / "bare.py"


def test_the_bare_app_lists_what_ours_lists(installation: Installation, finished: Finished) -> None:
    ada = installation.user("ada")
    installation.place(finished, ada)
    spec = spec_from_file_location("bare", BARE)
    assert spec is not None
    assert spec.loader is not None
    bare = module_from_spec(spec)
    spec.loader.exec_module(bare)
    page = bare.create(installation.settings.url).test_client().get("/")
    assert page.status_code == 200
    ours = installation.browser("ada").get("/").text
    for one in ("/readings/", "history.csv"):
        assert page.text.count(one) == ours.count(one) > 0
