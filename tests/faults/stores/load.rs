//! Clients, and what they write down.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{PATIENCE, soon};
use crate::client::{Notes, connect};

/// How the names of requests begin.
pub(crate) const NAME: &str = "r-";

/// Notes that several write in, and how many answers were seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book(Arc<(Mutex<Notes>, watch::Sender<usize>)>);

impl Book {
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.0.lock().unwrap()
    }

    pub(crate) fn seen(&self) -> usize {
        self.notes().seen.len()
    }

    /// Returns a name for another request, under the names of this test.
    fn sign(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!("{NAME}{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.notes().sent.insert(id.clone());
        id
    }

    fn saw(&self, id: String, status: StatusCode, took: Duration) {
        let mut notes = self.notes();
        notes.seen.insert(id, status.as_u16());
        notes.slowest = notes.slowest.max(took);
        self.0.1.send_replace(notes.seen.len());
    }
}

/// One connection, and what it adds to each request.
pub(crate) struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
    book: Book,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    /// The rest of an answer that is not read.
    unread: Option<hyper::body::Incoming>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, book: &Book) -> std::io::Result<Self> {
        let (sender, _connection) = connect(address).await?;
        Ok(Self {
            sender,
            book: book.clone(),
            path: "/orders/55",
            headers: Vec::new(),
            unread: None,
        })
    }

    pub(crate) const fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    fn request(&self, id: &str) -> Request<Full<Bytes>> {
        let mut request =
            Request::post(self.path).header("host", "localhost").header("x-request-id", id);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Full::new(Bytes::from_static(b"{\"a\":1}"))).unwrap()
    }

    /// Sends a request, and waits for the head of its answer and the first of its body.
    pub(crate) async fn send_head(&mut self) {
        let request = self.request(&self.book.sign());
        let head = soon("the head", self.sender.send_request(request)).await.unwrap();
        let (_, mut body) = head.into_parts();
        soon("the first frame", body.frame()).await.unwrap().unwrap();
        self.unread = Some(body);
    }

    /// Sends a request and reads its answer to the end; an error when the connection ends first.
    pub(crate) async fn send(&mut self) -> Result<(), hyper::Error> {
        let id = self.book.sign();
        let request = self.request(&id);
        self.answered(id, request).await
    }

    /// Sends what `dress` makes of a request, which is answered.
    pub(crate) async fn send_this(&mut self, dress: impl FnOnce(&mut Request<Full<Bytes>>)) {
        let id = self.book.sign();
        let mut request = self.request(&id);
        dress(&mut request);
        self.answered(id, request).await.expect("an answer");
    }

    async fn answered(
        &mut self,
        id: String,
        request: Request<Full<Bytes>>,
    ) -> Result<(), hyper::Error> {
        let begun = Instant::now();
        let answered = async {
            // The answer before may have ended a moment ago.
            self.sender.ready().await?;
            let answer = self.sender.send_request(request).await?;
            assert_eq!(
                answer.status(),
                StatusCode::CREATED,
                "nobody is refused for the log's sake"
            );
            answer.into_body().collect().await
        };
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.expect("no request hangs")?;
        self.book.saw(id, StatusCode::CREATED, begun.elapsed());
        Ok(())
    }

    /// Sends so many requests, all of which are answered.
    pub(crate) async fn send_all(&mut self, count: usize) {
        for _ in 0..count {
            self.send().await.expect("an answer");
        }
    }
}

/// Clients that send as they are told to, also while their service is away.
pub(crate) struct Load {
    tasks: JoinSet<()>,
    /// Requests that may be sent.
    may: Arc<Semaphore>,
    stop: watch::Sender<bool>,
    book: Book,
}

impl Load {
    /// Starts so many clients of each service, which is at the address that stands in `addresses`.
    pub(crate) fn start(
        addresses: &[watch::Sender<SocketAddr>],
        clients: usize,
        book: &Book,
    ) -> Self {
        let (may, stop) = (Arc::new(Semaphore::new(0)), watch::Sender::new(false));
        let mut tasks = JoinSet::new();
        for address in addresses {
            for _ in 0..clients {
                let (mut address, may) = (address.subscribe(), Arc::clone(&may));
                let (mut stop, book) = (stop.subscribe(), book.clone());
                tasks.spawn(async move {
                    while !*stop.borrow() {
                        let at = *address.borrow_and_update();
                        if let Ok(mut client) = Client::connect(at, &book).await {
                            loop {
                                let Ok(one) = may.acquire().await else { return };
                                one.forget();
                                if client.send().await.is_err() {
                                    break;
                                }
                            }
                        }
                        // It was killed: the next one is elsewhere.
                        tokio::select! {
                            _ = address.changed() => {}
                            _ = stop.changed() => {}
                        }
                    }
                });
            }
        }
        Self { tasks, may, stop, book: book.clone() }
    }

    /// Waits until so many more requests have been answered, while as many more are on their way.
    pub(crate) async fn answered(&self, more: usize) {
        let mut seen = self.book.0.1.subscribe();
        let goal = *seen.borrow() + more;
        let most = 2 * more + self.tasks.len();
        self.may.add_permits(most.saturating_sub(self.may.available_permits()));
        while *seen.borrow_and_update() < goal {
            // As long as there are answers at all, a busy machine takes its time.
            soon("another answer", seen.changed()).await.unwrap();
        }
    }

    /// Lets each client end the request that it is at.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        self.may.close();
        while let Some(ended) = soon("an end of the clients", self.tasks.join_next()).await {
            ended.unwrap();
        }
    }
}

/// Sends `count` requests over four connections; all are answered.
pub(crate) async fn send(address: SocketAddr, count: usize, book: &Book) {
    send_with(address, count, book, |client| client).await;
}

/// Likewise, by clients that `dress` has changed.
pub(crate) async fn send_with(
    address: SocketAddr,
    count: usize,
    book: &Book,
    dress: impl Fn(Client) -> Client,
) {
    const CLIENTS: usize = 4;
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        let share = count / CLIENTS + usize::from(client < count % CLIENTS);
        let mut client = dress(Client::connect(address, book).await.unwrap());
        tasks.spawn(async move { client.send_all(share).await });
    }
    // Each request of theirs is bounded.
    while let Some(sent) = tasks.join_next().await {
        sent.unwrap();
    }
}
