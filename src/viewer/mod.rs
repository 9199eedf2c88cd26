//! The viewer: the page where people look, and what it is made of.
//!
//! What enters: nothing but the files of `web/`, embedded as they are: modules that a browser runs unbuilt, one
//! style sheet, one catalogue of words for each language. What leaves: [`page`], the HTML that starts it, and
//! [`asset`], one of its files with its media type and its compressed bytes.
//!
//! All files share one [`revision`], a hash of them all, which stands in their address: they can be kept for ever,
//! and modules find each other by plain relative names. The page asks the API for whatever it shows, like every
//! other client, and knows where it is from the address of its own script: so it works under any prefix.
//!
//! Of the rest of the crate it knows the table of [`query::FIELDS`](crate::query::FIELDS) alone, which becomes a
//! module of its own for completion. Who may ask, and the headers, are the [`api`](crate::api)'s.

mod assets;
mod fields;
mod page;

pub(crate) use assets::{asset, revision};
pub(crate) use page::{escaped, language, page};
