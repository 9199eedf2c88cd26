//! For the tests of an application: what a request recorded, and whether it is what it should be.
//!
//! A [`Recorded`] is a whole pipeline on a store in memory. Give its recorder to the layer, send requests,
//! and ask; each question waits until all that has ended is stored, so that no test has to sleep.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, body::Body, http::Request, routing::post};
//! use tower::ServiceExt as _;
//! use tower_activity::{Activity, ActivityLayer, testing::Recorded};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recorded = Recorded::start().await?;
//! let app = Router::new()
//!     .route("/orders/{id}/cancel", post(async |activity: Activity| { activity.actor("ana"); }))
//!     .layer(ActivityLayer::new(recorded.recorder()));
//!
//! let request = || Request::post("/orders/55/cancel").body(Body::empty());
//! app.clone().oneshot(request()?).await?;
//! let record = recorded.one().await;
//! assert_eq!((&*record.entity_id, record.status), ("55", Some(200)));
//!
//! app.oneshot(request()?).await?;
//! assert_eq!(recorded.lines().await, ["ana cancel order/55 success", "ana cancel order/55 success"]);
//! # Ok(())
//! # }
//! ```

use std::fmt::Write as _;

use crate::{
    pipeline::{Pipeline, PipelineBuilder, Recorder, StartError},
    record::{Category, Origin, Record},
    rules::Rules,
    store::MemoryStore,
};

/// A pipeline on a store in memory, for one test.
///
/// Its questions leave out what the pipeline records about itself (that it started, what it folded); only
/// [`all`](Self::all) shows that.
#[derive(Debug)]
pub struct Recorded {
    pipeline: Pipeline,
    store: MemoryStore,
}

impl Recorded {
    /// Starts a pipeline with the REST conventions.
    ///
    /// # Errors
    ///
    /// Outside of a tokio runtime with its timer.
    pub async fn start() -> Result<Self, StartError> {
        Self::with(|builder| builder).await
    }

    /// Starts a pipeline with the application's own rules.
    ///
    /// # Errors
    ///
    /// When the rules are not sound, and as [`start`](Self::start).
    pub async fn with_rules(rules: Rules) -> Result<Self, StartError> {
        Self::with(|builder| builder.rules(rules)).await
    }

    /// Starts a pipeline that is set up as the application's: with its redactor, its keys, or a
    /// [`ManualClock`](crate::time::ManualClock).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_activity::{record::Record, testing::Recorded, time::ManualClock};
    ///
    /// let noon = "2026-01-31T12:00:00Z".parse()?;
    /// let recorded = Recorded::with(|builder| builder.clock(ManualClock::at(noon))).await?;
    /// recorded.recorder().record(Record::by("ana").cancelled("order", "55"));
    /// assert_eq!(recorded.one().await.occurred_at, noon);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`PipelineBuilder::start`].
    pub async fn with(
        set_up: impl FnOnce(PipelineBuilder<MemoryStore>) -> PipelineBuilder<MemoryStore>,
    ) -> Result<Self, StartError> {
        let store = MemoryStore::new();
        let pipeline = set_up(Pipeline::builder(store.clone())).start().await?;
        Ok(Self { pipeline, store })
    }

    /// Returns a recorder, for the layer or for records by hand.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        self.pipeline.recorder()
    }

    /// Returns the pipeline, for its tally and its feed.
    pub const fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Returns what was recorded so far, in the order in which it occurred.
    pub async fn records(&self) -> Vec<Record> {
        let mut records = self.all().await;
        records.retain(|record| {
            record.origin != Origin::System || record.category != Category::System
        });
        records
    }

    /// Returns everything that the store holds, in the order in which it occurred.
    pub async fn all(&self) -> Vec<Record> {
        self.pipeline.flush().await;
        let mut records = self.store.all();
        records.sort_by_key(|record| (record.occurred_at, record.seq));
        records
    }

    /// Returns the one record that there is.
    ///
    /// # Panics
    ///
    /// When there is none or there are several; the message shows them, and says which requests have not
    /// ended.
    pub async fn one(&self) -> Record {
        let mut records = self.records().await;
        match (records.pop(), records.is_empty()) {
            (Some(record), true) => record,
            (last, _) => {
                records.extend(last);
                panic!("{}", self.complaint("one record", &records))
            }
        }
    }

    /// Makes sure that nothing was recorded.
    ///
    /// # Panics
    ///
    /// When there is a record; the message shows it.
    pub async fn none(&self) {
        let records = self.records().await;
        assert!(records.is_empty(), "{}", self.complaint("no record", &records));
    }

    /// Returns what was recorded so far, each as one [`line()`].
    pub async fn lines(&self) -> Vec<String> {
        self.records().await.iter().map(line).collect()
    }

    fn complaint(&self, expected: &str, records: &[Record]) -> String {
        let mut text = format!("expected {expected}, found {}", records.len());
        for record in records {
            // Writing to a string does not fail.
            let _written = write!(text, "\n  {}", line(record));
        }
        match self.pipeline.tally().open_drafts {
            0 => {}
            open => {
                let _written = write!(
                    text,
                    "\n{open} requests have not ended: read their responses to the end, or drop them"
                );
            }
        }
        text
    }
}

/// Says in one line who did what to which thing and how it ended: `ana cancel order/55 success`.
///
/// What is absent is `-`. Made to be compared in tests; for people there is
/// [`Record::sentence`].
#[must_use]
pub fn line(record: &Record) -> String {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    format!(
        "{} {} {}/{} {}",
        or_dash(record.actor_id.as_option()),
        or_dash(record.action.as_option()),
        or_dash(record.entity_type.as_option()),
        or_dash(record.entity_id.as_option()),
        record.outcome
    )
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, panic::AssertUnwindSafe};

    use futures_util::FutureExt as _;
    use http::{Request, Response};
    use http_body_util::Full;
    use tower::{Layer as _, ServiceExt as _, service_fn};

    use super::*;
    use crate::{capture::ActivityLayer, rules::Rule};

    type Answer = Response<Full<bytes::Bytes>>;

    async fn send(recorded: &Recorded, method: &str, path: &str) {
        async fn answer<B>(_: Request<B>) -> Result<Answer, Infallible> {
            Ok(Answer::default())
        }
        let service = ActivityLayer::new(recorded.recorder()).any_body().layer(service_fn(answer));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::<bytes::Bytes>::default())
            .unwrap();
        let _answer = service.oneshot(request).await.unwrap();
    }

    async fn message(asks: impl Future<Output = ()>) -> String {
        let panic = AssertUnwindSafe(asks).catch_unwind().await.unwrap_err();
        *panic.downcast::<String>().unwrap()
    }

    #[tokio::test]
    async fn each_question_sees_what_has_ended_and_nothing_of_the_pipeline_itself() {
        let rules = Rules::rest().routes(["/orders/{id}"]);
        let recorded = Recorded::with_rules(rules).await.unwrap();
        recorded.none().await;
        send(&recorded, "PUT", "/orders/7").await;
        assert_eq!(recorded.one().await.route, "/orders/{id}");
        send(&recorded, "DELETE", "/orders/8").await;
        assert_eq!(
            recorded.lines().await,
            ["- update order/7 success", "- delete order/8 success"]
        );
        assert_eq!(recorded.all().await.len(), 3, "and that the pipeline has started");
    }

    #[tokio::test]
    async fn a_wrong_number_of_records_is_told_with_the_records() {
        let recorded = Recorded::start().await.unwrap();
        let none = message(async { drop(recorded.one().await) }).await;
        assert_eq!(none, "expected one record, found 0");
        recorded.recorder().record(Record::by("ana").cancelled("order", "5"));
        recorded.recorder().record(Record::by("bob").verb("close"));
        let open = recorded.recorder().draft();
        let two = message(async { drop(recorded.one().await) }).await;
        assert_eq!(
            two,
            "expected one record, found 2\n  ana cancel order/5 success\n  bob close -/- success\n\
             1 requests have not ended: read their responses to the end, or drop them"
        );
        recorded.recorder().give_back(open);
        let some = message(recorded.none()).await;
        assert!(some.starts_with("expected no record, found 2\n"));
    }

    #[tokio::test]
    async fn rules_that_are_not_sound_do_not_start() {
        let rules = Rules::rest().rule(Rule::new("x").route("no slash"));
        assert!(matches!(Recorded::with_rules(rules).await, Err(StartError::Rules(_))));
    }
}
