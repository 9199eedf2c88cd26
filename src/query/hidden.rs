//! Values that a log may hold in another form.
//!
//! What the log keeps as a pseudonym is asked for by its text. Who knows the keys says what a text may stand there as,
//! and the filter that comes out is one like any other: stores, live streams and holds need no key to answer it.

use super::{
    expr::{Expr, Test, Wanted},
    filter::Filter,
    pattern::Pattern,
};
use crate::record::{Address, Field};

/// What is asked for instead of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// The value as it is.
    AsItIs,
    /// The value, or one of these.
    Also(Vec<String>),
    /// This alone.
    #[cfg_attr(
        not(any(test, feature = "api")),
        allow(dead_code, reason = "what is kept of questions")
    )]
    Instead(String),
}

impl Filter {
    /// Returns the filter with other forms of the values that it names as a whole, wherever a field may hold another
    /// form. An address is asked about as a value of `ip_pseudonym`.
    pub(crate) fn rewritten(self, form: &mut dyn FnMut(&'static Field, &str) -> Form) -> Self {
        Self::from_expr(each_test(Expr::from(self), &mut |test| of_test(test, form)))
    }

    /// Returns the filter with a value in the place of each pattern that `stands` has one for: nobody knows as which
    /// pseudonyms what matches it is there.
    #[cfg_attr(
        not(any(test, feature = "api")),
        allow(dead_code, reason = "what is kept of questions")
    )]
    pub(crate) fn without_patterns(
        self,
        stands: &mut dyn FnMut(&'static Field, &str) -> Option<String>,
    ) -> Self {
        let mut stands =
            |field, pattern: &Pattern| Some(vec![stands(field, &pattern.pieces().join("*"))?]);
        Self::from_expr(each_test(Expr::from(self), &mut |test| {
            Expr::Test(match test {
                Test::Like(field, pattern) => match stands(field, &pattern) {
                    Some(value) => Test::OneOf(field, value),
                    None => Test::Like(field, pattern),
                },
                Test::Json(field, path, Wanted::Like(pattern)) => {
                    let wanted = match stands(field, &pattern) {
                        Some(value) => Wanted::OneOf(value),
                        None => Wanted::Like(pattern),
                    };
                    Test::Json(field, path, wanted)
                }
                other => other,
            })
        }))
    }

    /// Returns the tenants that every record which passes is one of; `None` where it may be anybody's.
    pub(crate) fn tenants(&self) -> Option<Vec<String>> {
        let named = self.expr().conjuncts().filter_map(|part| match part {
            Expr::Test(Test::OneOf(field, values)) if field.name() == "tenant_id" => Some(values),
            _ => None,
        });
        // Whoever names others than the one that he may see is asking about those that are in both.
        named.fold(None, |both: Option<Vec<String>>, values| match both {
            None => Some(values.clone()),
            Some(mut both) => {
                both.retain(|tenant| values.contains(tenant));
                Some(both)
            }
        })
    }
}

fn each_test(expr: Expr, make: &mut dyn FnMut(Test) -> Expr) -> Expr {
    match expr {
        Expr::All(parts) => Expr::All(each(parts, make)),
        Expr::Any(parts) => Expr::Any(each(parts, make)),
        Expr::Not(part) => Expr::Not(Box::new(each_test(*part, make))),
        Expr::Test(test) => make(test),
    }
}

fn each(parts: Vec<Expr>, make: &mut dyn FnMut(Test) -> Expr) -> Vec<Expr> {
    parts.into_iter().map(|part| each_test(part, make)).collect()
}

fn of_test(test: Test, form: &mut dyn FnMut(&'static Field, &str) -> Form) -> Expr {
    Expr::Test(match test {
        Test::OneOf(field, asked) => Test::OneOf(field, values(field, asked, form)),
        Test::Contains(field, asked) => Test::Contains(field, values(field, asked, form)),
        Test::Json(field, path, Wanted::OneOf(asked)) if is_id_of_target(field, &path) => {
            Test::Json(field, path, Wanted::OneOf(values(field, asked, form)))
        }
        Test::Network(field, network) if field.name() == "ip" && network.is_whole() => {
            return of_address(field, network, form);
        }
        other => other,
    })
}

/// What else stands in JSON is nobody's name to this crate.
fn is_id_of_target(field: &Field, path: &[String]) -> bool {
    field.name() == "targets" && matches!(path, [key] if key == "id")
}

fn values(
    field: &'static Field,
    asked: Vec<String>,
    form: &mut dyn FnMut(&'static Field, &str) -> Form,
) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(asked.len());
    for value in asked {
        match form(field, &value) {
            Form::AsItIs => all.push(value),
            Form::Also(others) => {
                all.push(value);
                all.extend(others);
            }
            Form::Instead(other) => all.push(other),
        }
    }
    all
}

fn of_address(
    field: &'static Field,
    address: Address,
    form: &mut dyn FnMut(&'static Field, &str) -> Form,
) -> Expr {
    let hidden = Field::named("ip_pseudonym").expect("every record has the field");
    let plain = Expr::Test(Test::Network(field, address));
    match form(hidden, &address.ip().to_canonical().to_string()) {
        Form::AsItIs => plain,
        Form::Also(others) => Expr::Any(vec![plain, Expr::Test(Test::OneOf(hidden, others))]),
        Form::Instead(other) => Expr::Test(Test::OneOf(hidden, vec![other])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{query::ParseContext, time::Timestamp};

    fn asked(text: &str) -> Filter {
        Filter::parse(text, &ParseContext::new(Timestamp::default())).unwrap()
    }

    fn also(text: &str) -> String {
        let mut form = |field: &'static Field, value: &str| match (field.name(), value) {
            ("status" | "action" | "tenant_id", _) => Form::AsItIs,
            (_, "bob") => Form::AsItIs,
            (name, value) => Form::Also(vec![format!("{name}-{value}")]),
        };
        asked(text).rewritten(&mut form).to_string()
    }

    #[test]
    fn whole_values_are_asked_for_in_their_other_forms_too() {
        assert_eq!(also("actor_id:ana,bob"), "actor_id:ana,actor_id-ana,bob");
        assert_eq!(also("-actor_id:ana action:pay"), "-actor_id:ana,actor_id-ana action:pay");
        assert_eq!(also("subject_id:ana"), "subject_id:ana,subject_ids-ana");
        assert_eq!(also("targets.id:ana"), "targets.id:ana,targets-ana");
        assert_eq!(
            also("ip:192.0.2.7 (session_id:a OR status:500)"),
            "(ip:192.0.2.7 OR ip_pseudonym:ip_pseudonym-192.0.2.7) (session_id:a,session_id-a OR status:500)"
        );
        // Nobody knows what else begins so, lies in a network, or stands in any JSON.
        for text in ["actor_id:an*", "actor_id:*", "ip:192.0.2.0/24", "metadata.id:ana", "ana"] {
            assert_eq!(also(text), asked(text).to_string());
        }
    }

    #[test]
    fn a_value_can_be_replaced() {
        let mut form = |_: &'static Field, _: &str| Form::Instead("p".to_owned());
        let hidden = |text: &str, form: &mut dyn FnMut(&'static Field, &str) -> Form| {
            asked(text).rewritten(form).to_string()
        };
        assert_eq!(hidden("session_id:a ip:192.0.2.7", &mut form), "session_id:p ip_pseudonym:p");
    }

    #[test]
    fn a_pattern_can_be_replaced() {
        let hidden = |text: &str| {
            let mut stands =
                |field: &'static Field, _: &str| (field.name() != "action").then(|| "p".to_owned());
            asked(text).without_patterns(&mut stands).to_string()
        };
        assert_eq!(
            hidden("session_id:a* (action:pay* OR -actor_id:*b) targets.id:c*d entity_id:e"),
            "session_id:p (action:pay* OR -actor_id:p) targets.id:p entity_id:e"
        );
    }

    #[test]
    fn the_tenants_of_a_filter_are_those_that_hold_in_any_case() {
        assert_eq!(asked("tenant_id:a,b action:pay").tenants(), Some(vec!["a".into(), "b".into()]));
        assert_eq!(asked("tenant_id:a,b tenant_id:b,c").tenants(), Some(vec!["b".into()]));
        for text in ["action:pay", "tenant_id:a OR action:pay", "-tenant_id:a", "tenant_id:a*"] {
            assert_eq!(asked(text).tenants(), None, "{text}");
        }
    }
}
