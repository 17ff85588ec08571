"""One injected event, from the vendor to the number on the page, in a real browser."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.chromium import chromium, screenshot
from tests.acceptance.deployment import GENEROUS_SECONDS, Deployment, eventually

GENEROUS_MS = GENEROUS_SECONDS * 1000
MICRO = 1e-6

CHANGED = """([selector, score]) => {
    const cell = document.querySelector(selector)
    return cell !== null && Number(cell.dataset.score) !== score
}"""
MOVED = """([selector, position]) => Number(document.querySelector(selector)?.dataset.position) > position"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that has never been here; an error in its console fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(GENEROUS_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def score_cell(account_id: str) -> str:
    """The account's score in the list."""
    return f'[data-testid="account-row"][data-account-id="{account_id}"] [data-testid="account-score"]'


def shown(page: Page, selector: str) -> tuple[float, int]:
    """Score and position of an element."""
    element = page.locator(selector)
    return float(element.get_attribute("data-score") or "nan"), int(element.get_attribute("data-position") or -1)


def as_the_api_says(page: Page, selector: str, vitals: Deployment, account_id: str) -> Any:
    """The account as the API has it, once the page shows the same score of the same position."""

    def both() -> tuple[Any, tuple[float, int]]:
        return vitals.account(account_id), shown(page, selector)

    what = f"{selector} shows what the API says"
    return eventually(both, lambda pair: (pair[0]["score"], pair[0]["position"]) == pair[1], what)[0]


def contributions_on(page: Page) -> list[tuple[str, float | None]]:
    """Signal and points of every row of the open account."""
    rows = page.get_by_test_id("contribution-row").evaluate_all(
        "rows => rows.map(row => [row.dataset.signal, row.dataset.contribution])"
    )
    return [(signal, float(points) if points else None) for signal, points in rows]


def contributions_of(account: Any) -> list[tuple[str, float | None]]:
    return [(part["signal"], part["contribution"]) for part in account["contributions"]]


def assert_parts_add_up(page: Page, account: Any) -> None:
    """What the page says of an account is what the API says, and its parts sum to the score."""
    eventually(
        lambda: contributions_on(page),
        lambda rows: sorted(rows) == sorted(contributions_of(account)),
        "the contributions of the API on the page",
    )
    score, _ = shown(page, '[data-testid="detail-score"]')
    total = sum(points or 0.0 for _, points in contributions_on(page))
    assert total == pytest.approx(score, abs=MICRO / 2)
    assert score == account["score"]


def fitting_account(vitals: Deployment) -> Any:
    """An account whose score a failed payment and a use must change: it pays, and has not been used for days."""
    for row in vitals.get("accounts", sort="score", order="asc", limit=100)["items"]:
        account = vitals.account(row["account_id"])
        payments, recency = (vitals.signal(account, name) for name in ("failed_payments", "usage_recency"))
        if payments["value"] == 0 and (recency["value"] or 0) > 1 and recency["contribution"]:
            return account
    raise AssertionError("No account of this year pays and has been used.")


def test_the_one_time_link_signs_in_once_and_nothing_is_shown_without_it(
    loaded: Deployment, page: Page, browser: Browser
) -> None:
    page.goto(loaded.url)
    expect(page.get_by_test_id("login-form")).to_be_visible()
    screenshot(page, "login")
    assert page.get_by_test_id("accounts-table").count() == 0

    page.goto(loaded.one_time_link)
    expect(page.get_by_test_id("accounts-table")).to_be_visible()
    assert "one-time" not in page.url
    page.reload()
    expect(page.get_by_test_id("accounts-table")).to_be_visible()

    stranger = browser.new_context().new_page()
    stranger.goto(loaded.one_time_link)
    expect(stranger.get_by_test_id("login-form")).to_be_visible()
    expect(stranger.get_by_role("alert")).to_contain_text("used before")
    stranger.context.close()


def test_an_event_at_the_vendor_changes_the_number_on_the_page(vitals: Deployment, page: Page) -> None:
    account = fitting_account(vitals)
    cell = score_cell(account["account_id"])
    page.goto(vitals.url)
    sign_in(page, vitals)

    assert_overview_is_the_apis(page, vitals)
    page.get_by_role("searchbox").fill(account["name"])
    expect(page.locator(cell)).to_be_visible()
    assert shown(page, cell) == (account["score"], account["position"])

    page.get_by_role("link", name=account["name"]).and_(page.locator("tbody a")).first.click()
    expect(page.get_by_test_id("account-detail")).to_be_visible()
    assert_parts_add_up(page, account)
    page.wait_for_load_state("networkidle")
    screenshot(page, "account")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("account-detail")).to_have_count(0)

    # A mark that a reload of the page would wipe out.
    page.evaluate("window.notReloaded = true")
    expect(page.get_by_test_id("live-indicator")).to_have_attribute("data-state", "live")
    paid = billed_without_success(vitals, page, cell, account)
    used = used_once(vitals, page, cell, paid)
    assert account["position"] < paid["position"] < used["position"]
    assert page.evaluate("window.notReloaded") is True

    expect(page.get_by_test_id("live-feed").get_by_role("listitem").first).to_contain_text(account["name"])
    page.get_by_role("searchbox").fill("")
    expect(page.get_by_test_id("account-row").nth(1)).to_be_visible()
    assert_overview_is_the_apis(page, vitals)
    screenshot(page, "portfolio")


def sign_in(page: Page, vitals: Deployment) -> None:
    """With e-mail and password, after a wrong one."""
    form = page.get_by_test_id("login-form")
    form.get_by_label("E-mail").fill(vitals.email)
    form.get_by_label("Password").fill("not the password")
    form.get_by_role("button").click()
    expect(form.get_by_role("alert")).to_contain_text("not right")
    form.get_by_label("Password").fill(vitals.password)
    form.get_by_role("button").click()
    expect(page.get_by_test_id("account-row").first).to_be_visible()


def assert_overview_is_the_apis(page: Page, vitals: Deployment) -> None:
    """Summary figures, and the scores of the list in their order."""

    def on_the_page() -> dict[str, object]:
        rows = page.get_by_test_id("account-row").evaluate_all(
            """rows => rows.map(row => {
                const cell = row.querySelector('[data-testid="account-score"]').dataset
                return [row.dataset.accountId, cell.score === '' ? null : Number(cell.score), Number(cell.position)]
            })"""
        )
        return {
            "accounts": number(page, "summary-accounts"),
            "mean_score": number(page, "summary-mean-score"),
            "falling": float(page.get_by_test_id("summary-falling").inner_text()),
            "rising": float(page.get_by_test_id("summary-rising").inner_text()),
            "rows": rows,
        }

    def of_the_api(rows: int) -> dict[str, object]:
        summary = vitals.get("summary")
        items = vitals.get("accounts", sort="score", order="asc", limit=100)["items"][:rows]
        return {name: summary[name] for name in ("accounts", "mean_score", "falling", "rising")} | {
            "rows": [[item["account_id"], item["score"], item["position"]] for item in items]
        }

    def both() -> tuple[Any, Any]:
        page_says: Any = on_the_page()
        return page_says, of_the_api(len(page_says["rows"]))

    page_says, _ = eventually(both, lambda pair: pair[0] == pair[1], "the overview shows what the API says")
    assert len(page_says["rows"]) > 5


def number(page: Page, name: str) -> float:
    return float(page.get_by_test_id(name).get_attribute("data-value") or "nan")


def billed_without_success(vitals: Deployment, page: Page, cell: str, before: Any) -> Any:
    """A payment fails at the billing vendor: the score falls by half of what its signal gave, nothing else moves."""
    began = time.perf_counter()
    vitals.inject(kind="payment_failed", account=before["crm_id"])
    page.wait_for_function(CHANGED, arg=[cell, before["score"]])
    print(f"\nFrom the payment that failed at the vendor to the page: {time.perf_counter() - began:.2f} s")

    eventually(
        lambda: vitals.signal(vitals.account(before["account_id"]), "failed_payments"),
        lambda signal: signal["value"] == 1,
        "one failed payment",
    )
    after = as_the_api_says(page, cell, vitals, before["account_id"])
    lost = vitals.signal(before, "failed_payments")["contribution"] / 2
    assert after["score"] == pytest.approx(before["score"] - lost, abs=2 * MICRO)
    others = [part for part in contributions_of(before) if part[0] != "failed_payments"]
    assert [part for part in contributions_of(after) if part[0] != "failed_payments"] == others
    return after


def used_once(vitals: Deployment, page: Page, cell: str, before: Any) -> Any:
    """The application reports a use while the account is open: today's events are one more, and recency is full."""
    account_id, today = before["account_id"], before["receipt"]["watermark"][:10]
    page.locator(cell).click()
    expect(page.get_by_test_id("account-detail")).to_be_visible()
    began = time.perf_counter()
    vitals.track(
        userId="acceptance",
        event="Feature Used",
        properties={"company_id": before["crm_id"], "feature": "search", "lines_changed": 3},
    )
    committed = time.perf_counter()
    detail = '[data-testid="detail-score"]'
    page.wait_for_function(MOVED, arg=[cell, before["position"]])
    print(f"From the call to its commit: {committed - began:.2f} s, to the page: {time.perf_counter() - began:.2f} s")
    after = as_the_api_says(page, cell, vitals, account_id)
    as_the_api_says(page, detail, vitals, account_id)
    assert_parts_add_up(page, after)
    events = vitals.get(f"accounts/{account_id}/metrics", metric="product.events", grain="day", **{"from": today})
    assert [(item["window_start"][:10], float(item["value"])) for item in events["items"]] == [(today, 1.0)]
    recency = vitals.signal(after, "usage_recency")
    assert recency["value"] < 1 < vitals.signal(before, "usage_recency")["value"]
    assert recency["contribution"] > vitals.signal(before, "usage_recency")["contribution"]
    assert after["score"] > before["score"]
    page.keyboard.press("Escape")
    return after
