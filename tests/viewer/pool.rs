//! Browsers that are started once and used by many tests, one after the other, each in a tab of its own.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock},
};

use serde_json::json;

use crate::{browser::Screen, webdriver::Driver};

/// A desk has a mouse; a headless browser says that it has none, and pages are then shown to fingers.
const MOUSE: &str = "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4";

/// What a browser is started for; everything else is a tab's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    touch: bool,
    language: &'static str,
}

impl Kind {
    fn of(screen: Screen) -> Self {
        Self { touch: screen.width < 600, language: screen.language }
    }
}

/// Sessions that nobody uses now.
static IDLE: Mutex<Vec<(Kind, String)>> = Mutex::new(Vec::new());

/// Returns a browser with an empty tab.
pub(crate) async fn take(screen: Screen) -> Driver {
    let kind = Kind::of(screen);
    let (found, other) = {
        let mut idle = IDLE.lock().unwrap();
        match idle.iter().position(|(one, _)| *one == kind) {
            Some(at) => (Some(idle.swap_remove(at).1), None),
            // No more browsers than tests that run.
            None => (None, idle.pop().map(|(_, session)| session)),
        }
    };
    if let Some(session) = other {
        Driver::of(session).quit().await;
    }
    match found {
        Some(session) => Driver::of(session),
        None => start(screen).await,
    }
}

/// Takes back a browser, and leaves nothing in it of what was done.
pub(crate) async fn give_back(screen: Screen, driver: Driver) {
    let origin = driver.run("return location.origin", &[], false).await;
    let all = json!({ "origin": origin, "storageTypes": "all" });
    driver.devtools("Storage.clearDataForOrigin", all).await;
    driver.devtools("Browser.resetPermissions", json!({})).await;
    driver.new_tab().await;
    IDLE.lock().unwrap().push((Kind::of(screen), driver.into_session()));
}

async fn start(screen: Screen) -> Driver {
    let binary = env::var("TEST_CHROMIUM").ok();
    let size = format!("--window-size={},{}", screen.width, screen.height);
    let (language, accepted) =
        (format!("--lang={}", screen.language), format!("--accept-lang={}", screen.language));
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        // Otherwise a page that changes its address often does so in vain.
        "--disable-ipc-flooding-protection",
        if Kind::of(screen).touch { "--touch-events=enabled" } else { MOUSE },
        &language,
        &accepted,
        &size,
    ];
    let address = tokio::task::spawn_blocking(|| &*driver().address).await.unwrap();
    Driver::start(address, binary.as_deref(), &arguments).await
}

/// The program that drives the browsers, for as long as this process lives: it ends when its input does, however the
/// tests end, and its browsers with it.
struct Program {
    address: String,
    _child: Child,
}

/// `$0` is the driver. What it started belongs to the same group.
const UNTIL_THE_END: &str = r#""$0" --port=0 & read -r _; kill $!; wait $!; kill -KILL 0"#;

fn driver() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = env::var_os("TEST_CHROMEDRIVER")
            .map_or_else(|| PathBuf::from("chromedriver"), PathBuf::from);
        let mut command = Command::new("sh");
        command.arg("-c").arg(UNTIL_THE_END).arg(&program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let Some(port) = port else {
            panic!(
                "{} does not start: install Debian's chromium and chromium-driver, or name the driver in \
                 TEST_CHROMEDRIVER",
                program.display()
            )
        };
        // What else it says is read, so that it is never held up.
        std::thread::spawn(move || lines.for_each(drop));
        Program { address: format!("http://127.0.0.1:{port}"), _child: child }
    })
}
