"""The programming interface: tokens, answers, refusals, and an OpenAPI document that is true."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import select

from dopascope import __version__
from dopascope.web import limiter, once, seal
from dopascope.web.sessions import digest
from dopascope.web.tables import ApiToken, AuditEntry, Identity, Job, Note, ReadingRow, SentOnce, Upload, User
from web_installation import PASSWORD, Finished, Installation, Program

PROBLEM = "application/problem+json"
EXAMPLES = 12
"""Of each operation, way and mode."""


@pytest.fixture
def ada(installation: Installation) -> Program:
    """A reader's program."""
    installation.user("ada")
    return installation.program(installation.token("ada"))


def filled(installation: Installation, owner: str, count: int, *, created: float = 1.7e9) -> list[str]:
    """Readings without files, all of one moment, so that nothing but their ids orders them."""
    with installation.database.write() as session:
        user = session.scalars(select(User).where(User.key == owner)).one()
        made = []
        for number in range(count):
            upload = Upload(
                owner_id=user.id, original_name=f"{number}.dcm", files=1, size=1, sha256="0" * 64, created=created
            )
            session.add(upload)
            session.flush()
            job = Job(upload_id=upload.id, state="done", finished=created)
            session.add(job)
            session.flush()
            row = ReadingRow(
                id=job.id,
                upload_id=upload.id,
                owner_id=user.id,
                pseudonym=f"P-{number % 2:08X}",
                created=created,
                verdict=("normal", "reduced", "uncertain")[number % 3],
                passport="in-distribution",
                ratios={"putamen_left": 1.0 + number},
                sha256="0" * 64,
            )
            session.add(row)
            session.flush()
            session.add(Identity(reading_id=row.id, fields={"patient_name": "ZZCANARY^PAT"}))
            made.append(row.id)
    return made


def refused(told: Any, status: int) -> dict[str, Any]:
    """The problem that an answer is."""
    assert told.status_code == status, told.text
    assert told.mimetype == PROBLEM
    found: dict[str, Any] = json.loads(told.text)
    assert found["status"] == status
    assert {"type", "title", "status", "detail"} <= set(found)
    return found


# --- the document


def test_the_document_tells_of_every_route_and_of_nothing_else(installation: Installation) -> None:
    document = installation.program().get("/openapi.json").json
    told = {
        (path, method.upper())
        for path, operations in document["paths"].items()
        for method in operations
        if method != "parameters"
    }
    routes = {
        (re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule), method)
        for rule in installation.app.url_map.iter_rules()
        if rule.rule.startswith("/api")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert told == routes
    assert document["info"]["version"] == __version__
    names = [one["operationId"] for part in document["paths"].values() for one in part.values() if "operationId" in one]
    assert len(names) == len(set(names)) == len(told)
    page = (Path(__file__).parents[2] / "docs" / "web.md").read_text(encoding="utf-8")
    assert [path for path, _ in told if path.removeprefix("/api/v1").split("{")[0].rstrip("/") not in page] == []


def test_the_document_is_openapi_3_1(installation: Installation) -> None:
    from jsonschema import Draft202012Validator

    document = installation.program().get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        part: Any = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
    assert document["security"] == [{"token": []}]


# --- tokens


@pytest.mark.promise(
    "A token is shown once, ends with its time, account, role and password, and never gives more than its user's role",
    asvs="7.2.1, 7.4.3, 8.2.1",
    threats="T17, T20",
)
def test_a_token_is_made_with_the_password_shown_once_and_ended(installation: Installation) -> None:
    installation.user("ada")
    browser = installation.browser("ada")
    asked = {"page": "/account", "name": "the archive", "scopes": ["read", "upload"], "days": "30"}
    assert "not your password" in browser.submit("/account/tokens", **asked, password="wrong password").text
    told = browser.submit("/account/tokens", **asked, password=PASSWORD).text
    token = re.search(r"dps_[A-Za-z0-9_-]{43}", told)[0]
    assert "dps_" not in browser.get("/account").text
    program = installation.program(token)
    assert program.get("/readings").json == []
    assert refused(program.post(f"/readings/{'0' * 32}/notes", json={"text": "x"}), 403)["scope"] == "annotate"
    with installation.database.read() as session:
        own = session.scalars(select(ApiToken)).one()
        trail = list(session.scalars(select(AuditEntry)))
    assert own.id == digest(token)
    assert own.seen is not None
    for path in installation.settings.data.glob("dopascope.sqlite*"):
        assert token.encode() not in path.read_bytes()
    assert token not in " ".join(f"{one.target} {one.detail}" for one in trail)
    browser.submit(f"/account/tokens/{own.id}/end", page="/account")
    refused(program.get("/readings"), 401)
    with installation.database.read() as session:
        actions = [one.action for one in session.scalars(select(AuditEntry))]
    assert "token made" in actions
    assert "token ended" in actions


@pytest.mark.parametrize(
    "wrong", [{"days": "0"}, {"days": "366"}, {"scopes": []}, {"scopes": ["admin"]}, {"name": ""}, {"days": "x"}]
)
def test_a_token_that_cannot_be_meant_is_not_made(installation: Installation, wrong: dict[str, Any]) -> None:
    installation.user("ada")
    asked = {"name": "x", "scopes": ["read"], "days": "30", "password": PASSWORD} | wrong
    told = installation.browser("ada").submit("/account/tokens", page="/account", **asked)
    assert told.status_code == 200
    assert "dps_" not in told.text


def test_nobody_ends_anothers_token_and_nobody_has_too_many(
    installation: Installation, ada: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.user("bob")
    bob = installation.browser("bob")
    assert bob.submit(f"/account/tokens/{digest(ada.token)}/end", page="/account").status_code == 404
    assert ada.get("/readings").status_code == 200
    monkeypatch.setattr("dopascope.web.api.tokens.MOST", 1)
    for made in (True, False):
        told = bob.submit("/account/tokens", page="/account", name="x", scopes=["read"], days="1", password=PASSWORD)
        assert ("dps_" in told.text) == made
    assert "too many tokens" in told.text


@pytest.mark.promise(
    "A token is shown once, ends with its time, account, role and password, and never gives more than its user's role",
    asvs="7.2.1, 7.4.3, 8.2.1",
    threats="T17, T20",
)
def test_a_token_ends_with_its_time_its_account_and_its_password(installation: Installation, ada: Program) -> None:
    def changed(**values: Any) -> None:
        with installation.database.write() as session:
            own = session.scalars(select(ApiToken)).one()
            for name, value in values.items():
                setattr(own, name, value)

    now = time.time()
    for values, status in (
        ({"expires": now - 1}, 401),
        ({"expires": now + 60}, 200),
        ({"created": now + 3600}, 401),  # a clock was set back
        ({"created": now}, 200),
    ):
        changed(**values)
        assert ada.get("/readings").status_code == status
    for disabled, status in ((True, 401), (False, 200)):
        with installation.database.write() as session:
            session.scalars(select(User)).one().disabled = disabled
        assert ada.get("/readings").status_code == status
    installation.browser("ada").submit("/account", old=PASSWORD, new="another phrase of mine")
    refused(ada.get("/readings"), 401)


@pytest.mark.promise(
    "A token is shown once, ends with its time, account, role and password, and never gives more than its user's role",
    asvs="7.2.1, 7.4.3, 8.2.1",
    threats="T17, T20",
)
def test_a_token_gives_no_more_than_the_role_of_the_moment(installation: Installation) -> None:
    installation.user("root", "administrator")
    program = installation.program(installation.token("root", "read", "admin", "upload"))
    assert program.get("/users").status_code == 200
    refused(program.get("/readings"), 404)
    with installation.database.write() as session:
        session.scalars(select(User)).one().role = "reader"
    refused(program.get("/users"), 404)
    assert program.get("/readings").status_code == 200
    assert refused(program.upload((b"x", "x.dcm")), 403)["scope"] == "upload"


@pytest.mark.promise(
    "A token is shown once, ends with its time, account, role and password, and never gives more than its user's role",
    asvs="7.2.1, 7.4.3, 8.2.1",
    threats="T17, T20",
)
def test_another_role_ends_tokens(installation: Installation, ada: Program) -> None:
    installation.user("root", "administrator")
    root = installation.program(installation.token("root"))
    users = {one["name"]: one["id"] for one in root.get("/users").json}
    assert root.post(f"/users/{users['ada']}/reviewer").json["role"] == "reviewer"
    refused(ada.get("/readings"), 401)
    assert refused(root.post(f"/users/{users['root']}/disable"), 409)["what"].startswith("Your own account")
    refused(root.post(f"/users/{users['ada']}/emperor"), 404)


@pytest.mark.promise(
    "A browser's session opens nothing of the programming interface, and a token no page", asvs="3.5.1", threats="T16"
)
def test_sessions_are_for_pages_and_tokens_for_programs(installation: Installation, ada: Program) -> None:
    browser = installation.browser("ada")
    told = browser.get("/api/v1/readings")
    refused(told, 401)
    assert told.headers["WWW-Authenticate"] == 'Bearer realm="dopascope"'
    refused(browser.client.post("/api/v1/uploads", data={}), 401)
    told = ada.client.get("/", headers={"Authorization": f"Bearer {ada.token}"})
    assert told.headers["Location"].startswith("/login")


@pytest.mark.promise(
    "Guessing is slowed per account and per address, in the database, and tells nobody who exists",
    asvs="6.3.1",
    threats="T18",
)
def test_guessing_is_slowed_and_a_good_token_is_not(installation: Installation, ada: Program) -> None:
    wrong = installation.program("dps_" + "x" * 43)
    told = [wrong.get("/readings") for _ in range(limiter.FREE["token"] + 2)]
    assert told[0].status_code == 401
    assert "invalid_token" in told[0].headers["WWW-Authenticate"]
    refused(told[-1], 429)
    assert int(told[-1].headers["Retry-After"]) >= 1
    assert ada.get("/readings").status_code == 200
    assert installation.browser("ada").get("/").status_code == 200, "log-ins are counted apart"
    for header in ("", "Bearer", "Bearer ", "Basic YTpi", f"bearer{ada.token}"):
        refused(installation.program().get("/readings", headers={"Authorization": header}), 401)


# --- answers


def test_from_upload_to_reading(installation: Installation, ada: Program, scan: bytes) -> None:
    told = ada.upload((scan, "one.dcm"), age="67", sex="F")
    assert told.status_code == 202, told.text
    job = ada.get(told.headers["Location"])
    assert job.json["state"] == "queued"
    assert job.json["id"] == told.json["job_id"]
    assert ada.get(told.json["links"]["upload"]).json["choices"] == {"age": 67.0, "sex": "F"}
    refused(ada.post(f"/jobs/{job.json['id']}/restart"), 409)
    installation.work()
    job = ada.get(told.headers["Location"]).json
    assert (job["state"], job["error"]) == ("done", None)
    reading = ada.get(job["links"]["reading"]).json
    assert [one["id"] for one in ada.get("/readings").json] == [reading["id"]]
    assert [one["id"] for one in ada.get("/worklist").json] == [reading["id"]]
    assert reading["identity"], "its owner may see whom it shows"
    whole = ada.get(reading["links"]["whole"])
    assert whole.json["verdict"] == reading["verdict"]
    assert whole.json["person"]["age_years"] == 67
    sealed = ada.get(reading["files"]["seal.json"]).json
    assert sealed["key"] == seal.public_key(installation.settings.secret("seal"))
    assert ada.get(reading["files"]["report.pdf"]).data.startswith(b"%PDF")
    assert "sandbox" in ada.get(reading["files"]["report.html"]).headers["Content-Security-Policy"]
    for url in reading["files"].values():
        assert ada.get(url).status_code == 200, url
    person = ada.get(reading["links"]["person"]).json
    assert [one["reading_id"] for one in person["visits"]] == [reading["id"]]
    assert ada.get("/dashboard").json["total"] == 1
    _notes(installation, ada, reading["id"])
    at = f"/readings/{reading['id']}/corrections"
    signed = ada.post(at, json={"shift_mm": [0, 1, 0], "rotate_deg": [0, 0, 0]})
    assert refused(signed, 409)["type"].endswith("signed")


def test_a_registration_is_corrected_once(installation: Installation, ada: Program, finished: Finished) -> None:
    with installation.database.read() as session:
        owner = session.scalars(select(User.id).where(User.name == "ada")).one()
    reading = installation.place(finished, owner)
    at = f"/readings/{reading}/corrections"
    refused(ada.post(at, json={"shift_mm": [0, 31, 0], "rotate_deg": [0, 0, 0]}), 422)
    told = ada.post(at, json={"shift_mm": [0, 3, 0], "rotate_deg": [0, 0, 2.5]})
    assert told.status_code == 202
    upload = ada.get(f"/uploads/{told.json['upload_id']}").json
    assert {"shift_mm": [0, 3, 0], "rotate_deg": [0, 0, 2.5]}.items() <= upload["choices"].items()
    assert upload["replaces"] == ada.get(f"/readings/{reading}").json["upload_id"]
    again = ada.post(at, json={"shift_mm": [0, 1, 0], "rotate_deg": [0, 0, 0]})
    assert refused(again, 409)["type"].endswith("replaced")


def _notes(installation: Installation, program: Program, reading: str) -> None:
    """Comments by the program, the signature by the page, and then an addendum."""
    at = f"/readings/{reading}/notes"
    assert program.post(at, json={"text": "Seen.\nTwice."}).json["kind"] == "comment"
    page = f"/readings/{reading}"
    installation.browser("ada").sign(page, "Reduced.")
    assert program.post(at, json={"text": "Later."}).status_code == 201
    assert [one["kind"] for one in program.get(at).json] == ["comment", "signature", "addendum"]
    detail = program.get(f"/readings/{reading}").json
    assert detail["signature"]["text"] == "Reduced."
    assert detail["signed_by"] == "ada"
    assert (detail["signature"]["label"], detail["signature"]["confidence"]) == ("reduced", 4)
    assert program.get("/worklist").json == []


def test_what_is_sent_twice_under_one_key_is_taken_once(installation: Installation, ada: Program) -> None:
    first = ada.upload((b"no scan", "one.dcm"), key="a-key")
    again = ada.upload((b"no scan", "one.dcm"), key="a-key")
    assert first.status_code == again.status_code == 202
    assert first.json == again.json
    assert first.headers["Location"] == again.headers["Location"]
    installation.work()
    assert ada.upload((b"no scan", "one.dcm"), key="a-key").json == first.json, "refused, and not read again"
    assert ada.upload((b"no scan", "one.dcm")).json != first.json, "without the key it is a new try"
    for other in ({"data": b"another"}, {"age": "50"}, {"name": "two.dcm"}):
        more = {name: value for name, value in other.items() if name == "age"}
        told = ada.upload((other.get("data", b"no scan"), other.get("name", "one.dcm")), key="a-key", **more)
        problem = refused(told, 422)
        assert problem["where"] == "Idempotency-Key"
        assert problem["fix"]
    installation.user("bob")
    bob = installation.program(installation.token("bob"))
    assert bob.upload((b"another", "one.dcm"), key="a-key").status_code == 202, "keys are each user's own"
    with installation.database.write() as session:
        for one in session.scalars(select(SentOnce)):
            one.created = time.time() - once.KEPT_S - 1
    assert ada.upload((b"another", "one.dcm"), key="a-key").status_code == 202
    with installation.database.read() as session:
        assert len(session.scalars(select(SentOnce)).all()) == 1, "what is over is forgotten"
    assert len(list(installation.settings.uploads.iterdir())) == 4
    assert list(installation.settings.incoming.iterdir()) == []


@pytest.mark.parametrize("key", ["", "with a blank", "x" * 201, "caf\u00e9"])
def test_a_key_that_is_none_is_refused(ada: Program, key: str) -> None:
    refused(ada.upload((b"x", "x.dcm"), key=key), 422)


def test_a_tag_saves_the_answer(installation: Installation, ada: Program) -> None:
    reading = filled(installation, "ada", 1)[0]
    for url in ("/readings", "/uploads", f"/readings/{reading}", "/dashboard", "/models", "/worklist", "/openapi.json"):
        told = ada.get(url)
        tag = told.headers["ETag"]
        assert re.fullmatch(r'"[^"]+"', tag), "strong"
        again = ada.get(url, headers={"If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
        assert ada.get(url, headers={"If-None-Match": '"another"'}).status_code == 200
    tag = ada.get(f"/readings/{reading}").headers["ETag"]
    ada.post(f"/readings/{reading}/notes", json={"text": "Seen."})
    assert ada.get(f"/readings/{reading}", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("url", ["/readings", "/uploads", "/worklist"])
@pytest.mark.parametrize("size", [1, 3, 7, 200])
def test_pages_hold_everything_once(installation: Installation, ada: Program, url: str, size: int) -> None:
    made = filled(installation, "ada", 7)
    found: list[str] = []
    at: str | None = f"{url}?page_size={size}"
    while at is not None:
        told = ada.get(at)
        found += [one["job"]["id"] if url == "/uploads" else one["id"] for one in told.json]
        links = dict(re.findall(r'<([^>]+)>; rel="(\w+)"', told.headers["Link"]))
        at = next((address for address, kind in links.items() if kind == "next"), None)
        assert json.loads(told.headers["X-Pagination"])["total"] == 7
    assert sorted(found) == sorted(made)
    assert ada.get(f"{url}?page=1000000").json == []


def test_lists_are_searched_as_on_the_page(installation: Installation, ada: Program) -> None:
    made = filled(installation, "ada", 6)
    assert [one["id"] for one in ada.get("/readings?find=3.DCM").json] == [made[3]]
    assert {one["id"] for one in ada.get("/readings?verdict=normal").json} == {made[0], made[3]}
    assert ada.get("/readings?find=%25&page_size=2").json == []
    told = ada.get("/readings?verdict=normal&page_size=1")
    assert "verdict=normal" in told.headers["Link"]


def test_others_see_nothing_of_it(installation: Installation, ada: Program) -> None:
    reading = filled(installation, "ada", 1)[0]
    for name, role in (("bob", "reader"), ("root", "administrator"), ("carl", "reviewer")):
        installation.user(name, role)
    assert ada.get(f"/readings/{reading}").json["identity"] == {"patient_name": "ZZCANARY^PAT"}
    carl = installation.program(installation.token("carl"))
    assert "ZZCANARY" in carl.get(f"/readings/{reading}").text
    for program in (ada, carl):
        for url in ("/readings", "/uploads", "/worklist", "/dashboard"):
            assert "ZZCANARY" not in program.get(url).text
    for name in ("bob", "root"):
        program = installation.program(installation.token(name))
        for url in ("/readings", "/uploads", "/worklist", "/dashboard", "/models", "/users", "/audit", "/queue"):
            told = program.get(url)
            assert reading not in told.text or url == "/audit"
            assert "ZZCANARY" not in told.text
        for url in (f"/readings/{reading}", f"/readings/{reading}/notes", f"/jobs/{reading}", "/people/P-00000000"):
            refused(program.get(url), 404)


def test_administrators_have_the_trail_and_the_queue(installation: Installation, ada: Program) -> None:
    installation.user("root", "administrator")
    root = installation.program(installation.token("root"))
    job = ada.upload((b"no scan", "ZZCANARY.dcm")).json["job_id"]
    with installation.database.write() as session:
        row = session.get_one(Job, job)
        row.state, row.finished, row.error = "dead", 1.0, {"what": "It died.", "found": "signal SIGKILL"}
    told = root.get("/queue")
    assert told.json["counts"]["dead"] == 1
    assert told.json["dead"][0]["found"] == "signal SIGKILL"
    assert "ZZCANARY" not in told.text
    restarted = root.post(told.json["dead"][0]["links"]["restart"])
    assert restarted.status_code == 202
    assert restarted.json["state"] == "queued"
    refused(root.post(f"/jobs/{job}/restart"), 409)
    refused(root.post(f"/jobs/{'0' * 32}/restart"), 404)
    trail = root.get("/audit?page_size=1").json
    assert trail["lines"][0]["action"] == "reading queued again"
    assert trail["verified"]["broken"] is None
    assert trail["verified"]["lines"] == trail["lines"][0]["number"]


def test_models_are_named_without_their_folder(installation: Installation, ada: Program) -> None:
    told = ada.get("/models")
    assert {"id", "licence", "model_sha256"} <= set(told.json[0])
    assert any(one["reads_each_scan"] for one in told.json)
    assert "/" not in json.dumps([one["id"] for one in told.json])
    assert "folder" not in told.text


# --- refusals


@pytest.mark.parametrize(
    ("method", "url", "kinds", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/api", {}, 404),
        ("GET", "/api/v2/readings", {}, 404),
        ("GET", "/readings/x", {}, 404),
        ("GET", "/readings/%00", {}, 404),
        ("DELETE", "/readings", {}, 405),
        ("GET", "/readings?page=0", {}, 422),
        ("GET", "/readings?pagesize=3", {}, 422),
        ("GET", "/readings?page=99999999999999999999", {}, 422),
        ("GET", "/readings?page_size=201", {}, 422),
        ("GET", "/readings?verdict=dead", {}, 422),
        ("POST", "/uploads", {}, 415),
        ("POST", "/uploads", {"json": {}}, 415),
        ("POST", "/uploads", {"content_type": "multipart/form-data", "data": {}}, 422),
        ("POST", "/uploads", {"content_type": "multipart/form-data", "data": {"age": "old"}}, 422),
        ("POST", "/uploads", {"content_type": "multipart/form-data", "data": {"age": "nan"}}, 422),
        ("POST", "/readings/{}/notes", {"data": "{}"}, 415),
        ("POST", "/readings/{}/notes", {"json": {}}, 422),
        ("POST", "/readings/{}/notes", {"json": []}, 422),
        ("POST", "/readings/{}/notes", {"json": {"text": " "}}, 422),
        ("POST", "/readings/{}/notes", {"json": {"text": "\0"}}, 422),
        ("POST", "/readings/{}/notes", {"json": {"text": "\ud800"}}, 422),
        ("POST", "/readings/{}/notes", {"json": {"text": "x" * 4001}}, 422),
        ("POST", "/readings/{}/notes", {"json": {"text": "x", "kind": "signature"}}, 422),
        ("POST", "/readings/{}/notes", {"content_type": "application/json", "data": "{"}, 400),
        ("POST", "/readings/{}/notes", {"content_type": "application/json", "data": b"\xff"}, 400),
        ("POST", "/readings/{}/notes", {"content_type": "application/json", "data": "[" * 60_000}, 400),
        ("POST", "/readings/{}/notes", {"content_type": "application/json", "data": "[" * 70_000}, 413),
    ],
)
def test_every_refusal_is_a_problem(
    installation: Installation, ada: Program, method: str, url: str, kinds: dict[str, Any], status: int
) -> None:
    told = ada.open(url.format(filled(installation, "ada", 1)[0]), method=method, **kinds)
    problem = refused(told, status)
    assert str(installation.settings.data) not in told.text
    if status == 405:
        assert "GET" in told.headers["Allow"]
    if status == 422 and url != "/uploads":
        assert problem["errors"][0]["where"]
        assert problem["errors"][0]["what"]
    with installation.database.read() as session:
        assert session.scalars(select(Note)).all() == []


def test_limits_of_an_installation_are_problems_too(install: Callable[..., Installation]) -> None:
    installation = install(largest_upload=100_000, quota=150_000)
    installation.user("ada")
    ada = installation.program(installation.token("ada"))
    refused(ada.upload((bytes(200_000), "large.dcm")), 413)
    assert ada.upload((b"1" * 80_000, "one.dcm")).status_code == 202
    problem = refused(ada.upload((b"2" * 80_000, "two.dcm")), 422)
    assert problem["type"] == "urn:dopascope:problem:usage"
    assert {"what", "where", "found", "expected", "fix"} <= set(problem)
    told = ada.client.get("/api/v1/readings", base_url="http://evil.example")
    refused(told, 400)


def test_our_own_fault_is_a_number(
    ada: Program, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("ZZCANARY^PAT")

    monkeypatch.setattr("dopascope.web.history.conditions", broken)
    told = ada.get("/readings")
    number = re.search(r"number: (\w{8})", refused(told, 500)["detail"])[1]
    assert number in caplog.text
    assert "ZZCANARY" not in told.text + caplog.text
    assert "Traceback" not in told.text


# --- what nobody thought of


@pytest.mark.promise(
    "The programming interface answers what its OpenAPI document says, whatever is asked, and never breaks",
    asvs="4.1.1",
)
@pytest.mark.slow
def test_answers_keep_to_the_document_whatever_is_asked(
    installation: Installation, scan: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each operation with what the document allows and with what it forbids, on addresses that exist and others."""
    import schemathesis
    from schemathesis import GenerationMode

    monkeypatch.setitem(limiter.FREE, "token", 1_000_000)  # it asks with wrong tokens too
    installation.user("carl", "reviewer")
    installation.user("root", "administrator")
    known = {"user_id": installation.user("ada")}
    programs = {name: installation.program(installation.token(name)) for name in ("carl", "root")}
    sent = programs["carl"].upload((scan, "one.dcm")).json
    installation.work()
    page = f"/readings/{sent['job_id']}"
    installation.browser("carl").sign(page, "Reduced.")
    known |= {"reading_id": sent["job_id"], "job_id": sent["job_id"], "upload_id": sent["upload_id"]}
    known["pseudonym"] = programs["carl"].get(f"/readings/{sent['job_id']}").json["pseudonym"]
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", installation.app)
    operations = [one.ok() for one in schema.get_all_operations()]
    for operation in operations:
        administers = operation.definition.raw.get("x-scopes") == ["admin"]
        headers = {"Authorization": f"Bearer {programs['root' if administers else 'carl'].token}"}
        there = {name: known[name] for name in known if f"{{{name}}}" in operation.path}
        for mode in GenerationMode:
            for path in (there, {}) if there else ({},):
                _asked(operation, mode, path, headers, EXAMPLES)


def _asked(operation: Any, mode: Any, path: dict[str, str], headers: dict[str, str], examples: int) -> None:
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    fixed = {"path_parameters": path} if path else {}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, **fixed))
    def ask(case: Any) -> None:
        told = case.call(headers=headers)
        # A key may be made twice by chance, with other files.
        reused = told.status_code == 422 and told.json().get("where") == "Idempotency-Key"
        case.validate_response(told, headers=headers, excluded_checks=[positive_data_acceptance] if reused else [])

    ask()
