//! Clients that do not keep up.

use tokio_tungstenite::tungstenite::Message;

use super::{OURS, Socket, by};
use crate::{
    support::{Fixture, Service},
    table::{Row, times},
};

on_every_store! {
    a_client_that_stalls_is_told_what_it_missed_and_then_gets_it,
}

/// (37) In the short run they only have to be far beyond what is kept.
async fn a_client_that_stalls_is_told_what_it_missed_and_then_gets_it<F: Fixture>() {
    const FEW: usize = 8_000;
    let many = times(FEW, 100_000);
    let service = Service::<F>::start().await;
    let (mut stalled, _) = Socket::open(service.address, OURS).await;
    let (mut awake, _) = Socket::open(service.address, OURS).await;
    let pipeline = std::sync::Arc::clone(&service.pipeline);
    let writer = tokio::spawn(async move {
        // Large enough to fill whatever the system keeps for a socket; then as they mostly are.
        let padding = "x".repeat(2_000);
        for n in 0..many {
            let record = by(&n.to_string());
            let record = if n < FEW { record.describe(&padding) } else { record };
            assert!(pipeline.recorder().record(record).is_accepted());
            if n % 1_000 == 999 {
                pipeline.flush().await;
            }
        }
        pipeline.flush().await;
    });
    // Somebody who listens is not held up by somebody who does not. Where he does not keep up, on a busy
    // machine, he is told so too.
    let mut heard = Vec::new();
    while heard.len() < many {
        heard.extend(awake.news().await.actors());
    }
    let all: Vec<_> = (0..many).map(|n| n.to_string()).collect();
    assert_eq!(heard, all);
    writer.await.unwrap();

    // He wakes up after everything has happened.
    let (mut heard, mut missed) = (Vec::new(), 0);
    while heard.len() < many {
        let told = stalled.news().await;
        if told.kind == "lagged" {
            missed += told.message["missed"].as_u64().unwrap();
            assert!(heard.len() as u64 + missed <= many as u64);
            // Where he goes on is where he was cut off.
            let path = format!("{OURS}&cursor={}", told.cursor);
            let (mut again, _) = Socket::open(service.address, &path).await;
            assert_eq!(again.hear(1).await[0], all[heard.len()]);
        }
        heard.extend(told.actors());
    }
    assert!(missed > 0, "he was told");
    assert_eq!(heard, all);

    // And then he is level.
    super::happens(&service.pipeline, "late").await;
    assert_eq!(stalled.hear(1).await, ["late"]);
    stalled.say(Message::Close(None)).await;
    let count = many as u64;
    Row { fault: "37 live client stalled", runs: 1, sent: count, stored: count, ..Row::default() }
        .report();
    service.stop().await;
}
