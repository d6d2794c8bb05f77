//! The driver's errors, for people: a server's message may quote a row's values.

use std::error::Error as _;
use tokio_postgres::Error;

/// Characters of a server's message that are shown.
const MAX_SHOWN: usize = 200;
/// The classes of SQLSTATE (PostgreSQL, Appendix A) whose messages name settings, tables, columns and roles, and quote what
/// the plan says: connections, authorization, no such database, syntax and access, resources, intervention, objects in use, transaction state, limits.
const SHOWN_CLASSES: [&str; 9] = ["08", "28", "3D", "42", "53", "57", "55", "25", "54"];

/// What went wrong.
pub(crate) fn words(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        let code = said.code().code();
        if SHOWN_CLASSES.iter().any(|class| code.starts_with(class)) {
            let message: String = said
                .message()
                .chars()
                .map(|shown| if shown.is_control() { ' ' } else { shown })
                .take(MAX_SHOWN)
                .collect();
            return format!("the server says: {message} (SQLSTATE {code})");
        }
        return format!("the server refuses with SQLSTATE {code}; its message may hold values, and is in its own log");
    }
    match error.source() {
        Some(cause) => format!("the connection failed: {cause}"),
        None if error.is_closed() => "the server closed the connection".into(),
        None => format!("the connection failed: {error}"),
    }
}
