//! Certificates as people make them: one that is its own authority, or a server's given in place of its authority's.

use std::{fs, path::Path};

use airlift::{
    content::trust,
    server::{Certificate, Config},
    storage,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rstest::rstest;

use super::*;
use crate::support::{Airlift, Serving, tls, with};

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
    Serving::new(with(Config::bundles(Vec::new()), |config| config.tls = tls))
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

/// How asking a storage for an absent object ends, with `given` as `--ca-cert`.
async fn stat(serving: &Serving, location: &str, given: Option<&Path>) -> Code {
    let url = format!("https://{}", serving.address());
    let set = [
        ("AWS_ENDPOINT_URL", &*url),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
        ("AWS_REGION", "us-east-1"),
        ("GOOGLE_BASE_URL", &*url),
        ("GOOGLE_SKIP_SIGNATURE", "true"),
    ];
    let settings = with(storage::Settings::default(), |it| {
        it.ca_certs = given.into_iter().map(Path::to_owned).collect();
        it.variables = set.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        it.patience = Duration::from_millis(200);
    });
    let location = location.replace("HOST", serving.address()).parse().unwrap();
    let object = storage::open(&location, &settings).unwrap();
    object.stat().await.unwrap_err().code()
}

#[rstest]
#[case("s3://box/b.tar")]
#[case("gs://box/b.tar")]
#[case("https://HOST/account/box/b.tar?sv=2021-12-02&sp=r&sig=c2ln")]
#[tokio::test]
async fn a_storage_is_trusted_by_the_same_certificates(#[case] location: &str) {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    write(&own, &self_made(&own, &["127.0.0.1"]));
    let serving = serving(&own);
    assert_eq!(stat(&serving, location, Some(&own.join("server.pem"))).await, Code::StorageNotFound);
    assert_eq!(stat(&serving, location, None).await, Code::StorageUnreachable);
}

#[tokio::test]
async fn a_vault_is_trusted_by_the_same_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    write(&own, &self_made(&own, &["127.0.0.1"]));
    let serving = serving(&own);
    let secret = format!("https://{}/secrets/sas", serving.address());
    let airlift = Airlift::new();
    let ca = own.join("server.pem");
    let run = |more: &[&str]| {
        let create =
            ["export-pipeline", "create", "-r", "r.example", "-n", "out", "-c", "https://a.blob.core.windows.net/c"];
        let secret = ["-m", "SasToken", "-s", &secret];
        airlift.run(create.iter().chain(&secret).chain(more))
    };
    run(&[]).success();
    let start = |more: &[&str]| {
        let create = [
            "pipeline-run",
            "create",
            "-r",
            "r.example",
            "-n",
            "one",
            "-p",
            "out",
            "-t",
            "export",
            "-b",
            "b.tar",
            "-f",
        ];
        airlift.run(create.iter().chain(&["-a", "app:1"]).chain(more))
    };
    let refused = start(&[]);
    assert!(refused.stderr.contains("secret.unreachable"), "{refused}");
    let reached = start(&["--ca-cert", ca.to_str().unwrap()]);
    assert!(!reached.stderr.contains("secret.unreachable") && reached.stderr.contains("error[secret."), "{reached}");
}

#[test]
fn serve_warns_of_a_certificate_that_clients_will_refuse() {
    let airlift = Airlift::new();
    let own = airlift.home().join("own");
    write(&own, &self_made(&own, &["127.0.0.1"]));
    let serve = ["serve", "--store", "store", "--listen", "127.0.0.1:0"];
    let tls = ["--tls-cert", "own/server.pem", "--tls-key", "own/server.key"];
    let server = airlift.start(serve.iter().chain(&tls));
    let line = server.wait_for_line("clients will refuse the certificate");
    assert!(line.contains("warning: ") && line.contains("CA:TRUE"), "{line}");
    server.wait_for_line("Serving on https://");
}
