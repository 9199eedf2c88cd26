//! The other pages: trails, stats, health, export, the first run, nothing found, what is not permitted; and where it
//! all is mounted.

use axum::Router;
use tower_activity::access::{Permission, Permissions};

use crate::{
    browser::{ESCAPE, Page, Screen, browse},
    site::{Site, bare, shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_an_actor_and_a_session_have_pages_of_their_own() {
    let site = Site::with(shop(400)).await;
    browse("trails", Screen::DESK, async |page| {
        for (query, heading, records) in [
            ("?view=entity&type=order&id=7", "Entity order 7", "8"),
            ("?view=actor&id=ana", "Actor ana Ana Lima", "100"),
            ("?view=session&id=p1.session-of-bob", "Session p1.session-of-bob", "100"),
        ] {
            page.open(&site.at(query)).await;
            page.until("document.querySelectorAll('.trail-facts dd').length >= 4").await;
            assert_eq!(page.text(".trail h1").await, heading);
            assert_eq!(page.text(".trail-facts dd").await, records);
            page.until(&format!("document.querySelector('.chart-summary strong').textContent === '{records} records'")).await;
        }
        page.click(".back").await;
        page.until("document.querySelector('.trail').hidden && !location.search.includes('session')").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_add_up_and_lead_to_the_records() {
    let site = Site::with(shop(400)).await;
    browse("stats", Screen::DESK, async |page| {
        page.open(&site.at("?view=stats&from=all&q=actor_id:*")).await;
        assert_eq!(page.text(".figure strong").await, "400");
        page.until("document.querySelectorAll('.counts').length === 5").await;
        let denied =
            "[...document.querySelectorAll('.counts a')].find(one => one.textContent === 'Denied')";
        assert_eq!(
            page.get(&format!("{denied}.closest('tr').querySelector('.number').textContent")).await,
            "57"
        );
        // Followed live, they are counted again.
        page.press("l").await;
        page.until("new URLSearchParams(location.search).get('live') === '1'").await;
        let mut record = bare(0, 12_345);
        record.actor_id.set("ana");
        site.pipeline.recorder().record(record);
        page.until("document.querySelector('.figure strong').textContent === '401'").await;
        page.press("l").await;
        page.run(&format!("{denied}.click()")).await;
        page.until("document.querySelector('.chart-summary strong')?.textContent === '57 records'")
            .await;
        assert_eq!(page.parameter("q").await.as_deref(), Some("actor_id:* outcome:denied"));
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_to_whoever_may_configure_and_its_status_to_all() {
    let site =
        Site::open(shop(5), Permissions::admin(), |log| Router::new().nest("/activity", log)).await;
    browse("health", Screen::DESK, async |page| {
        page.open(&site.at("?view=health")).await;
        page.until("document.querySelectorAll('.figure').length === 6").await;
        assert_eq!(page.text(".health-status").await, "Everything is recorded and stored");
    })
    .await;
    site.stop().await;
    let site =
        Site::open(shop(5), Permissions::viewer(), |log| Router::new().nest("/activity", log))
            .await;
    browse("health_of_viewers", Screen::DESK, async |page| {
        page.driver.goto(&site.at("?view=health")).await;
        page.until("document.querySelector('.health-status')").await;
        assert_eq!(page.count(".figure").await, 0);
        assert!(page.text(".page-body").await.contains("logs.configure"));
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_says_first_how_much_it_is_and_which_permission_is_missing() {
    let site = Site::with(shop(120)).await;
    browse("export", Screen::DESK, async |page| {
        page.open(&site.at("?q=action:cancel")).await;
        page.press("e").await;
        page.until("document.querySelector('dialog')?.textContent.includes('records, about')").await;
        assert!(page.text("dialog").await.contains("action:cancel"));
        let count = page.text(".chart-summary strong").await;
        let count: u64 = count.strip_suffix(" records").unwrap().parse().unwrap();
        // What the link leads to is the whole result, in each of the formats.
        for (format, counted) in [
            ("csv", "text.trim().split('\\r\\n').length - text.startsWith('id,')"),
            ("json", "JSON.parse(text).records.filter(one => one.action === 'cancel').length"),
            ("jsonl", "text.trim().split('\\n').map(line => JSON.parse(line).action === 'cancel').length"),
            ("ocsf", "text.trim().split('\\n').map(line => JSON.parse(line)).filter(one => one.class_uid).length"),
            ("cloudevents", "JSON.parse(text).filter(one => one.specversion === '1.0').length"),
        ] {
            page.click(&format!(".choice input[value={format}]")).await;
            let fetched = format!("const done = arguments[0]; fetch(document.querySelector('dialog a').href).then(async one => {{ const text = await one.text(); return {counted}; }}).then(done, error => done(String(error)))");
            assert_eq!(page.promised(&fetched, &[]).await, count, "{format}");
        }
        page.run("[...document.querySelectorAll('dialog button')].find(one => one.textContent === 'Copy as curl').click()").await;
        page.until("document.getElementById('toast')?.textContent === 'Copied'").await;
        let command = page.copied().await;
        assert!(command.starts_with("curl 'http://") && command.contains("format=cloudevents"), "{command}");
        page.press(ESCAPE).await;
        page.until("!document.querySelector('dialog')").await;
    })
    .await;
    site.stop().await;
    let site =
        Site::open(shop(5), Permissions::viewer(), |log| Router::new().nest("/activity", log))
            .await;
    browse("export_refused", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        page.press("e").await;
        page.until("document.querySelector('dialog')?.textContent.includes('logs.export')").await;
        assert_eq!(page.count("dialog a").await, 0);
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_says_how_to_begin_and_shows_the_first_record_by_itself() {
    let site =
        Site::open(Vec::new(), Permissions::viewer(), |log| Router::new().nest("/activity", log))
            .await;
    browse("first", Screen::DESK, async |page| {
        page.driver.goto(&site.at("")).await;
        page.until("document.querySelector('.first')").await;
        assert!(page.text(".first pre").await.contains("ActivityLayer::new(activity.recorder())"));
        page.until("document.querySelector('[data-live=connected]')").await;
        let mut record = bare(0, 1);
        record.actor_id.set("ana");
        site.pipeline.recorder().record(record);
        page.until("document.querySelector('.record .what')?.textContent === 'ana acted'").await;
        page.until("!document.querySelector('.first')").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_finds_nothing_says_what_would_find_something() {
    let site = Site::with(shop(4_000)).await;
    browse("nothing", Screen::DESK, async |page| {
        page.open(&site.at("?q=action:cancel%20actor_id:nobody")).await;
        page.until("document.querySelector('.hints')?.textContent.includes('actor_id:nobody excludes the most')").await;
        page.run("[...document.querySelectorAll('.hints button')].find(one => one.textContent === 'Drop it').click()").await;
        page.until("document.querySelectorAll('.record').length").await;
        assert_eq!(page.parameter("q").await.as_deref(), Some("action:cancel"));
        // Order 49 of the last minutes, and all of them before.
        page.open(&site.at("?q=entity_id:49&from=now-15m")).await;
        page.until("document.querySelector('.hints')?.textContent.includes('80 match outside of the range (Last 15 minutes)')").await;
        page.run("document.querySelector('.hints button').click()").await;
        page.until("document.querySelectorAll('.record').length").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_nothing_is_told_so_in_words() {
    let only = Permissions::NONE.with(Permission::Ingest);
    let site = Site::open(shop(5), only, |log| Router::new().nest("/activity", log)).await;
    browse("refused", Screen::DESK, async |page| {
        page.driver.goto(&site.at("")).await;
        page.until("document.querySelector('.notice[role=alert]')").await;
        assert!(page.text(".notice").await.contains("This is not for you to see"));
        assert!(page.text(".notice").await.contains("logs.actions.view"));
        assert_eq!(page.count(".record").await, 0);
    })
    .await;
    site.stop().await;
}

/// Every way to mount it, with the addresses of the page.
#[tokio::test(flavor = "multi_thread")]
async fn it_works_under_any_prefix() {
    type Mount = fn(Router) -> Router;
    let mounts: [(Mount, &[&str]); 4] = [
        (|log| log, &["/", ""]),
        (|log| Router::new().nest("/activity", log), &["/activity", "/activity?q="]),
        (|log| Router::new().nest_service("/activity", log), &["/activity", "/activity/"]),
        (
            |log| Router::new().nest("/a/b", Router::new().nest_service("/log", log)),
            &["/a/b/log", "/a/b/log/"],
        ),
    ];
    for (mount, addresses) in mounts {
        let site = Site::open(shop(5), Permissions::viewer(), mount).await;
        browse("mount", Screen::DESK, async |page| {
            for address in addresses {
                works_at(page, &format!("http://{}{address}", site.address)).await;
            }
        })
        .await;
        site.stop().await;
    }
}

pub(crate) async fn works_at(page: &Page, address: &str) {
    page.open(address).await;
    assert_eq!(page.count(".record").await, 5, "{address}");
    page.open_record(0).await;
    page.press("l").await;
    page.until("document.querySelector('[data-live=connected]')").await;
    page.driver.refresh().await;
    page.until("document.querySelector('.drawer-title')").await;
}
