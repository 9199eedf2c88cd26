//! What a source file imports, read from its text.

/// What a file imports.
pub(crate) struct Scan {
    /// Paths into this crate, resolved: their first segment is a room.
    pub(crate) inside: Vec<Import>,
    /// Paths into other crates, test code left out (tests drive real routers).
    pub(crate) outside: Vec<Import>,
}

impl Scan {
    pub(crate) fn new(module: &[String], text: &str) -> Self {
        let tokens = tokens(&blank(text));
        let words: Vec<&str> = tokens.iter().map(|token| token.word.as_str()).collect();
        let mut scan = Self { inside: Vec::new(), outside: Vec::new() };
        // Inline modules that are open: their name, the depth outside, whether for tests.
        let mut open: Vec<(String, usize, bool)> = Vec::new();
        let mut depth = 0_usize;
        let mut for_tests = is_test_file(module);
        let mut i = 0;
        while i < words.len() {
            let before = if i == 0 { "" } else { words[i - 1] };
            match words[i] {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    if open.last().is_some_and(|(_, outside, _)| *outside == depth) {
                        let (_, _, was) = open.pop().expect("just seen");
                        for_tests = was;
                    }
                }
                "mod" if words.get(i + 2) == Some(&"{") => {
                    open.push((words[i + 1].to_owned(), depth, for_tests));
                    for_tests |= has_test_attribute(&words[..i]);
                    depth += 1;
                    i += 2;
                }
                // `pub(crate)` has no `::` behind it, `x::self` has one before it.
                "crate" | "self" | "super" if words.get(i + 1) == Some(&"::") && before != "::" => {
                    let mut here: Vec<String> = module.to_vec();
                    here.extend(open.iter().map(|(name, ..)| name.clone()));
                    let mut paths = Vec::new();
                    i = tree(&tokens, i, &mut Vec::new(), &mut paths);
                    scan.inside.extend(paths.into_iter().map(|path| resolve(&here, path)));
                    continue;
                }
                "sqlx" | "axum" if !for_tests && before != "::" => {
                    let after = words.get(i + 1).copied().unwrap_or_default();
                    // The crate itself (`use axum;`, `use axum as x`) or a path into it.
                    if after == "::" || matches!(before, "use" | "crate") {
                        let segments = vec![words[i].to_owned()];
                        scan.outside.push(Import { segments, line: tokens[i].line });
                    }
                }
                _ => {}
            }
            i += 1;
        }
        scan
    }
}

/// A path as it is written, with the line of its first word.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// The module that a file holds: `store/sqlite/mod.rs` is `[store, sqlite]`.
pub(crate) fn module_of(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    // The last word names no module of its own in `mod.rs`, nor at the roots.
    if module.last().is_some_and(|last| last == "mod") || path == "lib" || path == "main" {
        module.pop();
    }
    module
}

/// Whether the file is a room's tests, kept in a file of their own.
fn is_test_file(module: &[String]) -> bool {
    module.iter().any(|name| name == "tests")
}

/// Whether the words before a `mod` end in an attribute like `#[cfg(test)]`.
fn has_test_attribute(before: &[&str]) -> bool {
    let start =
        before.iter().rposition(|word| matches!(*word, ";" | "{" | "}")).map_or(0, |i| i + 1);
    let words = &before[start..];
    words.windows(3).any(|three| three == ["#", "[", "cfg"])
        && words.contains(&"test")
        && !words.contains(&"not")
}

/// Reads a path or a tree of paths from `at`; returns the place behind it.
fn tree(tokens: &[Token], at: usize, prefix: &mut Vec<String>, paths: &mut Vec<Import>) -> usize {
    let word = |i: usize| tokens.get(i).map_or("", |token| token.word.as_str());
    let line = tokens[at].line;
    let outer = prefix.len();
    let mut i = at;
    loop {
        match word(i) {
            "{" => {
                i += 1;
                while i < tokens.len() && word(i) != "}" {
                    if word(i) == "," {
                        i += 1;
                    } else {
                        i = tree(tokens, i, prefix, paths);
                    }
                }
                prefix.truncate(outer);
                return i + 1;
            }
            name if name == "*" || is_word(name) => {
                prefix.push(name.to_owned());
                i += 1;
            }
            // `Vec::<T>` and the like: the path is over as far as rooms go.
            _ => break,
        }
        if word(i) != "::" {
            break;
        }
        i += 1;
    }
    if word(i) == "!"
        && word(i + 1) != "="
        && let Some(last) = prefix.last_mut()
    {
        last.push('!');
    }
    paths.push(Import { segments: prefix.clone(), line });
    prefix.truncate(outer);
    if word(i) == "as" && is_word(word(i + 1)) {
        i += 2;
    }
    // A tree must get on, whatever stands there.
    i.max(at + 1)
}

/// Replaces the leading `crate`, `self` and `super` of a path by the modules they mean.
fn resolve(here: &[String], path: Import) -> Import {
    let mut module = here.to_vec();
    let mut rest = path.segments.as_slice();
    while let [first, tail @ ..] = rest {
        match first.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => {
                module.pop();
            }
            _ => break,
        }
        rest = tail;
    }
    module.extend(rest.iter().cloned());
    Import { segments: module, line: path.line }
}

#[derive(Debug)]
struct Token {
    word: String,
    line: usize,
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Splits source text into words, `::` and single signs.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        } else if c.is_alphanumeric() || c == '_' {
            let mut word = String::from(c);
            while let Some(next) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(next);
            }
            tokens.push(Token { word, line });
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push(Token { word: "::".to_owned(), line });
        } else if !c.is_whitespace() {
            tokens.push(Token { word: c.to_string(), line });
        }
    }
    tokens
}

/// Replaces comments, strings and characters by spaces; lines stay where they are.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match literal_end(&chars, i) {
            Some(end) => end.min(chars.len()),
            None => {
                out.push(chars[i]);
                i += 1;
                continue;
            }
        };
        for c in &chars[i..end] {
            out.push(if *c == '\n' { '\n' } else { ' ' });
        }
        i = end;
    }
    out
}

/// The place behind the comment, string or character that starts at `i`, if one does.
fn literal_end(chars: &[char], i: usize) -> Option<usize> {
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    match (at(i), at(i + 1)) {
        ('/', '/') => Some((i..chars.len()).find(|j| chars[*j] == '\n').unwrap_or(chars.len())),
        ('/', '*') => {
            let (mut j, mut depth) = (i + 2, 1);
            while depth > 0 && j < chars.len() {
                match (at(j), at(j + 1)) {
                    ('/', '*') => (j, depth) = (j + 2, depth + 1),
                    ('*', '/') => (j, depth) = (j + 2, depth - 1),
                    _ => j += 1,
                }
            }
            Some(j)
        }
        ('"', _) => {
            let mut j = i + 1;
            while j < chars.len() && at(j) != '"' {
                j += if at(j) == '\\' { 2 } else { 1 };
            }
            Some(j + 1)
        }
        ('r', '"' | '#') if i == 0 || !ends_a_name(chars[i - 1]) || is_prefix(chars, i) => {
            let hashes = (i + 1..).take_while(|j| at(*j) == '#').count();
            let quote = i + 1 + hashes;
            // `r#type` is a name.
            if at(quote) != '"' {
                return None;
            }
            let closes = |j: &usize| chars[*j] == '"' && (1..=hashes).all(|k| at(j + k) == '#');
            let end = (quote + 1..chars.len()).find(closes);
            Some(end.map_or(chars.len(), |j| j + 1 + hashes))
        }
        ('\'', '\\') => {
            let close = (i + 3..chars.len()).find(|j| chars[*j] == '\'');
            Some(close.map_or(chars.len(), |j| j + 1))
        }
        // Two signs further on a quote: a character, not a lifetime.
        ('\'', _) if at(i + 2) == '\'' => Some(i + 3),
        _ => None,
    }
}

fn ends_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether the `r` at `i` is the second letter of `br"` or `cr"`.
fn is_prefix(chars: &[char], i: usize) -> bool {
    matches!(chars[i - 1], 'b' | 'c') && (i == 1 || !ends_a_name(chars[i - 2]))
}
