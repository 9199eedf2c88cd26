//! What clients write becomes text: no markup, no script, nothing that turns the line around.

use serde_json::json;
use tower_activity::record::Json;

use crate::{
    browser::{Screen, browse},
    site::{Site, order},
};

/// What has become markup, script, address, template, format or terminal command elsewhere.
const SEEDS: [&str; 25] = [
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "<svg/onload=window.pwned=1>",
    "\"><script>window.pwned=1</script>",
    "'><img src=x onerror=window.pwned=1>",
    "javascript:window.pwned=1",
    "</textarea><script>window.pwned=1</script>",
    "</title><script>window.pwned=1</script>",
    "--><script>window.pwned=1</script>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>",
    "<a href=javascript:window.pwned=1>x</a>",
    "<style>*{display:none}</style>",
    "<base href=//evil.example/>",
    "<form action=//evil.example><button>x",
    "{{constructor.constructor('window.pwned=1')()}}",
    "${window.pwned=1}",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;",
    "\u{1b}[2J\u{1b}[31mred",
    "one\r\ntwo\tthree",
    "\u{202e}txt.exe\u{2066}",
    "zero\u{200b}width\u{feff}",
    "__proto__",
    "\u{0}nul",
    "../../../../etc/passwd",
    "%3Cscript%3Ewindow.pwned=1%3C/script%3E",
];

/// Two hundred strings, eight of each.
fn strings() -> impl Iterator<Item = String> {
    SEEDS.into_iter().flat_map(|seed| {
        [
            seed.to_owned(),
            seed.to_uppercase(),
            format!("x{seed}"),
            format!("{seed}{seed}"),
            format!("\" {seed}"),
            format!("' {seed}"),
            format!("`{seed}`"),
            format!("{seed}\u{2028}// {seed}"),
        ]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hostile_strings_are_text_everywhere() {
    let records: Vec<_> = (0..)
        .zip(strings())
        .map(|(n, text)| {
            let mut record = order(199 - n);
            for field in [
                &mut record.actor_name,
                &mut record.actor_id,
                &mut record.entity_id,
                &mut record.entity_type,
                &mut record.entity_name,
                &mut record.action,
                &mut record.user_agent,
                &mut record.path,
                &mut record.tenant_id,
                &mut record.reason,
                &mut record.outcome_reason,
                &mut record.session_id,
                &mut record.request_id,
                &mut record.request_body,
            ] {
                field.set(&text);
            }
            if n % 2 == 0 {
                record.description.set(&text);
            }
            let told = json!({ text.clone(): { text.clone(): text.clone() }, "flat": text });
            record.metadata = Json::from_stored(told.to_string());
            let changes =
                json!([{"op": "replace", "path": format!("/{text}"), "old": text, "new": told}]);
            record.changes = Json::from_stored(changes.to_string());
            record.targets = Json::from_stored(
                json!([{"type": text, "id": text, "relation": "parent"}]).to_string(),
            );
            record
        })
        .collect();
    assert_eq!(records.len(), 200);
    let ids: Vec<_> = records.iter().map(|record| record.id.to_string()).collect();
    let site = Site::with(records).await;
    browse("hostile", Screen::DESK, async |page| {
        let watch = "window.broken = []; addEventListener('securitypolicyviolation', event => broken.push(event.violatedDirective));
             addEventListener('error', event => broken.push(String(event.message))); addEventListener('unhandledrejection', event => broken.push(String(event.reason)));";
        page.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": watch })).await;
        page.open(&site.at("?q=&from=all&cols=time,actor,what,entity,outcome,tenant,action,reason,user_agent")).await;
        page.until("document.querySelector('.facet-value')").await;
        page.run("document.querySelectorAll('.facet .link').forEach(one => one.click())").await;
        // Through the whole list, and every tab of every record.
        let walk = "const [ids, done] = arguments;
            const frame = () => new Promise(over => setTimeout(over, 0));
            (async () => {
                let shown = 0;
                for (const record of ids) for (const tab of ['', 'changes', 'request', 'raw']) {
                    history.pushState(null, '', '?' + new URLSearchParams({ q: '', from: 'all', record, tab }));
                    dispatchEvent(new PopStateEvent('popstate'));
                    for (let tries = 0; tries < 200 && !document.getElementById('panel'); tries += 1) await frame();
                    shown += document.getElementById('panel').textContent.length > 20;
                }
                return shown;
            })().then(done, error => done(String(error)))";
        let shown = page.promised(walk, &[json!(ids)]).await;
        assert_eq!(shown, 800);
        let foreign = "document.querySelectorAll('script:not([type=module]), iframe, img, base, form[action], #app style, object, embed').length";
        assert_eq!(page.get(foreign).await, 0);
        assert_eq!(page.get("window.pwned ?? null").await, serde_json::Value::Null);
        assert_eq!(page.get("window.broken").await, json!([]));
        // Nothing that moves, hides or reorders stands in the text as it is.
        let deceiving = r"(document.getElementById('app').textContent.match(/.{0,30}[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff].{0,30}/s) ?? [''])[0]";
        assert_eq!(page.get(deceiving).await, "");
        let links = "[...document.querySelectorAll('a')].every(one => one.protocol === 'http:' && one.host === location.host)";
        assert_eq!(page.get(links).await, true);
        // Filtering by one finds the records that have it.
        page.open(&site.at("?q=&from=all")).await;
        page.press("j").await;
        page.press(crate::browser::RIGHT).await;
        page.press("f").await;
        page.until("document.querySelectorAll('.record').length === 1 || document.querySelectorAll('.record').length < 10").await;
        assert_eq!(page.get("document.getElementById('trouble').hidden").await, true);
    })
    .await;
    site.stop().await;
}
