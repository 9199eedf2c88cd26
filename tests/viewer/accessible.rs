//! Every page as axe sees it: no violation of WCAG 2.2 AA, in light and dark, on a desk and on a phone.

use axum::Router;
use serde_json::json;
use tower_activity::access::Permissions;

use crate::{
    browser::{ESCAPE, Page, Screen, browse},
    site::{Site, bare, shop},
};

const AXE: &str = include_str!("axe/axe.min.js");

async fn is_fine(page: &Page, what: &str) {
    if page.get("typeof axe").await == "undefined" {
        page.run(AXE).await;
    }
    let found = page.promised("const done = arguments[0]; const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
             axe.run(document, { runOnly: tags }).then(found => done(found.violations.map(one => [one.id, ...one.nodes.map(node => node.html + node.failureSummary)])), error => done([String(error)]));", &[]).await;
    assert_eq!(found, json!([]), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_has_a_violation() {
    let mut records = shop(300);
    records.push(bare(5, 9_999));
    let site = Site::open(records, Permissions::admin(), |log| {
        Router::new().nest_service("/activity", log)
    })
    .await;
    for screen in [Screen::DESK, Screen::DARK, Screen::PHONE] {
        browse("accessible", screen, async |page| {
            page.open(&site.at("")).await;
            is_fine(page, "list").await;
            page.press("j").await;
            page.press(crate::browser::ENTER).await;
            page.until("document.querySelector('.drawer-title')").await;
            for tab in ["summary", "changes", "request", "related", "raw", "integrity"] {
                page.click(&format!("#tab-{tab}")).await;
                page.until("!document.getElementById('panel').textContent.startsWith('Loading')").await;
                is_fine(page, tab).await;
            }
            for query in [
                "?q=action:update&view=list",
                "?view=stats",
                "?view=health",
                "?view=entity&type=order&id=7",
                "?view=actor&id=ana",
                "?q=outcome:denid",
                "?q=action:nothing%20actor_id:ana",
                "?q=outcome:denied&from=all",
            ] {
                page.driver.goto(&site.at(query)).await;
                page.until("document.querySelector('.record, .hints p:not(.quiet), .figure, .trouble:not([hidden])')").await;
                page.settled().await;
                is_fine(page, query).await;
            }
            page.open(&site.at("")).await;
            page.press("e").await;
            page.until("document.querySelector('dialog')?.textContent.includes('records, about')").await;
            is_fine(page, "export").await;
            page.press(ESCAPE).await;
            page.until("!document.querySelector('dialog')").await;
            page.press("?").await;
            page.until("document.querySelector('.keys')").await;
            is_fine(page, "keys").await;
            page.press(ESCAPE).await;
            page.until("!document.querySelector('dialog')").await;
            page.click(".range-button").await;
            is_fine(page, "range").await;
            page.press(ESCAPE).await;
            page.write("act").await;
            page.until("document.querySelector('#suggestions [role=option]')").await;
            is_fine(page, "suggestions").await;
        })
        .await;
    }
    site.stop().await;
}
