//! Verbs of actions in the two forms that a sentence needs.

use std::borrow::Cow;

/// An action taken apart: `apply_promotion` is the verb `apply` and the object `promotion`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Phrase<'a> {
    /// The verb as it stands in "tried to …".
    pub(super) verb: Cow<'a, str>,
    /// `in`, `out`, …: what belongs to the verb and follows it.
    pub(super) particle: &'static str,
    /// What the action itself names, in words.
    pub(super) object: String,
}

impl<'a> Phrase<'a> {
    /// Takes `action` apart.
    pub(super) fn of(action: &'a str) -> Self {
        let whole = |verb: &'static str, particle| Self {
            verb: Cow::Borrowed(verb),
            particle,
            object: String::new(),
        };
        match action {
            "" => return whole("act", ""),
            "login" | "signin" | "login_failed" | "login_success" => return whole("log", "in"),
            "logout" | "signout" => return whole("log", "out"),
            "signup" => return whole("sign", "up"),
            "checkout" => return whole("check", "out"),
            "checkin" => return whole("check", "in"),
            "rollback" => return whole("roll", "back"),
            _ => {}
        }
        let mut words = action.split(['_', '.', '-', ' ']).filter(|word| !word.is_empty());
        let Some(first) = words.next() else { return whole("act", "") };
        let mut rest: Vec<&str> = words.collect();
        // `status_changed`, `member_added`: the verb stands last and is in the past already.
        if let Some(present) = rest.last().and_then(|last| present_of(last)) {
            rest.pop();
            let object = [&[first], rest.as_slice()].concat().join(" ");
            return Self { verb: present, particle: "", object };
        }
        let particle = rest.first().and_then(|word| particle_of(word)).unwrap_or("");
        if !particle.is_empty() {
            rest.remove(0);
        }
        Self { verb: Cow::Borrowed(first), particle, object: rest.join(" ") }
    }

    /// Returns the past tense of the verb.
    pub(super) fn past(&self) -> Cow<'a, str> {
        past_of(&self.verb)
    }

    /// Returns the preposition between the action's own object and the entity: "applied promotion *to*".
    pub(super) fn preposition(&self) -> &'static str {
        match &*self.verb {
            "add" | "apply" | "assign" | "attach" | "append" | "grant" | "link" | "send"
            | "bind" => "to",
            "remove" | "unassign" | "detach" | "revoke" | "unlink" | "unbind" | "clear" => "from",
            "process" | "request" | "create" | "make" | "generate" | "issue" | "schedule"
            | "enable" | "disable" | "start" | "stop" => "for",
            _ => "of",
        }
    }
}

fn particle_of(word: &str) -> Option<&'static str> {
    ["in", "out", "up", "down", "off", "on", "back", "over"]
        .into_iter()
        .find(|known| *known == word)
}

/// Verbs whose past does not follow the rules, or doubles its last letter after a second syllable.
const IRREGULAR: &[(&str, &str)] = &[
    ("begin", "began"),
    ("bind", "bound"),
    ("build", "built"),
    ("buy", "bought"),
    ("cancel", "cancelled"),
    ("choose", "chose"),
    ("commit", "committed"),
    ("cut", "cut"),
    ("do", "did"),
    ("draw", "drew"),
    ("find", "found"),
    ("forget", "forgot"),
    ("freeze", "froze"),
    ("get", "got"),
    ("give", "gave"),
    ("go", "went"),
    ("hide", "hid"),
    ("hold", "held"),
    ("keep", "kept"),
    ("label", "labelled"),
    ("leave", "left"),
    ("make", "made"),
    ("occur", "occurred"),
    ("overwrite", "overwrote"),
    ("pay", "paid"),
    ("permit", "permitted"),
    ("put", "put"),
    ("read", "read"),
    ("rebuild", "rebuilt"),
    ("refer", "referred"),
    ("rerun", "reran"),
    ("resend", "resent"),
    ("reset", "reset"),
    ("run", "ran"),
    ("see", "saw"),
    ("sell", "sold"),
    ("send", "sent"),
    ("set", "set"),
    ("split", "split"),
    ("submit", "submitted"),
    ("take", "took"),
    ("transfer", "transferred"),
    ("unban", "unbanned"),
    ("undo", "undid"),
    ("unbind", "unbound"),
    ("unfreeze", "unfroze"),
    ("unpin", "unpinned"),
    ("withdraw", "withdrew"),
    ("write", "wrote"),
];

fn past_of<'a>(verb: &str) -> Cow<'a, str> {
    if let Some((_, past)) = IRREGULAR.iter().find(|(present, _)| *present == verb) {
        return Cow::Borrowed(past);
    }
    let bytes = verb.as_bytes();
    let vowel = |byte: u8| b"aeiou".contains(&byte);
    let past = match bytes {
        // Already in the past, as in `created`.
        [.., b'e', b'd'] if bytes.len() > 4 && present_of(verb).is_some() => verb.to_owned(),
        [.., b'e'] => format!("{verb}d"),
        [.., before, b'y'] if !vowel(*before) => format!("{}ied", &verb[..verb.len() - 1]),
        // One syllable that ends consonant, vowel, consonant: `ship`, `ban`.
        [.., before, middle, last]
            if vowel(*middle)
                && !vowel(*before)
                && last.is_ascii_lowercase()
                && !vowel(*last)
                && !b"wxy".contains(last)
                && bytes.iter().filter(|byte| vowel(**byte)).count() == 1 =>
        {
            format!("{verb}{}ed", char::from(*last))
        }
        _ => format!("{verb}ed"),
    };
    Cow::Owned(past)
}

/// Returns the present of a verb that stands in the past already: only where that is certain.
fn present_of(past: &str) -> Option<Cow<'static, str>> {
    const KNOWN: &[&str] = &[
        "accept",
        "activate",
        "add",
        "apply",
        "approve",
        "archive",
        "assign",
        "cancel",
        "change",
        "close",
        "complete",
        "confirm",
        "create",
        "deactivate",
        "delete",
        "disable",
        "enable",
        "erase",
        "expire",
        "export",
        "grant",
        "import",
        "invite",
        "lock",
        "move",
        "open",
        "publish",
        "refresh",
        "refund",
        "register",
        "reject",
        "release",
        "remove",
        "rename",
        "request",
        "restore",
        "revoke",
        "start",
        "stop",
        "suspend",
        "unassign",
        "unlock",
        "update",
        "upload",
        "verify",
        "view",
    ];
    KNOWN.iter().find(|present| past_form(present) == past).map(|present| Cow::Borrowed(*present))
}

/// The past of a known verb, which `past_of` may not ask [`present_of`] about.
fn past_form(verb: &str) -> Cow<'static, str> {
    debug_assert!(!verb.ends_with("ed"), "known verbs stand in the present");
    past_of(verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_take_their_past() {
        for (verb, past) in [
            ("create", "created"),
            ("update", "updated"),
            ("cancel", "cancelled"),
            ("ship", "shipped"),
            ("copy", "copied"),
            ("deploy", "deployed"),
            ("pay", "paid"),
            ("send", "sent"),
            ("reset", "reset"),
            ("upload", "uploaded"),
            ("export", "exported"),
            ("fix", "fixed"),
            ("review", "reviewed"),
            ("register", "registered"),
            ("read", "read"),
            ("created", "created"),
            ("need", "needed"),
            ("ß", "ßed"),
        ] {
            assert_eq!(past_of(verb), past);
        }
    }

    #[test]
    fn an_action_is_taken_apart() {
        let parts = |action| {
            let phrase = Phrase::of(action);
            format!("{}|{}|{}", phrase.verb, phrase.particle, phrase.object)
        };
        assert_eq!(parts("apply_promotion"), "apply||promotion");
        assert_eq!(parts("login_failed"), "log|in|");
        assert_eq!(parts("opt_out"), "opt|out|");
        assert_eq!(parts("status_changed"), "change||status");
        assert_eq!(parts("token.refresh"), "token||refresh");
        assert_eq!(parts("__"), "act||");
    }
}
