//! The certificate authorities that are trusted without being given: those of the system, where the distributions keep them
//! or where `SSL_CERT_FILE` and `SSL_CERT_DIR` say. Only a machine that has none gets those of Mozilla's list, which are part
//! of the program.

use std::{
    env,
    ffi::OsString,
    sync::{Once, OnceLock},
};

use rustls::RootCertStore;
use rustls_native_certs::{CertificateResult, load_native_certs};

/// What says where the authorities are.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Says something to the person.
type Say = Box<dyn Fn(String) + Send + Sync>;

/// Who says what is missing; without it, the log does.
static SAY: OnceLock<Say> = OnceLock::new();

/// Gives what is to be said of the authorities of this machine to `say`, once a process. The first caller's stays.
pub(super) fn say_by(say: Say) {
    let _ = SAY.set(say);
}

/// The authorities of this machine, read anew: they change while a server runs. The first call says what is missing.
pub(super) fn read() -> RootCertStore {
    static SAID: Once = Once::new();
    let named = VARIABLES.into_iter().filter_map(|variable| Some((variable, env::var_os(variable)?)));
    let (store, warning) = chosen(load_native_certs(), &named.collect::<Vec<_>>());
    if let Some(warning) = warning {
        SAID.call_once(|| {
            if let Some(say) = SAY.get() {
                say(warning);
            } else {
                tracing::warn!("{warning}");
            }
        });
    }
    store
}

/// What is trusted of what was found, and what to say of it. Where a variable names a place, nothing else is trusted.
fn chosen(found: CertificateResult, named: &[(&str, OsString)]) -> (RootCertStore, Option<String>) {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if !store.is_empty() {
        return (store, None);
    }
    if !named.is_empty() {
        let named: Vec<_> = named.iter().map(|(name, value)| format!("{name}={}", value.display())).collect();
        let reason = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        let warning = format!("there is no certificate authority at {}{reason}: no server is trusted", named.join(" "));
        return (store, Some(warning));
    }
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let warning = "this machine has no certificate authorities: the built-in list of Mozilla is trusted instead; \
                   SSL_CERT_FILE names other ones";
    (store, Some(warning.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> CertificateResult {
        CertificateResult::default()
    }

    #[test]
    fn built_in_authorities_are_trusted_only_where_there_are_no_others_and_that_is_said() {
        let (store, warning) = chosen(nothing(), &[]);
        assert_eq!(store.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        assert!(warning.unwrap().contains("built-in"));
        let own = rcgen::generate_simple_self_signed(["authority".to_owned()]).unwrap();
        let mut found = nothing();
        found.certs.push(own.cert.der().clone());
        let (store, warning) = chosen(found, &[]);
        assert_eq!((store.len(), warning), (1, None));
    }

    #[test]
    fn a_place_that_is_named_and_holds_none_is_not_replaced() {
        let (store, warning) = chosen(nothing(), &[("SSL_CERT_FILE", "/site/ca.pem".into())]);
        assert!(store.is_empty());
        assert!(warning.unwrap().contains("SSL_CERT_FILE=/site/ca.pem"));
    }
}
