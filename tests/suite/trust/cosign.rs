//! cosign itself, where it is installed: `AIRLIFT_COSIGN=1 tests/setup` builds it, which takes minutes. What cosign signed is
//! also among the fixtures of `src/trust/signature`, so that a machine without it reads its files too.

use std::{fs, process::Command};

use super::{signers, verify};
use crate::support::{Airlift, Ran, needs, peers, serving::Serving};

/// Whether cosign is here; says so if it is not.
fn is_here(test: &str) -> bool {
    let found = peers::find("cosign").is_some();
    if !found {
        peers::tell(&format!("NOT RUN: {test} needs cosign (AIRLIFT_COSIGN=1 tests/setup builds it)"));
    }
    found
}

fn cosign(airlift: &Airlift, arguments: &str) -> Ran {
    let mut command = Command::new(peers::path("cosign"));
    command.args(arguments.split(' ')).current_dir(airlift.home()).env("HOME", airlift.home());
    Ran::of(command.env("COSIGN_PASSWORD", "secret"))
}

const OFFLINE: &str = "--tlog-upload=false --use-signing-config=false --yes";

#[tokio::test]
async fn cosign_accepts_our_statements_and_we_accept_cosigns() {
    if !is_here("cosign_accepts_our_statements_and_we_accept_cosigns") {
        return;
    }
    let mut airlift = super::site("").await;
    airlift.run(["sign", "u.tar", "--key", "alice.key"]).success();
    let (statement, bundle) = ("u.tar.transfer.json", "u.tar.transfer.json.sigstore.json");
    let check = format!("verify-blob --key alice.pub --bundle {bundle} --insecure-ignore-tlog=true {statement}");
    cosign(&airlift, &check).success();
    cosign(&airlift, &check.replace("alice.pub", "bob.pub")).exits(1);

    cosign(&airlift, "generate-key-pair").success();
    let trust = "[[signer]]\nname = 'cosign'\nkey = 'cosign.pub'\n";
    fs::write(airlift.home().join("trust.toml"), trust).unwrap();
    cosign(&airlift, &format!("sign-blob --key cosign.key --bundle out.json {OFFLINE} {statement}")).success();
    airlift.run(["sign", "u.tar", "--attach", "out.json"]).success();
    assert_eq!(signers(&verify(&airlift).success()), ["cosign"]);
    // Its key signs here, too, and that is the same signer.
    let again = airlift.set("AIRLIFT_KEY_PASSWORD", "secret").run(["sign", "u.tar", "--key", "cosign.key"]).success();
    assert!(again.stdout.contains("2.sigstore.json: already there"), "{again}");
}

#[test]
fn cosign_checks_images_of_both_schemes_before_they_are_let_in() {
    if !is_here("cosign_checks_images_of_both_schemes_before_they_are_let_in") {
        return;
    }
    needs!("skopeo", "umoci");
    let airlift = Airlift::new();
    let registry = Serving::empty();
    let address = registry.address().to_owned();
    let tool = |program: &str, arguments: &str| {
        let mut command = Command::new(peers::path(program));
        Ran::of(command.args(arguments.split(' ')).current_dir(airlift.home()).env("HOME", airlift.home())).success()
    };
    tool("umoci", "init --layout layout");
    tool("umoci", "new --image layout:v1");
    for name in ["old", "new", "bare"] {
        let to = format!("copy -q --dest-tls-verify=false oci:layout:v1 docker://{address}/{name}:1");
        tool("skopeo", &to);
    }
    cosign(&airlift, "generate-key-pair").success();
    let sign = format!("sign --key cosign.key {OFFLINE}");
    cosign(&airlift, &format!("{sign} --new-bundle-format=false {address}/old:1")).success();
    cosign(&airlift, &format!("{sign} {address}/new:1")).success();
    let names = ["old", "new", "bare"].map(|name| format!("{address}/{name}:1"));
    airlift.run(["export", "-o", "b.tar"].into_iter().chain(names.iter().map(String::as_str))).success();
    let check = "cosign verify --key cosign.pub --insecure-ignore-tlog=true {ref}";
    let path = format!("{}:{}", peers::path("cosign").parent().unwrap().display(), env!("PATH"));
    let check = format!("PATH={path} {check}");
    let import = ["import", "b.tar", "--store", "site", "--check-with", &check, "--continue-on-errors"];
    let ran = airlift.run(import).exits(3).says(&["bare:1", "check.refused"]);
    assert!(ran.stdout.contains("3 done, 1 failed"), "{ran}");
}
