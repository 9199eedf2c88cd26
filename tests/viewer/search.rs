//! Asking: the search box, its completion, its errors, the chips, the values beside the list, the range.

use serde_json::json;

use crate::{
    browser::{DOWN, ENTER, ESCAPE, Screen, browse},
    site::{Site, shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_query_finds_and_stands_in_the_address() {
    let site = Site::with(shop(120)).await;
    browse("a_query_finds", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        assert_eq!(page.text(".chart-summary strong").await, "120 records");
        page.search("action:cancel actor_id:ana").await;
        page.until("document.querySelector('.chart-summary strong').textContent !== '120 records'").await;
        assert_eq!(page.parameter("q").await.as_deref(), Some("action:cancel actor_id:ana"));
        let others = "[...document.querySelectorAll('.record .what')].filter(cell => !cell.textContent.startsWith('Ana Lima')).length";
        assert_eq!(page.get(others).await, 0);
        // The browser's own button goes back to what was asked before.
        page.run("history.back()").await;
        page.until("document.querySelector('.chart-summary strong').textContent === '120 records'").await;
        assert_eq!(page.get("document.getElementById('search').value").await, "-action:log_viewed");
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_query_is_said_and_underlined_where_it_is() {
    let site = Site::with(shop(10)).await;
    browse("wrong_query", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        page.search("action:cancel outcome:denid").await;
        page.until("!document.getElementById('trouble').hidden").await;
        assert!(page.text("#trouble").await.contains("did you mean `denied`"));
        assert_eq!(page.text(".mirror .wrong").await, "denid");
        assert_eq!(page.get("document.getElementById('search').getAttribute('aria-invalid')").await, "true");
        // A column counts characters, whatever they take in a script.
        page.search("reason:\"\u{1f600}\u{1f600}\" (").await;
        page.until("document.querySelector('.mirror .wrong')").await;
        assert_ne!(page.text(".mirror .wrong").await, "denid");
        page.search("action:cancel").await;
        page.until("document.getElementById('trouble').hidden && document.querySelectorAll('.record').length").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_and_values_are_completed_with_their_counts() {
    let site = Site::with(shop(64)).await;
    browse("completion", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        page.write("acto").await;
        page.until("document.querySelector('#suggestions [role=option]')?.textContent.startsWith('actor_id:')").await;
        page.press(DOWN).await;
        page.press(ENTER).await;
        assert_eq!(page.get("document.getElementById('search').value").await, "actor_id:");
        page.until("document.querySelector('#suggestions .option-count')").await;
        let values = "[...document.querySelectorAll('#suggestions .option-value')].map(one => one.textContent).sort()";
        assert_eq!(page.get(values).await, json!(["ana", "bob", "chen", "dina"]));
        page.press("ch").await;
        page.until("document.querySelectorAll('#suggestions [role=option]').length === 1").await;
        page.press(DOWN).await;
        page.press(ENTER).await;
        assert_eq!(page.get("document.getElementById('search').value").await, "actor_id:chen ");
        page.press(ENTER).await;
        page.until("location.search.includes('chen')").await;
        // Words of a vocabulary are there without asking.
        page.write("outcome:").await;
        page.until("document.querySelectorAll('#suggestions [role=option]').length === 5").await;
        page.press(ESCAPE).await;
        page.until("document.getElementById('suggestions').hidden").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chips_and_values_beside_the_list_stay_in_step_with_the_text() {
    let site = Site::with(shop(120)).await;
    browse("chips", Screen::DESK, async |page| {
        let chips = "[...document.querySelectorAll('.chip')].map(chip => chip.textContent)";
        let query = "document.getElementById('search').value";
        page.open(&site.at("?q=")).await;
        page.until("document.querySelector('.facet-value[title=cancel]')").await;
        page.click(".facet-value[title=cancel]").await;
        page.until("document.querySelector('.in .facet-value[title=cancel][aria-pressed=true]')")
            .await;
        assert_eq!(page.get(query).await, "action:cancel");
        page.until("document.querySelector('.facet-value[title=bob]')").await;
        page.run("document.querySelector('.facet-value[title=bob]').nextSibling.click()").await;
        page.until("document.querySelectorAll('.chip').length === 2").await;
        assert_eq!(page.get(query).await, "action:cancel -actor_id:bob");
        assert_eq!(page.get(chips).await, json!(["actioncancel", "not actor_idbob"]));
        // The text of a chip turns it around, its cross takes it away.
        page.click(".chip.negated .chip-text").await;
        page.until("document.getElementById('search').value === 'action:cancel actor_id:bob'")
            .await;
        page.click(".chip .icon-button").await;
        page.until("document.getElementById('search').value === 'actor_id:bob'").await;
        page.settled().await;
        assert_eq!(page.parameter("q").await.as_deref(), Some("actor_id:bob"));
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_range_is_chosen_from_a_list_by_a_length_and_by_dragging() {
    let site = Site::with(shop(600)).await;
    browse("range", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        page.click(".range-button").await;
        page.click(".presets li:nth-child(2) button").await;
        page.until("document.querySelector('.range-button').textContent === 'Last hour'").await;
        assert_eq!(page.parameter("from").await.as_deref(), Some("now-1h"));
        page.until("document.querySelector('.chart-summary strong').textContent === '59 records' || document.querySelector('.chart-summary strong').textContent === '60 records'").await;
        page.click(".range-button").await;
        page.run("document.querySelector('.range-forms input').value = '3h'").await;
        page.click(".range-forms form button").await;
        page.until("new URLSearchParams(location.search).get('from') === 'now-3h'").await;
        page.settled().await;
        // Dragging over the chart zooms in.
        let before = page.text(".chart-summary").await;
        page.driver.point(".chart", -200, Some(120)).await;
        page.until("new URLSearchParams(location.search).get('to')").await;
        page.until(&format!("document.querySelector('.chart-summary').textContent !== {before:?}")).await;
        // With the keyboard, too.
        page.run("document.querySelector('.chart').focus()").await;
        page.press(crate::browser::RIGHT).await;
        page.until("!document.querySelector('.tip').hidden").await;
        let from = page.parameter("from").await;
        page.press(ENTER).await;
        page.until("document.querySelector('.chart-summary')").await;
        page.settled().await;
        assert!(page.parameter("from").await >= from);
    })
    .await;
    site.stop().await;
}
