//! The page in another language: all words from its catalogue, dates and numbers as they are written there.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tower_activity::record::{Category, Json, Outcome};

use crate::{
    browser::{ESCAPE, Screen, browse},
    site::{Site, bare, order, shop},
};

const GERMAN: Screen = Screen { language: "de-DE", ..Screen::DESK };

/// What a catalogue has: its keys, what stands at each, and what each function takes and says of it.
const SHAPE: &str = "const [languages, done] = arguments;
    const root = new URL('.', document.querySelector('script[type=module]').src);
    const parameters = one => {
        const text = String(one), [taken] = /^\\w*\\s*(\\([^]*?\\)|\\w+)(?= =>| \\{)/.exec(text) ?? [''];
        const names = taken.replace(/^use/, '').match(/\\w+/g) ?? [];
        const said = text.slice(taken.length);
        return `takes ${names.filter(name => new RegExp(`\\\\b${name}\\\\b`).test(said)).join()}`;
    };
    const shape = one => typeof one === 'function' ? parameters(one) : Array.isArray(one) ? one.map(shape)
        : one !== null && typeof one === 'object' ? Object.fromEntries(Object.keys(one).sort().map(key => [key, shape(one[key])])) : typeof one;
    const empty = (one, path) => one === '' && !path.includes('log_left') ? [path] : one && typeof one === 'object' ? Object.entries(one).flatMap(([key, inner]) => empty(inner, `${path}.${key}`)) : [];
    Promise.all(languages.map(language => import(new URL(`words.${language}.js`, root))))
        .then(all => done(all.map(({ words }) => [shape(words), empty(words, '')])), error => done(String(error)));";

#[tokio::test(flavor = "multi_thread")]
async fn every_catalogue_has_the_keys_and_placeholders_of_the_english_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/viewer/web");
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let languages: Vec<_> = names
        .filter_map(|name| Some(name.strip_prefix("words.")?.strip_suffix(".js")?.to_owned()))
        .collect();
    assert!(languages.len() >= 2, "{languages:?}");
    let site = Site::with(vec![bare(1, 1)]).await;
    browse("catalogues", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        let shapes = page.promised(SHAPE, &[json!(languages)]).await;
        let shapes = shapes.as_array().unwrap_or_else(|| panic!("{shapes:?}"));
        let english = &shapes[languages.iter().position(|one| one == "en").unwrap()][0];
        assert_eq!(english["list"]["total"], "takes count,about");
        assert_eq!(english["sentence"]["use"], "takes who,action,denied,endpoint,count,again");
        for (language, shape) in languages.iter().zip(shapes) {
            same(&shape[0], english, &format!("words.{language}.js"));
            assert_eq!(shape[1], json!([]), "words.{language}.js says nothing there");
        }
    })
    .await;
    site.stop().await;
}

/// Compares two catalogues, and names the first key that differs.
fn same(one: &Value, english: &Value, path: &str) {
    if let (Some(ours), Some(theirs)) = (one.as_object(), english.as_object()) {
        for key in theirs.keys() {
            assert!(ours.contains_key(key), "{path}: {key} is missing");
        }
        for (key, inner) in ours {
            let english =
                theirs.get(key).unwrap_or_else(|| panic!("{path}: {key} is nowhere else"));
            same(inner, english, &format!("{path}, {key}"));
        }
    } else {
        assert_eq!(one, english, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_german_reads_german() {
    let mut records = shop(1_200);
    let mut cancelled = order(2_000);
    cancelled.action.set("cancel");
    cancelled.actor_name.set("Ana");
    cancelled.entity_id.set("55");
    cancelled.outcome = Outcome::Success;
    cancelled.duration_us = Some(1_234);
    records.insert(0, cancelled.clone());
    let site = Site::with(records).await;
    browse("german", GERMAN, async |page| {
        page.open(&site.at("?q=&from=all&tz=UTC")).await;
        assert_eq!(page.get("document.documentElement.lang").await, "de");
        // One catalogue came, and no other.
        let loaded = "performance.getEntriesByType('resource').map(one => one.name.split('/').pop()).filter(name => name.startsWith('words.')).join()";
        assert_eq!(page.get(loaded).await, "words.de.js");
        page.until("document.querySelector('.chart-summary strong').textContent === '1.201 Einträge'").await;
        assert_eq!(page.text("nav").await, "EinträgeZahlenZustand");
        let at = "new Date(document.querySelector('.record time').dateTime)";
        let day = page.get(&format!("document.querySelector('.row.day').textContent === new Intl.DateTimeFormat('de-DE', {{ weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' }}).format({at})")).await;
        assert_eq!(day, true);
        assert!(page.text(".ago").await.starts_with("vor "), "{}", page.text(".ago").await);

        page.search("entity_id:55").await;
        page.until("document.querySelector('.chart-summary strong').textContent === '1 Eintrag'").await;
        assert_eq!(page.text(".record .what a").await, "Ana hat Bestellung 55 storniert");
        page.open_record(0).await;
        assert_eq!(page.text(".drawer-title").await, "Ana hat Bestellung 55 storniert");
        assert_eq!(page.text("#tab-changes").await, "Änderungen");
        page.until("document.getElementById('panel').textContent.includes('1,2 ms')").await;
        page.press(ESCAPE).await;

        page.open(&site.at("?q=outcome:denied&from=all")).await;
        let said = page.text(".record .what a").await;
        assert!(said.contains(" wollte Bestellung ") && said.ends_with(": verweigert"), "{said}");
        page.open(&site.at("?q=entity_id:7%20actor_id:nobody&from=all")).await;
        page.until("document.querySelector('.hints')?.textContent.includes('schließt am meisten aus: ohne sie wären es 24 Treffer.')").await;
        page.write("outc").await;
        page.until("document.querySelector('.option-about')?.textContent === 'Wie es ausging'").await;
        page.open(&site.at("?view=stats&q=&from=all")).await;
        page.until("[...document.querySelectorAll('.figure strong')].some(one => one.textContent === '85,8\u{a0}%')").await;
        // Nothing is left in English that the page says itself.
        let english = page.get("document.querySelector('#app').textContent.match(/\\b(the|Records|Last|Search|by the|Over time|All)\\b/)?.[0] ?? ''").await;
        assert_eq!(english, "", "{}", page.text("#app").await);
    })
    .await;
    site.stop().await;
}

/// Sentences that need another order than the English ones, and such whose words nobody has translated.
#[tokio::test(flavor = "multi_thread")]
async fn german_sentences_have_their_own_order() {
    let made = |action: &str, entity: &str, id: &str| {
        let mut record = bare(1, 1);
        record.outcome = Outcome::Success;
        record.actor_name.set("Ana");
        record.action.set(action);
        record.entity_type.set(entity);
        record.entity_id.set(id);
        record
    };
    let denied = |action: &str, entity: &str, id: &str| {
        let mut record = made(action, entity, id);
        record.outcome = Outcome::Denied;
        record
    };
    let mut gap = made("gap", "", "");
    gap.category = Category::System;
    gap.metadata = Json::from_stored(r#"{"count":1200,"reason":"queue_full"}"#);
    let mut borrowed = made("delete", "product", "");
    borrowed.impersonator_name.set("Rosa");
    borrowed.targets =
        Json::from_stored(r#"[{"type":"product","id":"1"},{"type":"product","id":"2"}]"#);
    let mut failed = denied("read", "", "");
    failed.outcome = Outcome::Failure;
    failed.outcome_reason.set("panic");
    failed.route.set("/api/panic");
    let expected = [
        (made("cancel", "order", "55"), "Ana hat Bestellung 55 storniert"),
        (denied("delete", "product", "3"), "Ana wollte Produkt 3 löschen: verweigert"),
        (made("update_password", "user", "3"), "Ana hat das Passwort von Benutzer 3 geändert"),
        (
            made("apply_promotion", "order", "5"),
            "Ana hat die Rabattaktion auf Bestellung 5 angewendet",
        ),
        (made("update_role", "order", ""), "Ana hat die Rolle von einer Bestellung geändert"),
        (made("create", "report", ""), "Ana hat einen Bericht angelegt"),
        (made("list", "order", ""), "Ana hat Bestellungen aufgelistet"),
        (made("login", "", ""), "Ana hat sich angemeldet"),
        (denied("login", "user", "bob"), "Ana wollte sich als bob anmelden: verweigert"),
        (made("frobnicate", "order", "55"), "Ana hat „frobnicate“ auf Bestellung 55 angewendet"),
        (
            denied("frobnicate", "gizmo", "7"),
            "Ana wollte „frobnicate“ auf gizmo 7 anwenden: verweigert",
        ),
        (made("frobnicate", "", ""), "Ana hat „frobnicate“ ausgeführt"),
        (made("delete", "gizmo", ""), "Ana hat „gizmo“ gelöscht"),
        (made("toString", "constructor", "1"), "Ana hat „toString“ auf constructor 1 angewendet"),
        (borrowed, "Rosa als Ana hat 2 Produkte gelöscht"),
        (failed, "Ana wollte /api/panic lesen: fehlgeschlagen (Absturz)"),
        (gap, "1.200 Einträge fehlen hier: Warteschlange voll"),
    ];
    let records: Vec<_> = expected.iter().map(|(record, _)| json!(record)).collect();
    let site = Site::with(vec![bare(1, 1)]).await;
    browse("german_sentences", GERMAN, async |page| {
        page.open(&site.at("")).await;
        let script = "const [records, done] = arguments;
            const root = new URL('.', document.querySelector('script[type=module]').src);
            Promise.all(['sentence.js', 'words.de.js'].map(one => import(new URL(one, root))))
                .then(([{ inOneLine }, { words }]) => done(records.map(one => inOneLine(one, words))), error => done(String(error)));";
        let said = page.promised(script, &[json!(records)]).await;
        let said: Vec<_> = said.as_array().unwrap_or_else(|| panic!("{said:?}")).iter().collect();
        let expected: Vec<_> = expected.iter().map(|(_, text)| text).collect();
        assert_eq!(json!(said), json!(expected));
    })
    .await;
    site.stop().await;
}
