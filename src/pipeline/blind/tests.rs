//! What is found by its text, and how far.

use super::*;
use crate::{
    record::{Record, RecordId, WriterId},
    store::{Append as _, Appender as _, Batch, MemoryStore},
    time::Timestamp,
};

async fn log(records: Vec<Record>) -> AnyStore {
    let store = MemoryStore::new();
    append(&store, 1, records).await;
    AnyStore::new(store)
}

/// Appends records, the first of which has this number.
async fn append(store: &MemoryStore, first: u16, records: Vec<Record>) {
    let numbered = records.into_iter().zip(first..).map(|(mut record, n)| {
        record.occurred_at = Timestamp::from_micros(i64::from(n));
        let mut random = [0; 10];
        random[..2].copy_from_slice(&n.to_be_bytes());
        record.id = RecordId::new(record.occurred_at, random);
        record.writer_id = WriterId::new(1);
        record.seq = i64::from(n);
        Box::new(record)
    });
    let records: Vec<_> = numbered.collect();
    if let Some(batch) = Batch::new(&records) {
        store.connect().await.unwrap().append(batch).await.unwrap();
    }
}

fn of(tenant: &str, set: impl FnOnce(&mut Record)) -> Record {
    let mut record = Record::default();
    record.tenant_id.set(tenant);
    set(&mut record);
    record
}

fn asked(text: &str) -> Filter {
    let context = crate::query::ParseContext::new(Timestamp::default());
    Filter::parse(text, &context).unwrap()
}

#[tokio::test]
async fn what_stands_as_a_pseudonym_is_found_by_its_text_and_with_the_keys_alone() {
    let keys = Keys::ephemeral();
    let account = |tenant| keys.pseudonym(Keys::ACCOUNT, tenant, "ana");
    let tried = of("acme", |record| record.entity_id.set(&account(Some("acme"))));
    let of_none = of("acme", |record| record.actor_id.set(&account(None)));
    let session = keys.pseudonym(Keys::SESSION, Some("acme"), "s-1");
    let in_session = of("acme", |record| record.session_id.set(&session));
    let address = keys.pseudonym(Keys::ADDRESS, Some("acme"), "192.0.2.7");
    let from = of("acme", |record| record.ip_pseudonym.set(&address));
    let all = [&tried, &of_none, &in_session, &from];
    let store = log(all.map(Clone::clone).into()).await;
    let blind = BlindIndex::new(store.clone(), keys.clone());
    let strange = BlindIndex::new(store.clone(), Keys::ephemeral());
    for (text, record) in [
        ("entity_id:ana", &tried),
        ("entity_id:bob,ana tenant_id:acme", &tried),
        ("actor_id:ana", &of_none),
        ("session_id:s-1", &in_session),
        ("ip:192.0.2.7", &from),
    ] {
        let found = blind.filter(asked(text)).await.unwrap();
        assert!(found.matches(record) && !asked(text).matches(record), "{text}");
        assert!(!strange.filter(asked(text)).await.unwrap().matches(record), "{text}");
        let others = all.iter().filter(|other| found.matches(other)).count();
        assert_eq!(others, 1, "{text}");
    }
    let not = blind.filter(asked("-entity_id:ana")).await.unwrap();
    assert!(!not.matches(&tried) && not.matches(&of_none));
    for text in ["entity_id:ana tenant_id:globex", "session_id:ana", "entity_id:an*", "pay"] {
        let found = blind.filter(asked(text)).await.unwrap();
        assert!(!all.iter().any(|record| found.matches(record)), "{text}");
    }
    let blind = blind.addresses(false);
    assert_eq!(blind.filter(asked("ip:192.0.2.7")).await.unwrap(), asked("ip:192.0.2.7"));
}

#[tokio::test]
async fn what_no_pseudonym_can_be_is_asked_for_as_it_is() {
    let keys = Keys::ephemeral();
    let pseudonym = keys.pseudonym(Keys::ACCOUNT, None, "ana");
    let blind = BlindIndex::new(log(Vec::new()).await, keys);
    for text in ["action:pay", "tenant_id:acme", "ip:192.0.2.7", "actor_id:*"] {
        assert_eq!(blind.filter(asked(text)).await.unwrap(), asked(text));
        assert!(blind.written(&asked(text), 9_000).await.unwrap().is_none());
    }
    let own = asked(&format!("actor_id:{pseudonym}"));
    assert_eq!(blind.filter(own.clone()).await.unwrap(), own);
    assert!(!BlindIndex::concerns(&own) && blind.written(&own, 9_000).await.unwrap().is_none());
    // Beside a text, a pseudonym stays what it is.
    let both = asked(&format!("actor_id:{pseudonym},ana"));
    let Written { by_field, .. } = blind.written(&both, 9_000).await.unwrap().unwrap();
    assert_eq!(by_field, serde_json::json!({ "actor_id": { "ana": [pseudonym] } }));
    let written = blind.written(&asked("actor_id:ana -action:pay"), 9_000).await.unwrap();
    let Written { by_field, is_whole } = written.unwrap();
    assert_eq!(by_field, serde_json::json!({ "actor_id": { "ana": [pseudonym] } }));
    assert!(is_whole);
}

/// Returns how many values a filter names, in whatever form.
fn forms(filter: Filter) -> usize {
    let mut forms = 0;
    filter.rewritten(&mut |field, _| {
        forms += usize::from(field.name() != "tenant_id");
        Form::AsItIs
    });
    forms
}

#[tokio::test]
async fn of_many_tenants_those_are_looked_for_that_there_is_room_for() {
    let keys = Keys::ephemeral();
    let records = (0..200).map(|n| of(&format!("t{n}"), |_| {})).collect();
    let blind = BlindIndex::new(log(records).await, keys);
    let values: Vec<_> = (0..100).map(|n| format!("a{n}")).collect();
    let text = format!("actor_id:{}", values.join(","));
    let found = forms(blind.filter(asked(&text)).await.unwrap());
    assert!((8_000..=8_192 + 200).contains(&found), "{found}");

    // Also where the question itself names them; those that a caller may not see cost nothing.
    let tenants: Vec<_> = (100..200).map(|n| format!("t{n}")).collect();
    let text = format!("{text} tenant_id:{}", tenants.join(","));
    let found = forms(blind.filter(asked(&text)).await.unwrap());
    assert!((8_000..=8_192 + 200).contains(&found), "{found}");
    let of_one = asked(&text).and(asked("tenant_id:t149"));
    assert_eq!(forms(blind.filter(of_one).await.unwrap()), 100 * (1 + 1 + 1));
}

#[tokio::test]
async fn who_notes_pseudonyms_knows_whether_they_are_those_of_all_tenants() {
    let keys = Keys::ephemeral();
    let many = async |count: u16| {
        let records = (0..count).map(|n| of(&format!("t{n}"), |_| {})).collect();
        BlindIndex::new(log(records).await, keys.clone())
    };
    let noted = async |blind: &BlindIndex, text: &str, room: usize| {
        let written = blind.written(&asked(text), room).await.unwrap().unwrap();
        let of_ana = &written.by_field["actor_id"]["ana"];
        (of_ana.as_array().map_or(0, Vec::len), written.is_whole)
    };
    let blind = many(200).await;
    assert_eq!(noted(&blind, "actor_id:ana", 28_000).await, (201, true));
    assert_eq!(noted(&blind, "actor_id:ana", 9_000).await, (100, false), "what there is room for");
    assert_eq!(noted(&blind, "actor_id:ana", 40).await, (0, false));
    assert_eq!(noted(&blind, "actor_id:ana tenant_id:t7", 9_000).await, (2, true));
    let blind = many(257).await;
    assert_eq!(noted(&blind, "actor_id:ana", 28_000).await, (257, false), "256 and none");
}

#[tokio::test]
async fn a_tenant_that_came_a_moment_ago_is_one_of_those_that_are_noted() {
    let store = MemoryStore::new();
    append(&store, 1, vec![of("acme", |_| {})]).await;
    let blind = BlindIndex::new(AnyStore::new(store.clone()), Keys::ephemeral());
    let ana = asked("actor_id:ana");
    let of_acme = forms(blind.filter(ana.clone()).await.unwrap());
    append(&store, 2, vec![of("globex", |_| {})]).await;
    assert_eq!(
        forms(blind.filter(ana.clone()).await.unwrap()),
        of_acme,
        "a question is not counted anew for"
    );
    let written = blind.written(&ana, 28_000).await.unwrap().unwrap();
    assert_eq!(written.by_field["actor_id"]["ana"].as_array().map(Vec::len), Some(of_acme));
    assert!(written.is_whole);
}

#[test]
fn who_has_not_counted_or_looked_at_all_of_it_does_not_know() {
    let counted = |exact| Aggregated {
        by: vec![vec![("acme".to_owned(), 3), (String::new(), 2), ("globex".to_owned(), 1)]],
        exact,
        ..Aggregated::default()
    };
    let names = vec!["acme".to_owned(), "globex".to_owned()];
    assert_eq!(named(counted(true)), (names.clone(), true));
    assert_eq!(named(counted(false)), (names, false), "what is not folded may be of another");
    let page = |records, complete| Page { records, complete, ..Page::default() };
    assert!(!may_be_there(&page(Vec::new(), true)), "there are none");
    assert!(may_be_there(&page(Vec::new(), false)), "the time was up");
    assert!(may_be_there(&page(vec![Record::default()], true)));
}
