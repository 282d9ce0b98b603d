"""Signing in and out, and the first password, in a browser."""

from api.access.site import PASSWORD
from console.conftest import ADMIN, PHONE
from machine_monitor.services.accounts import invitations


def test_who_is_not_known_signs_in_and_comes_to_where_they_wanted(opened):
    page = opened("/ui/logs?type=error&q=0012", user=None)
    page.get_by_label("Trigram").fill("abe")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("do not go together").wait_for()
    assert page.get_by_label("Password").input_value() == ""
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/logs?type=error&q=0012")


def test_an_address_of_another_host_is_no_place_to_go_to(opened, site):
    page = opened("/ui/sign-in?next=//example.com/ui/", user=None)
    page.get_by_label("Trigram").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.address}/ui/logs")


def test_signing_out_ends_it(opened):
    page = opened("/ui/sign-in", user=None)
    page.get_by_label("Trigram").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="My account").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/ui/sign-in?next=*")
    page.goto("/ui/logs")
    page.wait_for_url("**/ui/sign-in?next=*")


def test_a_link_opens_an_account_once_and_faults_stand_at_their_field(opened, site):
    made = site.write(lambda tx: invitations.invite(tx, "SOK"))
    page = opened(made.url("").replace("//", "/", 1), user=None, **PHONE)
    password = page.get_by_label("New password")
    password.fill("too short")
    page.get_by_role("button", name="Open my account").click()
    page.wait_for_selector("[name=password][aria-invalid=true]")
    assert page.locator("[name=password]").get_attribute("aria-describedby").endswith("-fault")
    password.fill("quatre vaches vertes")
    page.get_by_role("button", name="Open my account").click()
    page.wait_for_url("**/ui/logs")
    again = opened(made.url("").replace("//", "/", 1), user=None)
    again.get_by_label("New password").fill("quatre vaches vertes")
    again.get_by_role("button", name="Open my account").click()
    again.get_by_text("This link was used").wait_for()


def test_the_language_and_the_theme_are_chosen_and_kept(opened):
    page = opened("/ui/account")
    page.get_by_label("Language").select_option("fr")
    page.get_by_role("heading", name="Mon compte").wait_for()
    page.get_by_label("Apparence").select_option("dark")
    page.goto("/ui/account")
    page.get_by_role("heading", name="Mon compte").wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert page.evaluate("document.documentElement.lang") == "fr"
