"""Who may see what: every route of the app with every kind of user, and requests that other sites forge."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from dopascope.web.tables import ReadingRow
from web_installation import PASSWORD, Browser, Finished, Installation

WHO = ("anonymous", "owner", "other", "reviewer", "administrator", "disabled")
IN, OUT, GONE = "in", "out", "404"
"""Served; sent to the log-in, or 401 for programs; not there."""
OPEN = dict.fromkeys(WHO, IN)
EVERYBODY = dict.fromkeys(WHO, IN) | {"anonymous": OUT, "disabled": OUT}
CLINICAL = EVERYBODY | {"administrator": GONE}
OWN = CLINICAL | {"other": GONE}
ADMINISTRATORS = dict.fromkeys(WHO, GONE) | {"anonymous": OUT, "disabled": OUT, "administrator": IN}
MATRIX: dict[str, dict[str, str]] = {
    "static": OPEN,
    "healthz": OPEN,
    "readyz": OPEN,
    "key": OPEN,
    "accounts.setup": dict.fromkeys(WHO, GONE),
    "accounts.login": OPEN,
    "accounts.register": dict.fromkeys(WHO, GONE),
    "accounts.invitation": dict.fromkeys(WHO, GONE),
    "accounts.logout": EVERYBODY,
    "accounts.account": EVERYBODY,
    "accounts.end_sessions": EVERYBODY,
    "accounts.users": ADMINISTRATORS,
    "accounts.invite": ADMINISTRATORS,
    "accounts.change_user": ADMINISTRATORS,
    "administration.queue": ADMINISTRATORS,
    "administration.again": ADMINISTRATORS,
    "administration.trail": ADMINISTRATORS,
    "administration.change_settings": ADMINISTRATORS,
    "administration.models": EVERYBODY,
    "administration.metrics": dict.fromkeys(WHO, GONE),  # asked by its own token
    "uploads.upload": CLINICAL,
    "uploads.job": OWN,
    "uploads.events": OWN,
    "uploads.again": OWN,
    "records.worklist": CLINICAL,
    "records.person": OWN,
    "records.dashboard": CLINICAL,
    "history.shown": EVERYBODY,
    "history.table": CLINICAL,
    "readings.reading": OWN,
    "readings.file": OWN,
    "readings.beside": CLINICAL,
    "readings.adjust": OWN,
    "readings.simulate": OWN,
    "readings.add_note": OWN,
    "readings.sign": OWN,
    "tokens.make": EVERYBODY,
    "tokens.end": dict.fromkeys(WHO, GONE) | {"anonymous": OUT, "disabled": OUT},  # nobody has such a token
    "api_description.get_openapi": OPEN,
    "api_readings.list_readings": CLINICAL,
    "api_readings.get_reading": OWN,
    "api_readings.get_whole_reading": OWN,
    "api_readings.get_reading_file": OWN,
    "api_readings.list_notes": OWN,
    "api_readings.add_note": OWN,
    "api_uploads.list_uploads": CLINICAL,
    "api_uploads.add_upload": CLINICAL,
    "api_uploads.get_upload": OWN,
    "api_uploads.get_job": OWN,
    "api_uploads.restart_job": OWN | {"administrator": IN},
    "api_records.get_worklist": CLINICAL,
    "api_records.get_person": OWN,
    "api_records.get_dashboard": CLINICAL,
    "api_administration.list_models": EVERYBODY,
    "api_administration.list_settings": ADMINISTRATORS,
    "api_uploads.correct_registration": OWN,
    "api_uploads.simulate_reading": OWN,
    "api_administration.list_users": ADMINISTRATORS,
    "api_administration.change_user": ADMINISTRATORS,
    "api_administration.get_audit": ADMINISTRATORS,
    "api_administration.get_queue": ADMINISTRATORS,
}
"""Endpoint -> what each kind of user gets; the scan is the owner's. Programs ask with a token of that user."""
BODIES: dict[str, dict[str, object]] = {
    "api_uploads.correct_registration": {"shift_mm": [0, 1, 0], "rotate_deg": [0, 0, 0]},
    "api_uploads.simulate_reading": {},
}
"""What programs send where it is not a comment."""


@pytest.fixture
def world(installation: Installation, finished: Finished) -> tuple[Installation, dict[str, Browser], str, str]:
    """Browsers of every kind of user, and a reading of the owner."""
    owner = installation.user("owner")
    for name, role in (("other", "reader"), ("reviewer", "reviewer"), ("disabled", "reader")):
        installation.user(name, role)
    installation.user("administrator", "administrator")
    browsers = {name: installation.browser(None if name == "anonymous" else name) for name in WHO}
    installation.programs = {
        name: installation.program("" if name == "anonymous" else installation.token(name)) for name in WHO
    }
    from sqlalchemy import select

    from dopascope.web.tables import User

    with installation.database.write() as session:
        session.scalars(select(User).where(User.key == "disabled")).one().disabled = True
    reading = installation.place(finished, owner)
    return installation, browsers, installation.jobs()[0].upload_id, reading


@pytest.mark.promise(
    "A view that nobody was allowed is closed; every route is tested with every role",
    asvs="8.2.1, 8.3.1",
    threats="T19",
)
@pytest.mark.promise(
    "What one may not see is not there (404), in pages, lists, files and tables", asvs="8.2.2", threats="T19"
)
def test_every_route_answers_each_user_as_the_matrix_says(
    world: tuple[Installation, dict[str, Browser], str, str],
) -> None:
    installation, browsers, upload_id, reading_id = world
    with installation.database.read() as session:
        pseudonym = session.get_one(ReadingRow, reading_id).pseudonym
    installation.app.config["WTF_CSRF_ENABLED"] = False  # the matrix is of roles; forged requests are tested below
    values = {
        "upload_id": upload_id,
        "reading_id": reading_id,
        "name": "reading.json",
        "pseudonym": pseudonym,
        "job_id": reading_id,
        "token": "x" * 43,
        "token_id": "0" * 64,
        "filename": "app.css",
        "user_id": "0" * 32,
        "change": "disable",
    }
    rules = list(installation.app.url_map.iter_rules())
    assert {one.endpoint for one in rules} == set(MATRIX), "a route without a row, or a row without a route"
    wrong = []
    for rule in sorted(rules, key=lambda one: one.endpoint == "accounts.logout"):
        with installation.app.test_request_context():
            given = values | ({"name": "regions.nii.gz"} if rule.endpoint == "readings.beside" else {})
            url = installation.app.url_for(rule.endpoint, **{name: given[name] for name in rule.arguments})
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            for name in WHO:
                if url.startswith("/api/"):
                    body = {"json": BODIES.get(rule.endpoint, {"text": "Seen."})} if method == "POST" else {}
                    told = installation.programs[name].open(url, method=method, **body)
                else:
                    told = browsers[name].client.open(url, method=method)
                found = _kind(told)
                expected = MATRIX[rule.endpoint][name]
                if rule.endpoint.endswith(".change_user") and name == "administrator":
                    expected = GONE  # there is no such user
                if found != expected:
                    wrong.append((rule.endpoint, method, name, found, expected, told.status_code))
    assert wrong == []


def _kind(told) -> str:  # type: ignore[no-untyped-def]
    if told.status_code == 404:
        return GONE
    if told.status_code == 401:
        return OUT if told.headers["WWW-Authenticate"].startswith("Bearer") else "broken 401"
    if (
        told.status_code == 302
        and re.match(r"/login(\?|$)", told.headers["Location"])
        and told.request.path != "/logout"
    ):
        return OUT
    if told.request.path == "/logout":
        return IN if "Clear-Site-Data" in told.headers else OUT
    return IN if told.status_code < 500 else f"broken {told.status_code}"


@pytest.mark.promise(
    "A view that nobody was allowed is closed; every route is tested with every role",
    asvs="8.2.1, 8.3.1",
    threats="T19",
)
@pytest.mark.parametrize("url", ["/readings/%00", "/uploads/a%00b", "/people/%00", "/readings/x/%00.json"])
def test_an_id_that_no_database_takes_is_not_there(installation: Installation, url: str) -> None:
    installation.user("ada")
    assert installation.browser("ada").get(url).status_code == 404


def test_a_view_that_nobody_was_allowed_is_closed(installation: Installation) -> None:
    installation.app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    installation.user("root", "administrator")
    assert installation.browser("root").get("/forgotten").status_code == 404
    assert installation.browser().get("/forgotten").status_code == 302


@pytest.mark.promise(
    "What one may not see is not there (404), in pages, lists, files and tables", asvs="8.2.2", threats="T19"
)
def test_others_scans_are_in_no_list(world: tuple[Installation, dict[str, Browser], str, str]) -> None:
    _, browsers, _, reading_id = world
    assert reading_id in browsers["owner"].get("/").text
    assert reading_id in browsers["reviewer"].get("/").text
    assert reading_id not in browsers["other"].get("/").text
    assert browsers["owner"].get("/history.csv").text.count("\r\n") == 2
    assert browsers["other"].get("/history.csv").text.count("\r\n") == 1


@pytest.mark.promise(
    "A form without its token, or sent by another site's page, is refused", asvs="3.5.1", threats="T16"
)
@pytest.mark.parametrize(
    "url", ["/login", "/logout", "/upload", "/account", "/account/sessions/end", "/account/tokens"]
)
def test_a_form_without_its_token_is_refused(installation: Installation, url: str) -> None:
    installation.user("ada")
    browser = installation.browser("ada")
    told = browser.client.post(url, data={"name": "ada", "password": PASSWORD})
    assert told.status_code == 400
    told = browser.client.post(url, data={"name": "ada", "password": PASSWORD, "csrf_token": "made up"})
    assert told.status_code == 400
    assert browser.get("/").status_code == 200


@pytest.mark.promise(
    "A form without its token, or sent by another site's page, is refused", asvs="3.5.1, 3.5.3", threats="T16"
)
def test_what_another_sites_page_sends_is_refused_even_with_a_token(installation: Installation) -> None:
    installation.user("ada")
    browser = installation.browser("ada")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get("/account").text)[1]
    for sent_from in ("cross-site", "same-site"):
        told = browser.client.post("/logout", data={"csrf_token": token}, headers={"Sec-Fetch-Site": sent_from})
        assert told.status_code == 400
    told = browser.client.post("/logout", data={"csrf_token": token}, headers={"Sec-Fetch-Site": "same-origin"})
    assert told.status_code == 302


@pytest.mark.promise(
    "No script or style stands inside a page; every answer has a strict policy",
    asvs="3.4.3, 3.4.4, 3.4.5",
    threats="T14",
)
def test_every_answer_has_the_headers_that_keep_it_to_itself(installation: Installation) -> None:
    installation.user("ada")
    browser = installation.browser("ada")
    for url in ("/", "/login", "/nothing", "/static/app.css", "/healthz"):
        headers = browser.get(url).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"], url
        assert "unsafe-inline" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        if not url.startswith("/static"):
            assert headers["Cache-Control"] == "no-store"
    page = browser.get("/upload").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", page)


@pytest.mark.promise(
    "It answers this machine alone, or a proxy with TLS under a name that it knows", asvs="12.1.1", threats="T27"
)
def test_a_forged_host_is_refused(install: Callable[..., Installation]) -> None:
    installation = install(behind_proxy=True, trusted_hosts=("scans.example.org",))
    client = installation.app.test_client()
    assert client.get("/healthz", base_url="https://scans.example.org").status_code == 200
    assert client.get("/healthz", base_url="https://evil.example").status_code == 400


@pytest.mark.promise(
    "It answers this machine alone, or a proxy with TLS under a name that it knows",
    asvs="12.1.1, 13.4.2",
    threats="T26",
)
@pytest.mark.parametrize(
    "changes",
    [
        {"host": "0.0.0.0"},
        {"host": "192.168.1.4"},
        {"host": "scans.example.org"},
        {"behind_proxy": True},
        {"quota": 0},
    ],
)
def test_settings_that_open_the_app_to_strangers_are_refused(
    install: Callable[..., Installation], changes: dict[str, object]
) -> None:
    from dopascope.errors import UsageError

    with pytest.raises(UsageError):
        install(**changes)


def test_the_secrets_are_this_accounts_alone(installation: Installation) -> None:
    path = installation.settings.data / "secrets.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert installation.settings.data.stat().st_mode & 0o777 == 0o700
    first = installation.settings.secret("audit")
    assert installation.settings.secret("audit") == first != installation.settings.secret("cookies")


@pytest.mark.promise(
    "Our own failures tell a number, and the log holds no text of a file", asvs="16.5.1", threats="T22, T28"
)
def test_what_breaks_on_our_side_tells_a_number_and_logs_no_text(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**_: object) -> None:
        raise ValueError("ZZCANARY^PAT")

    installation.user("ada")
    browser = installation.browser("ada")
    monkeypatch.setattr("dopascope.web.history.chosen", broken)
    told = browser.get("/")
    assert told.status_code == 500
    number = re.search(r"number: (\w{8})", told.text)[1]
    assert number in caplog.text
    assert "ValueError" in caplog.text
    assert "ZZCANARY" not in caplog.text
    assert "ZZCANARY" not in told.text


def test_browsers_keep_static_files_until_their_content_changes(installation: Installation) -> None:
    installation.user("ada")
    page = installation.browser().get("/login").text
    (named,) = re.findall(r'href="(/static/app\.css[^"]*)"', page)
    client = installation.app.test_client()
    assert "immutable" in client.get(named).headers["Cache-Control"]
    for other in ("/static/app.css", "/static/app.css?v=000000000000"):
        assert client.get(other).headers["Cache-Control"] == "no-cache"
