//! A wire between client and server that can be cut or frozen at the moment that matters.
//!
//! It parses nothing: it looks for a few bytes in what the client sends.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};

use super::server::{Database, replace_host};

/// How the last message of an append, which holds its COMMIT, is told apart from all others.
pub(crate) const COMMIT: &[u8] = b"; commit; select position";
/// How the first rows of a COPY are told apart.
pub(crate) const ROWS: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Far longer than a message takes to come, on a busy machine as well.
const PATIENCE: Duration = Duration::from_secs(300);

/// What happens to a message that holds the bytes looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trick {
    /// It goes through.
    Pass,
    /// It goes through; once the server answers, the connection is cut instead of the answer.
    CutBeforeReply,
    /// It never arrives: the connection is cut instead.
    CutBeforeMessage,
    /// It waits until it is let go, also when the client has given up meanwhile.
    Hold,
    /// It goes through, and so many bytes behind it; then the connection is cut.
    #[cfg_attr(not(feature = "archive"), allow(dead_code, reason = "only uploads are so large"))]
    CutWithin(usize),
    /// It never arrives: this is answered instead.
    #[cfg_attr(not(feature = "archive"), allow(dead_code, reason = "S3 alone is answered for"))]
    Answer(&'static str),
}

/// A proxy before a server; the tricks are used up one by one, then everything passes.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    _connections: JoinSet<()>,
}

struct Shared {
    marker: Vec<u8>,
    tricks: Mutex<VecDeque<Trick>>,
    held: Notify,
    let_go: watch::Sender<u64>,
}

impl Proxy {
    /// Starts one before the server of `database`, looking for `marker`.
    pub(crate) async fn before(database: &Database, marker: impl Into<Vec<u8>>) -> Self {
        let options: PgConnectOptions = database.url().parse().expect("a URL");
        Self::to((options.get_host().to_owned(), options.get_port()), marker).await
    }

    /// Starts one before the server at this address, looking for `marker`.
    pub(crate) async fn to(server: (String, u16), marker: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let shared = Arc::new(Shared {
            marker: marker.into(),
            tricks: Mutex::default(),
            held: Notify::new(),
            let_go: watch::Sender::new(0),
        });
        let mut connections = JoinSet::new();
        let accepting = Arc::clone(&shared);
        connections.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&server).await {
                    open.spawn(wire(client, server, Arc::clone(&accepting)));
                }
            }
        });
        Self { port, shared, _connections: connections }
    }

    /// Returns the URL of the database through this proxy.
    pub(crate) fn url(&self, database: &Database) -> String {
        replace_host(&database.url(), &format!("127.0.0.1:{}", self.port))
    }

    /// Returns its own address.
    #[cfg_attr(not(feature = "archive"), allow(dead_code, reason = "databases have URLs"))]
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Plays these tricks on the next messages.
    pub(crate) fn play(&self, tricks: impl IntoIterator<Item = Trick>) {
        self.shared.tricks.lock().expect("no panic holds it").extend(tricks);
    }

    /// Returns how many tricks are left.
    pub(crate) fn left(&self) -> usize {
        self.shared.tricks.lock().expect("no panic holds it").len()
    }

    /// Waits until a message is held.
    pub(crate) async fn held(&self) {
        timeout(PATIENCE, self.shared.held.notified()).await.expect("a message is held");
    }

    /// Lets every message go that is held.
    pub(crate) fn let_go(&self) {
        self.shared.let_go.send_modify(|count| *count += 1);
    }
}

async fn wire(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    for stream in [&client, &server] {
        // A proxy that gathers bytes would be slower than the wire that it stands for.
        stream.set_nodelay(true).expect("a TCP option");
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let cut = watch::Sender::new(false);
    let mut cut_replies = cut.subscribe();
    let up = async {
        let mut buffer = vec![0; 64 * 1024];
        // The end of what went before: the bytes looked for may lie across two reads.
        let mut tail: Vec<u8> = Vec::new();
        let mut left = None;
        loop {
            let read = match from_client.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => &buffer[..read],
            };
            if let Some(bytes) = &mut left {
                let more = read.len().min(*bytes);
                *bytes -= more;
                if to_server.write_all(&read[..more]).await.is_err() || *bytes == 0 {
                    return None;
                }
                continue;
            }
            tail.extend_from_slice(read);
            let found = tail.windows(shared.marker.len()).any(|window| window == shared.marker);
            let keep = if found { 0 } else { tail.len().min(shared.marker.len() - 1) };
            tail.drain(..tail.len() - keep);
            let trick = if found {
                shared.tricks.lock().expect("no panic holds it").pop_front()
            } else {
                None
            };
            match trick.unwrap_or(Trick::Pass) {
                Trick::Pass => {}
                Trick::CutBeforeReply => {
                    cut.send_replace(true);
                }
                Trick::CutBeforeMessage => return None,
                Trick::CutWithin(bytes) => left = Some(bytes),
                Trick::Answer(answer) => return Some(answer),
                Trick::Hold => {
                    let mut let_go = shared.let_go.subscribe();
                    let_go.mark_unchanged();
                    shared.held.notify_one();
                    if let_go.changed().await.is_err() {
                        return None;
                    }
                }
            }
            if to_server.write_all(read).await.is_err() {
                return None;
            }
        }
    };
    let down = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(read @ 1..) = from_server.read(&mut buffer).await else { return };
            if *cut_replies.borrow_and_update() {
                return;
            }
            // The client may be gone; what it sent is still on its way.
            let _gone = to_client.write_all(&buffer[..read]).await;
        }
    };
    // Ends with either side: both halves are dropped, which cuts the connection.
    let answer = tokio::select! { answer = up => answer, () = down => None };
    if let Some(answer) = answer {
        // What is left of the message is taken all the same, so that the client sees the answer and no broken wire.
        let _gone = to_client.write_all(answer.as_bytes()).await;
        let _gone = to_client.shutdown().await;
        let _gone = tokio::io::copy(&mut from_client, &mut tokio::io::sink()).await;
    }
}
