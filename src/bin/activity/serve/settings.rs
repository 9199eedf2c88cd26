//! The settings of `activity serve`: the command line, else the environment, else the file, else a default.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::{
    arguments::{Common, Serve},
    trouble::Trouble,
};

const DEFAULT_PORT: u16 = 3000;
/// How long connections may take to end when the service is asked to stop.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// What the service was told.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) common: Common,
    pub(super) listen: SocketAddr,
    pub(super) rules: Option<PathBuf>,
    pub(super) service: String,
    pub(super) grace: Duration,
}

/// The file. An unknown key is an error: nothing starts with half of its settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<IpAddr>,
    port: Option<u16>,
    store: Option<String>,
    keys: Option<PathBuf>,
    rules: Option<PathBuf>,
    service: Option<String>,
    grace_seconds: Option<u64>,
}

impl Settings {
    pub(super) fn read(common: &Common, arguments: &Serve) -> Result<Self, Trouble> {
        let file = arguments.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let mut common = common.clone();
        common.store_or(file.store);
        if common.keys.is_none() {
            common.keys = file.keys;
        }
        let listen = arguments.listen.or(file.listen).unwrap_or(Ipv4Addr::LOCALHOST.into());
        let port = arguments.port.or(file.port).unwrap_or(DEFAULT_PORT);
        Ok(Self {
            common,
            listen: SocketAddr::new(listen, port),
            rules: arguments.rules.clone().or(file.rules),
            service: file.service.unwrap_or_else(|| "activity".to_owned()),
            grace: file.grace_seconds.map_or(DEFAULT_GRACE, Duration::from_secs),
        })
    }
}

fn read(path: &Path) -> Result<File, Trouble> {
    let wrong = |why: String| Trouble::new(format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let mut file: File = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    // Paths in the file are meant from where it lies.
    let folder = path.parent().unwrap_or(Path::new("."));
    for path in [&mut file.keys, &mut file.rules].into_iter().flatten() {
        *path = folder.join(&*path);
    }
    Ok(file)
}
