//! Who signed in with a browser: a table on the server, and nothing in the cookie but the key to it.
//!
//! Pure but for its lock: time and randomness are arguments. What is kept of a session's id is its hash, so that a copy of
//! the memory opens nothing. A session says by what somebody signed in, never what they may: that is asked at each
//! request, so that whoever is taken out of the configuration is out at once. Sessions end with the process.

use crate::door::Identity;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use model::UnixMillis;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use subtle::ConstantTimeEq as _;

/// A session that is not used for so long is over.
pub const IDLE_MS: u64 = 30 * 60 * 1_000;
/// And whatever is done with it, after so long: a working day with some hours more.
pub const ABSOLUTE_MS: u64 = 12 * 3_600 * 1_000;
/// Sessions at once, at some 400 bytes: 400 KB. Who signs in beyond that ends the session that was used the longest ago.
const MAX_SESSIONS: usize = 1_024;

/// What somebody has who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// By what they signed in.
    pub(crate) identity: Identity,
    /// What their forms send back.
    pub(crate) csrf: Arc<str>,
    /// What it is found by again.
    pub(crate) key: [u8; 32],
    began: UnixMillis,
    used: UnixMillis,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Sessions {
    table: Mutex<BTreeMap<[u8; 32], Session>>,
}

/// What is kept in the place of something secret.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// 43 letters for 32 bytes.
pub(crate) fn letters(bytes: [u8; 32]) -> String {
    BASE64URL.encode(bytes)
}

impl Session {
    fn holds(&self, now: UnixMillis) -> bool {
        now < self.used.plus_ms(IDLE_MS) && now < self.began.plus_ms(ABSOLUTE_MS)
    }

    /// Whether a form is of this session.
    pub(crate) fn sent(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

impl Sessions {
    /// Begins one; what comes back goes into the cookie. `random` is 32 bytes for it, and 32 for its forms.
    pub(crate) fn begin(&self, identity: Identity, random: [[u8; 32]; 2], now: UnixMillis) -> String {
        let [id, csrf] = random.map(letters);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, session| session.holds(now));
        if table.len() >= MAX_SESSIONS
            && let Some(oldest) = table.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id)
        {
            table.remove(&oldest);
        }
        let key = digest(&id);
        table.insert(key, Session { identity, csrf: csrf.into(), key, began: now, used: now });
        id
    }

    /// The session of a cookie, which is used by that. The table is searched by the hash: the time that takes says nothing
    /// of an id.
    pub(crate) fn find(&self, id: &str, now: UnixMillis) -> Option<Session> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let key = digest(id);
        let session = table.get_mut(&key)?;
        if !session.holds(now) {
            table.remove(&key);
            return None;
        }
        session.used = now;
        Some(session.clone())
    }

    /// Whether one is still there. It is not used by that: a page that nobody looks at would hold it for ever.
    pub(crate) fn holds(&self, key: &[u8; 32], now: UnixMillis) -> bool {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(key).is_some_and(|session| session.holds(now))
    }

    /// Ends one.
    pub(crate) fn end(&self, id: &str) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> (Sessions, String) {
        let sessions = Sessions::default();
        let id = sessions.begin(Identity::OperatorToken, [[1; 32], [2; 32]], UnixMillis(0));
        (sessions, id)
    }

    /// Whether a session that is used at each of these times is there at the last.
    fn check(used_ms: &[u64], expected: bool) {
        let (sessions, id) = sessions();
        let found: Vec<bool> = used_ms.iter().map(|at| sessions.find(&id, UnixMillis(*at)).is_some()).collect();
        assert_eq!(found.last(), Some(&expected), "{used_ms:?}");
    }

    #[test]
    fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
        check(&[0], true);
        check(&[IDLE_MS - 1], true);
        check(&[IDLE_MS], false);
        check(&[IDLE_MS - 1, 2 * IDLE_MS - 2], true);
        let busy: Vec<u64> = (1..).map(|n| n * (IDLE_MS / 2)).take_while(|at| *at < ABSOLUTE_MS).collect();
        check(&busy, true);
        check(&[&busy[..], &[ABSOLUTE_MS]].concat(), false);
        check(&[IDLE_MS, 1], false);
    }

    #[test]
    fn a_session_ends_when_somebody_signs_out_and_nobody_guesses_one() {
        let (sessions, id) = sessions();
        assert!(sessions.find("", UnixMillis(1)).is_none());
        assert!(sessions.find(&id[1..], UnixMillis(1)).is_none());
        let session = sessions.find(&id, UnixMillis(1)).unwrap();
        let holds = |at: u64| sessions.holds(&session.key, UnixMillis(at));
        assert!(holds(IDLE_MS) && !holds(IDLE_MS + 1) && holds(IDLE_MS), "asking does not use it, and does not end it");
        assert!(session.sent(&letters([2; 32])) && !session.sent("") && !session.sent(&id));
        sessions.end(&id);
        assert!(sessions.find(&id, UnixMillis(1)).is_none() && !sessions.holds(&session.key, UnixMillis(1)));
    }

    #[test]
    fn there_are_so_many_sessions_and_no_more() {
        let sessions = Sessions::default();
        let begin = |n: u64| {
            let mut random = [0; 32];
            random[..8].copy_from_slice(&n.to_be_bytes());
            sessions.begin(Identity::OperatorToken, [random, random], UnixMillis(n))
        };
        let first = begin(0);
        let ids: Vec<String> = (1..=MAX_SESSIONS as u64).map(begin).collect();
        assert!(sessions.find(&first, UnixMillis(2_000)).is_none());
        assert!(ids.iter().all(|id| sessions.find(id, UnixMillis(2_000)).is_some()));
    }
}
