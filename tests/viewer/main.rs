//! The viewer in a real browser: what people do with clicks and keys, and what they see.
//!
//! Needs Chromium and its driver, Debian's `chromium` and `chromium-driver`: on the path, or where `TEST_CHROMIUM` and
//! `TEST_CHROMEDRIVER` say. A test that fails leaves a picture of the page in `target/viewer`.

mod accessible;
mod browser;
mod drawer;
mod hostile;
mod list;
mod live;
mod looks;
mod pages;
mod proxy;
mod search;
mod sentence;
mod site;
mod sizes;
mod webdriver;
