//! What a bundle says of itself is shown to people as text, never obeyed by their terminal, and never taken for lines of ours.

use serde_json::{Value, json};

use crate::{
    budgets::{Trap, layers},
    support::{Airlift, Terminal, needs},
};

/// A table of our own, and marks that turn it round.
const LIE: &str = "\r\n\x1b[2Jr.example/good:1\u{202e}sound\u{2069}";

fn deceptive() -> Airlift {
    let airlift = Airlift::new();
    let mut trap = Trap::default();
    let mut layer = layers(1)[0].clone();
    layer["mediaType"] = json!(LIE);
    let image = trap.image(&[layer], &json!({}));
    let mut child: Value = json!(image);
    child["platform"] = json!({"os": "linux", "architecture": LIE});
    child["artifactType"] = json!(LIE);
    child["annotations"] = json!({"title": LIE, "text": "of several\nlines"});
    let index = trap.index(&[child]);
    trap.root("r.example/bad:1", &index);
    trap.write(&airlift.home().join("bad.tar.gz"));
    airlift
}

fn harmless(text: &str) {
    for bad in ['\x1b', '\u{202e}', '\u{2069}'] {
        assert!(!text.contains(bad), "{text:?}");
    }
    assert!(!text.lines().any(|line| line.trim_end().starts_with("r.example/good")), "{text}");
}

#[test]
fn no_terminal_obeys_a_bundle() {
    needs!("script", "stty", "sha256sum");
    let airlift = deceptive();
    for args in [&["inspect", "bad.tar.gz"][..], &["inspect", "bad.tar.gz", "--tree"], &["verify", "bad.tar.gz"]] {
        // A pty, as people see it; and a pipe, as it is cut and grepped.
        let (_, screen) = Terminal::start(&airlift.command(args)).end();
        harmless(&screen.join("\n"));
        let ran = airlift.run(args);
        harmless(&ran.stdout);
        harmless(&ran.stderr);
        assert!(ran.stdout.contains("\\u{1b}"), "{ran}");
    }
}

#[test]
fn deceptive_text_is_a_finding() {
    let airlift = deceptive();
    let ran = airlift.run(["verify", "bad.tar.gz", "--json"]).exits(4);
    let verdicts: Value = serde_json::from_str(&ran.stdout).unwrap();
    let findings = verdicts[0]["findings"].as_array().unwrap();
    let text = |field: &str| {
        let about = |one: &&Value| one["token"] == "bundle.text" && one["message"].as_str().unwrap().contains(field);
        findings.iter().filter(about).count()
    };
    for field in ["media type", "artifact type", "platform", "annotations"] {
        assert_eq!(text(field), 1, "{field}: {findings:#?}");
    }
}
