//! A service that runs: does it answer, and is its log reached?

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::Finding;

const PATIENCE: Duration = Duration::from_secs(5);
const MOST: u64 = 1024 * 1024;

/// Asks `GET {url}/health`.
pub(super) async fn ask(url: &str) -> Vec<Finding> {
    let mend = "see that the service runs, and that the router is mounted at this address";
    let Some((authority, path)) = parts(url) else {
        return vec![Finding::wrong(
            "service",
            format!("{url:?} is no address of a service"),
            "write it as in http://localhost:3000/activity",
        )];
    };
    match timeout(PATIENCE, get(&authority, &format!("{path}/health"))).await {
        Err(_) => {
            vec![Finding::wrong("service", format!("{url} does not answer within 5 s"), mend)]
        }
        Ok(Err(error)) => vec![Finding::wrong("service", format!("{url}: {error}"), mend)],
        Ok(Ok((status, body))) => vec![told(url, status, &body)],
    }
}

fn told(url: &str, status: u16, body: &str) -> Finding {
    let health: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    match (status, health["status"].as_str()) {
        (_, Some("ok")) => Finding::fine("service", format!("{url} says that it is well")),
        (_, Some(state @ ("degraded" | "failing"))) => Finding::wrong(
            "service",
            format!("{url} says that it is {state}"),
            "ask its /health with the permission logs.configure for the reasons",
        ),
        (404, _) => Finding::wrong(
            "service",
            format!("{url} has no log"),
            "mount it: `.nest(\"/activity\", activity.router(access))`, and give the address with that path",
        ),
        (status, _) => Finding::wrong(
            "service",
            format!("{url} answers {status}, and not as a log does"),
            "give the address of the log's router, as in http://localhost:3000/activity",
        ),
    }
}

/// Returns authority and path of an `http://` address.
fn parts(url: &str) -> Option<(String, String)> {
    let uri: http::Uri = url.trim_end_matches('/').parse().ok()?;
    if uri.scheme_str() != Some("http") {
        return None;
    }
    let authority = uri.authority()?.as_str();
    let port = if uri.port().is_some() { "" } else { ":80" };
    Some((format!("{authority}{port}"), uri.path().trim_end_matches('/').to_owned()))
}

/// HTTP/1.0, so that the answer ends with the connection.
async fn get(authority: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(authority).await?;
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}
