//! Which class an event is of, and which activity of that class.

use super::super::json::Object;
use crate::record::{Category, Operation, Record};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Authentication,
    EntityManagement,
    ApiActivity,
}

impl Class {
    pub(super) const fn of(record: &Record) -> Self {
        match record.category {
            Category::Authentication => Self::Authentication,
            Category::Administration => Self::EntityManagement,
            Category::Activity | Category::Consent | Category::System => Self::ApiActivity,
        }
    }

    /// Writes what classifies the event.
    pub(super) fn write(self, event: &mut Object<'_>, record: &Record) {
        let (class, name, category, category_name) = match self {
            Self::Authentication => (3002, "Authentication", 3, "Identity & Access Management"),
            Self::EntityManagement => {
                (3004, "Entity Management", 3, "Identity & Access Management")
            }
            Self::ApiActivity => (6003, "API Activity", 6, "Application Activity"),
        };
        let (activity, caption) = self.activity(record);
        event.integer("category_uid", category);
        event.text("category_name", category_name);
        event.integer("class_uid", class);
        event.text("class_name", name);
        event.integer("activity_id", activity);
        // What is not in the schema is called as its source calls it.
        let own = record.action.as_option().filter(|_| activity == 99);
        event.text("activity_name", own.unwrap_or(caption));
        event.integer("type_uid", class * 100 + activity);
        event.text("type_name", &format!("{name}: {caption}"));
    }

    fn activity(self, record: &Record) -> (i64, &'static str) {
        if self == Self::Authentication {
            return match record.action.as_str() {
                "login" | "login_failed" | "login_success" | "logon" | "signin" | "sign_in"
                | "sign_in_failed" => (1, "Logon"),
                "logout" | "logoff" | "signout" | "sign_out" => (2, "Logoff"),
                _ => (99, "Other"),
            };
        }
        match record.operation {
            Operation::Create => (1, "Create"),
            Operation::Read => (2, "Read"),
            Operation::Update => (3, "Update"),
            Operation::Delete => (4, "Delete"),
            Operation::Authenticate
            | Operation::Transfer
            | Operation::Restore
            | Operation::Execute => (99, "Other"),
        }
    }
}
