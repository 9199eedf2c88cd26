//! Every page over a log without a record, and with one; `abundance` has a hundred thousand.

use axum::Router;
use tower_activity::access::{Permission, Permissions};

use crate::{
    browser::{ESCAPE, Page, Screen, browse},
    site::{Site, shop},
};

/// Goes through all pages and looks for what should stand on none.
pub(crate) async fn every_page_is_in_order(page: &Page, site: &Site, all: &str) {
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
