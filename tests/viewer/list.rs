//! The list: windows, pages, columns, folding, what a cell offers, the keyboard.

use serde_json::json;

use crate::{
    browser::{DOWN, ENTER, ESCAPE, RIGHT, Screen, browse},
    site::{Site, bare, order, shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_goes_through_records_and_filters_by_a_cell() {
    let site = Site::with(shop(40)).await;
    browse("keys", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        page.press("jj").await;
        assert_eq!(page.count(".record.active").await, 1);
        assert_eq!(
            page.get("document.querySelector('.record.active').getAttribute('aria-rowindex')")
                .await,
            "4"
        );
        page.press("k").await;
        page.press(ENTER).await;
        page.until("document.querySelector('.drawer-title')").await;
        let first = page.text(".drawer-title").await;
        page.press("j").await;
        page.until(&format!("document.querySelector('.drawer-title').textContent !== {first:?}"))
            .await;
        page.press("]").await;
        page.until("document.querySelector('#tab-changes[aria-selected=true]')").await;
        page.press("[").await;
        page.until("document.querySelector('#tab-summary[aria-selected=true]')").await;
        page.press(ESCAPE).await;
        page.until("document.querySelector('.drawer').hidden").await;
        // The cell of the actor: only his, then all but his.
        page.press(RIGHT).await;
        page.press("f").await;
        page.until("document.getElementById('search').value.includes('actor_id:')").await;
        let kept = page.get("document.getElementById('search').value").await;
        assert!(kept.as_str().unwrap().starts_with("-action:log_viewed actor_id:"), "{kept}");
        page.settled().await;
        page.press("j").await;
        page.press("x").await;
        page.until("document.getElementById('search').value.includes('-actor_id:')").await;
        page.settled().await;
        page.press("?").await;
        page.until("document.querySelector('dialog[open] .keys')").await;
        page.press(ESCAPE).await;
        page.until("!document.querySelector('dialog')").await;
        page.press("gs").await;
        page.until("document.querySelector('.stats-page')").await;
        page.press("gr").await;
        page.until("document.querySelector('.list-page')").await;
        page.press("u").await;
        page.until("new URLSearchParams(location.search).get('tz') === 'UTC'").await;
        assert!(page.text(".zone-button").await.starts_with("UTC"));
        page.settled().await;
        page.run("document.getElementById('list').focus()").await;
        page.press(DOWN).await;
        page.until("document.querySelector('.record.active')").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_offers_to_filter_and_to_copy() {
    let site = Site::with(shop(40)).await;
    browse("cells", Screen::DESK, async |page| {
        page.open(&site.at("?q=")).await;
        page.hover(".record [data-field=ip]").await;
        page.until("document.querySelectorAll('.record > .actions button').length === 3").await;
        // Copied as it is.
        page.click(".record > .actions button:nth-child(3)").await;
        page.until("document.getElementById('toast')?.textContent === 'Copied'").await;
        let copied = page.copied().await;
        let ip = page.get("document.querySelector('.record [data-field=ip]').dataset.value").await;
        assert_eq!(ip, json!(copied));
        page.click(".record > .actions button:nth-child(2)").await;
        page.until("document.getElementById('search').value.startsWith('-ip:')").await;
        assert_eq!(page.parameter("q").await.unwrap(), format!("-ip:{}", ip.as_str().unwrap()));
        page.settled().await;
        // A time bounds the range.
        page.hover(".record[aria-rowindex='8'] [data-field=at]").await;
        page.until("document.querySelector('.record > .actions')").await;
        page.click(".record > .actions button:nth-child(1)").await;
        page.until("new URLSearchParams(location.search).get('from')").await;
        page.until("document.querySelectorAll('.record').length === 6").await;
        page.settled().await;
        page.hover(".record[aria-rowindex='5'] [data-field=at]").await;
        page.until("document.querySelector('.record > .actions')").await;
        page.click(".record > .actions button:nth-child(2)").await;
        page.until("new URLSearchParams(location.search).get('to')").await;
        page.until("document.querySelectorAll('.record').length === 4").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_one_request_are_folded_and_unfold() {
    let mut records = shop(5);
    for n in 0..3 {
        let mut record = order(1);
        record.id = bare(120, 900 + n).id;
        records.push(record);
    }
    records.sort_by_key(|record| record.occurred_at);
    let site = Site::with(records).await;
    browse("fold", Screen::DESK, async |page| {
        page.open(&site.at("?q=")).await;
        assert_eq!(page.count(".record").await, 5);
        assert_eq!(page.text(".fold").await, "+3");
        page.click(".fold").await;
        page.until("document.querySelectorAll('.record').length === 8").await;
        assert_eq!(page.count(".record.member").await, 3);
        page.click(".fold").await;
        page.until("document.querySelectorAll('.record').length === 5").await;
        // Without a mouse: to the row that folds them, and from one of them back.
        page.press("j").await;
        while page.count(".record.active .fold").await == 0 {
            page.press("j").await;
        }
        page.press("o").await;
        page.until("document.querySelectorAll('.record').length === 8").await;
        page.press("jo").await;
        page.until("document.querySelectorAll('.record').length === 5 && document.querySelector('.record.active .fold')").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_chosen_and_kept_in_the_address() {
    let site = Site::with(shop(5)).await;
    browse("columns", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        page.click(".column-anchor .icon-button").await;
        page.until("document.querySelector('.column-panel:not([hidden])')").await;
        let boxes = "[...document.querySelectorAll('.column-panel label')]";
        page.run(&format!("{boxes}.find(one => one.textContent === 'Tenant').click(); {boxes}.find(one => one.textContent === 'Method').click()")).await;
        page.until("document.querySelector('.h-method') && !document.querySelector('.h-tenant')").await;
        assert!(page.parameter("cols").await.unwrap().contains("method"));
        page.driver.refresh().await;
        page.until("document.querySelector('.h-method') && !document.querySelector('.h-tenant')").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_with_nothing_in_it_and_one_with_an_endless_id_are_rows_like_others() {
    let mut long = order(3);
    long.entity_id.set(&"x".repeat(200));
    let site = Site::with(vec![long, bare(30, 77)]).await;
    for screen in [Screen::DESK, Screen::PHONE] {
        browse("bare", screen, async |page| {
            page.open(&site.at("")).await;
            assert_eq!(page.count(".record").await, 2);
            assert_eq!(page.get("document.documentElement.scrollWidth <= innerWidth").await, true);
            let text = page.text(".record").await;
            assert!(
                text.contains("someone acted")
                    && !text.contains("null")
                    && !text.contains("undefined"),
                "{text}"
            );
            for n in ["j", "j"] {
                page.press(n).await;
                page.press(ENTER).await;
                for tab in ["summary", "changes", "request", "related", "raw", "integrity"] {
                    page.click(&format!("#tab-{tab}")).await;
                    page.until(&format!(
                        "document.querySelector('#tab-{tab}[aria-selected=true]')"
                    ))
                    .await;
                    page.until(
                        "!document.getElementById('panel').textContent.startsWith('Loading')",
                    )
                    .await;
                    let shown = page.text("#panel").await;
                    assert!(
                        !shown.is_empty()
                            && !shown.contains("undefined")
                            && !shown.contains("[object"),
                        "{tab}: {shown}"
                    );
                }
                page.press(ESCAPE).await;
                page.until("document.querySelector('.drawer').hidden").await;
            }
        })
        .await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_cell_shows_can_be_asked_for() {
    let mut record = order(3);
    for (field, text) in [
        (&mut record.reason, "ticket 4711, \"urgent\""),
        (&mut record.rule, "rest:order *"),
        (&mut record.tenant_id, "-north"),
    ] {
        field.set(text);
    }
    let site = Site::with(vec![record]).await;
    let columns = "time actor what entity outcome action category method route ip duration tenant service rule origin reason request session user_agent";
    browse("whatever", Screen::DESK, async |page| {
        for column in columns.split(' ') {
            page.open(&site.at(&format!("?q=&cols={column}"))).await;
            assert_eq!(page.count(".head > div").await, 1, "{column}");
            page.press("jf").await;
            page.until("location.search.includes('q=') && document.getElementById('search').value || location.search.includes('from=')").await;
            page.settled().await;
            assert_eq!(page.text("#trouble").await, "", "{column}");
            page.until("document.querySelector('.record')").await;
            if column != "time" {
                page.press("jx").await;
                page.until("document.querySelector('.none')").await;
                assert_eq!(page.text("#trouble").await, "", "{column}");
            }
        }
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_says_who_as_whom_and_when_and_days_stand_apart() {
    let mut acting = order(0);
    acting.impersonator_id.set("mira");
    acting.impersonator_name.set("Mira Root");
    let site = Site::with(vec![bare(3 * 86_400, 3), bare(86_400 + 60, 2), acting]).await;
    browse("row", Screen::DESK, async |page| {
        page.open(&site.at("?q=&from=all")).await;
        assert_eq!(page.count(".row.day").await, 3);
        assert_eq!(page.text(".record .actor").await, "Mira Root as Ana Lima");
        assert_eq!(
            page.text(".record .what").await,
            "Mira Root acting as Ana Lima created order 0"
        );
        assert_eq!(
            page.get("document.querySelector('.record .actor svg').getAttribute('aria-label')")
                .await,
            "User"
        );
        assert_eq!(page.text(".record .ago").await, "1 min ago");
        let whole = page.get("document.querySelector('.record .when').title").await;
        assert!(
            whole.as_str().unwrap().contains("UTC") && whole.as_str().unwrap().contains(" 20"),
            "{whole}"
        );
        assert_eq!(page.text(".record .badge").await, "Success200");
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_shows_cards_and_what_stands_beside_them_over_them() {
    let site = Site::with(shop(64)).await;
    browse("phone", Screen::PHONE, async |page| {
        page.open(&site.at("?q=")).await;
        assert_eq!(page.count(".record .card").await, page.count(".record").await);
        page.click(".facet-button").await;
        page.until("document.querySelector('.facets').checkVisibility()").await;
        page.click(".facet-value[title=denied]").await;
        page.until("document.getElementById('search').value === 'outcome:denied'").await;
        page.settled().await;
        page.press(ESCAPE).await;
        page.until("!document.querySelector('.facets').checkVisibility()").await;
        page.click(".record .card-what").await;
        page.until("document.querySelector('.drawer-title')").await;
        assert_eq!(page.get("document.querySelector('.drawer').clientWidth === innerWidth").await, true);
        // What a mouse does in a cell, a finger does here.
        page.click(".fact .actions button").await;
        page.until("document.querySelector('.drawer').hidden && document.getElementById('search').value.includes('action:')").await;
    })
    .await;
    site.stop().await;
}
