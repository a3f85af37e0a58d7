//! Certificates as people make them: one that is its own authority, or a server's given in place of its authority's.

use std::{fs, path::Path};

use airlift::{
    content::trust,
    server::{Certificate, Config},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

use super::*;
use crate::support::{Airlift, Serving, tls};

/// What `openssl req -x509` makes: signed by itself, an authority, and named.
fn self_made(folder: &Path, names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::create_dir_all(folder).unwrap();
    params
}

fn write(folder: &Path, params: &CertificateParams) {
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("server.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

fn serving(folder: &Path) -> Serving {
    let tls = Some(Certificate { chain: folder.join("server.pem"), key: folder.join("server.key"), client_ca: None });
    Serving::new(Config { tls, ..Config::bundles(Vec::new()) })
}

/// How asking a server for an absent blob ends, with `given` as `--ca-cert`.
async fn asked(serving: &Serving, given: &Path) -> Result<bool, Code> {
    let mut settings = settings();
    settings.ca_certs = vec![given.to_owned()];
    let repository = Client::new(settings).unwrap().repository(serving.address(), "team/app");
    repository.contains(&blob(b"x")).await.map_err(|error| error.code())
}

#[tokio::test]
async fn a_certificate_that_is_given_is_trusted_as_itself() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    write(&own, &self_made(&own, &["127.0.0.1"]));
    assert_eq!(asked(&serving(&own), &own.join("server.pem")).await, Ok(false));

    // A leaf, without the authority that signed it.
    tls::write(folder.path());
    let leaf = serving(folder.path());
    assert_eq!(asked(&leaf, &folder.path().join("server.pem")).await, Ok(false));
    assert_eq!(asked(&leaf, &folder.path().join("ca.pem")).await, Ok(false));
    assert_eq!(asked(&leaf, &own.join("server.pem")).await, Err(Code::RegistryTls), "another one");
}

#[tokio::test]
async fn name_and_dates_of_a_given_certificate_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    write(&other, &self_made(&other, &["registry.test"]));
    assert_eq!(asked(&serving(&other), &other.join("server.pem")).await, Err(Code::RegistryTls));

    let old = folder.path().join("old");
    let mut params = self_made(&old, &["127.0.0.1"]);
    params.not_after = date_time_ymd(2001, 1, 1);
    write(&old, &params);
    assert_eq!(asked(&serving(&old), &old.join("server.pem")).await, Err(Code::RegistryTls));
}

#[test]
fn what_clients_will_refuse_is_told_of_a_certificate() {
    let airlift = Airlift::new();
    let folder = airlift.home().join("tls");
    let told = |params: CertificateParams| {
        write(&folder, &params);
        trust::objections(&fs::read(folder.join("server.pem")).unwrap()).join("; ")
    };
    assert!(told(self_made(&folder, &["127.0.0.1"])).contains("CA:TRUE"));
    assert!(told(self_made(&folder, &[])).contains("subjectAltName"));
    let mut old = self_made(&folder, &["127.0.0.1"]);
    old.is_ca = IsCa::NoCa;
    assert_eq!(told(old.clone()), "");
    old.not_after = date_time_ymd(2001, 1, 1);
    assert!(told(old).contains("expired"));
}
