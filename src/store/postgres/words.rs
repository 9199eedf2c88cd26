//! Why a log could not be opened, in words, with the way out: by the error's code, never by its text, which is
//! in the server's language.

use std::{error::Error as _, io};

use sqlx::{
    Error,
    postgres::{PgConnectOptions, PgDatabaseError},
};

use crate::store::StoreError;

/// Says more about an error of opening, where there is more to say.
pub(super) fn opening(error: StoreError, options: &PgConnectOptions) -> StoreError {
    match error.source().and_then(|source| source.downcast_ref()).and_then(|e| why(e, options)) {
        Some(why) => {
            let place = format!("{}:{}", options.get_host(), options.get_port());
            StoreError::new(error.kind(), format!("open the log at {place}: {why}"))
                .with_source(error)
        }
        None => error,
    }
}

fn why(error: &Error, options: &PgConnectOptions) -> Option<String> {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    let role = options.get_username();
    Some(match error {
        Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                "nothing answers there (connection refused); see that the \
                                                 server runs, and that host and port are its own"
                    .to_owned()
            }
            io::ErrorKind::TimedOut => format!(
                "{error}; see that host and port are the server's, and that no firewall is between"
            ),
            _ => format!("{error}; see that the server runs, and that host and port are its own"),
        },
        Error::Tls(error) => {
            format!("no encryption ({error}); ?sslmode= in the URL says what is wanted")
        }
        Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>()?.code() {
            "28P01" | "28000" => format!(
                "the server does not let `{role}` in ({}); the password is that of the URL, of PGPASSWORD, or \
                 of ~/.pgpass, and pg_hba.conf says who may come from where",
                error.message()
            ),
            "3D000" => format!(
                "there is no database `{database}`; make it (createdb -E UTF8 {database}), or name another"
            ),
            "42501" => format!(
                "{}; `{role}` may not do this: grant it activity_reader for reading, activity_writer for a \
                 service (`activity migrate --roles` makes them), and migrate as the owner",
                error.message()
            ),
            "53300" => format!(
                "{}; raise max_connections, or put PgBouncer before the server",
                error.message()
            ),
            "57P03" => "the server is starting or stopping; try again".to_owned(),
            _ => return None,
        },
        _ => return None,
    })
}
