//! Random pages over many months: whatever arrives between two of them, and whichever place they begin at, they
//! are those of a plain walk through the records.

use std::time::Duration;

use proptest::{
    prelude::{Strategy, any},
    sample::Index,
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use tower_activity::{
    query::{Direction, Expr, Filter, Keyset, PageRequest, Phrase, Place, Test},
    record::{Record, RecordId},
    store::{Append as _, Appender as _, Batch, Read as _},
    time::{Month, Timestamp},
};

use crate::{
    questions::runner,
    records::{id, salts, stream},
    suite::{Fixture, PATIENCE, append, newest},
};

/// Months with gaps between them, the last of which has not begun, so that no store expects it.
const MONTHS: [&str; 9] = [
    "2019-03", "2024-12", "2025-01", "2025-02", "2025-06", "2026-03", "2026-04", "2026-05",
    "2031-01",
];

struct Dice(TestRunner);

impl Dice {
    fn below(&mut self, below: usize) -> usize {
        (0..below).new_tree(&mut self.0).expect("a range").current()
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[any::<Index>().new_tree(&mut self.0).expect("an index").current().index(of.len())]
    }

    fn month(&mut self) -> Month {
        month(self.pick(&MONTHS))
    }

    /// A moment at the edge of a month or within it.
    fn moment(&mut self) -> Timestamp {
        let month = self.month();
        let (first, end) = (month.start().as_micros(), month.next().start().as_micros());
        let within = first + 1_000 * self.below(2_000_000) as i64;
        Timestamp::from_micros(self.pick(&[first, first + 1, end - 1, within, within]))
    }

    /// Records of one batch, some of them at the same moment as one that is there.
    fn batch(&mut self, records: &[Box<Record>], count: usize) -> Vec<Box<Record>> {
        let first = records.len() as i64 + 1;
        let mut batch = stream(7, first..first + count as i64);
        for record in &mut batch {
            record.occurred_at = match records.len() {
                0 => self.moment(),
                there if self.below(4) == 0 => records[self.below(there)].occurred_at,
                _ => self.moment(),
            };
            record.id = id(record.occurred_at, self.below(256) as i64, record.seq);
            record.retention_class.set(self.pick(&["activity", "authentication"]));
            record.description.set(self.pick(&["Cancelled order 55", "order 7", ""]));
            record.seal(salts(record.seq));
        }
        batch
    }

    /// A place of a record, or one where none is.
    fn place(&mut self, records: &[Box<Record>]) -> Keyset {
        if self.below(2) == 0 {
            return Keyset::of(&records[self.below(records.len())]);
        }
        let edge = self.month().start().as_micros() + self.pick(&[-1, 0, 1]);
        let id = self.pick(&[[0; 16], [0xff; 16], [0x7f; 16]]);
        Keyset { occurred_at: Timestamp::from_micros(edge), id: RecordId::from_bytes(id) }
    }

    fn filter(&mut self) -> Filter {
        let one = |name, value: &str| Filter::new().any_of(name, [value]).unwrap();
        let text = |text| Expr::Test(Test::Text(Phrase::new(text).unwrap()));
        let filter = match self.below(10) {
            0 => one("actor_id", "ana"),
            1 => one("entity_id", "3"),
            2 => one("entity_type", "user"),
            3 => one("outcome", "denied"),
            4 => one("retention_class", "authentication"),
            5 => Filter::new().and(text("cancelled")),
            6 => Filter::new().and(text("nothing")),
            7 => Filter::new().and(Expr::Not(Box::new(text("order")))),
            _ => Filter::new(),
        };
        match self.below(4) {
            0 => filter.from(self.moment()).to(self.moment()),
            1 => filter.from(self.month().start()).to(self.month().start()),
            _ => filter,
        }
    }
}

fn month(text: &str) -> Month {
    format!("{text}-01T00:00:00Z").parse::<Timestamp>().expect("a month's first moment").month()
}

/// What lies beyond a place, in the order of the page.
fn beyond<'r>(
    records: &'r [Box<Record>],
    filter: &Filter,
    direction: Direction,
    after: Option<Keyset>,
) -> Vec<&'r Record> {
    let mut passing: Vec<&Record> =
        records.iter().map(|r| &**r).filter(|r| filter.matches(r)).collect();
    passing.sort_unstable_by_key(|record| Keyset::of(record));
    if direction == Direction::Older {
        passing.reverse();
    }
    passing.retain(|record| match (after, direction) {
        (None, _) => true,
        (Some(after), Direction::Older) => Keyset::of(record) < after,
        (Some(after), Direction::Newer) => Keyset::of(record) > after,
    });
    passing
}

/// Asks for a page, and holds it and what it says of the next one against memory. Returns where to go on, and
/// over how many months the page went.
async fn page_as_asked<F: Fixture>(
    store: &F::Store,
    records: &[Box<Record>],
    filter: &Filter,
    request: PageRequest,
) -> (Option<Keyset>, usize) {
    let after = request.after.map(keyset);
    let page = store.records(filter, &request).await.unwrap();
    let context = format!("{filter:?} {request:?}");
    let expected = beyond(records, filter, request.direction, after);
    let count = page.records.len();
    assert!(
        page.records.iter().eq(expected[..count.min(expected.len())].iter().copied()),
        "{context}"
    );
    let next = page.next.map(keyset);
    if page.complete {
        assert_eq!(count, expected.len().min(request.limit), "{context}");
        // Whose time is up with a full page need not know whether there is another.
        let unknown = request.patience.is_zero() && count == request.limit;
        assert!(unknown || next.is_some() == (expected.len() > count), "{context}");
        assert!(next.is_some() || expected.len() == count, "{context}");
    } else {
        assert!(next.is_some() && next != after, "{context}: what is cut short goes on");
    }
    if next.is_some() {
        let rest = beyond(records, filter, request.direction, next);
        assert_eq!(rest, expected[count..], "{context}: nothing lies between two pages");
    }
    assert_eq!(page.first.map(keyset), page.records.first().map(Keyset::of));
    let mut months: Vec<_> = page.records.iter().map(|record| record.occurred_at.month()).collect();
    months.dedup();
    (next, months.len())
}

fn keyset(place: Place) -> Keyset {
    match place {
        Place::Occurred(keyset) => keyset,
        other => panic!("a place in another order: {other:?}"),
    }
}

pub(crate) async fn random_pages_over_months_are_those_of_memory<F: Fixture>() {
    let fixture = F::new().await;
    let mut dice = Dice(runner(4));
    let mut records = dice.batch(&[], 20);
    let mut stores = [fixture.open().await, fixture.open().await];
    let mut appender = stores[0].connect().await.unwrap();
    appender.append(Batch::new(&records).unwrap()).await.unwrap();
    let (mut over_months, mut cut, mut within) = (0, 0, 0);
    // A page without patience ends where time has it end, and with it the dice go on otherwise. So there are as
    // many rounds as it takes to have seen enough of each kind.
    for round in 0.. {
        let enough = over_months > 15 && within > 30 && cut > 30;
        if round >= 70 && enough {
            break;
        }
        assert!(round < 700, "not enough of a kind: {over_months} {within} {cut}");
        // One store goes on with what it knew before; the other is a new one now and then.
        if round == 35 {
            stores[1] = fixture.open().await;
        }
        let store = dice.below(2);
        let (filter, limit) = (dice.filter(), dice.pick(&[1, 2, 3, 5, 8, 13, 21, 500]));
        let direction = dice.pick(&[Direction::Older, Direction::Newer]);
        let patience = dice.pick(&[Duration::ZERO, PATIENCE]);
        let mut request = PageRequest { direction, patience, ..newest(limit) };
        request.after = (dice.below(3) > 0).then(|| Place::Occurred(dice.place(&records)));
        for _ in 0..5 {
            let asked = page_as_asked::<F>(&stores[store], &records, &filter, request);
            let (next, months) = asked.await;
            over_months += usize::from(months > 2);
            within += usize::from(months == 1);
            cut += usize::from(next.is_some());
            if dice.below(6) == 0 && records.len() < 220 {
                let count = 1 + dice.below(4);
                let batch = dice.batch(&records, count);
                appender.append(Batch::new(&batch).unwrap()).await.unwrap();
                records.extend(batch);
            }
            let Some(next) = next else { break };
            request = request.after(Place::Occurred(next));
        }
    }
}

pub(crate) async fn pages_of_every_limit_lead_through_all_months<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut dice = Dice(runner(5));
    let records = dice.batch(&[], 30);
    append(&store, &records).await.unwrap();
    let text = Expr::Test(Test::Text(Phrase::new("order").unwrap()));
    for filter in [Filter::new(), Filter::new().and(text)] {
        for direction in [Direction::Older, Direction::Newer] {
            for limit in 1..=records.len() + 1 {
                let mut request = PageRequest { direction, ..newest(limit) };
                while let (Some(next), _) =
                    page_as_asked::<F>(&store, &records, &filter, request).await
                {
                    request = request.after(Place::Occurred(next));
                }
            }
        }
    }
}
