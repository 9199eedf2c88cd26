//! `GET /live`, `GET /live/sse` and `POST /tickets`: the log as it is written.
//!
//! A session goes from a cursor through history into the present, without a gap or a duplicate; without a
//! cursor it begins in the present. Records come in the order of the ledger: by commit, and within one by
//! number. What one commit holds may have occurred in another order, so clients sort what they show.
//!
//! The first message is a heartbeat with the cursor of the beginning. Heartbeats follow whenever there was
//! nothing else for 15 seconds; their cursor moves on also when nothing passed the filter. A client that is
//! further behind than the newest records reach is told `lagged` with the number of records it missed, and
//! gets those from the store, and then goes on. It may take its time, five minutes for one message, and
//! costs no more memory than others: that message.
//!
//! **Who.** Access is asked at the start and every five minutes from then on, by the head of the request
//! that began it; when the answer is another, the session ends. It ends in any case after 12 hours, and when
//! the service [hangs up](crate::Pipeline::hang_up). Whoever comes back with his cursor has lost nothing.
//!
//! **Browsers** cannot set headers here. `POST /tickets` gives a ticket that is good once, for 30 seconds and
//! at this replica: `?ticket=` stands for the grant of whoever fetched it. Pages of other origins are refused.

mod events;
mod follow;
mod hub;
mod message;
mod open;
mod origin;
mod place;
mod reader;
mod ring;
mod session;
mod socket;
mod tail;
#[cfg(test)]
mod tests;
mod ticket;

pub(super) use hub::Hub;
pub(super) use open::routes;
pub(super) use ticket::Tickets;
