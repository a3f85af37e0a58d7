//! Which of the programs that a test needs this machine has.

use std::{env, io::Write, path::PathBuf};

/// Folders of system programs, which a user's `PATH` often lacks.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Where `tests/setup` puts what is no Debian package.
const OWN: [&str; 5] =
    [".peers/bin", ".peers/encoders", ".peers/npm/node_modules/.bin", ".peers/moto/bin", ".peers/kubernetes/bin"];

/// Where `program` is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let own = OWN.map(|folder| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder));
    let folders = env::split_paths(&path).chain(SYSTEM.map(PathBuf::from)).chain(own);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The program's path, for `Command`; `needs!` was said before.
pub(crate) fn path(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| panic!("{program} is not installed: say needs!(\"{program}\") first"))
}

/// Whether everything in `programs` is there. What is not is told loudly, and fails the test in CI, where a skipped test
/// would look like a passed one.
#[must_use]
pub(crate) fn present(test: &str, programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| find(program).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join(", ");
    assert!(!in_ci(), "{test} needs {missing}, and in CI nothing is skipped: tests/setup installs it");
    skipped(test, &format!("{missing} (tests/setup installs it)"));
    false
}

/// Tells what is not tested, and why.
pub(crate) fn skipped(test: &str, needs: &str) {
    tell(&format!("SKIPPED: {test} needs {}", needs.trim_end()));
}

/// A line that is seen also where the test passes.
pub(crate) fn tell(line: &str) {
    // Straight to the descriptor: the test harness swallows what `eprintln!` says in a test that passes.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Whether this is the run that decides.
pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

/// Returns from the test if one of the programs is not installed here.
macro_rules! needs {
    ($($program:expr),+ $(,)?) => {
        // The thread of a test bears the test's name.
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        if !$crate::support::peers::present(&test, &[$($program),+]) {
            return;
        }
    };
}
pub(crate) use needs;
