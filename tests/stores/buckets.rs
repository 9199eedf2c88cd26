//! What becomes of an archive in S3 whose server refuses, fails, hangs or is cut off: nothing leaves the log that is not kept
//! whole, and the next run goes on. The server of `TEST_S3_URL`, behind a wire that does what it is told to.

use std::time::Duration;

use tower_activity::{
    Keys,
    archive::{
        Archive, ArchiveAudit, FaultKind,
        object_store::{BackoffConfig, ClientOptions, RetryConfig},
    },
    ledger::verify::Verdict,
    pipeline::RetentionRun,
    store::sqlite::SqliteStore,
};

use crate::{
    archived::{bucket, builder, is_sound, large, over, over_s3, run},
    proxy::{Proxy, Trick},
    sqlite::InFile,
    suite::{Fixture as _, PATIENCE, all, append},
};

/// How each request is told apart from the bytes of files.
const ANY: &[u8] = b" HTTP/1.1\r\n";

const WRONG_KEYS: &str = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\n\
     connection: close\r\n\r\n\
     <Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you provided does not exist in our \
     records.</Message></Error>";
const FAILS: &str = "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\n\r\n\
     <Error><Code>InternalError</Code></Error>";
const BUSY: &str = "HTTP/1.1 503 Slow Down\r\nconnection: close\r\n\r\n\
     <Error><Code>SlowDown</Code></Error>";
/// S3 answers so before it knows whether a multipart upload comes to its end.
const FAILS_LATE: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\n\
     connection: close\r\n\r\n\
     <Error><Code>InternalError</Code><Message>We encountered an internal error. Please try again.</Message></Error>";

/// A log with a month that is over, and a bucket behind a wire.
struct Scene {
    store: SqliteStore,
    keys: Keys,
    bucket: String,
    server: String,
    proxy: Proxy,
    _file: InFile,
}

impl Scene {
    async fn new(marker: &[u8]) -> Self {
        let scene = Self::empty(marker).await;
        over::<InFile>(&scene.store).await;
        scene
    }

    async fn empty(marker: &[u8]) -> Self {
        let file = InFile::new().await;
        let store = file.open().await;
        let (server, bucket) = bucket(true).await;
        let proxy = before(&server, marker).await;
        Self { store, keys: Keys::ephemeral(), bucket, server, proxy, _file: file }
    }

    /// The archive, asked over the wire by somebody who tries so often.
    fn archive(&self, retries: usize) -> Archive {
        over_s3(builder(&self.url(), &self.bucket).with_retry(retry(retries)))
    }

    fn url(&self) -> String {
        format!("http://{}", self.proxy.address())
    }

    /// The archive, asked by somebody in whose way nothing is.
    fn directly(&self) -> Archive {
        over_s3(builder(&self.server, &self.bucket))
    }

    async fn run(&self, archive: &Archive) -> RetentionRun {
        run::<InFile>(&self.store, &self.keys, archive).await
    }

    /// A run that fails, and says why: nothing is gone, and no part is there that is not whole.
    async fn fails(&self, archive: &Archive, why: &[&str]) {
        let before = self.left().await;
        let ended = self.run(archive).await;
        assert_eq!((ended.ended.len(), ended.unarchived.len()), (0, 1), "{ended:?}");
        let said = &ended.unarchived[0].why;
        assert!(why.iter().all(|why| said.contains(why)), "{said}");
        assert_eq!(self.left().await, before);
        let report = self.directly().verify(&ArchiveAudit::new(), |_| {}).await.unwrap();
        // What is left over is nobody's.
        assert_ne!(report.verdict(), Verdict::Altered, "{report:#?}");
        assert!(report.faults.iter().all(|fault| fault.kind == FaultKind::Foreign), "{report:#?}");
    }

    /// A run that comes to its end: all of the month is in one part.
    async fn succeeds(&self, archive: &Archive) {
        let before = self.left().await as u64;
        let ended = self.run(archive).await;
        assert_eq!((ended.ended.len(), ended.unarchived.len()), (1, 0), "{ended:?}");
        assert_eq!(self.left().await, 0);
        let report = self.directly().verify(&ArchiveAudit::new(), |_| {}).await.unwrap();
        assert_ne!(report.verdict(), Verdict::Altered, "{report:#?}");
        assert_eq!((report.parts, report.records), (1, before));
    }

    async fn left(&self) -> usize {
        let all = all(&self.store).await;
        all.iter().filter(|record| record.retention_class == "authentication").count()
    }
}

async fn before(server: &str, marker: &[u8]) -> Proxy {
    let host = server.trim_start_matches("http://").trim_end_matches('/');
    let (host, port) = host.rsplit_once(':').expect("a port");
    Proxy::to((host.to_owned(), port.parse().expect("a port")), marker).await
}

/// Tries so often again, without resting for long.
fn retry(max_retries: usize) -> RetryConfig {
    let init_backoff = Duration::from_millis(1);
    let max_backoff = Duration::from_millis(20);
    let backoff = BackoffConfig { init_backoff, max_backoff, ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries, retry_timeout: PATIENCE }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_wrong_take_nothing_out() {
    let scene = Scene::new(b"Credential=wrong/").await;
    scene.proxy.play([Trick::Answer(WRONG_KEYS); 50]);
    let wrong = builder(&scene.url(), &scene.bucket).with_access_key_id("wrong");
    let wrong = over_s3(wrong.with_retry(retry(3)));
    scene.fails(&wrong, &["AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"]).await;
    // Once for the month, and once for addresses that are due.
    assert_eq!(scene.proxy.left(), 48, "it is not tried again");
    scene.succeeds(&scene.archive(3)).await;
    assert_eq!(is_sound(&scene.directly()).await, 40);
}

/// Wherever an upload ends: what is there of it counts for nothing, and the next run does all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_breaks_off_midway_counts_for_nothing() {
    let scene = Scene::empty(ANY).await;
    append(&scene.store, &large()).await.unwrap();
    for (marker, trick) in [
        (&b"partNumber=2"[..], Trick::CutWithin(100_000)),
        // That ends the upload: the first of them began it.
        (b"?uploadId=", Trick::Answer(FAILS_LATE)),
        (b"?uploadId=", Trick::CutBeforeReply),
    ] {
        let breaking = before(&scene.server, marker).await;
        breaking.play([trick]);
        let url = format!("http://{}", breaking.address());
        let archive = over_s3(builder(&url, &scene.bucket).with_retry(retry(0)));
        scene.fails(&archive, &["write personal/"]).await;
        assert_eq!(breaking.left(), 0, "{trick:?}");
        assert!(scene.directly().parts().await.unwrap().is_empty(), "{trick:?}");
    }
    scene.succeeds(&scene.archive(0)).await;
}

/// The manifest that makes a part exist is there, and nobody was told: the next run takes it for what it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_whose_manifest_was_written_without_an_answer_is_not_written_again() {
    for (trick, parts) in [(Trick::CutBeforeReply, 1), (Trick::CutBeforeMessage, 0)] {
        let scene = Scene::new(ANY).await;
        let manifests = before(&scene.server, b"/log/manifests/").await;
        manifests.play([trick]);
        let url = format!("http://{}", manifests.address());
        let archive = over_s3(builder(&url, &scene.bucket).with_retry(retry(0)));
        scene.fails(&archive, &["write manifests/"]).await;
        assert_eq!(scene.directly().parts().await.unwrap().len(), parts, "{trick:?}");
        scene.succeeds(&archive).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_now_and_then_is_asked_again() {
    let scene = Scene::new(ANY).await;
    let round = [
        Trick::Pass,
        Trick::Answer(BUSY),
        Trick::Pass,
        Trick::Answer(FAILS),
        Trick::CutBeforeMessage,
        Trick::Pass,
        Trick::Answer(BUSY),
    ];
    scene.proxy.play(round.repeat(200));
    scene.succeeds(&scene.archive(10)).await;
    assert_eq!(is_sound(&scene.archive(10)).await, 40);
    assert!(scene.proxy.left() > 0, "it failed to the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_all_the_while_keeps_the_log_whole() {
    for (marker, answer, status) in [(ANY, BUSY, "503"), (b"PUT /", FAILS, "500")] {
        let scene = Scene::new(marker).await;
        scene.proxy.play([Trick::Answer(answer); 200]);
        scene.fails(&scene.archive(2), &[status, "after 2 retries"]).await;
        // It is well again.
        let well = before(&scene.server, marker).await;
        let url = format!("http://{}", well.address());
        scene.succeeds(&over_s3(builder(&url, &scene.bucket))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_given_up_and_the_log_stays_whole() {
    for marker in [ANY, b"PUT /"] {
        let scene = Scene::new(marker).await;
        scene.proxy.play([Trick::Hold; 200]);
        let soon = ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(2));
        let hasty = builder(&scene.url(), &scene.bucket).with_client_options(soon);
        let hasty = over_s3(hasty.with_retry(retry(0)));
        scene.fails(&hasty, &["timed out"]).await;
        // What was under way arrives now, and changes nothing any more.
        scene.proxy.let_go();
        scene.succeeds(&scene.directly()).await;
    }
}
