//! Who appears in the history.

use tower_activity::record::ActorType;

/// Somebody who acts.
pub(super) struct Person {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: ActorType,
    pub(super) tenant: &'static str,
    pub(super) role: Role,
    pub(super) ip: &'static str,
    pub(super) agent: &'static str,
}

/// What somebody does all day.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Sales,
    Admin,
    Support,
    Program,
}

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1";

const fn person(
    id: &'static str,
    name: &'static str,
    tenant: &'static str,
    role: Role,
    ip: &'static str,
    agent: &'static str,
) -> Person {
    Person { id, name, kind: ActorType::User, tenant, role, ip, agent }
}

/// The people of both tenants, north first.
pub(super) const PEOPLE: &[Person] = &[
    person("ana", "Ana Diaz", "north", Role::Sales, "192.0.2.17", FIREFOX),
    person("bob", "Bob Lund", "north", Role::Sales, "192.0.2.23", CHROME),
    person("chen", "Chen Wei", "north", Role::Sales, "198.51.100.8", SAFARI),
    person("dina", "Dina Haddad", "north", Role::Sales, "192.0.2.31", FIREFOX),
    person("admin", "Nora Berg", "north", Role::Admin, "192.0.2.2", FIREFOX),
    person("mira", "Mira Sand", "north", Role::Support, "192.0.2.40", CHROME),
    person("gita", "Gita Rao", "south", Role::Sales, "2001:db8:5::17", CHROME),
    person("hugo", "Hugo Marin", "south", Role::Sales, "2001:db8:5::21", SAFARI),
    person("ines", "Inês Faria", "south", Role::Sales, "198.51.100.77", FIREFOX),
    person("olaf", "Olaf Kern", "south", Role::Admin, "2001:db8:5::2", CHROME),
];

/// The programs that act without anybody behind them.
pub(super) const BILLING: Person = Person {
    id: "billing",
    name: "",
    kind: ActorType::Service,
    tenant: "north",
    role: Role::Program,
    ip: "10.0.4.11",
    agent: "billing/2.8",
};
pub(super) const WAREHOUSE: Person = Person {
    id: "warehouse-1",
    name: "",
    kind: ActorType::ApiKey,
    tenant: "south",
    role: Role::Program,
    ip: "10.0.4.12",
    agent: "warehouse-sync/1.4",
};
