//! Asks two PostgreSQL databases what a [`migration::Comparison`] wants to know.
//!
//! Sends nothing but reads: each side is one transaction, `REPEATABLE READ, READ ONLY`, in a session that is read-only by
//! default, and is rolled back at the end. A statement is one statement, by the protocol. Where a database is, and its password, come from a file or from
//! an environment variable ([`Source`]), and are shown nowhere; of an error of the server only what holds no values is
//! shown. A connection over the network is TLS, unless the DSN says `sslmode=disable`.
//!
//! Everything is bounded: the whole by `limit`, a statement too by the server, an answer in rows and in bytes on the wire.
//! Whoever drops the future of [`run`] ends the statements that are running: the servers are told to cancel them.

mod connect;
mod database;
mod run;
mod secure;
mod session;
mod traffic;
mod words;

pub use database::{Database, Source, SourceError};
pub use run::{Answer, run};
pub use session::MAX_ANSWER_BYTES;
pub use traffic::Bytes;
