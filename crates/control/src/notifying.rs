//! Who is notified of what, and what became of it, in the ledger. What is to be told follows from the records
//! ([`notices::Outbox`]); sending it is for whoever made the controller, which hears of it through a watch.

use crate::controller::{Controller, SELF};
use crate::journal::{Journal, JournalError};
use crate::release::Held;
use model::UnixMillis;
use rollout::{Body, NotificationTarget};
use std::sync::Arc;
use store::Reserve;

/// Characters of why a notification was given up.
const MAX_REASON_CHARACTERS: usize = 200;

impl Journal {
    /// Records who is notified of what, if the ledger does not say it yet.
    pub(crate) fn note_notifications(
        &mut self,
        targets: &[NotificationTarget],
        now: UnixMillis,
    ) -> Result<(), JournalError> {
        if self.outbox.targets() == targets {
            return Ok(());
        }
        let body = Body::NotificationsRead { targets: targets.to_vec() };
        let record = self.number(None, now, [(SELF.to_owned(), body)]);
        self.append(&record, Reserve::Use)
    }
}

impl Controller {
    /// Another configuration has others notified.
    pub(crate) fn change_notifications(&mut self, targets: Vec<NotificationTarget>) {
        self.settings.notifications = targets;
        self.note_notifications_again();
    }

    pub(crate) fn note_notifications_again(&mut self) {
        if self.held == Held::Open
            && let Err(error) = self.journal.note_notifications(&self.settings.notifications, (self.clock)())
        {
            tracing::error!("who is notified is not in the ledger, so nothing changes: {error}");
        }
    }

    /// A notification that is not in the ledger as delivered is delivered again after a restart.
    pub(crate) fn notified(&mut self, id: &str, tries: u32, gave_up: Option<String>) {
        let Some(notice) = self.journal.outbox.find(id).cloned() else { return };
        if self.held != Held::Open {
            return self.journal.outbox.done(id);
        }
        let gave_up = gave_up.map(|why| why.chars().take(MAX_REASON_CHARACTERS).collect());
        let (event, to) = (notice.event.name().to_owned(), notice.to.clone());
        let body = Body::Notified { id: id.to_owned(), event, to, tries, gave_up };
        let record = self.journal.number(None, (self.clock)(), [(SELF.to_owned(), body)]);
        if let Err(error) = self.journal.append(&record, Reserve::Keep) {
            tracing::error!("what became of a notification is not in the ledger, so it may be sent again: {error}");
            // Not at once, though: whoever gets it has it.
            self.journal.outbox.done(id);
        }
    }

    /// Lets whoever sends know what there is, if that changed. That the ledger is closed stands in no record.
    pub(crate) fn tell_notices(&mut self) {
        let closed = self.held == Held::Open && self.journal.store().is_none();
        self.journal.outbox.trouble(closed, (self.clock)());
        let pending = self.journal.outbox.pending();
        self.notices.send_if_modified(|told| {
            let changed = !Arc::ptr_eq(told, &pending);
            if changed {
                *told = pending;
            }
            changed
        });
    }
}
