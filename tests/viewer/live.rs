//! Following the log.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    browser::{Screen, browse},
    site::{Site, bare, shop},
};

async fn deed(site: &Site, name: &str) {
    let mut record = bare(0, rand::random());
    record.actor_id.set(name);
    record.action.set("arrive");
    site.pipeline.recorder().record(record);
    site.pipeline.flush().await;
}

const TOP: &str = "document.querySelector('.record .what')?.textContent";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_appears_and_waits_while_one_reads_further_down() {
    let site = Site::with(shop(300)).await;
    browse("live", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        page.press("l").await;
        page.until("document.querySelector('[data-live=connected]')").await;
        deed(&site, "first").await;
        page.until(&format!("{TOP}?.startsWith('first arrived')")).await;
        // The numbers follow.
        page.until("document.querySelector('.chart-summary strong').textContent === '301 records'")
            .await;
        assert_eq!(page.parameter("live").await.as_deref(), Some("1"));

        page.run("document.querySelector('.results').scrollTop = 1500").await;
        page.until("document.querySelector('.results').scrollTop > 1000").await;
        let middle = "document.elementFromPoint(700, 600).closest('.record')?.dataset.id";
        page.until(middle).await;
        let read = page.get(middle).await;
        for n in 0..12 {
            deed(&site, &format!("later-{n}")).await;
        }
        page.until(
            "document.querySelector('.fresh-button:not([hidden])')?.textContent === '12 new'",
        )
        .await;
        assert_eq!(page.get(middle).await, read, "what is read stays where it is");
        page.click(".fresh-button").await;
        page.until(&format!("{TOP}?.startsWith('later-11')")).await;
        assert_eq!(page.get("document.querySelector('.fresh-button').hidden").await, true);
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_told_and_leaves_no_gap() {
    let site = Site::with(shop(5)).await;
    let wire = Wire::to(site.address).await;
    browse("lost", Screen::DESK, async |page| {
        page.open(&format!("http://{}/activity?live=1", wire.address)).await;
        page.until("document.querySelector('[data-live=connected]')").await;
        wire.cut();
        page.until("document.querySelector('[data-live=lost]')").await;
        page.until("document.querySelector('.live-line').textContent.includes('trying again in')")
            .await;
        deed(&site, "meanwhile").await;
        wire.mend();
        page.until(&format!("{TOP}?.startsWith('meanwhile arrived')")).await;
        page.until("document.querySelector('[data-live=connected]')").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_however_long_leaves_no_gap() {
    let site = Site::with(shop(300)).await;
    browse("long_pause", Screen::DESK, async |page| {
        page.open(&site.at("?live=1&q=")).await;
        page.until("document.querySelector('[data-live=connected]')").await;
        page.run("document.querySelector('.results').scrollTop = 1500").await;
        page.until("document.querySelector('.results').scrollTop > 1000").await;
        // More than the page keeps for later.
        for n in 0..2_500 {
            let mut record = bare(0, 1_000_000 + n);
            record.actor_id.set(&format!("n-{n}"));
            site.pipeline.recorder().record(record);
        }
        site.pipeline.flush().await;
        page.until("document.querySelector('.fresh-button:not([hidden])')?.textContent === '2,500 new'").await;
        page.click(".fresh-button").await;
        page.until("document.querySelector('.chart-summary strong').textContent === '2,800 records'").await;
        page.until("document.querySelector('[data-live=connected]')").await;
        page.run("window.seen = new Set(); const box = document.querySelector('.results');
             const walk = () => { document.querySelectorAll('.record').forEach(row => seen.add(row.dataset.id)); box.scrollTop += 400; requestAnimationFrame(walk); };
             walk();").await;
        page.until("window.seen.size === 2800").await;
    })
    .await;
    site.stop().await;
}

/// A socket into which a test can speak.
const WIRETAP: &str = "const Real = WebSocket; window.sockets = [];
    window.WebSocket = class extends Real { constructor(url) { super(url); sockets.push(this); } };
    window.say = message => sockets.at(-1).dispatchEvent(new MessageEvent('message', { data: JSON.stringify(message) }));";

#[tokio::test(flavor = "multi_thread")]
async fn lag_is_told() {
    let site = Site::with(shop(5)).await;
    browse("lag", Screen::DESK, async |page| {
        page.before(WIRETAP).await;
        page.open(&site.at("?live=1")).await;
        page.until("document.querySelector('[data-live=connected]')").await;
        assert_eq!(page.get("document.querySelector('.live-line').getAttribute('role')").await, "status");
        page.run("say({ type: 'lagged', missed: 57, cursor: 'c' })").await;
        page.until("document.querySelector('.live-line').textContent.includes('57 records are being read back')").await;
        // What was stored minutes ago and comes now is late.
        page.run("fetch('activity/records?limit=1').then(one => one.json()).then(({ records: [one] }) => say({ type: 'records', data: [{ ...one, id: one.id.replace(/.$/, '0'), recorded_at: new Date(Date.now() - 180000).toISOString() }], count: 1, cursor: 'c' }))").await;
        page.until("/3 min \\d+ s behind/.test(document.querySelector('.live-line').textContent)").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_websocket_gets_through_events_do() {
    let site = Site::with(shop(5)).await;
    browse("events", Screen::DESK, async |page| {
        page.before("window.WebSocket = class { constructor() { setTimeout(() => this.onclose({ code: 1006 }), 0); } close() {} };").await;
        page.open(&site.at("?live=1")).await;
        page.until("document.querySelector('[data-live=connected]')").await;
        deed(&site, "quiet").await;
        page.until(&format!("{TOP}?.startsWith('quiet arrived')")).await;
    })
    .await;
    site.stop().await;
}

/// A connection that can be cut.
struct Wire {
    address: SocketAddr,
    whole: Arc<watch::Sender<bool>>,
}

impl Wire {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let whole = Arc::new(watch::Sender::new(true));
        let seen = Arc::clone(&whole);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut whole = seen.subscribe();
                tokio::spawn(async move {
                    if !*whole.borrow_and_update() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = whole.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { address, whole }
    }

    fn cut(&self) {
        self.whole.send_replace(false);
    }

    fn mend(&self) {
        self.whole.send_replace(true);
    }
}
