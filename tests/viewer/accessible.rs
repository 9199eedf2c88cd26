//! Every page as axe sees it: no violation of WCAG 2.2 AA, in light and dark, on a desk and on a phone.

use axum::Router;
use serde_json::json;
use tower_activity::access::{Permission, Permissions};

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
             axe.run(document, { runOnly: tags, resultTypes: ['violations'] }).then(found => done(found.violations.map(one => [one.id, ...one.nodes.map(node => node.html + node.failureSummary)])), error => done([String(error)]));", &[]).await;
    assert_eq!(found, json!([]), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_has_a_violation_by_day() {
    no_page_has_a_violation(Screen::DESK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_has_a_violation_by_night() {
    no_page_has_a_violation(Screen::DARK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_has_a_violation_on_a_phone() {
    no_page_has_a_violation(Screen::PHONE).await;
}

async fn no_page_has_a_violation(screen: Screen) {
    let mut records = shop(300);
    records.push(bare(5, 9_999));
    let site = Site::open(records, Permissions::admin(), |log| {
        Router::new().nest_service("/activity", log)
    })
    .await;
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
            // What stands beside or above the list, where there is room for it.
            for button in [".facet-button", ".column-anchor .icon-button"] {
                let is_there = format!("document.querySelector('{button}').checkVisibility()");
                if page.get(&is_there).await == true {
                    page.click(button).await;
                    is_fine(page, button).await;
                    page.press(ESCAPE).await;
                }
            }
            page.press("l").await;
            page.until("document.querySelector('[data-live=connected]')").await;
            is_fine(page, "live").await;
            page.write("act").await;
            page.until("document.querySelector('#suggestions [role=option]')").await;
            is_fine(page, "suggestions").await;
        })
        .await;
    site.stop().await;
    for (permissions, records, what) in [
        (Permissions::viewer(), Vec::new(), ".first"),
        (Permissions::NONE.with(Permission::Ingest), shop(1), ".notice[role=alert]"),
    ] {
        let site =
            Site::open(records, permissions, |log| Router::new().nest("/activity", log)).await;
        browse("accessible_beginning", screen, async |page| {
            for query in ["", "?view=stats", "?view=health"] {
                page.driver.goto(&site.at(query)).await;
                let there =
                    if query.is_empty() { what } else { ".figure, .notice, .health-status" };
                page.until(&format!("document.querySelector('{there}')")).await;
                page.settled().await;
                is_fine(page, what).await;
            }
        })
        .await;
        site.stop().await;
    }
}
