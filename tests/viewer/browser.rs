//! Chromium, and what a person does with it.

use std::{panic::AssertUnwindSafe, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::{pool, webdriver::Driver};

/// Far longer than anything here takes on a busy machine: only a defect meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A browser takes a core and some hundred megabytes.
static ROOM: Semaphore = Semaphore::const_new(3);

/// What the page is shown on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
    /// What the browser asks pages to speak.
    pub(crate) language: &'static str,
}

impl Screen {
    pub(crate) const DESK: Self = Self { width: 1440, height: 900, dark: false, language: "en-GB" };
    pub(crate) const DARK: Self = Self { dark: true, ..Self::DESK };
    pub(crate) const PHONE: Self = Self { width: 390, height: 844, ..Self::DESK };
}

/// A page in a tab of its own.
pub(crate) struct Page {
    pub(crate) driver: Driver,
}

/// Opens a page, does something with it, and closes it whatever comes of that.
pub(crate) async fn browse(name: &str, screen: Screen, visit: impl AsyncFnOnce(&Page)) {
    let _room = ROOM.acquire().await.unwrap();
    let page = Page { driver: pool::take(screen).await };
    page.show_on(screen).await;
    let outcome = AssertUnwindSafe(visit(&page)).catch_unwind().await;
    let Err(panic) = outcome else {
        return pool::give_back(screen, page.driver).await;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("viewer");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.png"));
    let picture = page.driver.picture().await;
    std::fs::write(&file, STANDARD.decode(picture).unwrap()).unwrap();
    eprintln!("{name}: {} at {}", file.display(), page.driver.address().await);
    page.driver.quit().await;
    std::panic::resume_unwind(panic);
}

impl Page {
    async fn show_on(&self, screen: Screen) {
        let Screen { width, height, dark, .. } = screen;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        self.colours(if dark { "dark" } else { "light" }).await;
        if width < 600 {
            self.devtools("Emulation.setTouchEmulationEnabled", json!({"enabled": true})).await;
        }
    }

    /// Has the system prefer these colours, `light` or `dark`.
    pub(crate) async fn colours(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.driver.devtools(command, parameters).await
    }

    /// Goes to an address, and waits until records or a notice are there.
    pub(crate) async fn open(&self, address: &str) {
        self.driver.goto(address).await;
        self.until("document.querySelector('.record, .notice, .figure, .health-status, .trouble:not([hidden])')")
            .await;
        self.settled().await;
    }

    /// Waits until nothing is being asked for.
    pub(crate) async fn settled(&self) {
        self.until("!document.querySelector('.busy, [aria-busy=true]')").await;
    }

    /// Runs the body of a function in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.run(script, &[], false).await
    }

    /// Returns what an expression comes to.
    pub(crate) async fn get(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression});")).await
    }

    pub(crate) async fn text(&self, selector: &str) -> String {
        let expression = format!("document.querySelector({selector:?})?.textContent ?? ''");
        self.get(&expression).await.as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn count(&self, selector: &str) -> u64 {
        self.get(&format!("document.querySelectorAll({selector:?}).length")).await.as_u64().unwrap()
    }

    /// Returns a parameter of the page's address.
    pub(crate) async fn parameter(&self, name: &str) -> Option<String> {
        let value = self.get(&format!("new URLSearchParams(location.search).get({name:?})")).await;
        value.as_str().map(str::to_owned)
    }

    /// Waits until an expression holds, and returns what it comes to.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        // What is not there yet is not true yet.
        let expression =
            format!("(() => {{ try {{ return {expression}; }} catch {{ return null; }} }})()");
        async move {
            let begun = Instant::now();
            loop {
                let value = self.get(&expression).await;
                if !matches!(value, Value::Null | Value::Bool(false))
                    && value != json!(0)
                    && value != json!("")
                {
                    return value;
                }
                assert!(begun.elapsed() < PATIENCE, "{place}: never came true: {expression}");
                sleep(Duration::from_millis(30)).await;
            }
        }
    }

    /// Calls a function whose last argument is what takes its result.
    pub(crate) async fn promised(&self, script: &str, arguments: &[Value]) -> Value {
        self.driver.run(script, arguments, true).await
    }

    /// Clicks with the mouse, as soon as there is something to click on.
    pub(crate) async fn click(&self, selector: &str) {
        let begun = Instant::now();
        while let Err(why) = self.driver.click(selector).await {
            assert!(begun.elapsed() < PATIENCE, "{selector} cannot be clicked: {why}");
            sleep(Duration::from_millis(30)).await;
        }
    }

    /// Presses keys, one after the other.
    pub(crate) async fn press(&self, keys: &str) {
        self.driver.press(keys).await;
    }

    /// Writes a query into the search box and asks for it.
    pub(crate) async fn search(&self, query: &str) {
        self.write(query).await;
        self.press(ENTER).await;
        self.settled().await;
    }

    /// Writes into the search box.
    pub(crate) async fn write(&self, query: &str) {
        self.press("/").await;
        self.until("document.activeElement.id === 'search'").await;
        self.driver.press_with(CONTROL, 'a').await;
        self.press(query).await;
    }

    /// Moves the mouse over the middle of an element.
    pub(crate) async fn hover(&self, selector: &str) {
        self.driver.point(selector, 0, None).await;
    }

    /// Returns what was copied last.
    pub(crate) async fn copied(&self) -> String {
        let granted = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        self.devtools("Browser.grantPermissions", granted).await;
        self.devtools("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
        let read = "navigator.clipboard.readText().then(arguments[0], error => arguments[0](String(error)))";
        self.promised(read, &[]).await.as_str().unwrap().to_owned()
    }

    /// Runs a script in every page before any of its own.
    pub(crate) async fn before(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// Opens the nth record of the list by a click.
    pub(crate) async fn open_record(&self, n: usize) {
        self.click(&format!(".record[aria-rowindex='{}'] .what", n + 3)).await;
        self.until("document.querySelector('.drawer-title')").await;
    }
}

const CONTROL: char = '\u{e009}';
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";
pub(crate) const DOWN: &str = "\u{e015}";
pub(crate) const RIGHT: &str = "\u{e014}";
