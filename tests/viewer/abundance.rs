//! A log of a hundred thousand records. To write them takes longest, so this stands first: tests begin in the order of their
//! names.

use crate::{
    browser::{Screen, browse},
    site::{Site, shop},
    sizes::every_page_is_in_order,
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
        every_page_is_in_order(page, &site, "100,000").await;
    })
    .await;
    site.stop().await;
}
