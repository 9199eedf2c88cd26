//! The examples as their users meet them: real programs, real HTTP, real signals.

mod quickstart;
mod running;
mod small;
mod start;
