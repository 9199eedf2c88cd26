//! The HTML that starts the viewer.

use std::fmt::Write as _;

use super::assets::{modules, revision};

/// The languages that there is a catalogue of words for, the first for everybody else.
const LANGUAGES: [&str; 1] = ["en"];

/// Chooses the language of the page by an `Accept-Language` header (RFC 9110, 12.5.4).
pub(crate) fn language(accepted: &str) -> &'static str {
    let mut best = (0.0, LANGUAGES[0]);
    for range in accepted.split(',') {
        let mut parts = range.split(';');
        let tag = parts.next().unwrap_or_default().trim();
        let weight = parts.find_map(|part| part.trim().strip_prefix("q="));
        let weight = weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
        let primary = tag.split('-').next().unwrap_or_default();
        let known = LANGUAGES.into_iter().find(|known| known.eq_ignore_ascii_case(primary));
        if let Some(known) = known
            && weight > best.0
        {
            best = (weight, known);
        }
    }
    best.1
}

/// Returns the page. `here` is the address of the mount relative to the page's own, with a slash at its end;
/// `unscripted` is what a browser without scripts shows, as HTML.
pub(crate) fn page(here: &str, language: &str, unscripted: &str) -> String {
    let here = escaped(here);
    let assets = format!("{here}assets/{}", revision());
    let mut page = format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Activity</title>\n\
         <link rel=\"icon\" href=\"{assets}/icon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"{assets}/uplot.css\">\n\
         <link rel=\"stylesheet\" href=\"{assets}/styles.css\">\n\
         <script type=\"module\" src=\"{assets}/app.js\"></script>\n"
    );
    // Otherwise the browser would learn of each module from the one before.
    for module in modules(language).filter(|module| *module != "app.js") {
        let line = writeln!(page, "<link rel=\"modulepreload\" href=\"{assets}/{module}\">");
        // Writing to a string does not fail.
        debug_assert!(line.is_ok());
    }
    page.push_str("</head>\n<body>\n<div id=\"app\"></div>\n<noscript>");
    page.push_str(unscripted);
    page.push_str("</noscript>\n</body>\n</html>\n");
    page
}

/// The last segment of a path is the client's: it becomes text.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_speaks_the_readers_language_or_the_first() {
        for accepted in ["", "en", "xx, en;q=0.1", "xx", "en-GB,en;q=0.9", "q=;;,", "*"] {
            assert_eq!(language(accepted), "en", "{accepted}");
        }
    }

    #[test]
    fn nothing_of_the_address_becomes_markup() {
        let page = page("./\"><script>alert(1)</script>/", "en", "<p>plain</p>");
        assert!(!page.contains("<script>"), "{page}");
        assert!(page.contains("<noscript><p>plain</p></noscript>"));
    }

    #[test]
    fn nothing_is_inline_and_nothing_is_absolute() {
        let page = page("./activity/", "en", "");
        assert!(!page.contains("<style") && !page.contains("style=") && !page.contains("onload"));
        for address in page.split("href=\"").chain(page.split("src=\"")).skip(1) {
            if address.starts_with("<!doctype") {
                continue;
            }
            assert!(address.starts_with("./activity/assets/"), "{address}");
        }
    }
}
