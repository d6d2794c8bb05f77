//! A PKCS#11 module: code of somebody else's, loaded into the process once and initialised once for all of its users
//! (OASIS PKCS #11 3.1, section 5.4). It is never unloaded, for not every module survives that.

use crate::TokenError;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error as CallError, RvError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many keys of this process use each module: what they share is the process', so the count is as well.
static USERS: Mutex<BTreeMap<PathBuf, usize>> = Mutex::new(BTreeMap::new());

/// A module that is loaded.
pub(crate) struct Module {
    path: PathBuf,
    calls: Pkcs11,
}

fn users() -> MutexGuard<'static, BTreeMap<PathBuf, usize>> {
    USERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Module {
    pub(crate) fn load(path: &Path) -> Result<Module, TokenError> {
        let refused = |source| TokenError::Module { module: path.to_owned(), source };
        let calls = Pkcs11::new(path).map_err(refused)?;
        let mut users = users();
        initialize(&calls).map_err(refused)?;
        *users.entry(path.to_owned()).or_default() += 1;
        Ok(Module { path: path.to_owned(), calls })
    }

    pub(crate) fn calls(&self) -> &Pkcs11 {
        &self.calls
    }

    /// Begins anew, after a token was lost: not every module sees that one is back. The caller has no session any more. Where
    /// another key of this process uses the module nothing is done, for its sessions would end in the middle of a call.
    pub(crate) fn renew(&self) -> Result<(), TokenError> {
        let users = users();
        if users.get(&self.path).is_some_and(|users| *users > 1) {
            return Ok(());
        }
        // A module that cannot even end may still begin.
        let _ = self.calls.clone().finalize();
        initialize(&self.calls).map_err(|source| TokenError::Module { module: self.path.clone(), source })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if let Some(users) = users().get_mut(&self.path) {
            *users -= 1;
        }
    }
}

fn initialize(calls: &Pkcs11) -> Result<(), CallError> {
    match calls.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(CallError::Pkcs11(RvError::CryptokiAlreadyInitialized, Function::Initialize)) => Ok(()),
        result => result,
    }
}
