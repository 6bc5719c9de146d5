"""Accounts: who gets in, who does not, and what ends a session."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from dopascope.errors import UsageError
from dopascope.web import audit, limiter, passwords, sessions
from dopascope.web.app import setup_token
from dopascope.web.tables import AuditEntry, Invitation, Throttle, User, WebSession
from web_installation import PASSWORD, Installation


@pytest.mark.promise(
    "There is no default account; the first one needs a token that only the server's terminal shows",
    asvs="6.3.2",
    threats="T18",
)
def test_the_first_account_needs_the_token_and_there_is_no_second_setup(installation: Installation) -> None:
    browser = installation.browser()
    assert browser.get("/").headers["Location"].startswith("/login")
    assert browser.get("/login").headers["Location"] == "/setup"
    token = setup_token(installation.settings, installation.database)
    assert (installation.settings.data / "setup-token").stat().st_mode & 0o777 == 0o600
    told = browser.submit("/setup", token="wrong", name="admin", password=PASSWORD)
    assert "not the token" in told.text
    told = browser.submit("/setup", token=token, name="admin", password="password1")
    assert "most frequent passwords" in told.text
    assert browser.submit("/setup", token=token, name="admin", password=PASSWORD).status_code == 302
    assert "an account that reads scans" in browser.get("/users").text
    assert not (installation.settings.data / "setup-token").exists()
    assert setup_token(installation.settings, installation.database) is None
    assert browser.get("/setup").status_code == 404


@pytest.mark.promise(
    "A session is dead after log-out, by time, after another password, and when the account is disabled",
    asvs="7.4.1",
    threats="T17",
)
def test_a_copied_cookie_is_dead_after_log_out(installation: Installation) -> None:
    installation.user("ada")
    browser = installation.browser("ada")
    stolen = browser.client.get_cookie("dopascope").value
    other = installation.browser()
    other.client.set_cookie("dopascope", stolen)
    assert other.get("/").status_code == 200
    assert browser.submit("/logout", page="/").status_code == 302
    assert other.get("/").headers["Location"].startswith("/login")
    with installation.database.read() as session:
        assert session.scalars(select(WebSession)).all() == []


@pytest.mark.promise(
    "The cookie is kept from scripts and other sites, and the database holds only its digest",
    asvs="3.3.1, 3.3.2, 3.3.4",
    threats="T16, T17",
)
def test_the_cookie_is_kept_from_scripts_and_other_sites_and_names_no_session(
    install: Callable[..., Installation],
) -> None:
    installation = install(behind_proxy=True, trusted_hosts=("scans.example.org",))
    installation.user("ada")
    browser = installation.browser()
    base = {"base_url": "https://scans.example.org"}
    page = browser.get("/login", **base).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    fields = {"name": "ada", "password": PASSWORD, "csrf_token": token[1]}
    told = browser.client.post("/login", data=fields, headers={"Referer": "https://scans.example.org/"}, **base)
    cookie = next(one for one in told.headers.getlist("Set-Cookie") if one.startswith("__Host-dopascope="))
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie
    value = cookie.split("=", 1)[1].split(";")[0]
    with installation.database.read() as session:
        assert session.get(WebSession, value) is None
        assert session.get(WebSession, sessions.digest(value)) is not None


@pytest.mark.promise(
    "A session is dead after log-out, by time, after another password, and when the account is disabled",
    asvs="7.2.4, 7.4.3",
    threats="T17",
)
def test_log_in_makes_a_new_session_and_another_password_ends_the_others(installation: Installation) -> None:
    installation.user("ada")
    first, second = installation.browser("ada"), installation.browser("ada")
    before = second.client.get_cookie("dopascope").value
    assert first.client.get_cookie("dopascope").value != before
    told = second.submit("/account", old="wrong password", new="another phrase of mine")
    assert "not your password" in told.text
    assert second.submit("/account", old=PASSWORD, new="another phrase of mine").status_code == 302
    assert first.get("/").status_code == 302
    assert second.get("/").status_code == 200
    assert installation.browser().submit("/login", name="ada", password=PASSWORD).status_code == 401
    assert installation.browser("ADA", "another phrase of mine").get("/").status_code == 200


@pytest.mark.promise(
    "A session is dead after log-out, by time, after another password, and when the account is disabled",
    asvs="7.3.1, 7.3.2",
    threats="T17",
)
@pytest.mark.parametrize(("field", "ago_s"), [("seen", 31 * 60), ("created", 13 * 3600), ("seen", -3600)])
def test_sessions_end_by_time_and_by_a_clock_that_was_set_back(
    installation: Installation, field: str, ago_s: float
) -> None:
    installation.user("ada")
    browser = installation.browser("ada")
    with installation.database.write() as session:
        own = session.scalars(select(WebSession)).one()
        setattr(own, field, time.time() - ago_s)
    assert browser.get("/").headers["Location"].startswith("/login")


@pytest.mark.promise(
    "Guessing is slowed per account and per address, in the database, and tells nobody who exists",
    asvs="6.3.8",
    threats="T18",
)
def test_nobody_learns_who_has_an_account(installation: Installation) -> None:
    installation.user("ada")
    told = [
        installation.browser().submit("/login", name=name, password="wrong password").text for name in ("ada", "nobody")
    ]
    texts = [re.sub(r'value="[^"]*"', "", one) for one in told]
    assert texts[0] == texts[1]
    assert "do not belong together" in texts[0]

    def seconds(stored: str | None) -> float:
        started = time.perf_counter()
        passwords.matches(stored, "wrong password")
        return time.perf_counter() - started

    stored = passwords.hashed(PASSWORD)
    seconds(None)
    known, unknown = (min(seconds(one) for _ in range(5)) for one in (stored, None))
    assert 0.5 < known / unknown < 2


@pytest.mark.promise(
    "Guessing is slowed per account and per address, in the database, and tells nobody who exists",
    asvs="6.3.1, 6.3.8",
    threats="T18",
)
def test_guessing_is_slowed_for_accounts_that_exist_and_those_that_do_not(installation: Installation) -> None:
    installation.user("ada")
    for name in ("ada", "nobody"):
        codes = [installation.browser().submit("/login", name=name, password="x" * 9).status_code for _ in range(8)]
        assert codes[:5] == [401] * 5, name
        assert 429 in codes[5:7], name
    with installation.database.write() as session:
        session.get_one(Throttle, "account:ada").until = time.time() + 60
    told = installation.browser().submit("/login", name="ada", password=PASSWORD)
    assert told.status_code == 429  # the right password too, while the wait lasts
    assert "Too many tries" in told.text
    with installation.database.write() as session:  # another worker, or after a restart: the same rows
        for one in session.scalars(select(Throttle)):
            one.until = 0.0
    assert installation.browser("ada").get("/").status_code == 200


@pytest.mark.promise(
    "Guessing is slowed per account and per address, in the database, and tells nobody who exists",
    asvs="6.3.1",
    threats="T18",
)
def test_waits_grow_and_end_and_ones_own_log_in_does_not_clear_an_address(installation: Installation) -> None:
    keys = limiter.keys_of("ada", "10.0.0.1")
    waits = []
    with installation.database.write() as session:
        for _ in range(40):
            limiter.failed(session, keys)
            waits.append(limiter.wait_s(session, keys))
    assert waits[:4] == [0.0] * 4
    assert all(later >= earlier - 0.1 for earlier, later in itertools.pairwise(waits))
    assert waits[-1] == pytest.approx(limiter.LONGEST_WAIT_S, abs=1)
    with installation.database.write() as session:
        limiter.succeeded(session, keys)
        assert session.get(Throttle, "account:ada") is None
        assert session.get(Throttle, "address:10.0.0.1").failures == 39


@pytest.mark.promise(
    "Passwords are hashed with argon2id, count whole, and frequent ones are refused",
    asvs="6.2.1, 6.2.4, 6.2.9",
    threats="T18",
)
@pytest.mark.parametrize("password", ["short", "x" * 129, "password123", "12345678", "ada-ada-1"])
def test_passwords_that_are_easily_guessed(password: str) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        passwords.check(password, "ada-ada")


@pytest.mark.promise(
    "Passwords are hashed with argon2id, count whole, and frequent ones are refused",
    asvs="6.2.8, 11.4.2",
    threats="T18",
)
def test_every_character_of_a_password_counts(real_hasher: PasswordHasher) -> None:
    long = "correct horse battery staple " * 4
    stored = passwords.hashed(long)
    assert passwords.matches(stored, long)
    assert not passwords.matches(stored, long[:-1])
    assert not passwords.matches(stored, long[:72] + "x" + long[73:])
    assert stored.startswith("$argon2id$")
    assert real_hasher.memory_cost >= 19 * 1024, "less than OWASP asks for"
    assert real_hasher.time_cost >= 2


@pytest.mark.promise("Nobody gives himself a role", asvs="15.3.3", threats="T20")
def test_an_invitation_makes_one_account_of_its_role_and_nobody_chooses_his_own(installation: Installation) -> None:
    installation.user("root", "administrator")
    admin = installation.browser("root")
    told = admin.submit("/users/invite", page="/users", role="reviewer")
    path = re.search(r"http://localhost(/invitation/[\w-]+)", told.text)[1]
    guest = installation.browser()
    assert guest.get("/register").status_code == 404
    fields = {"name": "rea", "password": PASSWORD, "role": "administrator", "disabled": "0", "id": "1"}
    assert guest.submit(path, **fields).status_code == 302
    with installation.database.read() as session:
        made = session.scalars(select(User).where(User.key == "rea")).one()
        assert (made.role, made.disabled) == ("reviewer", False)
        assert made.id != "1"
    assert installation.browser().get(path).status_code == 404
    other = admin.submit("/users/invite", page="/users", role="reader")
    late = re.search(r"http://localhost(/invitation/[\w-]+)", other.text)[1]
    with installation.database.write() as session:
        for one in session.scalars(select(Invitation)):
            one.expires = time.time() - 1
    assert installation.browser().get(late).status_code == 404


@pytest.mark.promise("Nobody gives himself a role", asvs="15.3.3", threats="T20")
def test_open_registration_makes_readers_and_no_name_twice(install: Callable[..., Installation]) -> None:
    installation = install(registration="open")
    installation.user("Ada")
    browser = installation.browser()
    assert "taken" in browser.submit("/register", name="ada", password=PASSWORD).text
    assert browser.submit("/register", name="bob", password=PASSWORD, role="administrator").status_code == 302
    assert browser.get("/users").status_code == 404


@pytest.mark.promise(
    "A session is dead after log-out, by time, after another password, and when the account is disabled",
    asvs="7.4.2",
    threats="T17",
)
def test_a_disabled_account_is_out_at_once(installation: Installation) -> None:
    installation.user("root", "administrator")
    ada = installation.user("ada")
    browser = installation.browser("ada")
    admin = installation.browser("root")
    assert admin.submit(f"/users/{ada}/disable", page="/users").status_code == 302
    assert browser.get("/").status_code == 302
    assert installation.browser().submit("/login", name="ada", password=PASSWORD).status_code == 401
    assert admin.submit(f"/users/{ada}/enable", page="/users").status_code == 302
    assert installation.browser("ada").get("/").status_code == 200
    assert admin.submit(f"/users/{ada}/emperor", page="/users").status_code == 404


def test_the_page_to_go_to_after_log_in_is_ours(installation: Installation) -> None:
    installation.user("ada")
    for wanted, got in (
        ("/account", "/account"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil", "/"),
    ):
        told = installation.browser().submit(f"/login?to={wanted}", name="ada", password=PASSWORD)
        assert told.headers["Location"] == got


@pytest.mark.promise("A changed, removed or reordered line of the audit trail is found", asvs="16.4.2", threats="T25")
def test_the_audit_trail_holds_what_happened_and_shows_every_change(installation: Installation) -> None:
    installation.user("ada")
    installation.browser().submit("/login", name="ada", password="wrong password")
    installation.browser("ada").submit("/logout", page="/")
    key = installation.settings.secret("audit")
    with installation.database.read() as session:
        lines = session.scalars(select(AuditEntry).order_by(AuditEntry.number)).all()
        assert [one.action for one in lines] == ["log in failed", "log in", "log out"]
        whole = audit.verify(session, key)
    assert (whole.lines, whole.broken) == (3, None)
    for change in (
        "UPDATE audit SET action = 'nothing' WHERE number = 2",
        "DELETE FROM audit WHERE number = 1",
        "UPDATE audit SET number = 9 WHERE number = 1",
    ):
        with installation.database.engine.connect() as connection, pytest.raises(Exception, match="only added"):
            connection.exec_driver_sql(change)
        with installation.database.engine.connect() as connection:  # by somebody who owns the file
            for line in UNLOCKED[connection.dialect.name]:
                connection.exec_driver_sql(line)
            connection.exec_driver_sql(change)
            found = audit.verify(_session(connection), key)
            connection.rollback()
        assert found.broken is not None, change
    with installation.database.read() as session:
        assert audit.verify(session, "00" * 32).broken == 1


UNLOCKED = {
    "sqlite": ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"],
    "postgresql": ["DROP TRIGGER audit_append_only ON audit"],
}


def _session(connection):  # type: ignore[no-untyped-def]
    from sqlalchemy.orm import Session

    return Session(bind=connection)
