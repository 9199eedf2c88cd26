//! The list: windows, pages, columns, folding, what a cell offers, the keyboard.

use crate::{
    browser::{DOWN, ENTER, ESCAPE, RIGHT, Screen, browse},
    site::{Site, bare, order, shop},
};

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
    })
    .await;
    site.stop().await;
}

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
        let ip = page.get("document.querySelector('.record [data-field=ip]').dataset.value").await;
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
