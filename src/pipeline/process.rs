//! Which process this is, told so that a later one on the same machine can see that it is gone.
//!
//! A number alone says little: it is given out again, and each container counts its own. With the boot, the
//! namespace of the numbers and the moment of the start it names one process for good. Where the operating
//! system does not tell all of these, nothing is told, and no later process claims to know.

use std::{fs, path::Path};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A process, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// The machine's name, for people.
    host: String,
    /// A digest of the machine's id, which is not to be told itself; empty where it has none.
    machine: String,
    /// Differs from one start of the machine to the next.
    boot: String,
    /// Within which process numbers mean something: each container has its own.
    namespace: String,
    pid: u32,
    /// Ticks from the start of the machine to that of the process.
    started: u64,
}

/// What the operating system says about a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nobody has it.
    Nobody,
    /// A process that started so many ticks after the machine.
    Since(u64),
    /// It does not say.
    Unknown,
}

/// What is known of an earlier process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It is gone for certain.
    Gone,
    /// It runs.
    Runs,
    /// It is on another machine or in another container, for all that can be seen.
    Unknown,
}

impl Process {
    /// Returns this process; `None` where the operating system does not tell enough about it.
    pub(super) fn this() -> Option<Self> {
        let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let pid = std::process::id();
        // A /proc of another namespace would tell about others.
        if stat.split(' ').next()?.parse() != Ok(pid) {
            return None;
        }
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        Some(Self {
            host: read("/proc/sys/kernel/hostname").unwrap_or_default(),
            machine: read("/etc/machine-id").map(|id| digest(&id)).unwrap_or_default(),
            boot: read("/proc/sys/kernel/random/boot_id").filter(|boot| !boot.is_empty())?,
            namespace: namespace.to_str()?.to_owned(),
            pid,
            started: start_of(&stat)?.1,
        })
    }

    /// Returns what a record tells.
    pub(super) fn facts(&self) -> Value {
        json!({
            "host": self.host,
            "machine": self.machine,
            "boot": self.boot,
            "namespace": self.namespace,
            "pid": self.pid,
            "started": self.started,
        })
    }

    /// Reads what a record tells; `None` when it tells of none.
    pub(super) fn told(facts: &Value) -> Option<Self> {
        let text = |name: &str| facts[name].as_str().map(str::to_owned);
        Some(Self {
            host: text("host")?,
            machine: text("machine")?,
            boot: text("boot")?,
            namespace: text("namespace")?,
            pid: u32::try_from(facts["pid"].as_u64()?).ok()?,
            started: facts["started"].as_u64()?,
        })
    }

    /// Returns its name in claims.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(b"tower-activity process\0");
        digest.update(self.facts().to_string());
        digest.finalize().into()
    }

    /// Tells what became of the process, as far as `this` one can see.
    ///
    /// It is gone when the machine was started anew since, or when its number is nobody's or somebody else's by
    /// now. About other machines and other containers nothing is certain.
    pub(super) fn life(&self, this: &Self, look: impl FnOnce(u32) -> Seen) -> Life {
        if self.boot != this.boot {
            let same_machine = !self.machine.is_empty() && self.machine == this.machine;
            let is_gone = same_machine && self.host == this.host;
            return if is_gone { Life::Gone } else { Life::Unknown };
        }
        if self.namespace != this.namespace {
            return Life::Unknown;
        }
        match look(self.pid) {
            Seen::Since(started) if started == self.started => Life::Runs,
            Seen::Nobody | Seen::Since(_) => Life::Gone,
            Seen::Unknown => Life::Unknown,
        }
    }

    /// Tells whether what seems to be another machine bears the name of this one: a container that was moved keeps its
    /// name, and has no id of a machine.
    pub(super) fn is_namesake(&self, this: &Self) -> bool {
        self.boot != this.boot
            && !self.host.is_empty()
            && self.host == this.host
            && self.machine.is_empty()
            && this.machine.is_empty()
    }
}

/// Asks the operating system who has a number.
pub(super) fn look(pid: u32) -> Seen {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => match start_of(&stat) {
            // Dead, and not yet buried by its parent.
            Some(('Z' | 'X' | 'x', _)) => Seen::Nobody,
            Some((_, started)) => Seen::Since(started),
            None => Seen::Unknown,
        },
        // Where processes of others are hidden, so is the first one; then a missing file says nothing.
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                && Path::new("/proc/1/stat").exists() =>
        {
            Seen::Nobody
        }
        Err(_) => Seen::Unknown,
    }
}

/// Reads state and start out of a line of `/proc/*/stat`: the third field and the twenty-second. The second
/// is a name in parentheses, which may hold anything.
fn start_of(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn digest(id: &str) -> String {
    if id.is_empty() {
        return String::new();
    }
    crate::record::hex(&Sha256::digest(format!("tower-activity machine {id}"))[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Process {
        /// Another process of this machine.
        pub(in crate::pipeline) fn with(&self, pid: u32, started: u64) -> Self {
            Self { pid, started, ..self.clone() }
        }

        fn is_gone(&self, this: &Self, look: impl FnOnce(u32) -> Seen) -> bool {
            self.life(this, look) == Life::Gone
        }
    }

    fn process() -> Process {
        Process {
            host: "web-1".to_owned(),
            machine: "aa".to_owned(),
            boot: "b1".to_owned(),
            namespace: "pid:[1]".to_owned(),
            pid: 77,
            started: 1_000,
        }
    }

    #[test]
    fn a_process_is_gone_when_its_number_is_nobodys_or_somebody_elses() {
        let (then, now) = (process(), Process { pid: 90, ..process() });
        for (seen, gone) in [
            (Seen::Nobody, true),
            (Seen::Since(1_001), true),
            (Seen::Since(1_000), false),
            (Seen::Unknown, false),
        ] {
            assert_eq!(then.is_gone(&now, |pid| if pid == 77 { seen } else { Seen::Nobody }), gone);
        }
    }

    #[test]
    fn with_the_machine_all_its_processes_end() {
        let boot = "b2".to_owned();
        let now = Process { boot, ..process() };
        let unseen = |_| panic!("a number of another boot says nothing");
        assert!(process().is_gone(&now, unseen));
        for other in [
            Process { machine: "bb".to_owned(), ..now.clone() },
            Process { machine: String::new(), ..now.clone() },
            Process { host: "web-2".to_owned(), ..now.clone() },
        ] {
            assert!(!process().is_gone(&other, unseen), "{other:?}");
        }
        let nameless = Process { machine: String::new(), ..process() };
        let now = Process { machine: String::new(), ..now };
        assert!(!nameless.is_gone(&now, unseen), "two machines without an id may have one name");
    }

    #[test]
    fn of_another_container_nothing_is_certain() {
        let now = Process { namespace: "pid:[2]".to_owned(), ..process() };
        assert!(!process().is_gone(&now, |_| Seen::Nobody));
        assert!(!process().is_namesake(&now), "two containers of one pod have one name");
    }

    #[test]
    fn a_container_that_was_moved_keeps_its_name() {
        let then = Process { machine: String::new(), ..process() };
        let boot = "b2".to_owned();
        let now = Process { boot, namespace: "pid:[2]".to_owned(), ..then.clone() };
        assert!(then.is_namesake(&now));
        assert_eq!(then.life(&now, |_| Seen::Nobody), Life::Unknown);
        for other in [
            Process { host: "web-2".to_owned(), ..now.clone() },
            Process { machine: "aa".to_owned(), ..now.clone() },
            Process { boot: then.boot.clone(), ..now },
        ] {
            assert!(!then.is_namesake(&other), "{other:?}");
        }
    }

    #[test]
    fn what_is_told_is_read_again() {
        assert_eq!(Process::told(&process().facts()), Some(process()));
        assert_eq!(Process::told(&Value::Null), None);
        assert_eq!(start_of("7 (a) b)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 5555 20"), {
            Some(('S', 5_555))
        });
        assert_eq!(start_of("7 (a) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_not_gone_and_a_dead_child_is() {
        let this = Process::this().expect("/proc tells");
        assert!(!this.is_gone(&this, look));
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        assert!(matches!(look(child.id()), Seen::Since(started) if started >= this.started));
        child.kill().unwrap();
        while look(child.id()) != Seen::Nobody {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(look(child.id()), Seen::Nobody);
    }
}
