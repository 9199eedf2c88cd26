//! What the log stands on: the SQLite file and its disk, or the Postgres server.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tower_activity::{
    PostgresStore, SqliteStore,
    store::postgres::PostgresFacts,
    time::{Clock as _, SystemClock},
};

use super::{Finding, size, words};
use crate::{arguments::Common, store};

/// Less than this is soon nothing.
const LITTLE: u64 = 1024 * 1024 * 1024;
/// Clocks further apart than this put records in an order that was not.
const APART_MICROS: i64 = 5_000_000;
/// File systems of the network, by the number that statfs(2) gives: their locks are not to be relied on.
const NETWORK: [(u64, &str); 5] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
];

/// A SQLite file, and what stands around it.
pub(super) fn file(common: &Common) -> Vec<Finding> {
    let Some(path) = store::file(common) else { return Vec::new() };
    let Ok(metadata) = fs::metadata(&path) else { return Vec::new() };
    let shown = path.display();
    let mode = metadata.permissions().mode() & 0o777;
    let mut findings = vec![if mode & 0o007 != 0 {
        Finding::note(
            "file",
            format!("everybody on this machine may read {shown} (mode {mode:03o})"),
            format!("chmod o-rwx {shown}*"),
        )
    } else {
        Finding::fine("file", format!("{shown} has mode {mode:03o}"))
    }];
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    findings.push(disk(&folder).unwrap_or_else(|error| {
        Finding::note("disk", format!("the disk cannot be looked at: {error}"), "look with `df`")
    }));
    findings
}

fn disk(folder: &Path) -> io::Result<Finding> {
    let system = rustix::fs::statfs(folder)?;
    // Its type differs from one system to the next.
    let magic = u64::try_from(system.f_type).unwrap_or(0) & 0xffff_ffff;
    if let Some((_, name)) = NETWORK.iter().find(|(number, _)| *number == magic) {
        return Ok(Finding::wrong(
            "disk",
            format!("the file lies on a file system of the network ({name})"),
            "SQLite's write-ahead log needs memory that all its processes share: take a local disk, or Postgres",
        ));
    }
    let disk = rustix::fs::statvfs(folder)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Ok(if free < LITTLE {
        Finding::wrong(
            "disk",
            format!("{} are left on the disk", size(free)),
            "make room, or move the file to a larger disk",
        )
    } else {
        Finding::fine("disk", format!("{} are left", size(free)))
    })
}

pub(super) async fn sqlite(store: &SqliteStore) -> Vec<Finding> {
    let facts = match store.facts().await {
        Ok(facts) => facts,
        Err(error) => {
            return vec![Finding::wrong("database", words(&error), "see that the file is whole")];
        }
    };
    let mut findings = vec![if facts.journal_mode.eq_ignore_ascii_case("wal") {
        Finding::fine("journal", "write-ahead log: reading and writing do not wait for each other")
    } else {
        Finding::note(
            "journal",
            format!(
                "the journal mode is {}: reading and writing wait for each other",
                facts.journal_mode
            ),
            "stop the service, then: sqlite3 FILE 'PRAGMA journal_mode = WAL'",
        )
    }];
    findings.push(guarded(facts.missing_guards.iter().map(|name| (*name).to_owned()).collect()));
    findings
}

pub(super) async fn postgres(store: &PostgresStore) -> Vec<Finding> {
    let facts = match store.facts().await {
        Ok(facts) => facts,
        Err(error) => {
            return vec![Finding::wrong(
                "server",
                words(&error),
                "see that this role may read the catalogue and the log",
            )];
        }
    };
    vec![
        server(&facts),
        role(&facts),
        tenants(&facts),
        connections(&facts),
        server_clock(&facts),
        guarded(facts.unguarded),
    ]
}

fn server(facts: &PostgresFacts) -> Finding {
    let version = facts.server_version / 10_000;
    if facts.is_read_only {
        return Finding::wrong(
            "server",
            format!("Postgres {version} takes no writes: a replica, or made read-only"),
            "name the primary, as in postgres://…?target_session_attrs=read-write behind a list of hosts",
        );
    }
    if !facts.is_durable {
        return Finding::note(
            "server",
            format!(
                "Postgres {version} answers commits before they are on its disk (fsync or synchronous_commit)"
            ),
            "a crash of the server may lose the newest records: alter system set synchronous_commit = on; alter \
             system set fsync = on",
        );
    }
    Finding::fine(
        "server",
        format!("Postgres {version}; each call sets its own statement and lock timeouts"),
    )
}

/// What a single role for everything gives up.
fn role(facts: &PostgresFacts) -> Finding {
    let role = tower_activity::record::visible(&facts.role);
    let could = "it could take away the triggers that keep the log as it is";
    let mend = "`activity migrate --roles` makes roles with the least that each needs; run the service as one \
                that was granted activity_writer and activity_reader, and keep the owner for migrations";
    if facts.is_superuser {
        return Finding::note("role", format!("{role} is a superuser: {could}, and more"), mend);
    }
    if facts.owns_log {
        let more = match facts.keeps_tenants {
            true => ", and the policies that keep tenants apart",
            false => "",
        };
        return Finding::note("role", format!("{role} owns the log: {could}{more}"), mend);
    }
    let may = if facts.may_append { "may append" } else { "may only read" };
    Finding::fine("role", format!("{role} {may}, and does not own the log"))
}

/// Whether the database keeps tenants apart, and whether this role can work with that.
fn tenants(facts: &PostgresFacts) -> Finding {
    let role = tower_activity::record::visible(&facts.role);
    if !facts.keeps_tenants {
        return Finding::fine(
            "tenants",
            "the API alone keeps tenants apart; `activity migrate --tenants` has the database do it too",
        );
    }
    if !facts.open_to_tenants.is_empty() {
        let open: Vec<_> = facts
            .open_to_tenants
            .iter()
            .map(|what| tower_activity::record::visible(what).to_string())
            .collect();
        return Finding::wrong(
            "tenants",
            format!("tenants can see each other: {}", open.join("; ")),
            "`activity migrate --tenants` puts it back; drop policies and grants that are not its own, and look \
             at who made them",
        );
    }
    if facts.is_superuser || facts.owns_log {
        return Finding::note(
            "tenants",
            format!("{role} sees all tenants, and could take away what keeps them apart"),
            "run the service as a login that was granted activity_writer, activity_reader and activity_auditor",
        );
    }
    if !facts.can_be_held {
        return Finding::note(
            "tenants",
            format!("{role} sees all tenants, and no question of it can be held to one"),
            format!("for a service: grant activity_reader to {role}"),
        );
    }
    if !facts.sees_all_tenants {
        return Finding::note(
            "tenants",
            format!("{role} sees one tenant at a time, and none unless it is named"),
            format!(
                "name it (--tenant); for a service whose callers may see all, or follow the log live: grant \
                 activity_auditor to {role}"
            ),
        );
    }
    Finding::fine("tenants", "the database keeps them apart, and questions of one are held to it")
}

fn connections(facts: &PostgresFacts) -> Finding {
    let PostgresFacts { connections, max_connections, .. } = facts;
    if connections.saturating_mul(10) >= max_connections.saturating_mul(9) {
        return Finding::wrong(
            "connections",
            format!("{connections} of the server's {max_connections} are taken"),
            "each service takes up to nine: raise max_connections, or put PgBouncer (transaction mode) before it",
        );
    }
    Finding::fine("connections", format!("{connections} of {max_connections}"))
}

fn server_clock(facts: &PostgresFacts) -> Finding {
    let apart = SystemClock::default().now().as_micros() - facts.now.as_micros();
    if apart.abs() > APART_MICROS {
        return Finding::wrong(
            "db clock",
            format!("this machine and the server are {} s apart", apart.abs() / 1_000_000),
            "set both clocks (NTP)",
        );
    }
    Finding::fine("db clock", "the server's agrees with this machine's")
}

fn guarded(missing: Vec<String>) -> Finding {
    if missing.is_empty() {
        return Finding::fine("triggers", "the log is append-only");
    }
    Finding::wrong(
        "triggers",
        format!("what keeps the log append-only is missing or off: {}", missing.join(", ")),
        "somebody took it away; compare with `migrations/`, put it back as the owner, and look at who that may be",
    )
}
