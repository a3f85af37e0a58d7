//! Commands that a person gives, run by the shell.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// Variables with secrets for airlift itself, which no program that it starts needs.
pub(crate) const OUR_SECRETS: [&str; 6] = [
    "AIRLIFT_USERNAME",
    "AIRLIFT_PASSWORD",
    "AIRLIFT_KEY_PASSWORD",
    "AZURE_STORAGE_SAS_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// The shell that runs `command` in a process group of its own, without the secrets of our environment.
pub(crate) fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).process_group(0).kill_on_drop(true);
    for name in OUR_SECRETS {
        shell.env_remove(name);
    }
    shell
}

/// A process group that ends with its owner: not the shell alone, for what it started must not go on when we have given up.
#[derive(Debug)]
pub(crate) struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// The group that `child` leads.
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }

    /// Its leader has ended by itself, and its number may soon belong to another process.
    pub(crate) const fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // The group may be empty by then, which is fine.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_does_not_see_our_own_secrets() {
        let command = shell("env");
        let removed: Vec<_> = command.as_std().get_envs().filter(|(_, value)| value.is_none()).collect();
        for name in ["AIRLIFT_PASSWORD", "AIRLIFT_KEY_PASSWORD", "AZURE_STORAGE_SAS_TOKEN", "AWS_SECRET_ACCESS_KEY"] {
            assert!(removed.iter().any(|(removed, _)| *removed == name), "{name}");
        }
    }
}
