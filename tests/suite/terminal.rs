//! On a real terminal: questions between discs, bars, and Ctrl-C at both.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use crate::{
    support::{
        Airlift, Options, Proxy, Registry, Terminal,
        artifacts::{Artifact, Blob},
        compare, needs,
        process::files_below,
    },
    volumes::{disc, exported, source, volumes},
};

/// Ends what a shell shows of a bar.
const BAR: &str = "% [";

/// A drive, and a disc for each volume of a set.
struct Drive {
    airlift: Airlift,
    discs: Vec<PathBuf>,
    registry: Registry,
    target: Registry,
}

impl Drive {
    fn new() -> Self {
        let (registry, references) = source();
        let airlift = exported(&references);
        let names = volumes(&airlift.home().join("set"));
        let discs = names.iter().map(|name| disc(&airlift, &format!("disc-{name}"), &[name])).collect();
        Self { airlift, discs, registry, target: Registry::start(Options::default()) }
    }

    /// Puts a disc into the drive, from 1.
    fn insert(&self, number: usize) {
        let (drive, new) = (self.airlift.home().join("drive"), self.airlift.home().join("new"));
        symlink(&self.discs[number - 1], &new).unwrap();
        fs::rename(new, drive).unwrap();
    }

    fn import(&self) -> Terminal {
        let to = self.target.address();
        Terminal::start(&self.airlift.command(["import", "drive", "--volume-prompt", "--to", to]))
    }

    /// Waits for the question after which the volumes with these numbers are needed.
    fn asked(terminal: &Terminal, needed: &[u32]) {
        let names: Vec<String> = needed.iter().map(|number| format!("release.vol00{number}.tar")).collect();
        terminal.wait_for(&format!("still needed: {}\r\n", names.join(", ")));
        terminal.wait_for("Insert the next volume at drive and press Enter, or type where it is: ");
    }

    fn same(&self) {
        for name in ["first", "second", "large"] {
            compare::same((&self.registry, name), (&self.target, name), "v1");
        }
    }
}

#[test]
fn discs_are_changed_between_the_questions_on_a_terminal() {
    needs!("docker-registry", "script", "stty", "sha256sum");
    let drive = Drive::new();
    drive.insert(3);
    let mut terminal = drive.import();
    Drive::asked(&terminal, &[1, 2, 4]);
    drive.insert(1);
    terminal.type_in("\r");
    Drive::asked(&terminal, &[2, 4]);
    // By its path, as from a second drive.
    terminal.type_in(&format!("{}\r", drive.discs[3].display()));
    terminal.wait_for("still needed: release.vol002.tar\r\n");
    drive.insert(2);
    terminal.type_in(&format!("{}\r", drive.airlift.home().join("drive").display()));
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen:#?}");
    assert!(!screen.iter().any(|line| line.contains(BAR)), "bars were left on the screen: {screen:#?}");
    drive.same();
}

#[test]
fn ctrl_c_at_the_question_says_how_to_go_on() {
    needs!("docker-registry", "script", "stty", "sha256sum");
    let drive = Drive::new();
    drive.insert(1);
    let mut terminal = drive.import();
    Drive::asked(&terminal, &[2, 3, 4]);
    terminal.type_in("\x03");
    let (code, screen) = terminal.end();
    assert_eq!(code, 130, "{screen:#?}");
    let screen = screen.join("\n");
    assert!(screen.contains("\nerror[interrupted]: stopped by Ctrl-C\n"), "{screen}");
    assert!(screen.contains("Run the same command again"), "{screen}");
    // And so it does: what disc 1 brought is not asked for again.
    drive.insert(2);
    let mut terminal = drive.import();
    Drive::asked(&terminal, &[3, 4]);
    for number in [3, 4] {
        drive.insert(number);
        terminal.type_in("\r");
        if number == 3 {
            Drive::asked(&terminal, &[4]);
        }
    }
    assert_eq!(terminal.end().0, 0);
    drive.same();
}

/// An export whose layer stands still in the middle of its way, on a terminal that shows bars of it.
fn held(airlift: &Airlift, wire: &Proxy, digest: &str) -> Terminal {
    wire.hold_after(3 << 20);
    let reference = format!("{}/large:v1", wire.address());
    let terminal = Terminal::start(&airlift.command(["export", &reference, "-o", "b.tar"]));
    // The whole, and the layer below it, by the first digits of its digest.
    terminal.wait_for("transferring ");
    terminal.wait_for(&format!("  {digest} "));
    terminal.wait_for(BAR);
    terminal
}

fn large() -> (Registry, String) {
    let registry = Registry::start(Options::default());
    let layer = Blob::layer(1, 8 << 20);
    let digest = layer.descriptor.digest.hex()[..12].to_owned();
    Artifact::image("linux/amd64", vec![layer]).push(&registry, "large", Some("v1"));
    (registry, digest)
}

fn is_clean(screen: &[String]) -> bool {
    let signs = [BAR, "transferring", "planning", "publishing"];
    !screen.iter().any(|line| signs.iter().any(|sign| line.contains(sign)))
}

#[test]
fn bars_are_drawn_on_a_terminal_and_leave_it_clean() {
    needs!("docker-registry", "script", "stty", "sha256sum");
    let ((registry, digest), airlift) = (large(), Airlift::new());
    let wire = Proxy::before(registry.address());
    let terminal = held(&airlift, &wire, &digest);
    wire.release();
    let (code, screen) = terminal.end();
    assert!(code == 0 && is_clean(&screen), "{code} {screen:#?}");
    assert!(screen.iter().any(|line| line.contains("large:v1")), "{screen:#?}");
    airlift.run(["verify", "b.tar"]).success();
}

#[test]
fn ctrl_c_takes_the_bars_off_and_says_how_to_go_on() {
    needs!("docker-registry", "script", "stty", "sha256sum");
    let ((registry, digest), airlift) = (large(), Airlift::new());
    let wire = Proxy::before(registry.address());
    let mut terminal = held(&airlift, &wire, &digest);
    terminal.type_in("\x03");
    let (code, screen) = terminal.end();
    assert!(code == 130 && is_clean(&screen), "{code} {screen:#?}");
    assert!(screen.iter().any(|line| line.contains("Run the same command again")), "{screen:#?}");
    let left = files_below(airlift.home());
    assert!(left.iter().any(|name| name == "b.tar.partial") && !left.contains(&"b.tar".to_owned()), "{left:?}");
    wire.release();
    let reference = format!("{}/large:v1", wire.address());
    airlift.run(["export", &reference, "-o", "b.tar"]).success();
}
