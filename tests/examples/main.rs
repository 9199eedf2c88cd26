//! The examples as their users meet them: real programs, real HTTP, real signals.

#[cfg(feature = "postgres")]
mod postgres;
mod quickstart;
mod running;
mod small;
mod start;

/// A link of the README that leads nowhere is a promise that is not kept.
#[test]
fn the_readme_links_to_what_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("README.md")).unwrap();
    let links: Vec<&str> =
        text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 5, "{links:?}");
    for link in links {
        assert!(root.join(link).exists(), "{link}");
    }
}
