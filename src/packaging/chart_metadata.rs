//! `Chart.yaml` as the config of a chart's artifact, as Helm writes it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::go_text::{self, Scalar, sanitized};
use crate::find::tree::{Documents, Id, TreeError, Value as YamlValue, ValueTree};

/// A maintainer of a chart.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Maintainer {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) email: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
}

/// A chart that another one needs.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Dependency {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    enabled: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    import_values: Vec<Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    alias: String,
}

/// The members of `Chart.yaml` in the order in which Helm writes them (`pkg/chart/v2`, *Metadata*).
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChartMetadata {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) home: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) sources: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keywords: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) maintainers: Vec<Maintainer>,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    tags: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    app_version: String,
    #[serde(skip_serializing_if = "is_false")]
    deprecated: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    kube_version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<Dependency>,
    #[serde(skip_serializing_if = "String::is_empty")]
    r#type: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl ChartMetadata {
    /// Reads `Chart.yaml`, and for charts of the first version `requirements.yaml`, which says on what they depend.
    pub(super) fn read(text: &str, requirements: Option<&str>) -> Result<Self, String> {
        let tree = one(text)?.ok_or("its Chart.yaml is empty")?;
        let mut metadata = Self::of(&Mapping { tree: &tree, id: tree.root() });
        if metadata.api_version.is_empty() {
            "v1".clone_into(&mut metadata.api_version);
        }
        if let Some(tree) = requirements.map(one).transpose()?.flatten() {
            let mapping = Mapping { tree: &tree, id: tree.root() };
            if mapping.get("dependencies").is_some() {
                metadata.dependencies = dependencies(&mapping);
            }
        }
        match () {
            () if metadata.name.is_empty() => Err("its Chart.yaml has no name".to_owned()),
            () if metadata.version.is_empty() => Err("its Chart.yaml has no version".to_owned()),
            () => Ok(metadata),
        }
    }

    fn of(chart: &Mapping<'_>) -> Self {
        let text = |key| sanitized(&chart.text(key));
        let maintainers = chart.items("maintainers").map(|one| Maintainer {
            name: sanitized(&one.text("name")),
            email: sanitized(&one.text("email")),
            url: sanitized(&one.text("url")),
        });
        Self {
            name: text("name"),
            home: text("home"),
            sources: chart.texts("sources"),
            version: chart.text("version"),
            description: text("description"),
            keywords: chart.texts("keywords"),
            maintainers: maintainers.collect(),
            icon: text("icon"),
            api_version: chart.text("apiVersion"),
            condition: text("condition"),
            tags: text("tags"),
            app_version: text("appVersion"),
            deprecated: chart.is_true("deprecated"),
            annotations: chart.map("annotations"),
            kube_version: text("kubeVersion"),
            dependencies: dependencies(chart),
            r#type: chart.text("type"),
        }
    }
}

fn dependencies(chart: &Mapping<'_>) -> Vec<Dependency> {
    let dependency = |one: Mapping<'_>| Dependency {
        name: sanitized(&one.text("name")),
        version: sanitized(&one.text("version")),
        repository: sanitized(&one.text("repository")),
        condition: sanitized(&one.text("condition")),
        tags: one.texts("tags"),
        enabled: one.is_true("enabled"),
        import_values: one.items("import-values").filter_map(|item| go_text::any(item.tree, item.id)).collect(),
        alias: one.text("alias"),
    };
    chart.items("dependencies").map(dependency).collect()
}

fn one(text: &str) -> Result<Option<ValueTree>, String> {
    Documents::new(text).next().transpose().map_err(|error: TreeError| format!("its metadata cannot be read: {error}"))
}

/// A mapping whose members are found as Go finds them: by their name, else by one that differs in case only.
struct Mapping<'a> {
    tree: &'a ValueTree,
    id: Id,
}

impl<'a> Mapping<'a> {
    fn get(&self, key: &str) -> Option<Id> {
        let entries = self.tree.entries(self.id);
        let exact = entries.iter().find(|(name, _)| *name == key);
        exact.or_else(|| entries.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))).map(|(_, id)| *id)
    }

    fn scalar(&self, id: Id) -> Scalar {
        match self.tree.value(id) {
            YamlValue::Scalar(text, style) => Scalar::of(text, *style),
            _ => Scalar::Null,
        }
    }

    fn text(&self, key: &str) -> String {
        self.get(key).map(|id| self.scalar(id).into_text()).unwrap_or_default()
    }

    fn is_true(&self, key: &str) -> bool {
        self.get(key).is_some_and(|id| self.scalar(id) == Scalar::Bool(true))
    }

    fn items(&self, key: &str) -> impl Iterator<Item = Mapping<'a>> + use<'a> {
        let tree = self.tree;
        self.get(key).map_or(&[][..], |id| tree.items(id)).iter().map(move |id| Mapping { tree, id: *id })
    }

    fn texts(&self, key: &str) -> Vec<String> {
        self.items(key).map(|item| sanitized(&self.scalar(item.id).into_text())).collect()
    }

    fn map(&self, key: &str) -> BTreeMap<String, String> {
        let members = self.get(key).map(|id| go_text::members(self.tree, id)).unwrap_or_default();
        members.into_iter().map(|(name, id)| (name, self.scalar(id).into_text())).collect()
    }
}
