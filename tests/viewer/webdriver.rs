//! WebDriver (W3C), as much of it as a page is driven by.
//!
//! The clients that there are switch on `serde_json/preserve_order` for the whole build, and the tests would then
//! test a library that nobody has.

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

/// The name of an element's reference (W3C WebDriver, 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A session with a browser.
pub(crate) struct Driver {
    client: Client<HttpConnector, Full<Bytes>>,
    session: String,
}

impl Driver {
    /// Starts a browser with these arguments; the driver listens at `address`.
    pub(crate) async fn start(address: &str, binary: Option<&str>, arguments: &[&str]) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut driver = Self { client, session: format!("{address}/session") };
        let mut options = json!({ "args": arguments });
        if let Some(binary) = binary {
            options["binary"] = binary.into();
        }
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": options });
        let made = json!({ "capabilities": { "alwaysMatch": wanted } });
        let made = driver.send(Method::POST, "", made).await;
        let id = made["sessionId"].as_str().expect("a session has an id");
        driver.session = format!("{}/{id}", driver.session);
        driver
    }

    /// Closes the browser.
    pub(crate) async fn quit(&self) {
        self.send(Method::DELETE, "", Value::Null).await;
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, value) = self.ask(method, path, body).await;
        assert_eq!(status, 200, "{path}: {}", value["message"]);
        value
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.session))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .unwrap();
        let answer = self.client.request(request).await.expect("the driver answers");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        (status, answer["value"].take())
    }

    pub(crate) async fn goto(&self, address: &str) {
        self.send(Method::POST, "/url", json!({ "url": address })).await;
    }

    pub(crate) async fn refresh(&self) {
        self.send(Method::POST, "/refresh", json!({})).await;
    }

    pub(crate) async fn address(&self) -> String {
        let address = self.send(Method::GET, "/url", Value::Null).await;
        address.as_str().unwrap().to_owned()
    }

    /// Runs the body of a function; it returns, or its last argument is called.
    pub(crate) async fn run(&self, script: &str, arguments: &[Value], waits: bool) -> Value {
        let path = if waits { "/execute/async" } else { "/execute/sync" };
        self.send(Method::POST, path, json!({ "script": script, "args": arguments })).await
    }

    /// Clicks on what a selector finds first, if it is to be clicked now.
    pub(crate) async fn click(&self, selector: &str) -> Result<(), Value> {
        let element = self.find(selector).await?;
        let (status, value) =
            self.ask(Method::POST, &format!("/element/{element}/click"), json!({})).await;
        if status == 200 { Ok(()) } else { Err(value["message"].clone()) }
    }

    async fn find(&self, selector: &str) -> Result<String, Value> {
        let question = json!({ "using": "css selector", "value": selector });
        let (_, found) = self.ask(Method::POST, "/element", question).await;
        found[ELEMENT].as_str().map(str::to_owned).ok_or_else(|| found["message"].clone())
    }

    /// Presses keys one after the other, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let presses = keys.chars().flat_map(|key| {
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        });
        self.act(
            json!({ "type": "key", "id": "keyboard", "actions": presses.collect::<Vec<_>>() }),
        )
        .await;
    }

    /// Holds one key while another is pressed.
    pub(crate) async fn press_with(&self, held: char, key: char) {
        let down = |key| json!({ "type": "keyDown", "value": key });
        let up = |key| json!({ "type": "keyUp", "value": key });
        let actions = [down(held), down(key), up(key), up(held)];
        self.act(json!({ "type": "key", "id": "keyboard", "actions": actions })).await;
    }

    /// Moves the mouse to a place beside the middle of an element, and drags from there so far to the right.
    pub(crate) async fn point(&self, selector: &str, beside: i64, drag: Option<i64>) {
        let element = self.find(selector).await.unwrap();
        let origin = json!({ ELEMENT: element });
        let mut actions = vec![
            json!({ "type": "pointerMove", "origin": origin, "x": beside, "y": 0, "duration": 0 }),
        ];
        if let Some(far) = drag {
            actions.extend([
                json!({ "type": "pointerDown", "button": 0 }),
                json!({ "type": "pointerMove", "origin": "pointer", "x": far, "y": 0, "duration": 100 }),
                json!({ "type": "pointerUp", "button": 0 }),
            ]);
        }
        let mouse = json!({ "pointerType": "mouse" });
        self.act(
            json!({ "type": "pointer", "id": "mouse", "parameters": mouse, "actions": actions }),
        )
        .await;
    }

    async fn act(&self, source: Value) {
        self.send(Method::POST, "/actions", json!({ "actions": [source] })).await;
    }

    /// Sends a command of the DevTools protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.send(
            Method::POST,
            "/goog/cdp/execute",
            json!({ "cmd": command, "params": parameters }),
        )
        .await
    }

    /// Returns a picture of the page, as PNG in Base64.
    pub(crate) async fn picture(&self) -> String {
        let picture = self.send(Method::GET, "/screenshot", Value::Null).await;
        picture.as_str().unwrap().to_owned()
    }
}
