//! Clients that write down what they sent and what they saw answered.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, ToSocketAddrs},
    sync::watch,
    task::JoinHandle,
};

use crate::process::{PATIENCE, Server};

/// What clients wrote down, by the ids of their requests.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) sent: HashSet<String>,
    /// Those whose whole answer was seen, with its status.
    pub(crate) seen: HashMap<String, u16>,
    /// The longest that anybody waited for an answer, where somebody looked.
    pub(crate) slowest: Duration,
}

impl Notes {
    pub(crate) fn add(&mut self, other: Self) {
        self.sent.extend(other.sent);
        self.seen.extend(other.seen);
    }

    /// Returns how many were answered with this status.
    pub(crate) fn answered(&self, status: u16) -> usize {
        self.seen.values().filter(|seen| **seen == status).count()
    }
}

/// Connects to a server; the connection goes on by itself until one of the two sides ends it.
pub(crate) async fn connect(
    address: impl ToSocketAddrs,
) -> std::io::Result<(http1::SendRequest<Full<Bytes>>, JoinHandle<()>)> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(socket)).await.map_err(std::io::Error::other)?;
    Ok((sender, tokio::spawn(async move { drop(connection.await) })))
}

/// What a client asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    /// Orders, streamed reports and logins, in turns.
    Mixed,
    Orders,
    /// Orders with 30 KiB to record.
    Letters,
    Logins,
    /// Records of another service.
    Ingest,
    /// Things that are not there, and things that nobody may have.
    Scan,
}

impl Ask {
    fn path(self, n: usize) -> String {
        let path = match (self, n % 5) {
            (Self::Mixed, 1 | 3) => "/api/reports",
            (Self::Mixed, 4) | (Self::Logins, _) => "/login",
            (Self::Mixed | Self::Orders, _) => "/api/orders",
            (Self::Letters, _) => "/api/letters",
            (Self::Ingest, _) => "/activity/records",
            (Self::Scan, 0 | 2) => "/api/secrets",
            (Self::Scan, _) => return format!("/wp-admin/{n}.php"),
        };
        path.to_owned()
    }
}

/// How many answers of each status were seen.
type Answers = HashMap<u16, usize>;

/// Clients at work.
pub(crate) struct Load {
    clients: Vec<JoinHandle<Notes>>,
    stop: Arc<AtomicBool>,
    /// Each client has a sender: when all have ended, this is closed.
    answers: watch::Receiver<Answers>,
}

impl Load {
    /// Starts `count` clients, whose requests are called `name-client-number`.
    pub(crate) fn start(server: &Server, name: &str, count: usize, ask: Ask) -> Self {
        Self::of(server, name, count, ask, usize::MAX)
    }

    /// Starts clients that send so many requests in all.
    pub(crate) fn of(server: &Server, name: &str, count: usize, ask: Ask, most: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let left = Arc::new(AtomicUsize::new(most));
        let (counting, answers) = watch::channel(Answers::new());
        let clients = (0..count)
            .map(|client| {
                let (address, name) = (server.address.clone(), format!("{name}-{client}"));
                let (stop, left) = (Arc::clone(&stop), Arc::clone(&left));
                tokio::spawn(client_of(address, name, ask, (stop, left), counting.clone()))
            })
            .collect();
        Self { clients, stop, answers }
    }

    /// Waits until so many requests were answered.
    ///
    /// # Panics
    ///
    /// Panics when all clients have ended before, or nobody gets an answer any more.
    pub(crate) async fn answered(&self, count: usize) {
        self.until(|answers| total(answers) >= count).await;
    }

    /// Likewise for so many more answers with this status.
    pub(crate) async fn answered_with(&self, status: u16, more: usize) {
        let goal = self.count_with(status) + more;
        self.until(|answers| with(answers, status) >= goal).await;
    }

    /// As long as there are answers at all, a busy machine takes its time.
    async fn until(&self, is_so: impl Fn(&Answers) -> bool) {
        let mut answers = self.answers.clone();
        while !is_so(&answers.borrow_and_update()) {
            let changed = tokio::time::timeout(PATIENCE, answers.changed()).await;
            let is_open = changed.is_ok_and(|changed| changed.is_ok());
            assert!(is_open || is_so(&answers.borrow()), "no more answers: {:?}", answers.borrow());
        }
    }

    pub(crate) fn count(&self) -> usize {
        total(&self.answers.borrow())
    }

    pub(crate) fn count_with(&self, status: u16) -> usize {
        with(&self.answers.borrow(), status)
    }

    /// Tells whether every client has ended: their server is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.answers.has_changed().is_err()
    }

    /// Waits until every client has ended, because their server has. `false` when so many were answered instead.
    pub(crate) async fn is_over_before(&self, count: usize) -> bool {
        let mut answers = self.answers.clone();
        loop {
            if total(&answers.borrow_and_update()) >= count {
                return false;
            }
            match tokio::time::timeout(PATIENCE, answers.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return true,
                Err(_) => panic!("neither an end nor an answer: {:?}", answers.borrow()),
            }
        }
    }

    /// Ends the clients behind their present requests.
    pub(crate) async fn stop(self) -> Notes {
        self.stop.store(true, Ordering::Relaxed);
        self.ended().await
    }

    /// Waits until the clients have ended: because their server has, or because they have sent what they should.
    pub(crate) async fn ended(self) -> Notes {
        assert!(self.is_over_before(usize::MAX).await);
        let mut notes = Notes::default();
        for client in self.clients {
            notes.add(client.await.unwrap());
        }
        notes
    }
}

fn total(answers: &Answers) -> usize {
    answers.values().sum()
}

fn with(answers: &Answers, status: u16) -> usize {
    answers.get(&status).copied().unwrap_or(0)
}

async fn client_of(
    address: String,
    name: String,
    ask: Ask,
    (stop, left): (Arc<AtomicBool>, Arc<AtomicUsize>),
    answers: watch::Sender<Answers>,
) -> Notes {
    let mut notes = Notes::default();
    let Ok((mut sender, connection)) = connect(address).await else { return notes };
    let take = |left: usize| left.checked_sub(1);
    for n in 0.. {
        if stop.load(Ordering::Relaxed)
            || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err()
        {
            break;
        }
        let id = format!("{name}-{n}");
        let body = match ask {
            Ask::Ingest => format!(
                "{{\"id\":\"{id}\",\"action\":\"ship\",\"entity_type\":\"order\",\"entity_id\":\"{n}\",\
                 \"actor_id\":\"ana\",\"request_id\":\"{id}\"}}"
            ),
            _ => String::new(),
        };
        let request = Request::post(ask.path(n))
            .header("host", "x")
            .header("x-request-id", &id)
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(body))
            .unwrap();
        notes.sent.insert(id.clone());
        // Ends with the server, whose end closes the connection.
        let Ok(answer) = sender.send_request(request).await else { break };
        let status = answer.status().as_u16();
        if answer.into_body().collect().await.is_err() {
            break;
        }
        notes.seen.insert(id, status);
        answers.send_modify(|answers| *answers.entry(status).or_default() += 1);
        if sender.ready().await.is_err() {
            break;
        }
    }
    drop(sender);
    drop(connection.await);
    notes
}
