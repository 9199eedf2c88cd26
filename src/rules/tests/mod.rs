//! The room as a whole: what files say, what they may not, and what plans make of it.

mod files;
mod helpers;
mod patterns;
mod plans;
