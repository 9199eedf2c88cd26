//! Segments into words, and plural into singular.

use pluralizer::pluralize;

/// Words that look plural or foreign to the plural rules and are neither.
const AS_THEY_ARE: &[&str] = &[
    "access",
    "address",
    "alias",
    "analysis",
    "analytics",
    "aws",
    "basis",
    "business",
    "bus",
    "canvas",
    "chaos",
    "class",
    "cors",
    "criteria",
    "css",
    "data",
    "diagnosis",
    "dns",
    "dos",
    "ethos",
    "focus",
    "gas",
    "gps",
    "https",
    "ios",
    "kubernetes",
    "lens",
    "logistics",
    "media",
    "meta",
    "metadata",
    "mfa",
    "news",
    "nfs",
    "os",
    "pass",
    "plus",
    "process",
    "progress",
    "pos",
    "redis",
    "rss",
    "saas",
    "sales",
    "schema",
    "sms",
    "status",
    "success",
    "tls",
    "tos",
    "virus",
    "vps",
    "wireless",
    "dkim",
    "saml",
];

/// Plurals that the plural rules get wrong.
const IRREGULAR: &[(&str, &str)] = &[
    ("apis", "api"),
    ("caches", "cache"),
    ("cookies", "cookie"),
    ("movies", "movie"),
    ("uris", "uri"),
    ("urls", "url"),
];

/// Splits at everything that is no letter or digit and where camelCase steps up; lower case.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let chars: Vec<char> = text.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1);
        // `orderItem`, `v2Item` step up; `HTTPServer` steps where the last capital begins a word.
        let step = c.is_uppercase()
            && before.is_some_and(|b| {
                b.is_lowercase()
                    || b.is_ascii_digit()
                    || (b.is_uppercase() && after.is_some_and(|a| a.is_lowercase()))
            });
        if step && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.extend(c.to_lowercase());
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Returns one word in the singular.
pub(super) fn singular(word: &str) -> String {
    let plain = word.len() < 3
        || AS_THEY_ARE.contains(&word)
        || !word.ends_with(|c: char| c.is_alphabetic());
    if plain || word.len() > 64 {
        return word.to_owned();
    }
    match IRREGULAR.iter().find(|(many, _)| *many == word) {
        Some((_, one)) => (*one).to_owned(),
        None => pluralize(word, 1, false),
    }
}

/// Says whether a word names many.
pub(super) fn is_plural(word: &str) -> bool {
    singular(word) != word
}

/// Joins words in snake case with the last in the singular: what an entity type looks like.
pub(super) fn entity(words: &[String]) -> String {
    let Some((last, first)) = words.split_last() else {
        return String::new();
    };
    let mut out = first.join("_");
    if !out.is_empty() {
        out.push('_');
    }
    out.push_str(&singular(last));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_gives_the_same_words() {
        for (text, words) in [
            ("node_pools", "node pools"),
            ("node-pools", "node pools"),
            ("nodePools", "node pools"),
            ("NodePools", "node pools"),
            ("HTTPServers", "http servers"),
            ("oauth2", "oauth2"),
            ("ipV6Rules", "ip v6 rules"),
            ("@me", "me"),
            ("", ""),
        ] {
            assert_eq!(split(text).join(" "), words, "{text}");
        }
    }

    #[test]
    fn singulars_are_words() {
        for (many, one) in [
            ("orders", "order"),
            ("categories", "category"),
            ("policies", "policy"),
            ("addresses", "address"),
            ("statuses", "status"),
            ("status", "status"),
            ("aliases", "alias"),
            ("people", "person"),
            ("data", "data"),
            ("metadata", "metadata"),
            ("kubernetes", "kubernetes"),
            ("indices", "index"),
            ("keys", "key"),
            ("batches", "batch"),
            ("caches", "cache"),
            ("invoices", "invoice"),
        ] {
            assert_eq!(singular(many), one);
        }
    }
}
