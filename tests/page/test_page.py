"""The page in a real browser, before a real edge and a real router."""

import json
import re
import urllib.request
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from protos.router.v1 import router_pb2 as pb
from tests.conftest import ROUTER_CONFIG
from tests.page.conftest import KEY, House, page_house
from tests.processes import NEVER

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", **PHONE},
    "phone in the dark": {"color_scheme": "dark", **PHONE},
}
HOSTILE = "<script>document.title='taken'</script>"


def rows(page: Page):
    return page.locator("#rows tbody tr")


def expect_live(page: Page) -> None:
    expect(page.locator("#state-text")).to_have_text("Live")


def leave_by(page: Page, link: str) -> None:
    """Follow a link, and return when all of the next page is there."""
    with page.expect_navigation():
        page.get_by_role("link", name=link).click()


def expect_accessible(page: Page) -> None:
    # What still arrives, animated, would be looked at in between.
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished)).then(() => true)")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def expect_no_sideways_scrolling(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def ask(house: House, model: str = "auto") -> None:
    """Send a prompt through the edge, and read its answer to the end."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "secret words of a prompt"}]}
    request = urllib.request.Request(
        f"{house.edge_url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=NEVER) as answer:
        answer.read()


@pytest.mark.parametrize("look", ["light", "phone in the dark"])
def test_with_nothing_decided_the_page_says_how_to_send_a_first_prompt(empty: House, visit, look: str):
    page = visit(empty.page, **LOOKS[look]).page
    expect(page.get_by_role("heading", name="No decision yet")).to_be_visible()
    expect(page.get_by_label("The curl command")).to_contain_text(f"{empty.edge_url}/v1/chat/completions")
    expect(page.get_by_label("The Aider command")).to_contain_text("--model openai/auto")
    expect_live(page)
    expect_accessible(page)
    expect_no_sideways_scrolling(page)


def test_a_decision_appears_by_itself_and_then_its_outcome(busy: House, visit, provider):
    page = visit(busy.page).page
    expect_live(page)
    before = rows(page).count()
    ask(busy)
    expect(rows(page)).to_have_count(before + 1)
    first = rows(page).first
    expect(first).to_contain_text("fake/first")
    expect(first.locator(".outcome")).to_have_text("completed")
    expect(first.locator("[data-label='First token']")).to_have_text(re.compile(r"^\d+ ms$|^[\d.]+ s$"))
    expect(first.locator("[data-label='Cost']")).to_contain_text("$")
    expect(page.locator("#said")).to_have_text("1 new decision")
    assert "secret words" not in page.content()


def test_tabs_that_nobody_sees_leave_the_browsers_connections_to_the_one_that_is_seen(busy: House, visit):
    page = visit(busy.page).page
    tabs = [page]
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true})"
    turn = "document.dispatchEvent(new Event('visibilitychange'))"
    # One more than the browser has connections to a host.
    for _ in range(6):
        expect_live(tabs[-1])
        tabs[-1].evaluate(f"{hide % 'true'}; {turn}")
        tabs.append(page.context.new_page())
        tabs[-1].goto(busy.page)
    expect_live(tabs[-1])
    before = rows(tabs[-1]).count()
    ask(busy)
    expect(rows(tabs[-1])).to_have_count(before + 1)
    latest = rows(tabs[-1]).first.get_attribute("id")
    assert page.locator(f"#{latest}").count() == 0
    page.evaluate(f"{hide % 'false'}; {turn}")
    expect(page.locator(f"#{latest}")).to_be_visible()
    for tab in tabs[1:]:
        tab.close()


def test_tabs_that_were_opened_unseen_take_no_connection_until_they_are_seen(busy: House, visit):
    context = visit(busy.page).page.context
    unseen = [context.new_page() for _ in range(6)]
    for tab in unseen:
        tab.add_init_script("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
        tab.goto(busy.page)
    seen = context.new_page()
    seen.goto(busy.page)
    expect_live(seen)
    unseen[0].evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    expect_live(unseen[0])
    for tab in (*unseen, seen):
        tab.close()


def test_one_click_opens_the_whole_decision_and_escape_leads_back(busy: House, visit):
    page = visit(busy.page).page
    expect_live(page)
    link = rows(page).last.get_by_role("link", name="fake/first")
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Decision")
    expect(dialog.get_by_role("heading", name="Ranking")).to_be_visible()
    expect(dialog.locator(".ranking li")).to_have_count(2)
    expect(dialog).to_contain_text("fake/second")
    for heading in ("Not Diamond", "Pin", "Previous reply", "Learning", "Reports"):
        expect(dialog.get_by_role("heading", name=heading)).to_be_visible()
    expect(dialog).to_contain_text("first token after 420 ms")
    expect_accessible(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
    href = link.get_attribute("href")
    page.goto(busy.page + href)
    expect(page.get_by_role("heading", name="Decision", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Ranking")).to_be_visible()


def test_a_prompt_is_routed_without_being_sent(busy: House, visit, provider):
    provider.reset()
    page = visit(busy.page).page
    page.get_by_role("link", name="Dry run").click()
    page.get_by_label("Prompt").fill(f"Rename the function {HOSTILE} everywhere")
    page.get_by_label("Profile").select_option("auto")
    page.get_by_label("Purpose").select_option("code")
    page.get_by_role("button", name="Route it").click()
    result = page.get_by_role("region", name="Would go to")
    expect(result).to_contain_text("dry run: no model was asked")
    expect(result.locator(".ranking li")).to_have_count(2)
    expect(result.locator(".ranking li").first).to_contain_text("fake/first")
    assert page.title().startswith("Dry run")
    expect_accessible(page)
    assert provider.seen == []
    page.goto(busy.page)
    expect(rows(page).first).to_contain_text("dry run")
    expect(rows(page).first).to_contain_text("not sent")
    assert "Rename the function" not in page.content()


def test_a_dry_run_that_the_router_refuses_says_why(busy: House, visit):
    page = visit(f"{busy.page}/route").page
    page.get_by_label("Prompt").fill("   ")
    page.get_by_role("button", name="Route it").click()
    expect(page.get_by_role("alert")).to_have_text("Write a prompt first.")


@pytest.mark.parametrize("look", LOOKS)
def test_the_list_is_accessible_and_fits(busy: House, visit, look: str):
    page = visit(busy.page, **LOOKS[look]).page
    expect_live(page)
    expect_accessible(page)
    expect_no_sideways_scrolling(page)
    page.get_by_role("img", name="Share by model").wait_for()
    for summary in page.locator("figure summary").all():
        summary.click()
    expect(page.get_by_role("table")).to_have_count(5)
    expect_accessible(page)
    expect_no_sideways_scrolling(page)
    page.goto(f"{busy.page}/route")
    expect_accessible(page)
    expect_no_sideways_scrolling(page)


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(busy: House, visit):
    page = visit(busy.page).page
    expect_live(page)
    walked = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const at = document.activeElement;
              const style = getComputedStyle(at);
              const name = at.name || at.id || at.className || at.textContent.trim();
              return [name, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
            }"""
        )
        walked.append(seen[0])
        assert seen[1], f"nothing shows that the focus is on {seen[0]}"
        if seen[0] == "open":
            break
    wanted = ["skip", "Decisions", "Dry run", "profile", "model", "purpose", "source", "span", "Show"]
    assert walked[: len(wanted)] == wanted
    assert walked[-2:] == ["pause", "open"]
    page.reload()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_filters_narrow_the_list_and_what_comes_live(busy: House, visit):
    busy.decide(1, purpose=pb.PURPOSE_ASK, conversation_id="talk-2")
    page = visit(busy.page).page
    page.get_by_label("Purpose").select_option("ask")
    page.get_by_role("button", name="Show").click()
    expect(rows(page)).to_have_count(1)
    expect_live(page)
    busy.decide(1, purpose=pb.PURPOSE_CODE)
    busy.decide(1, purpose=pb.PURPOSE_ASK, conversation_id="talk-2")
    expect(rows(page)).to_have_count(2)
    expect(page.locator("#rows")).not_to_contain_text("code")
    page.get_by_label("Source").select_option("escalated")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No decision fits these filters.")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    expect(rows(page).nth(10)).to_be_visible()
    page.get_by_role("link", name="talk-2").first.click()
    expect(rows(page)).to_have_count(2)


def test_a_paused_list_stands_still_and_catches_up(busy: House, visit):
    page = visit(busy.page).page
    expect_live(page)
    before = rows(page).count()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#state-text")).to_have_text("Paused")
    busy.decide(2)
    resume = page.get_by_role("button", name="Resume (2)")
    expect(resume).to_be_visible()
    assert rows(page).count() == before
    resume.click()
    expect(rows(page)).to_have_count(before + 2)
    expect_live(page)


def test_text_from_outside_is_shown_as_text(visit, tmp_path: Path, edge_config: Path):
    config = tmp_path / "router.toml"
    model = ROUTER_CONFIG.split("[[models]]")[1].replace("fake/first", f"fake/{HOSTILE}")
    profile = (
        f'[profiles.hostile]\ndescription = "{HOSTILE}"\ncandidates = ["fake/{HOSTILE}"]\ncost_quality_tradeoff = 0\n'
    )
    config.write_text(f"{ROUTER_CONFIG}\n[[models]]{model}\n{profile}")
    with page_house(config, edge_config) as house:
        page = visit(house.page).page
        expect_live(page)
        long = "very-long-" * 12
        name = house.decide(1, conversation_id=HOSTILE, tenant=HOSTILE, caller=HOSTILE, metadata={HOSTILE: HOSTILE})[0]
        house.report(name, served_model=f"fake/{HOSTILE}{'<img src=x onerror=alert(1)>'}")
        house.decide(1, conversation_id=long, edit_format="<b>diff</b>", profile="hostile")
        expect(rows(page)).to_have_count(2)
        expect(rows(page).last).to_contain_text(HOSTILE)
        expect(rows(page).first.locator("a.open")).to_have_text(f"fake/{HOSTILE}")
        for address in ("", f"/decisions/{name}"):
            page.goto(house.page + address)
            assert page.locator("main script, main img:not([role])").count() == 0
            assert page.title() != "taken"
        expect(page.locator("main")).to_contain_text(HOSTILE)
        page.set_viewport_size({"width": 390, "height": 844})
        expect_no_sideways_scrolling(page)
        page.goto(house.page)
        expect_no_sideways_scrolling(page)
        rows(page).last.get_by_role("link").first.click()
        expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
        expect_no_sideways_scrolling(page)
        assert page.title() != "taken"


def test_of_a_thousand_decisions_a_page_shows_few_and_leads_to_all(visit, router_config: Path, edge_config: Path):
    with page_house(router_config, edge_config) as house:
        ids = house.decide(1000)
        house.report(*ids[-100:], time_to_first_byte={"nanos": 90_000_000})
        page = visit(house.page).page
        expect_live(page)
        assert 50 <= rows(page).count() <= 100
        house.decide(120)
        expect(rows(page)).to_have_count(100)
        expect(page.get_by_role("link", name="Load the list anew")).to_be_visible()
        leave_by(page, "Load the list anew")
        seen: set[str] = set()
        while True:
            here = rows(page).evaluate_all("(all) => all.map((row) => row.id.slice(2))")
            assert len(here) <= 100
            seen.update(here)
            if not page.get_by_role("link", name="Older decisions").count():
                break
            leave_by(page, "Older decisions")
        assert len(seen) == 1120
        assert set(ids) <= seen


def test_a_router_that_is_gone_is_told_what_is_shown_stays_and_all_goes_on(
    visit, router_config: Path, edge_config: Path
):
    with page_house(router_config, edge_config) as house:
        house.decide(3)
        opened = visit(house.page)
        page = opened.page
        expect_live(page)
        house.router.stop(9)
        expect(page.locator("#state-text")).to_have_text("Router away")
        expect(page.get_by_text("The router does not answer.")).to_be_visible()
        expect(rows(page)).to_have_count(3)
        expect_accessible(page)
        page.reload()
        expect(page.get_by_text("The router does not answer.")).to_be_visible()
        expect(rows(page)).to_have_count(3)
        house.restart_router()
        expect_live(page)
        expect(page.get_by_text("The router does not answer.")).to_be_hidden()
        house.decide(1)
        expect(rows(page)).to_have_count(4)


def test_an_edge_that_is_gone_is_told(visit, router_config: Path, edge_config: Path):
    with page_house(router_config, edge_config) as house:
        opened = visit(house.page)
        expect_live(opened.page)
        house.edge.stop()
        expect(opened.page.locator("#state-text")).to_have_text("Reconnecting")
        opened.page.goto("about:blank")
        # The browser itself says that it could not reconnect.
        opened.said[:] = [text for text in opened.said if "ERR_" not in text]


def test_with_a_key_the_page_opens_and_shows_the_keys_own_decisions(guarded: House, visit):
    guarded.decide(1, tenant="alice", conversation_id="hers")
    guarded.decide(1, tenant="bob", conversation_id="his")
    page = visit(guarded.page, http_credentials={"username": "anyone", "password": KEY}).page
    expect_live(page)
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#rows")).to_contain_text("hers")
    guarded.decide(1, tenant="bob", conversation_id="his too")
    guarded.decide(1, tenant="alice", conversation_id="hers too")
    expect(rows(page)).to_have_count(2)
    expect(page.locator("#rows")).not_to_contain_text("his")


def test_the_page_moves_nothing_for_who_wants_no_motion(busy: House, visit):
    page = visit(busy.page, reduced_motion="reduce").page
    expect_live(page)
    busy.decide(1)
    expect(page.locator("#rows tr.new")).to_have_count(1)
    assert page.evaluate("document.getAnimations().length") == 0
