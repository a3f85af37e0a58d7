//! Users and their passwords: a file as `htpasswd -B` writes it.

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use bcrypt::HashParts;

use super::error::ServerError;

/// What bcrypt takes of a password. It would let in by the first 72 bytes of a longer one.
pub(super) const MAX_PASSWORD: usize = 72;

/// A cost above it keeps a core busy for seconds at each login.
const MAX_COST: u32 = 17;

/// Compared where there is no such user. It opens nothing.
const DECOY: &str = "$2y$04$GXvCWEl/bA7PZODyfEgVmOnAp1X4ft/I05uLUTlgn3J9f0blxkrpW";

/// The users of a file.
#[derive(Debug, Default)]
pub(super) struct Passwords {
    hashes: HashMap<String, Arc<str>>,
    /// The highest cost in the file.
    cost: u32,
}

impl Passwords {
    /// Reads the file; an error names every line that is wrong. Only bcrypt is taken: other hashes are not safe.
    pub(super) fn read(path: &Path) -> Result<Self, ServerError> {
        let bad = |reason: String| ServerError::Credentials { path: path.to_owned(), reason };
        let text = fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let (mut found, mut problems) = (Self::default(), Vec::new());
        for (number, line) in text.lines().enumerate().map(|(number, line)| (number + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((user, hash)) = line.split_once(':') else {
                problems.push(format!("line {number} is not USER:HASH"));
                continue;
            };
            match hash.parse::<HashParts>().map(|parts| parts.get_cost()) {
                Ok(cost) if (4..=MAX_COST).contains(&cost) => {
                    found.cost = found.cost.max(cost);
                    found.hashes.insert(user.to_owned(), hash.into());
                }
                Ok(cost) => problems.push(format!("line {number} has the cost {cost}; 4 to {MAX_COST} are taken")),
                Err(_) => problems.push(format!("line {number} has no bcrypt hash; htpasswd -B makes one")),
            }
        }
        if problems.is_empty() { Ok(found) } else { Err(bad(problems.join("; "))) }
    }

    /// The hash of a user.
    pub(super) fn hash(&self, user: &str) -> Option<Arc<str>> {
        self.hashes.get(user).cloned()
    }

    /// The highest cost of a hash: what every login costs.
    pub(super) const fn cost(&self) -> u32 {
        self.cost
    }
}

/// Whether the password has the hash. It takes as long for a user that is not there as for any that is: each step of the
/// cost doubles the work, so the missing steps are done on something else.
pub(super) fn is_right(password: &str, hash: Option<&str>, highest: u32) -> bool {
    let compared = hash.unwrap_or(DECOY);
    let cost = compared.parse::<HashParts>().map_or(highest, |parts| parts.get_cost());
    // A longer one is compared, too, so that its refusal takes as long.
    let matches = bcrypt::verify(password, compared).unwrap_or(false);
    for step in cost..highest {
        let _ = std::hint::black_box(bcrypt::bcrypt(step, [0; 16], password.as_bytes().get(..8).unwrap_or(b"x")));
    }
    matches && hash.is_some() && password.len() <= MAX_PASSWORD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bcrypt_is_taken_and_every_bad_line_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        fs::write(&path, "# people\nann\nbob:{SHA}xxxx\neve:$apr1$x$y\n\nzoe:$2y$05$short\n").unwrap();
        let error = Passwords::read(&path).unwrap_err().to_string();
        for line in ["line 2", "line 3", "line 4", "line 6"] {
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn a_password_longer_than_bcrypt_takes_is_never_right() {
        let long = "x".repeat(MAX_PASSWORD);
        let hash = bcrypt::hash(&long, 4).unwrap();
        assert!(is_right(&long, Some(&hash), 4));
        assert!(!is_right(&(long + "y"), Some(&hash), 4));
    }

    #[test]
    fn a_user_that_is_not_there_opens_nothing_and_costs_what_the_dearest_one_does() {
        assert_eq!(DECOY.parse::<HashParts>().unwrap().get_cost(), 4, "the other steps are done one by one");
        assert!(!is_right("anything", None, 6));
    }
}
