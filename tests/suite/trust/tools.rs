//! Signatures by the tools of others, side by side.

use std::{fs, process::Command};

use super::{bundle, signers, verify};
use crate::support::{Airlift, Ran, needs, peers};

/// A command in the home of `airlift`.
fn tool(airlift: &Airlift, program: &str, arguments: &str) -> Ran {
    let mut command = Command::new(peers::path(program));
    command.args(arguments.split(' ')).current_dir(airlift.home()).env("HOME", airlift.home());
    Ran::of(&mut command)
}

/// Keys of four tools, and a trust file that wants all of them.
async fn four_tools() -> Airlift {
    let airlift = Airlift::new();
    bundle(&airlift, "u.tar", 1).await;
    airlift.run(["keygen", "-o", "ops"]).success();
    for (program, arguments) in [
        ("ssh-keygen", "-q -t ed25519 -N  -C ops -f ssh"),
        ("minisign", "-G -W -p mini.pub -s mini.key"),
        ("openssl", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key"),
        ("openssl", "req -x509 -key ca.key -subj /CN=Authority -days 3 -out ca.pem"),
        ("openssl", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out card.key"),
        ("openssl", "req -new -key card.key -subj /O=Ops/CN=Carol -out card.csr"),
        ("openssl", "x509 -req -in card.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3 -out card.pem"),
    ] {
        tool(&airlift, program, arguments).success();
    }
    let trust = "require = 4\n\
        [[signer]]\nname = 'alice'\nkey = 'ops.pub'\n\
        [[signer]]\nname = 'bob'\nssh = 'ssh.pub'\n\
        [[signer]]\nname = 'carol'\nca = 'ca.pem'\nsubject = 'CN=Carol,O=Ops'\n\
        [[signer]]\nname = 'dave'\nminisign = 'mini.pub'\n";
    fs::write(airlift.home().join("trust.toml"), trust).unwrap();
    airlift
}

const EVERYBODY: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[tokio::test]
async fn signatures_of_four_tools_are_attached_and_count() {
    needs!("ssh-keygen", "minisign", "openssl");
    let airlift = four_tools().await;
    airlift.run(["sign", "u.tar", "--key", "ops.key"]).success();
    let statement = "u.tar.transfer.json";
    tool(&airlift, "ssh-keygen", &format!("-Y sign -n airlift-transfer -f ssh {statement}")).success();
    tool(&airlift, "minisign", &format!("-S -s mini.key -m {statement}")).success();
    let cms = format!("cms -sign -binary -md sha256 -signer card.pem -inkey card.key -in {statement} -outform DER");
    tool(&airlift, "openssl", &format!("{cms} -out elsewhere.p7s")).success();
    // ssh-keygen and minisign write to where airlift reads; the other comes in by hand, twice.
    airlift.run(["sign", "u.tar", "--attach", "elsewhere.p7s"]).success();
    let again = airlift.run(["sign", "u.tar", "--attach", "elsewhere.p7s"]).success();
    assert!(again.stdout.contains("u.tar.transfer.json.p7s: already there"), "{again}");
    assert_eq!(signers(&verify(&airlift).success()), EVERYBODY);
}

#[tokio::test]
async fn the_tools_accept_what_airlift_signs() {
    needs!("ssh-keygen", "minisign", "openssl");
    let airlift = four_tools().await;
    for arguments in [["--key", "mini.key"], ["--ssh", "ssh"], ["--key", "ops.key"]] {
        airlift.run(["sign", "u.tar"].into_iter().chain(arguments)).success();
    }
    let statement = "u.tar.transfer.json";
    tool(&airlift, "minisign", &format!("-V -p mini.pub -m {statement}")).success();
    let key = fs::read_to_string(airlift.home().join("ssh.pub")).unwrap();
    fs::write(airlift.home().join("allowed"), format!("ops {key}")).unwrap();
    let mut ssh = Command::new(peers::path("ssh-keygen"));
    let arguments = format!("-Y verify -n airlift-transfer -f allowed -I ops -s {statement}.sig");
    ssh.args(arguments.split(' ')).current_dir(airlift.home());
    let input = fs::read(airlift.home().join(statement)).unwrap();
    let output = assert_cmd::Command::from_std(ssh).write_stdin(input).output().unwrap();
    Ran::from_output("ssh-keygen -Y verify", &output).success();
    // A sigstore bundle has the signature in base64, over the bytes of the file, as openssl makes it.
    let bundle = fs::read(airlift.home().join(format!("{statement}.sigstore.json"))).unwrap();
    let bundle: serde_json::Value = serde_json::from_slice(&bundle).unwrap();
    fs::write(airlift.home().join("sig.b64"), bundle["messageSignature"]["signature"].as_str().unwrap()).unwrap();
    tool(&airlift, "openssl", "base64 -d -A -in sig.b64 -out sig").success();
    tool(&airlift, "openssl", &format!("dgst -sha256 -verify ops.pub -signature sig {statement}")).success();
}

#[tokio::test]
async fn what_is_attached_must_be_of_the_statement() {
    needs!("ssh-keygen", "openssl", "minisign");
    let airlift = four_tools().await;
    airlift.run(["sign", "u.tar", "--attach", "any"]).exits(4).says(&["trust.unsigned", "--statement-only"]);
    airlift.run(["sign", "u.tar", "--statement-only"]).success();
    fs::write(airlift.home().join("other"), "{}").unwrap();
    tool(&airlift, "ssh-keygen", "-Y sign -n airlift-transfer -f ssh other").success();
    airlift.run(["sign", "u.tar", "--attach", "other.sig"]).exits(4).says(&["trust.signature"]);
    fs::remove_file(airlift.home().join("other.sig")).unwrap();
    tool(&airlift, "ssh-keygen", "-Y sign -n file -f ssh other").success();
    airlift.run(["sign", "u.tar", "--attach", "other.sig"]).exits(4).says(&["namespace \"file\""]);
    airlift.run(["sign", "u.tar", "--attach", "ca.pem"]).exits(4).says(&["trust.signature"]);
    fs::write(airlift.home().join("note"), "hello").unwrap();
    airlift.run(["sign", "u.tar", "--attach", "note"]).exits(2).says(&["usage.file"]);
}

#[tokio::test]
async fn an_agent_signs_with_the_key_that_is_named() {
    needs!("ssh-agent", "ssh-add", "ssh-keygen", "minisign", "openssl");
    let mut airlift = four_tools().await;
    airlift.run(["sign", "u.tar", "--agent"]).exits(1).says(&["key.agent", "ssh-add FILE"]);
    let socket = airlift.home().join("agent").display().to_string();
    let mut command = Command::new(peers::path("ssh-agent"));
    let agent = crate::support::process::Process::spawn("ssh-agent", command.args(["-D", "-a", &socket]));
    agent.wait_for_line("SSH_AUTH_SOCK");
    airlift.set("SSH_AUTH_SOCK", &socket);
    airlift.run(["sign", "u.tar", "--agent"]).exits(2).says(&["0 usable keys", "ssh-add FILE"]);
    tool(&airlift, "ssh-keygen", "-q -t ecdsa -N  -C second -f second").success();
    for key in ["ssh", "second"] {
        let mut add = Command::new(peers::path("ssh-add"));
        Ran::of(add.arg("-q").arg(airlift.home().join(key)).env("SSH_AUTH_SOCK", &socket)).success();
    }
    airlift.run(["sign", "u.tar", "--agent"]).exits(2).says(&["2 usable keys", "--agent FILE.pub"]);
    airlift.run(["sign", "u.tar", "--agent", "ssh.pub"]).success();
    assert_eq!(signers(&verify(&airlift).exits(4)), ["bob"]);
}
