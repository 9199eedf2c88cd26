//! What works behind the spool: the [clerk](super::clerk) and the [drain](super::drain), as one task.

use std::sync::Arc;

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    admit,
    classes::Classes,
    clerk::Clerk,
    core::Core,
    drain::{Drain, Size},
    gap::Gaps,
    link::Link,
    own,
    pipeline::Handle,
    settle::Settler,
    spooled::Spooled,
    writer::Setup,
};
use crate::store::Append;

/// Begins the stream, and returns what sees it into the store.
pub(super) fn open<S: Append>(
    store: S,
    core: &Arc<Core>,
    setup: Setup,
) -> (impl Future<Output = ()> + Send + use<S>, Handle) {
    let (flush, flushes) = mpsc::unbounded_channel();
    let (pass, passed) = mpsc::unbounded_channel();
    let (ended, has_ended) = watch::channel(false);
    let (last, has_last) = watch::channel(None);
    let stop = core.stop.subscribe();
    let mut clerk = Clerk {
        core: Arc::clone(core),
        flushes,
        drain: pass,
        last,
        stop: stop.clone(),
        gaps: Gaps::default(),
        held: Vec::new(),
        begun: Instant::now(),
    };
    let mut streams = Vec::new();
    if let Some(spooling) = &core.spooling {
        // Before anybody has a recorder: so it is the first of the stream.
        let mut started = own::started(&setup.config_digest);
        admit::prepare(core, &mut started);
        clerk.held.extend(core.spool_own(spooling, started).err().map(|record| (record, None)));
        streams.push(Spooled::own(spooling.spool.reader(), setup.quarantine.clone()));
        let old = spooling.spool.old_streams();
        streams.extend(old.into_iter().map(|old| Spooled::old(old, setup.quarantine.clone())));
    }
    let settler = Settler::new(
        Arc::clone(core),
        Link::new(store, stop, setup.call_deadline),
        setup.quarantine,
    );
    let size = Size { rows: setup.batch.rows, bytes: setup.batch.bytes, age: setup.batch.age };
    let classes = Classes(setup.retention);
    let drain = Drain::new(settler, streams, (size, classes), passed, has_last, ended)
        .reading_ahead(setup.reads_ahead);
    let work = async {
        tokio::join!(clerk.run(), drain.run());
    };
    (work, Handle { flushes: flush, ended: has_ended })
}
