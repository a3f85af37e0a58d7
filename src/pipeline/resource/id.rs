//! What resources are called.

use std::{fmt, str::FromStr};

use super::words::words;

words! {
    /// Which resource.
    pub enum Kind {
        /// Registry → storage.
        ExportPipeline = "exportPipelines",
        /// Storage → registry.
        ImportPipeline = "importPipelines",
        /// One run.
        PipelineRun = "pipelineRuns",
    }
}

/// What every type begins with.
const PROVIDER: &str = "Microsoft.ContainerRegistry/registries/";

impl Kind {
    /// `Microsoft.ContainerRegistry/registries/exportPipelines` and so on.
    pub fn arm_type(self) -> String {
        format!("{PROVIDER}{self}")
    }

    /// The kind of that `type`; resource manager does not mind the case, nor a slash at the end.
    pub fn of_arm_type(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('/');
        Self::ALL.iter().copied().find(|kind| kind.arm_type().eq_ignore_ascii_case(text))
    }

    /// In words, for people.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::ExportPipeline => "export pipeline",
            Self::ImportPipeline => "import pipeline",
            Self::PipelineRun => "pipeline run",
        }
    }
}

/// The id of a resource: `/registries/REGISTRY/exportPipelines/NAME`. Azure's own ids, which begin with a subscription and a
/// group, are read as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// Which resource.
    pub kind: Kind,
    /// The registry it belongs to.
    pub registry: String,
    /// Its name there.
    pub name: String,
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/registries/{}/{}/{}", self.registry, self.kind, self.name)
    }
}

impl FromStr for ResourceId {
    /// What is wrong with it.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || "is not a resource id such as /registries/REGISTRY/exportPipelines/NAME".to_owned();
        // Azure writes some segments in any case.
        let at = text.to_ascii_lowercase().find("registries/").ok_or_else(form)?;
        let mut parts = text[at + "registries/".len()..].rsplitn(3, '/');
        let (Some(name), Some(kind), Some(registry)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(form());
        };
        let kind = Kind::ALL.iter().copied().find(|one| one.to_string().eq_ignore_ascii_case(kind)).ok_or_else(form)?;
        Ok(Self { kind, registry: registry_host(registry)?, name: checked_name(name)?.to_owned() })
    }
}

/// Longest name, in characters.
const MAX_NAME: usize = 128;

/// `text`, if a resource can be called so.
///
/// Azure takes 5 to 50 letters and digits; those and `-`, `_`, `.` inside them are taken here.
pub(super) fn checked_name(text: &str) -> Result<&str, String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let good = text.len() <= MAX_NAME
        && text.bytes().all(inner)
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if good {
        return Ok(text);
    }
    Err(format!("{text:?} is not a name: letters and digits, with - _ . between them, {MAX_NAME} at the most"))
}

/// `text` as a registry, `HOST[:PORT][/PREFIX]`. A word without dot or port is the name of a registry in Azure, as it is for
/// `az acr`.
pub fn registry_host(text: &str) -> Result<String, String> {
    let host = text.split('/').next().unwrap_or_default();
    let is_name = !host.contains(['.', ':']) && host != "localhost" && host.bytes().all(|b| b.is_ascii_alphanumeric());
    let full = if is_name && !text.contains('/') { format!("{}.azurecr.io", text.to_lowercase()) } else { text.into() };
    match full.parse::<crate::transfer::destination::RegistryPrefix>() {
        Ok(target) => Ok(match target.prefix {
            Some(prefix) => format!("{}/{prefix}", target.registry),
            None => target.registry,
        }),
        Err(_) => Err(format!("{text:?} is not a registry: HOST[:PORT][/PREFIX], or the name of one in Azure")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_we_write_them_and_as_azure_does() {
        let id = ResourceId { kind: Kind::ExportPipeline, registry: "r.site:5000/mirror".into(), name: "up".into() };
        assert_eq!(id.to_string(), "/registries/r.site:5000/mirror/exportPipelines/up");
        assert_eq!(id.to_string().parse::<ResourceId>().unwrap(), id);
        let azure = "/subscriptions/0-1/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/MyReg/importPipelines/down";
        let id: ResourceId = azure.parse().unwrap();
        assert_eq!((id.kind, &*id.registry, &*id.name), (Kind::ImportPipeline, "myreg.azurecr.io", "down"));
        for bad in [
            "",
            "up",
            "/registries/r.site/up",
            "/registries/r.site/pipelines/up",
            "/registries/r.site/exportPipelines/",
        ] {
            assert!(bad.parse::<ResourceId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bare_word_is_a_registry_in_azure() {
        assert_eq!(registry_host("MyReg").unwrap(), "myreg.azurecr.io");
        assert_eq!(registry_host("localhost").unwrap(), "localhost");
        assert_eq!(registry_host("127.0.0.1:5000").unwrap(), "127.0.0.1:5000");
        assert_eq!(registry_host("r.site/a/b/").unwrap(), "r.site/a/b");
        for bad in ["", "https://r.site", "r.site/UP", "r site"] {
            assert!(registry_host(bad).is_err(), "{bad:?}");
        }
    }
}
