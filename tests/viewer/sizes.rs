//! Every page over a log without a record, with one, and with a hundred thousand.

use axum::Router;
use tower_activity::access::{Permission, Permissions};

use crate::{
    browser::{ESCAPE, Page, Screen, browse},
    site::{Site, shop},
};

/// Goes through all pages and looks for what should stand on none.
async fn every_page_is_in_order(page: &Page, site: &Site, all: &str) {
    page.before("window.broken = []; addEventListener('error', event => broken.push(String(event.message))); addEventListener('unhandledrejection', event => broken.push(String(event.reason)));").await;
    for query in [
        "?from=all&q=",
        "?from=all&q=&order=asc",
        "?view=stats&from=all&q=",
        "?view=health",
        "?view=entity&type=order&id=7",
        "?view=actor&id=ana",
        "?view=session&id=p1.session-of-ana",
    ] {
        page.driver.goto(&site.at(query)).await;
        page.until("document.querySelector('.record, .notice h2, .figure, .health-status')").await;
        page.settled().await;
        if query.starts_with("?view=stats") {
            assert_eq!(page.text(".figure strong").await, all, "{query}");
        }
        let text = page.text("#app").await;
        for wrong in ["undefined", "NaN", "null", "[object", "Infinity", "Invalid"] {
            assert!(!text.contains(wrong), "{query}: {wrong} in {text}");
        }
        assert_eq!(page.get("window.broken.join()").await, "", "{query}");
        assert_eq!(
            page.get("document.documentElement.scrollWidth <= innerWidth").await,
            true,
            "{query}"
        );
        assert!(page.count("#app *").await < 3_000, "{query}: {}", page.count("#app *").await);
    }
    page.open(&site.at("?from=all&q=")).await;
    page.press("e").await;
    let say = if all == "0" { "nothing to export" } else { all };
    page.until(&format!("document.querySelector('dialog')?.textContent.includes('{say}')")).await;
    page.press(ESCAPE).await;
    page.until("!document.querySelector('dialog')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_over_nothing_and_over_one_record_are_in_order() {
    for (count, all) in [(0, "0"), (1, "1")] {
        let permissions = Permissions::viewer().with(Permission::Export);
        let mount = |log| Router::new().nest("/activity", log);
        let site = Site::open(shop(count), permissions, mount).await;
        for screen in [Screen::DESK, Screen::PHONE] {
            browse("sizes", screen, async |page| every_page_is_in_order(page, &site, all).await)
                .await;
        }
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_records_are_a_few_rows_of_the_page() {
    let site = Site::with(shop(100_000)).await;
    browse("many", Screen::DESK, async |page| {
        page.open(&site.at("?q=&from=all")).await;
        page.until("document.querySelector('.chart-summary strong').textContent === '100,000 records'").await;
        let height = "parseInt(document.querySelector('.canvas').style.height)";
        for _ in 0..5 {
            let before = page.get(height).await;
            page.run("const one = document.querySelector('.results'); one.scrollTop = one.scrollHeight").await;
            page.until(&format!("{height} > {before}")).await;
        }
        assert!(page.count(".row").await < 120, "{}", page.count(".row").await);
        // Newest first, without holes, in the order in which they are read aloud.
        let times = "[...document.querySelectorAll('.record time')].map(time => time.dateTime)";
        let ordered = format!("(() => {{ const t = {times}; return t.length > 10 && t.every((one, at) => at === 0 || t[at - 1] > one); }})()");
        assert_eq!(page.get(&ordered).await, true);
        let minutes = format!("(() => {{ const t = {times}.map(one => Date.parse(one)); return t.every((one, at) => at === 0 || Math.abs(t[at - 1] - one - 60000) < 5000); }})()");
        assert_eq!(page.get(&minutes).await, true);
        every_page_is_in_order(page, &site, "100,000").await;
    })
    .await;
    site.stop().await;
}
