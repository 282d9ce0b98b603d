"""Signing in and out, and choosing the first password, in a browser."""

import httpx2

from api.access.site import PASSWORD
from console.conftest import ADMIN, PHONE
from machine_monitor.services.accounts import invitations
from machine_monitor.services.audit.history import ChangeContext


def test_a_visitor_signs_in_and_returns_to_the_requested_page(opened):
    page = opened("/ui/logs?type=error&q=0012", user=None)
    page.get_by_label("Trigram").fill("abe")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Wrong trigram or password.").wait_for()
    assert page.get_by_label("Password").input_value() == ""
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/logs?type=error&q=0012")


def test_signing_in_never_redirects_to_another_host(opened, site):
    page = opened("/ui/sign-in?next=//example.com/ui/", user=None)
    page.get_by_label("Trigram").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.address}/ui/logs")


def test_signing_out_leads_to_the_sign_in_page(opened):
    page = opened("/ui/sign-in", user=None)
    page.get_by_label("Trigram").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="My account").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/ui/sign-in?next=*")
    page.goto("/ui/logs")
    page.wait_for_url("**/ui/sign-in?next=*")


def test_an_invitation_works_once_and_errors_are_shown_at_their_field(opened, site):
    invitation = site.write(lambda tx: invitations.invite(tx, "SOK", ChangeContext("test")))
    page = opened(invitation.url(""), user=None, **PHONE)
    password = page.get_by_label("New password")
    password.fill("too short")
    page.get_by_role("button", name="Activate my account").click()
    page.wait_for_selector("[name=password][aria-invalid=true]")
    assert page.locator("[name=password]").get_attribute("aria-describedby").endswith("-error")
    password.fill("quatre vaches vertes")
    page.get_by_role("button", name="Activate my account").click()
    page.wait_for_url("**/ui/logs")
    again = opened(invitation.url(""), user=None)
    again.get_by_label("New password").fill("quatre vaches vertes")
    again.get_by_role("button", name="Activate my account").click()
    again.get_by_text("This link was already used").wait_for()


FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"


def test_a_user_sees_where_they_are_signed_in_and_ends_a_session(opened, site):
    with httpx2.Client(base_url=site.address, headers={"User-Agent": FIREFOX}) as other:
        assert other.post("/session", json={"trigram": ADMIN, "password": PASSWORD}).is_success
        page = opened("/ui/account")
        sessions = page.get_by_role("list", name="Where you are signed in").get_by_role("listitem")
        here = sessions.filter(has_text="this one")
        assert "Chrome on Linux" in here.text_content()
        assert here.get_by_role("button").count() == 0
        there = sessions.filter(has_text="Firefox on Windows")
        assert "last used" in there.text_content()
        there.get_by_role("button", name="End session of Firefox on Windows").click()
        page.get_by_text("Session ended.").wait_for()
        there.wait_for(state="detached")
        assert other.get("/me").status_code == 401
    assert here.count() == 1


def test_the_list_of_sessions_is_in_french_too(opened):
    page = opened("/ui/account", locale="fr-FR", **PHONE)
    sessions = page.get_by_role("list", name="Vos connexions").get_by_role("listitem")
    sessions.filter(has_text="Chrome (Linux)").filter(has_text="celui-ci").wait_for()


def test_language_and_theme_are_remembered(opened):
    page = opened("/ui/account")
    page.get_by_label("Language").select_option("fr")
    page.get_by_role("heading", name="Mon compte").wait_for()
    page.get_by_label("Apparence").select_option("dark")
    page.goto("/ui/account")
    page.get_by_role("heading", name="Mon compte").wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert page.evaluate("document.documentElement.lang") == "fr"
