//! Time, and what is counted, with the clock in hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, advance};

use super::{
    events::Events,
    hub::{Hub, MAX_SESSIONS, Next},
    message::{Cursors, MAX_BYTES, Message},
    place::Place,
    ring::RING_RECORDS,
    session::{Bounds, Ending, MAX_AGE, RECHECK, Session},
    socket::PATIENCE,
    tail::{AHEAD_BYTES, HEARTBEAT, Lost, Tail},
};
use crate::{
    api::{
        access::{self, AnyAccess, Denial, Grant, Permissions},
        builder::Settings,
        origin::Origins,
        state::Api,
        watch::Door,
    },
    pipeline::{Committed, Pipeline},
    query::{Binding, Filter, LiveCursor},
    record::{Actor, Record},
    store::{AnyStore, MemoryStore, Read as _},
    time::Timestamp,
};

const KEY: [u8; 32] = [3; 32];

struct Service {
    pipeline: Pipeline,
    store: AnyStore,
    hub: Arc<Hub>,
}

impl Service {
    async fn start() -> Self {
        let store = MemoryStore::new();
        let pipeline = Pipeline::builder(store.clone()).start().await.unwrap();
        pipeline.flush().await;
        let hub = Hub::new(pipeline.commits());
        Self { pipeline, store: AnyStore::new(store), hub }
    }

    fn tail(&self, filter: &Arc<Filter>, place: Place) -> Tail {
        let binding = Binding::new(filter, &Filter::new());
        let cursors = Cursors { key: KEY, binding, now: Timestamp::default() };
        let seat = self.hub.join(&self.store, Arc::clone(filter), place).unwrap();
        Tail::new(seat, self.store.clone(), Arc::clone(filter), cursors, place)
    }

    async fn happens(&self, action: &str) {
        let record = Record::by(Actor::user("ana")).verb(action).on("order", "55");
        assert!(self.pipeline.recorder().record(record).is_accepted());
        self.pipeline.flush().await;
    }

    /// By turns something that is looked for and something that is not: in one commit where the queue holds so many.
    async fn happen(&self, many: usize) {
        for n in 0..many {
            let action = if n % 2 == 0 { "create" } else { "delete" };
            let record = Record::by(Actor::user("ana")).verb(action).on("order", &n.to_string());
            assert!(self.pipeline.recorder().record(record).is_accepted());
            if n % 1_000 == 999 {
                self.pipeline.flush().await;
            }
        }
        self.pipeline.flush().await;
        let head = self.store.head().await.unwrap();
        let known = async {
            while self.hub.position() != Some(head) {
                tokio::task::yield_now().await;
            }
        };
        soon(known).await;
    }
}

/// Waits for what only a defect keeps from coming; the time may not be real.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it comes")
}

/// Returns the next message that tells something.
async fn news(tail: &mut Tail) -> Message {
    let news = async {
        loop {
            let message = tail.next().await.unwrap();
            if message.kind != "heartbeat" {
                return message;
            }
        }
    };
    soon(news).await
}

/// Tells how many a client was told that he missed.
fn missed(message: &Message) -> usize {
    assert_eq!(message.kind, "lagged", "{}", message.json);
    message.json.split(&[':', ','][..]).nth(3).unwrap().parse().unwrap()
}

fn only(action: &str) -> Arc<Filter> {
    Arc::new(Filter::new().any_of("action", [action]).unwrap())
}

fn position(message: &Message, filter: &Filter) -> i64 {
    let sealed = LiveCursor::open(&KEY, &message.cursor).unwrap();
    sealed.bound_to(Binding::new(filter, &Filter::new())).unwrap().position
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_every_fifteen_seconds_and_its_cursor_moves_on() {
    let service = Service::start().await;
    let (filter, begun) = (only("create"), Instant::now());
    let mut tail = service.tail(&filter, Place::behind(service.store.head().await.unwrap()));
    let first = tail.next().await.unwrap();
    assert_eq!((first.kind, begun.elapsed()), ("heartbeat", Duration::ZERO));
    // Nothing of this passes the filter.
    service.happens("delete").await;
    let before = Instant::now();
    let second = tail.next().await.unwrap();
    assert_eq!(second.kind, "heartbeat");
    assert!(begun.elapsed() >= HEARTBEAT && before.elapsed() <= HEARTBEAT);
    assert_eq!(position(&second, &filter), position(&first, &filter) + 1);
    // What is told puts the next one off.
    service.happens("create").await;
    assert_eq!(tail.next().await.unwrap().kind, "records");
    let told = Instant::now();
    assert_eq!(tail.next().await.unwrap().kind, "heartbeat");
    assert_eq!(told.elapsed(), HEARTBEAT);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_counted_by_the_filter_and_told_before_it_is_made_up_for() {
    let service = Service::start().await;
    let filter = only("create");
    let begin = Place::behind(service.store.head().await.unwrap());
    let mut tail = service.tail(&filter, begin);
    assert_eq!(tail.next().await.unwrap().kind, "heartbeat");
    service.happens("create").await;
    assert_eq!(tail.next().await.unwrap().kind, "records");
    // Far more than the ring holds, a third of it wanted, while the client is busy.
    let many = RING_RECORDS * 2;
    for n in 0..many {
        let action = if n % 3 == 0 { "create" } else { "delete" };
        let record = Record::by(Actor::user("ana")).verb(action).on("order", &n.to_string());
        assert!(service.pipeline.recorder().record(record).is_accepted());
        if n % 1_000 == 0 {
            service.pipeline.flush().await;
            advance(Duration::from_millis(1)).await;
        }
    }
    service.pipeline.flush().await;
    let head = service.store.head().await.unwrap();
    while service.hub.position() != Some(head) {
        tokio::task::yield_now().await;
    }
    let missed = missed(&tail.next().await.unwrap());
    let wanted = many.div_ceil(3);
    assert!(missed > wanted / 4 && missed < wanted, "{missed} of {wanted}");
    let mut told = 0;
    while told < wanted {
        let message = tail.next().await.unwrap();
        assert!(message.json.len() < 512 * 1024);
        assert_ne!(message.kind, "lagged", "he is told once");
        told += message.records;
    }
    assert_eq!(told, wanted);
}

/// (37) In the middle of a commit as well, whatever the ring loses while a message is on its way and he reads history.
#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_to_a_client_is_not_missed_and_nobody_is_told_twice() {
    let service = Service::start().await;
    let filter = only("create");
    let head = service.store.head().await.unwrap();
    let mut tail = service.tail(&filter, Place::behind(head));
    assert_eq!(tail.next().await.unwrap().kind, "heartbeat");
    // At once, and more than one message holds.
    service.happen(800).await;
    assert_eq!(service.store.head().await.unwrap(), head + 1, "in one entry");
    let first = news(&mut tail).await;
    assert!(first.kind == "records" && first.records < 400, "{}", first.records);
    assert_eq!(position(&first, &filter), head + 1, "within it");
    // That entry leaves the ring, and no other one.
    service.happen(RING_RECORDS - 192).await;
    assert_eq!(missed(&news(&mut tail).await), 400 - first.records);
    let mut told = first.records + news(&mut tail).await.records;
    // He reads what was before the ring, which loses more meanwhile.
    service.happen(2_000).await;
    let wanted = (800 + RING_RECORDS - 192 + 2_000) / 2;
    while told < wanted {
        let message = news(&mut tail).await;
        assert_eq!(message.kind, "records", "he is told once");
        told += message.records;
    }
    assert_eq!(told, wanted);
}

#[tokio::test(start_paused = true)]
async fn what_was_gathered_goes_out_before_what_was_missed_behind_it_is_told() {
    let service = Service::start().await;
    let filter = only("create");
    let mut tail = service.tail(&filter, Place::behind(service.store.head().await.unwrap()));
    assert_eq!(tail.next().await.unwrap().kind, "heartbeat");
    service.happen(1).await;
    {
        // He has looked at it, and lets others go on before he looks for the next.
        let mut next = std::pin::pin!(tail.next());
        let once = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending()));
        assert!(once.await);
    }
    service.happen(RING_RECORDS + 1_000).await;
    let first = news(&mut tail).await;
    assert_eq!((first.kind, first.records), ("records", 1), "{}", first.json);
    let missed = missed(&news(&mut tail).await);
    let wanted = (RING_RECORDS + 1_000) / 2;
    assert!((500..wanted).contains(&missed), "{missed}");
    let mut told = 0;
    while told < wanted {
        told += news(&mut tail).await.records;
    }
    assert_eq!(told, wanted);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_store_that_stops_answering_keeps_back_nothing_that_was_read_before() {
    let service = Service::start().await;
    let filter = only("create");
    let begin = Place::behind(service.store.head().await.unwrap());
    for _ in 0..100 {
        service.happens("create").await;
    }
    let mut tail = service.tail(&filter, begin);
    assert_eq!(soon(tail.next()).await.unwrap().kind, "heartbeat");
    // Of history he is given a part, which is not a message yet.
    let gathers = async {
        while tail.held() == 0 {
            let mut next = std::pin::pin!(tail.next());
            let polled = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_ready()));
            assert!(!polled.await, "there is no message yet");
            tokio::task::yield_now().await;
        }
    };
    soon(gathers).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let away =
        crate::store::sqlite::SqliteStore::open(file.path().to_str().unwrap()).await.unwrap();
    let by_hand = rusqlite::Connection::open(file.path()).unwrap();
    by_hand.execute_batch("alter table activity_ledger rename to elsewhere").unwrap();
    tail.ask(AnyStore::new(away));
    let told = news(&mut tail).await.records;
    assert!((1..100).contains(&told), "{told}");
    tail.ask(service.store.clone());
    let mut told = told;
    while told < 100 {
        told += news(&mut tail).await.records;
    }
    assert_eq!(told, 100);
}

/// (37) Whatever the size of the records: a client who listens to history takes no more than this.
#[tokio::test]
async fn what_is_held_for_a_client_is_bounded_by_bytes() {
    const EACH: usize = 60_000;
    let service = Service::start().await;
    let filter = only("create");
    let begin = Place::behind(service.store.head().await.unwrap());
    for n in 0..400 {
        // Small ones among the large, so that nobody can go by the last alone.
        let body = "x".repeat(if n / 40 % 2 == 0 { 100 } else { EACH });
        let record = Record::by(Actor::user("ana")).verb("create").on("order", &n.to_string());
        let mut record = record;
        record.request_body.set(&body);
        assert!(service.pipeline.recorder().record(record).is_accepted());
        if n % 50 == 0 {
            service.pipeline.flush().await;
        }
    }
    service.pipeline.flush().await;
    let mut tail = service.tail(&filter, begin);
    let (mut told, mut most) = (0, 0);
    while told < 400 {
        let message = news(&mut tail).await;
        assert!(message.json.len() < MAX_BYTES + 2 * EACH, "{}", message.json.len());
        told += message.records;
        most = most.max(tail.held());
        assert!(tail.held() < AHEAD_BYTES + 2 * EACH, "{}", tail.held());
    }
    assert!(told == 400 && most > AHEAD_BYTES / 2, "{told} {most}");
}

#[tokio::test(start_paused = true)]
async fn sessions_end_when_the_ledger_goes_back() {
    let service = Service::start().await;
    let filter = only("create");
    let head = service.store.head().await.unwrap();
    let mut tail = service.tail(&filter, Place::behind(head));
    tail.next().await.unwrap();
    while service.hub.position().is_none() {
        tokio::task::yield_now().await;
    }
    service.hub.begin(head - 1);
    assert_eq!(tail.next().await, Err(Lost));
    // Whoever comes now is not concerned.
    let mut tail = service.tail(&filter, Place::behind(head));
    assert_eq!(tail.next().await.unwrap().kind, "heartbeat");
}

#[tokio::test]
async fn there_are_so_many_seats_and_no_more() {
    let service = Service::start().await;
    let join = || service.hub.join(&service.store, only("create"), Place::behind(0));
    let mut seats: Vec<_> = (0..MAX_SESSIONS).map(|_| join().unwrap()).collect();
    assert!(join().is_none());
    seats.pop();
    assert!(join().is_some());
}

#[tokio::test(start_paused = true)]
async fn nobody_follows_when_nobody_listens() {
    let service = Service::start().await;
    let tail = service.tail(&only("create"), Place::behind(0));
    while service.hub.position().is_none() {
        tokio::task::yield_now().await;
    }
    drop(tail);
    while service.hub.position().is_some() {
        tokio::task::yield_now().await;
    }
    // And the next to come is served.
    service.happens("create").await;
    let mut tail = service.tail(&only("create"), Place::behind(0));
    assert_eq!(tail.next().await.unwrap().kind, "heartbeat");
    assert_eq!(tail.next().await.unwrap().records, 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_not_the_next_one_is_found_in_the_store() {
    let service = Service::start().await;
    let head = service.store.head().await.unwrap();
    let filter = only("create");
    let mut tail = service.tail(&filter, Place::behind(head));
    tail.next().await.unwrap();
    // One that would leave a gap changes nothing.
    service.hub.push(&[Committed::new(head + 5, 1, Arc::default())]);
    let mut seat = service.hub.join(&service.store, filter, Place::behind(head)).unwrap();
    assert!(matches!(seat.next(Place::behind(head)), Next::Level));
    service.happens("create").await;
    assert_eq!(tail.next().await.unwrap().records, 1);
}

/// Somebody who listens, for as long as access says so.
struct Listener {
    service: Service,
    api: Api,
    /// Whether he may.
    may: Arc<AtomicBool>,
    /// How often that was asked.
    asked: Arc<AtomicUsize>,
}

impl Listener {
    async fn comes() -> Self {
        let service = Service::start().await;
        let (may, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let access = access::from_fn({
            let (may, asked) = (Arc::clone(&may), Arc::clone(&asked));
            move |_| {
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = match may.load(Ordering::SeqCst) {
                    true => Ok(Self::grant()),
                    false => Err(Denial::Forbidden { detail: "no longer".to_owned() }),
                };
                async move { answer }
            }
        });
        let settings = Settings {
            trust: crate::privacy::client::Trust::default(),
            origins: Origins::default(),
        };
        let api = Api::new(&service.pipeline, AnyAccess::new(access), settings);
        Self { service, api, may, asked }
    }

    fn grant() -> Grant {
        Grant::new(Actor::user("ana"), Permissions::viewer())
    }

    async fn session(&self) -> Session {
        let head = http::Request::get("/live").body(()).unwrap().into_parts().0;
        let caller = Door::new(&self.api, &head).enter(Self::grant());
        let head_of_ledger = self.service.store.head().await.unwrap();
        let tail = self.service.tail(&only("create"), Place::behind(head_of_ledger));
        Session::new(tail, Bounds::new(self.api.clone(), head, Self::grant()), caller.begin())
    }
}

async fn until_it_ends(session: &mut Session) -> (Ending, Duration) {
    let begun = Instant::now();
    loop {
        match session.next().await {
            Ok(message) => assert_eq!(message.kind, "heartbeat"),
            Err(ending) => return (ending, begun.elapsed()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn access_is_asked_again_every_five_minutes_and_a_change_ends_the_session() {
    let listener = Listener::comes().await;
    let mut session = listener.session().await;
    let may = Arc::clone(&listener.may);
    tokio::spawn(async move {
        tokio::time::sleep(RECHECK + Duration::from_secs(1)).await;
        may.store(false, Ordering::SeqCst);
    });
    let (ending, after) = until_it_ends(&mut session).await;
    assert_eq!(ending, Ending::Revoked);
    assert!(after >= 2 * RECHECK && after < 2 * RECHECK + HEARTBEAT, "{after:?}");
    assert_eq!(listener.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_after_twelve_hours_whoever_listens() {
    let listener = Listener::comes().await;
    let mut session = listener.session().await;
    let (ending, after) = until_it_ends(&mut session).await;
    assert_eq!(ending, Ending::Aged);
    assert!(after >= MAX_AGE && after < MAX_AGE + HEARTBEAT, "{after:?}");
    // The last is the end itself.
    assert_eq!(listener.asked.load(Ordering::SeqCst), 12 * 12 - 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_keeps_no_seat() {
    let listener = Listener::comes().await;
    let events = Events::new(listener.session().await);
    // Never polled: what is meant for it fills what the system keeps, and then waits.
    tokio::time::sleep(HEARTBEAT * 2).await;
    assert!(listener.service.hub.position().is_some(), "somebody listens");
    tokio::time::sleep(PATIENCE + HEARTBEAT * 2).await;
    assert!(listener.service.hub.position().is_none(), "nobody does");
    drop(events);

    // And a service that stops waits for nobody who takes nothing.
    let events = Events::new(listener.session().await);
    tokio::time::sleep(HEARTBEAT * 2).await;
    let begun = Instant::now();
    listener.service.pipeline.shutdown(Duration::from_secs(5)).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    drop(events);
}
