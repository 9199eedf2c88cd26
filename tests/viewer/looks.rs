//! The layout: nothing runs out of the page, on no screen and in no colours.

use crate::{
    browser::{Screen, browse},
    site::{Site, shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_out_of_the_page() {
    let site = Site::with(shop(100)).await;
    for screen in [Screen::DESK, Screen::DARK, Screen::PHONE] {
        browse("looks", screen, async |page| {
            for query in ["", "?view=stats", "?view=health", "?view=entity&type=order&id=7"] {
                page.open(&site.at(query)).await;
                assert_eq!(page.get("document.documentElement.scrollWidth <= innerWidth").await, true, "{query}");
                let out = "[...document.querySelectorAll('header *, .asked *, .chart-summary')].filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.mirror, .chips, [hidden], .skip') && getComputedStyle(one).position !== 'absolute').map(one => one.className)";
                assert_eq!(page.get(out).await, serde_json::json!([]), "{query} {screen:?}");
            }
        })
        .await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_follow_the_system_and_can_be_chosen() {
    let site = Site::with(shop(3)).await;
    let ground = "getComputedStyle(document.body).backgroundColor";
    browse("dark", Screen::DARK, async |page| {
        page.open(&site.at("")).await;
        let dark = page.get(ground).await;
        let turn = "header button[aria-label^=Colours]";
        page.click(turn).await;
        page.until(&format!("{ground} === 'rgb(255, 255, 255)'")).await;
        page.driver.refresh().await;
        page.until(&format!(
            "document.querySelector('.record') && {ground} === 'rgb(255, 255, 255)'"
        ))
        .await;
        page.click(turn).await;
        page.until(&format!("{ground} === '{}'", dark.as_str().unwrap())).await;
    })
    .await;
    site.stop().await;
}
