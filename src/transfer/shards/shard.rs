//! Which of several machines this is.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// One of several machines, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0.
    pub index: u32,
    /// How many there are, at least one.
    pub count: u32,
}

/// A text that names no shard, or an environment that does not say which one this machine is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseShardError {
    /// It is not of the form.
    #[error("expected I/N, such as 0/8, got {text:?}")]
    Form {
        /// The text.
        text: String,
    },
    /// There is no such shard.
    #[error("there is no shard {index} of {count}: shards count from 0, so the last one is {}/{count}", count.saturating_sub(1))]
    Range {
        /// Which one was named.
        index: u32,
        /// How many there are.
        count: u32,
    },
    /// No scheduler has set its variables.
    #[error("no scheduler says which shard this is: none of {} is set", names())]
    NoScheduler,
    /// A scheduler says which shard this is, and not of how many.
    #[error("{index} says which shard this is, and nothing says how many there are")]
    NoCount {
        /// The variable with the index.
        index: &'static str,
    },
    /// The variables of several schedulers are set, and they differ.
    #[error("{first} and {second} say different shards")]
    Several {
        /// A variable.
        first: &'static str,
        /// Another one.
        second: &'static str,
    },
    /// A variable of a scheduler is not a number.
    #[error("{name}: expected a number, got {value:?}")]
    Number {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
    },
}

/// How a scheduler tells its tasks who they are.
struct SchedulerVariables {
    index: &'static str,
    count: Option<&'static str>,
    /// Where its first task has another number than 0, and the step between two.
    first: Option<(&'static str, &'static str)>,
}

/// Kubernetes' Indexed Jobs, AWS Batch's array jobs, Slurm's job arrays, Cloud Run's jobs.
const SCHEDULERS: [SchedulerVariables; 4] = [
    SchedulerVariables { index: "JOB_COMPLETION_INDEX", count: None, first: None },
    SchedulerVariables { index: "AWS_BATCH_JOB_ARRAY_INDEX", count: Some("AWS_BATCH_JOB_ARRAY_SIZE"), first: None },
    SchedulerVariables {
        index: "SLURM_ARRAY_TASK_ID",
        count: Some("SLURM_ARRAY_TASK_COUNT"),
        first: Some(("SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP")),
    },
    SchedulerVariables { index: "CLOUD_RUN_TASK_INDEX", count: Some("CLOUD_RUN_TASK_COUNT"), first: None },
];

fn names() -> String {
    SCHEDULERS.map(|one| one.index).join(", ")
}

impl Shard {
    /// All of it.
    pub const ALL: Self = Self { index: 0, count: 1 };

    /// Shard `index` of `count`.
    ///
    /// # Errors
    /// There is no such shard.
    pub const fn new(index: u32, count: u32) -> Result<Self, ParseShardError> {
        if index < count { Ok(Self { index, count }) } else { Err(ParseShardError::Range { index, count }) }
    }

    /// The shard that the scheduler of this process says, of `count` where that is given: an Indexed Job of Kubernetes does not
    /// tell its pods how many there are.
    ///
    /// # Errors
    /// No scheduler says it, or two say different shards.
    pub fn scheduled(variables: &BTreeMap<String, String>, count: Option<u32>) -> Result<Self, ParseShardError> {
        let mut found: Option<(&'static str, Self)> = None;
        for scheduler in &SCHEDULERS {
            let Some(shard) = scheduler.shard(variables, count)? else { continue };
            match found {
                Some((first, known)) if known != shard => {
                    return Err(ParseShardError::Several { first, second: scheduler.index });
                }
                _ => found = Some((scheduler.index, shard)),
            }
        }
        found.map(|(_, shard)| shard).ok_or(ParseShardError::NoScheduler)
    }
}

impl SchedulerVariables {
    fn shard(
        &self,
        variables: &BTreeMap<String, String>,
        count: Option<u32>,
    ) -> Result<Option<Shard>, ParseShardError> {
        let number = |name: &'static str| {
            let value = variables.get(name).filter(|value| !value.is_empty());
            let parse = |value: &String| {
                value.parse::<u32>().map_err(|_| ParseShardError::Number { name, value: value.clone() })
            };
            value.map(parse).transpose()
        };
        let Some(mut index) = number(self.index)? else { return Ok(None) };
        if let Some((first, step)) = self.first {
            let (first, step) = (number(first)?.unwrap_or(0), number(step)?.unwrap_or(1));
            index = index.saturating_sub(first) / step.max(1);
        }
        let known = match (count, self.count) {
            (Some(count), _) => Some(count),
            (None, Some(name)) => number(name)?,
            (None, None) => None,
        };
        Shard::new(index, known.ok_or(ParseShardError::NoCount { index: self.index })?).map(Some)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, ParseShardError> {
        let form = || ParseShardError::Form { text: text.to_owned() };
        let (index, count) = text.split_once('/').ok_or_else(form)?;
        let number = |text: &str| {
            let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if is_plain { text.parse().map_err(|_| form()) } else { Err(form()) }
        };
        Self::new(number(index)?, number(count)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduled(variables: &[(&str, &str)], count: Option<u32>) -> Result<Shard, ParseShardError> {
        let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Shard::scheduled(&variables, count)
    }

    #[test]
    fn shards_count_from_0_and_end_before_their_number() {
        assert_eq!("0/1".parse(), Ok(Shard::ALL));
        assert_eq!("7/8".parse(), Ok(Shard { index: 7, count: 8 }));
        assert_eq!("8/8".parse::<Shard>(), Err(ParseShardError::Range { index: 8, count: 8 }));
        assert_eq!("0/0".parse::<Shard>(), Err(ParseShardError::Range { index: 0, count: 0 }));
        for bad in ["", "1", "1/", "/2", "+1/2", "-1/2", "1/2/3", "a/b", "0 /2", "0/99999999999"] {
            assert!(matches!(bad.parse::<Shard>(), Err(ParseShardError::Form { .. })), "{bad}");
        }
    }

    #[test]
    fn each_scheduler_says_which_shard_this_is() {
        let shard = |index, count| Ok(Shard { index, count });
        assert_eq!(scheduled(&[("JOB_COMPLETION_INDEX", "3")], Some(8)), shard(3, 8));
        let batch = [("AWS_BATCH_JOB_ARRAY_INDEX", "1"), ("AWS_BATCH_JOB_ARRAY_SIZE", "2")];
        assert_eq!(scheduled(&batch, None), shard(1, 2));
        let run = [("CLOUD_RUN_TASK_INDEX", "0"), ("CLOUD_RUN_TASK_COUNT", "4")];
        assert_eq!(scheduled(&run, None), shard(0, 4));
        let slurm = [("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_COUNT", "4")];
        let from_one = [slurm[0], slurm[1], ("SLURM_ARRAY_TASK_MIN", "1"), ("SLURM_ARRAY_TASK_STEP", "2")];
        assert_eq!(scheduled(&from_one, None), shard(2, 4));
        assert_eq!(scheduled(&slurm, None), Err(ParseShardError::Range { index: 5, count: 4 }));
    }

    #[test]
    fn an_environment_that_does_not_say_it_is_an_error() {
        assert_eq!(scheduled(&[], Some(8)), Err(ParseShardError::NoScheduler));
        let kubernetes = ("JOB_COMPLETION_INDEX", "3");
        let index = "JOB_COMPLETION_INDEX";
        assert_eq!(scheduled(&[kubernetes], None), Err(ParseShardError::NoCount { index }));
        assert_eq!(scheduled(&[kubernetes], Some(3)), Err(ParseShardError::Range { index: 3, count: 3 }));
        let two = [kubernetes, ("AWS_BATCH_JOB_ARRAY_INDEX", "1")];
        assert!(matches!(scheduled(&two, Some(8)), Err(ParseShardError::Several { .. })));
        assert!(matches!(scheduled(&[("JOB_COMPLETION_INDEX", "x")], Some(8)), Err(ParseShardError::Number { .. })));
    }
}
