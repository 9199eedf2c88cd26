//! The examples as their users meet them: real programs, real HTTP, real signals.

#[cfg(feature = "argon2")]
mod access;
mod documents;
#[cfg(unix)]
mod killed;
mod live;
mod log;
#[cfg(feature = "postgres")]
mod postgres;
mod quickstart;
mod running;
mod small;
mod start;
