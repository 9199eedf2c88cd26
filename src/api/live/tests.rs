//! Time, and what is counted, with the clock in hand.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, advance};

use super::{
    hub::{Hub, MAX_SESSIONS, Next},
    message::{Cursors, Message},
    place::Place,
    ring::RING_RECORDS,
    tail::{HEARTBEAT, Lost, Tail},
};
use crate::{
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
    let lagged = tail.next().await.unwrap();
    assert_eq!(lagged.kind, "lagged");
    let missed = lagged.json.split(&[':', ','][..]).nth(3).unwrap().parse::<usize>().unwrap();
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
