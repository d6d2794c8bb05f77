//! What a service manager is told: sd_notify(3). Without `NOTIFY_SOCKET` in the environment, nothing.

use sd_notify::NotifyState;

/// It serves; also after a reload.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It reads its configuration again.
pub fn reloading() {
    // systemd tells an answer to this reload from one to the reload before by the time (`Type=notify-reload`).
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!("the service manager is not told of the reload: {error}"),
    }
}

/// It finishes what it took.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process is the service from now on.
pub fn main_process(id: u32) {
    tell(&[NotifyState::MainPid(id)]);
}

fn tell(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}
