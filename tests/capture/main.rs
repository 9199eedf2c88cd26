//! The traps of capture: each module holds those of one heading.

mod actor;
mod address;
mod bodies;
mod completion;
mod delivery;
mod disconnects;
#[cfg(feature = "tonic")]
mod grpc;
mod meaning;
mod mechanics;
mod routing;
mod strict_size;
mod support;
#[path = "../faults/table.rs"]
mod table;
