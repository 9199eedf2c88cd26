//! The process that records, and what it says.

use std::{collections::BTreeMap, env, path::Path, time::Duration};

use axum::{Router, body::Body, http::Request, routing::post};
use tower::ServiceExt as _;
use tower_activity::{
    ActivityLayer, Pipeline, Record, Rule, Rules, pipeline::PipelineBuilder, record::Actor,
    rules::Delivery,
};

use super::journal::Journal;

pub(super) const SPOOL: &str = "FAULTS_SYSCALLS_SPOOL";
pub(super) const JOURNAL: &str = "FAULTS_SYSCALLS_JOURNAL";
pub(super) const NAME: &str = "FAULTS_SYSCALLS_NAME";
/// Milliseconds; where a disk is not to be given up, more than anything takes.
pub(super) const DEADLINE: &str = "FAULTS_SYSCALLS_DEADLINE";
/// Records by hand, and strict requests, of each process.
pub(super) const EACH: usize = 10;

pub(super) fn pipeline(journal: Journal, spool: &Path) -> PipelineBuilder<Journal> {
    let strict = Rule::new("strict").route("/strict/{id}").delivery(Delivery::Strict);
    Pipeline::builder(journal)
        .rules(Rules::rest().rule(strict))
        .spool(spool)
        .spool_cap(8 << 20)
        .spool_keep(Duration::ZERO)
        .fsync_interval(Duration::from_millis(1))
        .strict_deadline(Duration::from_millis(crate::role::variable(DEADLINE).unwrap_or(600_000)))
        .batch_age(Duration::from_millis(2))
}

/// The process that records. A line for each thing that it knows, at once.
#[test]
fn child() {
    let (Some(spool), Some(journal)) = (env::var_os(SPOOL), env::var_os(JOURNAL)) else { return };
    let name = env::var(NAME).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let started = pipeline(Journal::new(journal), Path::new(&spool)).start().await;
        let pipeline = match started {
            Ok(pipeline) => pipeline,
            Err(error) => return println!("\nsays refused-to-start {error:?}: {error}"),
        };
        let ran = async |axum::extract::Path(id): axum::extract::Path<String>| {
            println!("\nsays ran {id}");
        };
        let app = Router::new()
            .route("/strict/{id}", post(ran))
            .layer(ActivityLayer::new(pipeline.recorder()));
        // Ten of them fill a segment.
        let long = "x".repeat(60_000);
        for n in 0..EACH {
            let id = format!("{name}{n}");
            let record = Record::by(Actor::user("ana")).updated("order", &id).metadata(&long);
            let taken = pipeline.recorder().record(record).is_accepted();
            println!("\nsays {} {id}", if taken { "taken" } else { "refused" });
            let id = format!("{name}s{n}");
            let request = Request::post(format!("/strict/{id}")).body(Body::empty()).unwrap();
            let status = app.clone().oneshot(request).await.unwrap().status();
            println!("\nsays answered {id} {}", status.as_u16());
        }
        let report = pipeline.shutdown(Duration::from_secs(5)).await;
        let sum = report.stored + report.spooled + report.queued + report.dropped.total();
        assert_eq!(report.received, sum, "{report:?}");
        println!("\nsays dropped {}", report.dropped.total());
    });
    println!("\nsays end");
}

/// What a process has said.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) taken: Vec<String>,
    pub(super) refused: Vec<String>,
    pub(super) ran: Vec<String>,
    pub(super) answered: BTreeMap<String, u16>,
    pub(super) dropped: Option<u64>,
    pub(super) started: bool,
    pub(super) ended: bool,
    pub(super) text: String,
}

impl Said {
    pub(super) fn read(text: String) -> Self {
        let mut said = Self { started: true, ..Self::default() };
        for line in text.lines().filter_map(|line| line.strip_prefix("says ")) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["taken", id] => said.taken.push(id.to_owned()),
                ["refused", id] => said.refused.push(id.to_owned()),
                ["ran", id] => said.ran.push(id.to_owned()),
                ["answered", id, status] => {
                    said.answered.insert(id.to_owned(), status.parse().unwrap());
                }
                ["dropped", count] => said.dropped = Some(count.parse().unwrap()),
                ["refused-to-start", ..] => said.started = false,
                ["end"] => said.ended = true,
                _ => panic!("a line that nobody knows: {line}"),
            }
        }
        said.text = text;
        said
    }
}
