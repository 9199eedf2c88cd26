//! Asking: the search box, its completion, its errors, the chips, the values beside the list, the range.

use axum::Router;
use serde_json::json;
use tower_activity::access::{Grant, Permissions};

use crate::{
    browser::{DOWN, ENTER, ESCAPE, Screen, browse},
    site::{Site, shop, vera},
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

#[tokio::test(flavor = "multi_thread")]
async fn only_what_one_may_see_is_offered() {
    let north = Grant::new(vera(), Permissions::viewer()).tenant("north");
    let mount = |log| Router::new().nest("/activity", log);
    let site = Site::granting(shop(64), north, mount).await;
    browse("offered", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        assert_eq!(page.text(".chart-summary strong").await, "32 records");
        page.write("tenant_id:").await;
        page.until("document.querySelector('#suggestions .option-count')").await;
        let offered = "[...document.querySelectorAll('#suggestions [role=option]')].map(one => one.textContent)";
        assert_eq!(page.get(offered).await, json!(["north32"]));
        page.press(ESCAPE).await;
        let beside = "[...document.querySelectorAll('.facet-value')].map(one => one.title)";
        let beside = page.get(beside).await;
        let beside: Vec<_> = beside.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        // Ana and Chen sell in the north, Bob and Dina in the south.
        assert!(beside.contains(&"ana") && !beside.contains(&"bob"), "{beside:?}");
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_dates_is_meant_in_the_zone_that_is_shown() {
    let site = Site::with(shop(1_600)).await;
    browse("dates", Screen::DESK, async |page| {
        page.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": "Asia/Kolkata" })).await;
        page.open(&site.at("?q=")).await;
        // The last day, unless something else is asked for.
        assert_eq!(page.text(".range-button").await, "Last 24 hours");
        let count = page.text(".chart-summary strong").await;
        assert!(["1,439 records", "1,440 records"].contains(&count.as_str()), "{count}");
        assert_eq!(page.text(".zone-button").await, "UTC+05:30");
        let dates = |from: &str, to: &str| {
            format!("const [from, to] = document.querySelectorAll('[type=datetime-local]'); from.value = '{from}'; to.value = '{to}'")
        };
        page.click(".range-button").await;
        page.run(&dates("2020-01-02T00:00:00", "2020-01-01T00:00:00")).await;
        page.click(".range-forms form:nth-child(2) button").await;
        page.until("document.getElementById('toast')?.textContent.includes('after the end')").await;
        page.run(&dates("2020-01-01T00:00:00", "")).await;
        page.click(".range-forms form:nth-child(2) button").await;
        page.until("location.search.includes('2019-12-31T18')").await;
        assert_eq!(page.parameter("from").await.as_deref(), Some("2019-12-31T18:30:00.000Z"));
        page.until("document.querySelector('.chart-summary strong').textContent === '1,600 records'").await;
        let local = page.text(".record time").await;
        page.click(".zone-button").await;
        page.until("document.querySelector('.zone-button').textContent === 'UTC'").await;
        page.until(&format!("document.querySelector('.record time')?.textContent !== {local:?}")).await;
        page.click(".range-button").await;
        page.run(&dates("2020-01-01T00:00:00", "")).await;
        page.click(".range-forms form:nth-child(2) button").await;
        page.until("location.search.includes('2020-01-01T00')").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bars_are_stacked_by_outcome_and_follow_the_colours() {
    let site = Site::with(shop(600)).await;
    // For each column of points of the chart: do those of the denied stand above those of the successful?
    let stacked = "(() => {
        const canvas = document.querySelector('.chart canvas'), probe = document.querySelector('.probe');
        const { width, height } = canvas, { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
        const rgb = name => { probe.style.color = `var(--bar-${name})`; return getComputedStyle(probe).color.match(/[0-9]+/g).map(Number); };
        const highest = (x, [r, g, b]) => { for (let y = 0; y < height; y += 1) { const at = 4 * (y * width + x); if (data[at] === r && data[at + 1] === g && data[at + 2] === b) return y; } return -1; };
        const [success, denied] = [rgb('success'), rgb('denied')];
        let columns = 0;
        for (let x = 0; x < width; x += 1) { const [s, d] = [highest(x, success), highest(x, denied)]; if (s >= 0 && d >= 0) { if (d > s) return -1; columns += 1; } }
        return columns;
    })()";
    browse("stacked", Screen::DESK, async |page| {
        page.open(&site.at("?q=")).await;
        page.until(&format!("{stacked} > 100")).await;
        page.driver.point(".chart", 400, None).await;
        page.until("document.querySelector('.tip:not([hidden])')?.textContent.includes('Denied')")
            .await;
        page.click("header button[aria-label^=Colours]").await;
        page.click("header button[aria-label^=Colours]").await;
        page.until("document.documentElement.dataset.theme === 'dark'").await;
        page.until(&format!("{stacked} > 100")).await;
        // A click on a bar is its hour; out of it leads a button.
        page.driver.point(".chart", 400, Some(0)).await;
        page.until("document.querySelector('.zoom-out')").await;
        page.settled().await;
        assert!(!page.text(".chart-summary strong").await.starts_with("600"));
        let from = page.parameter("from").await;
        page.click(".zoom-out").await;
        page.until(&format!(
            "new URLSearchParams(location.search).get('from') < {:?}",
            from.unwrap()
        ))
        .await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_search_keys_are_meant_for_what_was_found_and_after_a_mistake_for_the_query() {
    let site = Site::with(shop(64)).await;
    browse("search_then_keys", Screen::DESK, async |page| {
        page.open(&site.at("?q=")).await;
        page.search("action:cancel").await;
        page.press("j").await;
        page.until("document.querySelector('.record.active')").await;
        assert_eq!(page.get("document.getElementById('search').value").await, "action:cancel");
        page.press("e").await;
        page.until("document.activeElement.closest('dialog') && document.activeElement.textContent === 'Export'").await;
        page.press(ESCAPE).await;
        page.until("!document.querySelector('dialog')").await;
        page.search("outcome:denid").await;
        page.until("document.querySelector('.wrong') && document.activeElement.id === 'search'").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_focus_stays_on_what_was_pressed() {
    let site = Site::with(shop(120)).await;
    browse("focus_stays", Screen::DESK, async |page| {
        page.open(&site.at("?q=")).await;
        page.until("document.querySelector('.facet-value[title=denied]')").await;
        page.run("document.querySelector('.facet-value[title=denied]').focus()").await;
        page.press(ENTER).await;
        page.until(
            "document.querySelector('.in .facet-value[title=denied]') === document.activeElement",
        )
        .await;
        // With the last condition goes what was pressed: the list is next.
        page.run("document.querySelector('.chip .icon-button').focus()").await;
        page.press(ENTER).await;
        page.until("document.activeElement.id === 'list' && !document.querySelector('.chip')")
            .await;
    })
    .await;
    site.stop().await;
}
