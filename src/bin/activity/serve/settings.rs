//! The settings of `activity serve`: the command line, else the environment, else the file, else a default.

use std::{
    env, fs,
    io::Read as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use tower_activity::{pipeline::Schedule, rules::Delivery};

use crate::{
    arguments::{Common, Serve},
    listen::Listen,
    trouble::Trouble,
};

const DEFAULT_PORT: u16 = 3000;
/// How long connections may take to end when the service is asked to stop.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// How long storing what is queued may take afterwards.
const DEFAULT_DRAIN: Duration = Duration::from_secs(10);

/// More is no file of settings.
const MOST_BYTES: u64 = 64 * 1024;

/// What the service was told.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) common: Common,
    pub(super) listen: SocketAddr,
    pub(super) rules: Option<PathBuf>,
    pub(super) service: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) allow_origins: Vec<String>,
    pub(super) quarantine: Option<PathBuf>,
    pub(super) grace: Duration,
    pub(super) drain: Duration,
    pub(super) mode: Option<Delivery>,
    pub(super) spool: Option<PathBuf>,
    pub(super) retention: Option<Schedule>,
    pub(super) archive: Option<String>,
}

/// The file. An unknown key is an error: nothing starts with half of its settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<Listen>,
    port: Option<u16>,
    store: Option<String>,
    keys: Option<PathBuf>,
    rules: Option<PathBuf>,
    service: Option<String>,
    environment: Option<String>,
    #[serde(default)]
    allow_origins: Vec<String>,
    quarantine: Option<PathBuf>,
    grace_seconds: Option<u64>,
    drain_seconds: Option<u64>,
    mode: Option<String>,
    spool: Option<PathBuf>,
    retention: Option<String>,
    archive: Option<String>,
}

impl Settings {
    pub(super) fn read(common: &Common, arguments: &Serve) -> Result<Self, Trouble> {
        let file = arguments.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let mode = variable("ACTIVITY_MODE").or(file.mode);
        let spool = variable("ACTIVITY_SPOOL").map(PathBuf::from).or(file.spool);
        let mode = class(mode.as_deref(), spool.is_some())?;
        let mut common = common.clone();
        common.store_or(file.store);
        if common.keys.is_none() {
            common.keys = file.keys;
        }
        Ok(Self {
            common,
            listen: listen(arguments, file.listen, file.port)?,
            rules: arguments.rules.clone().or(file.rules),
            service: file.service,
            environment: file.environment,
            allow_origins: file.allow_origins,
            quarantine: file.quarantine,
            grace: file.grace_seconds.map_or(DEFAULT_GRACE, Duration::from_secs),
            drain: file.drain_seconds.map_or(DEFAULT_DRAIN, Duration::from_secs),
            mode,
            spool,
            archive: variable("ACTIVITY_ARCHIVE").or(file.archive),
            retention: file.retention.as_deref().and_then(|text| text.parse().ok()),
        })
    }
}

fn listen(
    arguments: &Serve,
    file: Option<Listen>,
    port: Option<u16>,
) -> Result<SocketAddr, Trouble> {
    let asked = arguments.listen.and_then(|listen| listen.port);
    let said = match (arguments.port, asked) {
        (Some(port), Some(asked)) if port != asked => {
            return Err(Trouble::usage(format!("--listen names port {asked}, and --port {port}")));
        }
        (port, asked) => port.or(asked),
    };
    let set = match variable("PORT") {
        // Of no account when the command line says it.
        Some(_) if said.is_some() => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Trouble::usage(format!(
                "PORT is `{}`: set it to a number up to 65535 (0 takes a free port)",
                text.escape_debug()
            ))
        })?),
        None => None,
    };
    let ip = arguments.listen.or(file).map_or(Ipv4Addr::LOCALHOST.into(), |listen| listen.ip);
    let in_file = port.or_else(|| file.and_then(|listen| listen.port));
    Ok(SocketAddr::new(ip, said.or(set).or(in_file).unwrap_or(DEFAULT_PORT)))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads the delivery class; a promise needs a folder to keep it in.
fn class(mode: Option<&str>, has_spool: bool) -> Result<Option<Delivery>, Trouble> {
    let Some(word) = mode else { return Ok(None) };
    match word.parse() {
        Ok(mode) if has_spool || mode == Delivery::BestEffort => Ok(Some(mode)),
        Ok(_) => Err(Trouble::usage(format!(
            "the mode is `{word}` (ACTIVITY_MODE), which keeps records in a folder until they are stored: name \
             one with `spool` or ACTIVITY_SPOOL"
        ))),
        Err(_) => Err(Trouble::usage(format!(
            "the mode is `{}` (ACTIVITY_MODE): it is one of {}",
            word.escape_debug(),
            Delivery::WORDS.join(", ")
        ))),
    }
}

/// A scheme, a host and perhaps a port, and nothing behind them.
fn is_origin(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.path_and_query().is_none_or(|path| path.as_str() == "/")
            && text.trim_end_matches('/').matches('/').count() == 2
    })
}

/// Says where in the file it is, without the line itself: it may be long, and hold a password.
fn place(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {}", error.message())
}

fn read(path: &Path) -> Result<File, Trouble> {
    let wrong = |why: String| Trouble::usage(format!("{}: {why}", path.display()));
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(wrong(format!(
            "it is longer than {} KiB: these are no settings",
            MOST_BYTES / 1024
        )));
    }
    let mut file: File = toml::from_str(&text).map_err(|error| wrong(place(&text, &error)))?;
    if let (Some(port), Some(asked)) = (file.port, file.listen.and_then(|listen| listen.port))
        && port != asked
    {
        return Err(wrong(format!("listen names port {asked}, and port is {port}")));
    }
    if let Some(origin) = file.allow_origins.iter().find(|origin| !is_origin(origin)) {
        return Err(wrong(format!(
            "allow_origins: `{}` is no origin: write it as in https://admin.example.com",
            origin.escape_debug()
        )));
    }
    if let Some(Err(error)) = file.retention.as_deref().map(str::parse::<Schedule>) {
        return Err(wrong(format!("retention: {error}")));
    }
    // Paths in the file are meant from where it lies.
    let folder = path.parent().unwrap_or(Path::new("."));
    let paths = [&mut file.keys, &mut file.rules, &mut file.quarantine, &mut file.spool];
    for path in paths.into_iter().flatten() {
        *path = folder.join(&*path);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/command.md` shows every key, and as it may be set.
    #[test]
    fn every_key_is_in_the_document() {
        let document = include_str!("../../../../docs/command.md");
        let (_, shown) = document.split_once("<!-- settings -->\n```toml\n").unwrap();
        let (shown, _) = shown.split_once("```").unwrap();
        toml::from_str::<File>(shown).unwrap();
        let unknown = toml::from_str::<File>("nothing = 1").unwrap_err().to_string();
        let (_, known) = unknown.split_once("expected one of ").unwrap();
        let known: Vec<_> = known.split('`').skip(1).step_by(2).collect();
        assert!(known.len() > 10, "{unknown}");
        for key in known {
            assert!(shown.contains(&format!("{key} = ")), "{key}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for text in ["https://admin.example.com", "http://localhost:3000", "https://a.example/"] {
            assert!(is_origin(text), "{text}");
        }
        for text in
            ["", "a.example", "ftp://a", "https://a/x", "https://u@a", "https://a//", "https://"]
        {
            assert!(!is_origin(text), "{text}");
        }
    }
}
