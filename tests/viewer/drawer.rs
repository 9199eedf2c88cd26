//! The drawer: one record, at an address of its own.

use tokio::time::timeout;
use tower_activity::record::{Actor, Group, Json, Record, Seal};

use crate::{
    browser::{ESCAPE, PATIENCE, Screen, browse},
    site::{Site, order, shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_has_an_address_that_opens_it_anywhere() {
    let site = Site::with(shop(300)).await;
    browse("address", Screen::DESK, async |page| {
        page.open(&site.at("?q=")).await;
        page.open_record(2).await;
        let (title, address) = (page.text(".drawer-title").await, page.driver.address().await);
        assert!(address.as_str().contains("record="), "{address}");
        page.press(ESCAPE).await;
        page.until("document.querySelector('.drawer').hidden && !location.search.includes('record')").await;
        page.driver.goto(&address).await;
        page.until(&format!("document.querySelector('.drawer-title')?.textContent === {title:?}")).await;
        // One that the list does not hold is fetched by itself.
        let old = shop(300)[0].id;
        page.driver.goto(&site.at(&format!("?from=now-15m&record={old}"))).await;
        page.until("document.querySelector('.drawer')?.textContent.includes('no such record') || document.querySelector('.drawer-title')").await;
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_field_by_field() {
    let site = Site::with(shop(40)).await;
    browse("changes", Screen::DESK, async |page| {
        page.open(&site.at("?q=action:update")).await;
        page.open_record(0).await;
        page.click("#tab-changes").await;
        page.until("document.querySelectorAll('.changes tbody tr').length === 5").await;
        let row = |n: u32| format!(".changes tbody tr:nth-child({n})");
        assert_eq!(page.text(&row(1)).await, "shippingstandardexpress");
        // Of a longer text only the word that changed stands out; of a tree only the leaf.
        assert_eq!(page.text(&format!("{} del", row(2))).await, "front");
        assert_eq!(page.text(&format!("{} ins", row(2))).await, "back");
        assert!(page.text(&row(3)).await.contains("2 unchanged"));
        assert!(page.text(&row(3)).await.contains("city \"Lisbon\" → \"Porto\""));
        assert!(page.text(&row(4)).await.contains("not there"));
        assert_eq!(page.text(&format!("{} .withheld", row(5))).await, "redacted");
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_longer_than_the_browsers_own_stays_what_it_is() {
    let mut record = order(1);
    let changes = r#"[{"path":"/owner","old":9007199254740993,"new":9007199254740992},
        {"path":"/ids","old":{"a":9007199254740993,"b":1},"new":{"a":9007199254740992,"b":1}}]"#;
    record.changes = Json::from_stored(changes.to_owned());
    record.metadata = Json::from_stored(r#"{"snowflake":1234567890123456789}"#.to_owned());
    let site = Site::with(vec![record]).await;
    browse("numbers", Screen::DESK, async |page| {
        page.open(&site.at("?q=")).await;
        page.open_record(0).await;
        assert!(page.text("#panel").await.contains("1234567890123456789"));
        page.click("#tab-changes").await;
        page.until("document.querySelectorAll('.changes tbody tr').length === 2").await;
        let cell = |row: u32, side: &str| format!(".changes tbody tr:nth-child({row}) {side}");
        assert_eq!(page.text(&cell(1, ".old")).await, "9007199254740993");
        assert_eq!(page.text(&cell(1, ".new")).await, "9007199254740992");
        assert_eq!(page.text(&cell(2, "del")).await, "9007199254740993");
        page.click("#tab-raw").await;
        page.until("document.querySelector('.raw pre')?.textContent.includes('9007199254740993')")
            .await;
        assert!(page.text(".raw pre").await.contains("1234567890123456789"));
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_a_record_is_one_click_away() {
    let site = Site::with(shop(300)).await;
    browse("related", Screen::DESK, async |page| {
        page.open(&site.at("?q=")).await;
        page.open_record(4).await;
        page.click("#tab-related").await;
        page.until("document.querySelectorAll('.related').length >= 3").await;
        let headings = page.get("[...document.querySelectorAll('#panel h3')].map(one => one.textContent).join()").await;
        for heading in ["Before, of the same entity", "Same session", "Same entity", "Same actor"] {
            assert!(headings.as_str().unwrap().contains(heading), "{headings}");
        }
        let before = page.text(".drawer-title").await;
        page.click(".related a").await;
        page.until(&format!("document.querySelector('.drawer-title')?.textContent !== {before:?} || location.search.includes('record')")).await;
        page.run("history.back()").await;
        page.until("document.querySelector('.related')").await;
        page.run("[...document.querySelectorAll('#panel .link')].at(-1).click()").await;
        page.until("document.querySelector('.trail:not([hidden]) h1')").await;
        assert!(page.text(".trail h1").await.starts_with("Actor"));
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_there_raw_in_every_format_and_its_place_in_the_log_is_told() {
    let site = Site::with(shop(10)).await;
    browse("raw", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        page.open_record(1).await;
        page.click("#tab-raw").await;
        page.until("JSON.parse(document.querySelector('.raw pre').textContent).action").await;
        for (n, key) in [(2, "class_uid"), (3, "specversion")] {
            page.click(&format!(".segments button:nth-child({n})")).await;
            page.until(&format!(
                "document.querySelector('.raw pre')?.textContent.includes('{key}')"
            ))
            .await;
        }
        let [copy, curl] = [1, 2].map(|n| format!(".raw-tools > .button:nth-of-type({n})"));
        page.click(&copy).await;
        page.until("document.getElementById('toast')?.textContent === 'Copied'").await;
        assert!(page.copied().await.contains("\"specversion\": \"1.0\""));
        page.click(".segments button").await;
        page.until("document.querySelector('.raw pre')?.textContent.includes('occurred_at')").await;
        page.click(&curl).await;
        let id = page.parameter("record").await.unwrap();
        // The toast is gone in a moment; what is copied stays.
        let curl = format!("curl '{}/records/{id}'", site.at(""));
        let copied = async { while page.copied().await != curl {} };
        timeout(PATIENCE, copied).await.expect("it is copied");
        page.click("#tab-integrity").await;
        page.until("document.getElementById('panel').textContent.includes('No proof yet')").await;
        // As soon as a checkpoint covers it, the browser computes the proof by itself.
        site.sign().await;
        page.click("#tab-summary").await;
        page.click("#tab-integrity").await;
        page.until("document.getElementById('panel').textContent.includes('This browser has computed it.')").await;
        let panel = page.text("#panel").await;
        assert!(panel.starts_with("Proved") && panel.contains("of the ledger, and that to the signed head"), "{panel}");
        assert!(page.text("#panel pre").await.starts_with("activity/"));
        // And is not taken in by an answer that proves something else.
        page.get("(() => { window.fetched = window.fetch; window.fetch = async (...all) => { const answer = await fetched(...all); if (!String(all[0]).endsWith('/proof')) return answer; const proof = await answer.json(); proof.record = btoa(atob(proof.record).replace('order', 'odder')); return new Response(JSON.stringify(proof)); }; return 1; })()").await;
        page.click("#tab-summary").await;
        page.click("#tab-integrity").await;
        page.until("document.getElementById('panel').textContent.includes('Not proved')").await;
    })
    .await;
    site.stop().await;
}

/// What the page makes of a proof, and of the same with one thing altered in each: `name: result`.
const ALTERED: &str = r#"
const [id, done] = arguments;
const script = [...document.querySelectorAll('script[src]')].map(one => one.src).find(src => src.includes('/assets/'));
const flip = hash => (hash[0] === '0' ? '1' : '0') + hash.slice(1);
const edit = (text, from, to) => btoa(atob(text).replace(from, to));
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const unhex = text => Uint8Array.from(text.match(/../g), pair => parseInt(pair, 16));
const digest = async (...parts) => new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer()));
// Where the path of a record leads to, as whoever forges it computes it.
const rootOf = async ({ record, index, size, path }) => {
  let node = index, last = size - 1, root = await digest(Uint8Array.of(0), bytes(record));
  for (const step of path.map(unhex)) {
    if (last === 0) return null;
    const right = node % 2 === 1 || node === last;
    root = await digest(Uint8Array.of(1), ...(right ? [step, root] : [root, step]));
    while (right && node && node % 2 === 0) [node, last] = [node / 2, Math.floor(last / 2)];
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 ? Array.from(root, byte => byte.toString(16).padStart(2, '0')).join('') : null;
};
(async () => {
  const { isProved } = await import(new URL('proof.js', script));
  const base = location.pathname.replace(/\/$/, '');
  const get = async path => (await fetch(`${base}/${path}`, { headers: { accept: 'application/json' } })).json();
  const record = await get(`records/${id}`), proof = await get(`records/${id}/proof`);
  const other = await get('records?q=-id:' + id + '&limit=1');
  const changes = {
    nothing: () => {},
    record: p => { p.record = edit(p.record, 'order', 'odder'); },
    index: p => { p.index += 1; },
    size: p => { p.size += 1; },
    path: p => { p.path[0] = flip(p.path[0]); },
    'path cut': p => { p.path.pop(); },
    'path longer': p => { p.path.push('00'.repeat(32)); },
    'index behind the size': p => { p.index = p.size; },
    entry: p => { p.entry.bytes = edit(p.entry.bytes, '\"epoch\":1', '\"epoch\":2'); },
    'entry root': p => { p.entry.root = flip(p.entry.root); },
    'entry index': p => { p.entry.index += 1; },
    'entry size': p => { p.entry.size += 1; },
    'entry path': p => { p.entry.path[0] = flip(p.entry.path[0]); },
    'entry path cut': p => { p.entry.path.pop(); },
    'entry path longer': p => { p.entry.path.push('00'.repeat(32)); },
    head: p => { const lines = p.checkpoint.split('\n'); lines[2] = (lines[2][0] === 'A' ? 'B' : 'A') + lines[2].slice(1); p.checkpoint = lines.join('\n'); },
    'head size': p => { const lines = p.checkpoint.split('\n'); lines[1] = String(Number(lines[1]) + 1); p.checkpoint = lines.join('\n'); },
    'another root, and a path to it': async p => { p.path[0] = flip(p.path[0]); p.entry.root = await rootOf(p); },
    'another place, to which the path leads too': async p => {
      for (let size = 1; size < 40; size++) for (let index = 0; index < size; index++) {
        if (size !== p.size && await rootOf({ ...p, index, size }) === p.entry.root) return Object.assign(p, { index, size });
      }
      throw new Error('there is none');
    },
    'record as its entry': p => { p.record = p.entry.bytes; p.path = []; p.index = 0; p.size = 1; },
  };
  const found = {};
  for (const [name, change] of Object.entries(changes)) {
    const altered = structuredClone(proof);
    await change(altered);
    found[name] = await isProved(altered, record).catch(() => 'error');
  }
  // What is shown is not what is proved.
  const shown = { action: 'delete', occurred_at: record.occurred_at.replace(/.Z$/, d => (d[0] === '9' ? '8Z' : '9Z')), seq: record.seq + 1, tenant_id: null, org_id: 'x', truncated: ['x'], status: null };
  for (const [name, value] of Object.entries(shown)) found[`shown ${name}`] = await isProved(proof, { ...record, [name]: value });
  found['another record'] = await isProved(proof, other.records[0]);
  done(found);
})().catch(error => done({ failed: String(error) }));
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_with_anything_altered_in_it_is_not_passed() {
    let site = Site::with(shop(10)).await;
    site.sign().await;
    // The head is of several entries, so that there is a path to it.
    for n in 0..3 {
        let record = Record::by(Actor::user("ana")).cancelled("order", &n.to_string());
        site.pipeline.recorder().record(record);
        site.sign().await;
    }
    browse("altered", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        // One of those that came together: in its entry there is a path to it.
        page.open_record(6).await;
        let id = page.parameter("record").await.unwrap();
        let found = page.promised(ALTERED, &[id.into()]).await;
        let found = found.as_object().unwrap_or_else(|| panic!("{found}"));
        assert!(found.len() > 20, "{found:?}");
        for (name, result) in found {
            let is_passed = *result == true;
            assert_eq!(is_passed, name == "nothing", "{name}: {result}");
        }
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_out_or_erased_is_named_as_such() {
    let mut erased = order(0);
    for field in [&mut erased.actor_id, &mut erased.actor_name, &mut erased.session_id] {
        field.clear();
    }
    erased.changes = Json::default();
    erased.seals.set(Group::Identity, Seal::Erased([9; 32]));
    erased.seals.set(Group::Content, Seal::Erased([9; 32]));
    let mut redacted = order(1);
    redacted.changes = Json::from_stored(
        r#"[{"op":"replace","path":"/note","old":"my card is [REDACTED], thank you","new":"paid"}]"#,
    );
    let site = Site::with(vec![redacted, erased]).await;
    browse("erased", Screen::DESK, async |page| {
        page.open(&site.at("?q=")).await;
        assert_eq!(page.text(".record .actor .withheld").await, "erased");
        page.open_record(0).await;
        page.until("document.querySelectorAll('#panel .withheld').length === 2").await;
        let facts = "[...document.querySelectorAll('#panel .fact:has(.withheld)')].map(one => one.textContent).join()";
        assert_eq!(page.get(facts).await, "Who actederased,What was said and changederased");
        page.click("#tab-changes").await;
        page.until("document.getElementById('panel').textContent.startsWith('erased')").await;
        page.press("j").await;
        page.until("document.querySelector('.changes .old')").await;
        assert_eq!(page.text(".changes .old .withheld").await, "redacted");
        assert_eq!(page.text(".changes .old").await, "my card is redacted, thank you");
    })
    .await;
    site.stop().await;
}
