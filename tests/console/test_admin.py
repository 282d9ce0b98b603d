"""The administration and the own account in a browser: users, invitations, tokens, log types, the password."""

import contextlib
import re
import secrets
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Error

from api.access.site import PASSWORD, hashed_password
from console.conftest import ADMIN, OPERATOR, PHONE, SUPERVISOR
from machine_monitor.services import demo
from machine_monitor.services.accounts import invitations
from machine_monitor.services.audit.history import ChangeContext

SENTENCE = "neuf moutons violets dansent"


def sign_in(page, trigram, password):
    page.get_by_label("Trigram").fill(trigram)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def add_user(site, trigram, **values):
    site.call("PUT", f"/users/{trigram}", **{"active": True, **values})


def test_an_invited_user_can_sign_in(opened, site):
    page = opened("/ui/admin/people")
    page.get_by_role("button", name="Add a person").click()
    page.get_by_label("Trigram").fill("no spaces")
    page.get_by_label("First name").fill("Noor")
    page.get_by_role("button", name="Add a person").last.click()
    page.get_by_text("then use only letters, digits").wait_for()
    page.get_by_label("Trigram").fill("NOO")
    page.get_by_label("Role").select_option("lead")
    page.get_by_role("button", name="Add a person").last.click()
    page.wait_for_url("**/ui/admin/people/NOO")
    page.get_by_role("button", name="Create a link").click()
    link = page.get_by_label("Link (shown only once)").input_value()
    assert link.startswith(f"{site.address}/ui/setup#code=")
    page.reload()
    page.get_by_role("button", name="Create a link").wait_for()
    assert page.get_by_label("Link (shown only once)").count() == 0
    invited = opened(link.removeprefix(site.address), user=None, **PHONE)
    invited.get_by_label("New password").fill(SENTENCE)
    invited.get_by_role("button", name="Activate my account").click()
    invited.wait_for_url("**/ui/logs")
    assert site.call("GET", "/users/NOO")["role"] == "lead"


def test_users_are_found_by_the_start_of_a_name_and_the_search_is_in_the_address(opened, site):
    add_user(site, "ELO", first_name="Éloïse", last_name="Grand-Pré")
    page = opened("/ui/admin/people")
    page.get_by_role("link", name="Éloïse Grand-Pré").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("eloi pre")
    page.get_by_text("1 person").wait_for()
    assert page.url.endswith("?q=eloi+pre")
    page.get_by_role("link", name="Éloïse Grand-Pré").click()
    page.wait_for_url("**/people/ELO?q=eloi+pre")
    page.keyboard.press("Escape")
    page.wait_for_url("**/people?q=eloi+pre")
    page.wait_for_function("document.activeElement.dataset.key === 'ELO'")
    page.get_by_label("Find a person").fill("zzz")
    page.get_by_text("Nobody found.").wait_for()


def test_the_search_keeps_the_focus_and_a_form_that_is_half_filled_in(opened, site):
    add_user(site, "ZOM", first_name="Zoé-Maud", last_name="Roy")
    page = opened("/ui/admin/new-person")
    page.get_by_label("Trigram").fill("NEW")
    page.get_by_label("Find a person").click()
    page.keyboard.type("zoe-m")
    page.get_by_text("1 person").wait_for()
    assert page.get_by_label("Find a person").input_value() == "zoe-m"
    assert page.get_by_label("Trigram").input_value() == "NEW"


def test_concurrent_changes_of_a_user_are_merged(opened, site):
    add_user(site, "TWO", first_name="Before", last_name="Before")
    page = opened("/ui/admin/people/TWO")
    page.get_by_label("First name").fill("Mine")
    site.call("PATCH", "/users/TWO", last_name="Theirs")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Someone else changed this person.").wait_for()
    assert page.get_by_label("Last name").input_value() == "Theirs"
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    stored = site.call("GET", "/users/TWO")
    assert (stored["first_name"], stored["last_name"]) == ("Mine", "Theirs")


def test_an_inactive_user_is_marked_and_cannot_be_invited(opened, site):
    add_user(site, "OFF")
    page = opened("/ui/admin/people/OFF")
    page.get_by_label("Active account").uncheck()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("First make the account active, and save.").wait_for()
    assert page.get_by_role("button", name="Create a link").count() == 0
    assert "Inactive" in page.locator("[data-key=OFF]").text_content()


@pytest.mark.parametrize(("field", "new_role"), [("role", "lead"), ("active", None)])
def test_removing_the_last_admin_is_refused_at_the_field(opened, field, new_role):
    page = opened(f"/ui/admin/people/{ADMIN}", refusals=(409,))
    if new_role:
        page.get_by_label("Role").select_option(new_role)
    else:
        page.get_by_label("Active account").uncheck()
    page.get_by_role("button", name="Save").click()
    invalid = page.locator("[aria-invalid=true]")
    invalid.wait_for()
    assert invalid.get_attribute("name") == field
    error_id = invalid.get_attribute("aria-describedby").split()[-1]
    assert "last active admin" in page.locator(f"[id='{error_id}']").text_content()


def test_a_token_is_shown_once_and_works_until_it_is_revoked(opened, site):
    page = opened("/ui/admin/tokens")
    page.get_by_role("button", name="New token").wait_for()
    page.keyboard.press("n")
    page.get_by_label("Purpose").fill("Shift report")
    page.get_by_label("Acts for").select_option(OPERATOR)
    page.get_by_label("Valid for (days)").fill("4000")
    page.get_by_role("button", name="Create token").click()
    page.wait_for_selector("[name=days][aria-invalid=true]")
    page.get_by_label("Valid for (days)").fill("30")
    page.get_by_role("button", name="Create token").click()
    secret = page.get_by_label("Token (shown only once)").input_value()
    headers = {"Authorization": f"Bearer {secret}"}
    me = httpx2.get(f"{site.address}/me", headers=headers).json()
    assert (me["user"]["trigram"], me["scope"]) == (OPERATOR, "read")
    page.get_by_role("button", name="Done").click()
    page.wait_for_url("**/ui/admin/tokens")
    assert secret not in page.content()
    revoke = page.get_by_role("button", name="Revoke Shift report")
    revoke.click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    revoke.and_(page.locator(":focus")).wait_for()
    revoke.click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    page.get_by_text("Token revoked.").wait_for()
    page.get_by_role("list", name="Tokens").and_(page.locator(":focus")).wait_for()
    assert httpx2.get(f"{site.address}/me", headers=headers).status_code == 401


def test_a_filter_that_was_removed_does_not_come_back_with_its_late_response(opened, site):
    name = f"Of the admin {secrets.token_hex(3)}"
    site.call("POST", "/tokens", name=name, scope="read")
    page, held = opened("/ui/account"), []

    def hold(route):
        held.append(route)

    page.route(re.compile(r":\d+/tokens\?.*user="), hold)
    page.goto(f"/ui/admin/tokens?user={OPERATOR}")
    page.get_by_role("button", name="Show all").click()
    page.get_by_text(name).wait_for()
    with contextlib.suppress(Error):  # the console may have cancelled it
        held[0].continue_()
    page.wait_for_timeout(300)
    assert page.get_by_text(name).is_visible()


def test_the_copy_button_copies_the_token(opened):
    page = opened("/ui/account/new-token", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_label("Purpose").fill("Copied")
    page.get_by_role("button", name="Create token").click()
    secret = page.get_by_label("Token (shown only once)").input_value()
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == secret


def test_my_tokens_shows_only_the_users_own_tokens(opened, site):
    site.call("POST", "/tokens", name="Of somebody else", scope="read", user=SUPERVISOR)
    page = opened("/ui/account", user=OPERATOR, **PHONE)
    page.get_by_role("link", name="My tokens").click()
    page.get_by_text("No tokens.").wait_for()
    page.get_by_role("button", name="New token").click()
    assert page.get_by_label("Acts for").count() == 0
    assert page.locator("[name=scope] option").count() == 2
    page.get_by_label("Purpose").fill("My script")
    page.get_by_role("button", name="Create token").click()
    page.get_by_role("button", name="Done").click()
    page.get_by_text("My script").wait_for()
    assert page.locator("li", has_text="expires").count() == 1
    page.get_by_role("button", name="Revoke My script").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    page.get_by_text("No tokens.").wait_for()


def test_a_supervisor_adds_and_changes_a_log_type(opened, site):
    page = opened("/ui/admin", user=SUPERVISOR)
    page.get_by_role("button", name="Add a type").click()
    page.get_by_label("Code").fill("oil-leak")
    page.get_by_label("Counts as a failure").check()
    page.get_by_role("button", name="Add a type").last.click()
    page.wait_for_url("**/ui/admin/types/oil-leak")
    page.get_by_label("Label").fill("Oil leak")
    page.get_by_label("Active").uncheck()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Oil leak").wait_for()
    stored = site.call("GET", "/log-types/oil-leak")
    assert (stored["label"], stored["counts_as_failure"], stored["active"]) == ("Oil leak", True, False)
    page.get_by_label("Label").fill("")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="oil-leak").wait_for()


def test_actions_that_the_role_forbids_are_not_offered(opened):
    page = opened("/ui/admin", user=SUPERVISOR)
    page.get_by_role("link", name="Types").wait_for()
    assert page.get_by_role("link", name="People").count() == 0
    page.goto("/ui/admin/people")
    page.get_by_role("heading", name="Your role does not allow this.").wait_for()
    page = opened("/ui/account", user=OPERATOR)
    page.get_by_role("heading", name="My account").wait_for()
    assert page.get_by_role("link", name=re.compile("Admin")).count() == 0


def test_changing_the_password_keeps_the_user_signed_in(opened, site):
    add_user(site, "PWD")
    site.write(lambda tx: invitations.set_password(tx, "PWD", hashed_password(), ChangeContext("test")))
    page = opened("/ui/account/password", user=None)
    sign_in(page, "PWD", PASSWORD)
    page.get_by_text("15 to 200 characters").wait_for()
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("pwd pwd pwd pwd pwd")
    page.get_by_role("button", name="Change password").click()
    page.wait_for_selector("[name=new][aria-invalid=true]")
    page.get_by_label("New password").fill(SENTENCE)
    page.get_by_role("button", name="Change password").click()
    page.get_by_text("Password changed.").wait_for()
    page.goto("/ui/logs")
    page.wait_for_selector("[data-uuid]")


def test_a_password_that_was_changed_is_not_reported_as_failed_if_the_new_sign_in_fails(opened, site):
    add_user(site, "PW2")
    site.write(lambda tx: invitations.set_password(tx, "PW2", hashed_password(), ChangeContext("test")))
    page = opened("/ui/account/password", user=None, refusals=(401,))
    sign_in(page, "PW2", PASSWORD)
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill(SENTENCE)
    page.route("**/session", lambda route: route.abort())
    page.get_by_role("button", name="Change password").click()
    page.get_by_text("Password changed. Sign in with the new one.").wait_for()
    page.unroute("**/session")
    sign_in(page, "PW2", SENTENCE)
    page.get_by_label("Current password").wait_for()


def test_a_write_succeeds_after_another_tab_has_signed_in_again(opened, site):
    add_user(site, "TAB")
    page = opened("/ui/sign-in?next=/ui/admin/people/TAB", user=None, refusals=(403,))
    sign_in(page, ADMIN, PASSWORD)
    page.get_by_label("First name").fill("Twice")
    # Sign in as another tab would: both tabs share the new cookie.
    answer = page.context.request.post("/session", data={"trigram": ADMIN, "password": PASSWORD})
    assert answer.ok
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert site.call("GET", "/users/TAB")["first_name"] == "Twice"


def test_nothing_is_written_in_the_name_of_another_user(opened, site):
    page = opened("/ui/sign-in?next=/ui/account/new-token", user=None, refusals=(403,))
    sign_in(page, SUPERVISOR, PASSWORD)
    page.get_by_label("Purpose").fill("Not theirs")
    assert page.context.request.post("/session", data={"trigram": OPERATOR, "password": PASSWORD}).ok
    page.get_by_role("button", name="Create token").click()
    page.get_by_text("Someone else signed in").wait_for()
    assert page.get_by_role("link", name=re.compile(OPERATOR)).is_visible()
    assert "Not theirs" not in str(site.call("GET", "/tokens?limit=500"))


def test_the_demo_link_signs_in_once(opened, site):
    site.call("POST", "/users", trigram="DEM")
    link = site.write(lambda tx: invitations.invite(tx, "DEM", ChangeContext("test")))
    account = demo.AdminAccess(link, "as-the-demo-made-it", "")
    page = opened(account.url(""), user=None)
    page.get_by_role("button", name="Activate my account").click()
    page.wait_for_url("**/ui/logs")
    assert "password" not in page.evaluate("JSON.stringify(history.state) + location.href")
    page = opened(account.url(""), user=None, refusals=(410,))
    page.get_by_role("button", name="Activate my account").click()
    page.get_by_text("This link was already used").wait_for()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Trigram").wait_for()


def test_field_errors_are_in_french_for_a_french_user(opened):
    page = opened("/ui/admin/new-person", locale="fr-FR", refusals=(409,))
    page.get_by_label("Trigramme").fill("_x")
    page.get_by_role("button", name="Ajouter une personne").last.click()
    page.get_by_text("Seulement des lettres").wait_for()
    page.get_by_label("Trigramme").fill(ADMIN)
    page.get_by_role("button", name="Ajouter une personne").last.click()
    page.get_by_text("Ce nom est déjà pris").wait_for()


@pytest.mark.parametrize(
    ("path", "label", "code", "add", "message"),
    [
        ("/ui/admin/new-person", "Trigram", "AWY", "Add a person", "AWY was added."),
        ("/ui/admin/new-type", "Code", "elsewhere", "Add a type", "Saved."),
    ],
    ids=["person", "type"],
)
def test_what_is_saved_does_not_take_the_user_from_the_page_that_was_opened_meanwhile(
    opened, path, label, code, add, message
):
    page, held = opened(path), []

    def hold_post(route):
        if route.request.method == "POST":
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile("/(users|log-types)$"), hold_post)
    page.get_by_label(label, exact=True).fill(code)
    page.get_by_role("button", name=add).last.click()
    while not held:
        page.wait_for_timeout(10)
    page.get_by_role("link", name="Logs", exact=True).click()
    page.wait_for_selector("[data-uuid]")
    held[0].continue_()
    page.get_by_text(message).wait_for()
    page.wait_for_timeout(300)
    assert not urlsplit(page.url).path.startswith("/ui/admin")
